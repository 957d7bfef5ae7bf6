"""What is checked: the whole log and store at one moment, as plain data, and views of it."""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection
from functools import cached_property
from typing import Final

import msgspec
from msgspec import Struct

from services.worker.model import DispositionsState
from services.worker.topology import COLLECTION
from shared.contracts.calls import CallChanged
from shared.contracts.dispositions import DispositionTold, SwitchCommand
from shared.contracts.envelope import Event, Message, Record, from_record
from shared.contracts.errors import Poison
from shared.contracts.ids import is_subject_name
from shared.contracts.subjects import MessageCommand, StatusTold
from shared.contracts.topics import (
    CALLS_CHANGED,
    DISPOSITION_EVENTS,
    SWITCH_COMMANDS,
    TOLD,
    USER_EVENTS,
    dead,
)
from shared.runtime.dead_letters import ORIGIN, is_receipt
from shared.runtime.history import Entry, OutcomeRow
from shared.runtime.letters import LetterRow
from shared.runtime.ports import Document, TopicPartition

ToldData = CallChanged | DispositionTold | SwitchCommand | StatusTold | MessageCommand

TOLD_DATA: Final[dict[str, type[ToldData]]] = {
    CALLS_CHANGED: CallChanged,
    DISPOSITION_EVENTS: DispositionTold,
    USER_EVENTS: DispositionTold,
    SWITCH_COMMANDS: SwitchCommand,
}
TOLD_OF_SUBJECTS: Final[dict[str, type[ToldData]]] = TOLD_DATA | {
    DISPOSITION_EVENTS: StatusTold,
    SWITCH_COMMANDS: MessageCommand,
}


def name_told(data: ToldData) -> str:
    """The call, or the subject, that it tells of."""
    return data.subject if isinstance(data, StatusTold | MessageCommand) else data.call_id


class Snapshot(Struct, frozen=True, kw_only=True):
    """Log and store at one moment.

    Attributes:
        taken_ms: when it was read.
        records: of every topic, by partition and offset.
        positions: per group, as committed.
        documents: of every collection.
        ends, home, starts, gaps, apart, unreadable: as of `Contents`.
    """

    taken_ms: int
    records: dict[str, tuple[Record, ...]]
    ends: dict[TopicPartition, int]
    positions: dict[str, dict[TopicPartition, int]]
    documents: dict[str, tuple[Document, ...]]
    home: Callable[[str], int]
    entries: tuple[Entry, ...] = ()
    outcomes: tuple[OutcomeRow, ...] = ()
    letters: tuple[LetterRow, ...] = ()
    starts: dict[TopicPartition, int] = {}
    gaps: frozenset[str] = frozenset()
    apart: bool = False
    unreadable: tuple[str, ...] = ()

    def position(self, group: str, record: Record) -> int:
        """The committed position of the group on the record's partition."""
        place = TopicPartition(record.topic, record.partition)
        return self.positions.get(group, {}).get(place, 0)

    def below(self, group: str, topic: str) -> list[Record]:
        """The records of a topic that a group is done with."""
        return [
            record
            for record in self.records.get(topic, ())
            if record.offset < self.position(group, record)
        ]


class Told(Struct, frozen=True):
    """A record of a told topic, understood."""

    record: Record
    event: Event
    data: ToldData


Outcomes = dict[str, list[tuple[Told, DispositionTold]]]


class Partition(Struct, frozen=True):
    """Where one partition's kept records begin.

    Attributes:
        first: the lowest offset still kept.
        since_ms: the log's time of that record.
    """

    first: int = 0
    since_ms: int = 0


