"""One document while a batch is folded into it: state, numbers given, effects caused."""

from typing import Any, Final

from msgspec import Struct
from msgspec.json import Encoder

from shared.contracts.envelope import Event, Message, Record, to_message
from shared.contracts.topics import TOPICS
from shared.kernel import Publish
from shared.runtime.ports import Document, Effect, Positions, TopicPartition, pack, part, unpack
from shared.runtime.topology import Aggregate, Routed

_encode: Final = Encoder().encode


class Written(Struct, frozen=True):
    """A document on its way to the store.

    Attributes:
        caused: the part of its outbox that is of this batch.
        owing: its outbox holds what a crash has left, for records that are to come again.
    """

    document: Document
    caused: bytes
    owing: bool


class Slot:
    """One document while a batch is folded into it.

    Attributes:
        kept: the part of its outbox that the next write must keep, unless it is `owing`.
        owing: its outbox is to be looked into, for a crash may have left something in it.
    """

    __slots__ = (
        "aggregate",
        "beside",
        "changed",
        "document",
        "kept",
        "looked",
        "outbox",
        "owing",
        "sequences",
        "state",
    )

    def __init__(self, aggregate: Aggregate, document: Document | None, beside: Any) -> None:
        self.aggregate = aggregate
        self.document = document
        self.beside = beside
        self.state = None if document is None else aggregate.decode(document.state)
        self.sequences = {} if document is None else dict(document.sequences)
        self.outbox: list[Effect] = []
        self.kept = b""
        self.owing = False
        self.looked = False  # at what is beside, and nothing was decided since
        self.changed: dict[str, int] = {}  # source topic -> highest offset applied in this batch

    def covers(self, record: Record) -> bool:
        """Whether the stored document has this record in it already."""
        if self.document is None:
            return False
        return self.document.watermarks.get(record.topic, -1) >= record.offset

    def cause(self, publish: Publish, routed: Routed, record: Record, source: str) -> Message:
        """The effect as a message: numbered per topic and key, and named by that number."""
        key = publish.key or routed.key
        counter = publish.topic if key == routed.key else f"{publish.topic}|{key}"
        sequence = self.sequences.get(counter, 0) + 1
        self.sequences[counter] = sequence
        # Of another's key each document that has something for it counts by itself.
        named = key if key == routed.key else f"{routed.key}>{key}"
        event = Event(
            id=f"{publish.topic}:{named}:{sequence}",
            source=source,
            type=publish.type,
            subject=publish.subject or routed.subject,
            time_ms=record.timestamp_ms,
            tenant=routed.tenant,
            data=_encode(publish.data),
            sequence=sequence if TOPICS[publish.topic].told else None,
        )
        message = to_message(event, publish.topic, key)
        self.outbox.append(Effect((record.topic, record.partition, record.offset), message))
        return message

    def _watermarks(self) -> dict[str, int]:
        """Brought up to date; what followed from a record that comes again lowers none."""
        before = {} if self.document is None else self.document.watermarks
        return before | {
            topic: max(offset, before.get(topic, -1)) for topic, offset in self.changed.items()
        }

    def effects_from(self, positions: Positions) -> list[Effect]:
        """Stored effects of records that are not below these positions, in their order."""
        return [
            effect
            for effect in unpack(b"" if self.document is None else self.document.outbox)
            if effect.source[2] >= positions.get(TopicPartition(*effect.source[:2]), 0)
        ]

    def written(self, collection: str, key: str) -> Written:
        """The document to write: next revision, watermarks and outbox brought up to date."""
        before = self.document
        caused = part(self.outbox)
        document = Document(
            collection=collection,
            key=key,
            revision=1 if before is None else before.revision + 1,
            state=self.aggregate.encode(self.state),
            watermarks=self._watermarks(),
            sequences=self.sequences,
            index=self.aggregate.index(self.state),
            outbox=pack(self.kept, caused),
        )
        return Written(document, caused, self.owing)