class History:
    """A snapshot with what several checks need, worked out once."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.unreadable = list(snapshot.unreadable)  # and told records that can't be understood
        self.told: dict[str, list[Told]] = {topic: self._read(topic) for topic in TOLD}

    def _read(self, topic: str) -> list[Told]:
        of_calls = msgspec.json.Decoder(TOLD_DATA[topic])
        of_subjects = msgspec.json.Decoder(TOLD_OF_SUBJECTS[topic])
        told = []
        for record in self.snapshot.records.get(topic, ()):
            try:
                event = from_record(record)
                decoder = of_subjects if is_subject_name(event.subject) else of_calls
                told.append(Told(record, event, decoder.decode(record.value)))
            except (Poison, msgspec.DecodeError) as error:
                self.unreadable.append(f"{place(record)} can't be read: {error}")
        return told

    def first_told(self, topic: str) -> list[Told]:
        """A told topic without the records that were repeated after a crash."""
        seen: set[str] = set()
        kept = []
        for told in self.told[topic]:
            if told.event.id not in seen:
                seen.add(told.event.id)
                kept.append(told)
        return kept

    @cached_property
    def changes(self) -> dict[str, list[tuple[Told, CallChanged]]]:
        """Per call key its changes, in order, each once."""
        found: dict[str, list[tuple[Told, CallChanged]]] = defaultdict(list)
        for told in self.first_told(CALLS_CHANGED):
            if isinstance(told.data, CallChanged):
                found[told.record.key].append((told, told.data))
        return dict(found)

    @cached_property
    def disposition_events(self) -> Outcomes:
        """Per call key what `disposition.events` tells of it, in order, each once."""
        return self._outcomes(DISPOSITION_EVENTS)

    @cached_property
    def user_events(self) -> Outcomes:
        """Per call key what `user.events` tells of it, in order, each once."""
        return self._outcomes(USER_EVENTS)

    def _outcomes(self, topic: str) -> Outcomes:
        found: Outcomes = defaultdict(list)
        for told in self.first_told(topic):
            if isinstance(told.data, DispositionTold):
                found[told.record.key].append((told, told.data))
        return dict(found)

    @cached_property
    def dispositions(self) -> dict[str, tuple[Document, DispositionsState]]:
        """By call key the stored dispositions, read."""
        return {
            document.key: (document, msgspec.json.decode(document.state, type=DispositionsState))
            for document in self.snapshot.documents.get(COLLECTION, ())
        }

    def whole(self, document: Document, *topics: str) -> bool:
        """Whether everything that these topics ever held of a document is still kept."""
        since_ms = self.since_ms(*topics, partition=self.snapshot.home(document.key))
        return since_ms == 0 or document.index.created_ms > since_ms

    def ahead(self, group: str, document: Document) -> bool:
        """Whether a document has a record in it that is not below its group's position."""
        partition = self.snapshot.home(document.key)
        return any(
            offset >= self.position_at(group, topic, partition)
            for topic, offset in document.watermarks.items()
        )

    @cached_property
    def kept(self) -> dict[TopicPartition, Partition]:
        """Where each partition begins of which the oldest records were pruned."""
        starts = self.snapshot.starts
        firsts: dict[TopicPartition, Partition] = {
            where: Partition(starts.get(where, end), self.snapshot.taken_ms)
            for where, end in self.snapshot.ends.items()
        }
        for records in self.snapshot.records.values():
            for record in reversed(records):
                where = TopicPartition(record.topic, record.partition)
                first = starts.get(where, record.offset)
                firsts[where] = Partition(first, record.timestamp_ms)
        return {where: first for where, first in firsts.items() if first.first}

    def first(self, where: TopicPartition) -> int:
        """The lowest offset of a partition that is still kept."""
        return self.kept[where].first if where in self.kept else 0

    @cached_property
    def dead(self) -> dict[str, list[Record]]:
        """By the place that it came from: each dead letter, and its repeats."""
        found: dict[str, list[Record]] = defaultdict(list)
        for topic, records in self.snapshot.records.items():
            for record in records if topic.endswith(dead("")) else ():
                origin = dict(record.headers).get(ORIGIN, b"")
                if not is_receipt(record):
                    found[origin.decode(errors="replace")].append(record)
        return found

    def put_aside(self, record: Record) -> bool:
        """Whether a record is a dead letter, or was one that is no longer kept."""
        where = TopicPartition(dead(record.topic), self.snapshot.home(record.key))
        return place(record) in self.dead or where in self.kept

    def position_at(self, group: str, topic: str, partition: int) -> int:
        """The committed position of a group on one partition."""
        places = self.snapshot.positions.get(group, {})
        return places.get(TopicPartition(topic, partition), 0)

    def since_ms(self, *topics: str, partition: int) -> int:
        """From when on every record of these topics is still kept in this partition."""
        return max(
            self.kept.get(TopicPartition(topic, partition), Partition()).since_ms
            for topic in topics
        )

    def standing(self, wanted: Collection[Message]) -> Counter[Message]:
        """How often each of these messages stands in the log, where its key belongs."""
        topics = {message.topic for message in wanted}
        keys = {message.key for message in wanted}
        found: Counter[Message] = Counter()
        for topic in topics:
            for record in self.snapshot.records.get(topic, ()):
                if record.key in keys and self.snapshot.home(record.key) == record.partition:
                    found[message_of(record)] += 1
        return found

    def forgotten(self, message: Message, since_ms: int) -> bool:
        """Whether a message may have been pruned that was appended at this time or later."""
        kept = self.kept.get(TopicPartition(message.topic, self.snapshot.home(message.key)))
        return kept is not None and kept.since_ms >= since_ms


def message_of(record: Record) -> Message:
    """The record as it was appended."""
    return Message(record.topic, record.key, record.headers, record.value)


def place(record: Record) -> str:
    """How a record is named to a person: `topic/partition/offset`."""
    return f"{record.topic}/{record.partition}/{record.offset}"
