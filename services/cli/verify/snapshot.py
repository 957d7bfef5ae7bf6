"""What is checked: the whole log and store at one moment, as plain data, and views of it."""

from collections import defaultdict
from functools import cached_property
from typing import Final

import msgspec
from msgspec import Struct

from services.worker.model import DispositionsState
from services.worker.topology import COLLECTION
from shared.contracts.calls import CallChanged
from shared.contracts.dispositions import DispositionTold, SwitchCommand
from shared.contracts.envelope import Event, Record, from_record
from shared.contracts.errors import Poison
from shared.contracts.topics import (
    CALLS_CHANGED,
    DISPOSITION_EVENTS,
    SWITCH_COMMANDS,
    TOLD,
    USER_EVENTS,
    dead,
)
from shared.runtime.dead_letters import ORIGIN
from shared.runtime.history import Entry, OutcomeRow
from shared.runtime.ports import Document, TopicPartition

ToldData = CallChanged | DispositionTold | SwitchCommand

TOLD_DATA: Final[dict[str, type[ToldData]]] = {
    CALLS_CHANGED: CallChanged,
    DISPOSITION_EVENTS: DispositionTold,
    USER_EVENTS: DispositionTold,
    SWITCH_COMMANDS: SwitchCommand,
}


class Snapshot(Struct, frozen=True, kw_only=True):
    """Log and store at one moment.

    Attributes:
        taken_ms: when it was read.
        records: of every topic, by partition and offset.
        ends: the offset that the next record of each partition will have.
        positions: per group, as committed.
        documents: of every collection.
    """

    taken_ms: int
    records: dict[str, tuple[Record, ...]]
    ends: dict[TopicPartition, int]
    positions: dict[str, dict[TopicPartition, int]]
    documents: dict[str, tuple[Document, ...]]
    entries: tuple[Entry, ...] = ()
    outcomes: tuple[OutcomeRow, ...] = ()

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
        self.unreadable: list[str] = []  # told records that could not be understood
        self.told: dict[str, list[Told]] = {topic: self._read(topic) for topic in TOLD}

    def _read(self, topic: str) -> list[Told]:
        decoder = msgspec.json.Decoder(TOLD_DATA[topic])
        told = []
        for record in self.snapshot.records.get(topic, ()):
            try:
                told.append(Told(record, from_record(record), decoder.decode(record.value)))
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
        partition = self.partitions.get(document.key)
        if partition is None:
            return not self.kept
        since_ms = self.since_ms(*topics, partition=partition)
        return since_ms == 0 or document.index.created_ms > since_ms

    def ahead(self, group: str, document: Document) -> bool:
        """Whether a document has a record in it that is not below its group's position."""
        partition = self.partitions.get(document.key)
        return partition is not None and any(
            offset >= self.position_at(group, topic, partition)
            for topic, offset in document.watermarks.items()
        )

    @cached_property
    def kept(self) -> dict[TopicPartition, Partition]:
        """Where each partition begins of which the oldest records were pruned."""
        firsts: dict[TopicPartition, Partition] = {
            where: Partition(end, self.snapshot.taken_ms)
            for where, end in self.snapshot.ends.items()
        }
        for records in self.snapshot.records.values():
            for record in reversed(records):
                where = TopicPartition(record.topic, record.partition)
                firsts[where] = Partition(record.offset, record.timestamp_ms)
        return {where: first for where, first in firsts.items() if first.first}

    @cached_property
    def dead(self) -> dict[str, list[Record]]:
        """By the place that it came from: each dead letter, and its repeats."""
        found: dict[str, list[Record]] = defaultdict(list)
        for topic, records in self.snapshot.records.items():
            for record in records if topic.endswith(dead("")) else ():
                origin = dict(record.headers).get(ORIGIN, b"")
                found[origin.decode(errors="replace")].append(record)
        return found

    def put_aside(self, record: Record) -> bool:
        """Whether a record is a dead letter, or was one that is no longer kept."""
        where = TopicPartition(dead(record.topic), record.partition)
        return place(record) in self.dead or where in self.kept

    @cached_property
    def partitions(self) -> dict[str, int]:
        """The partition of every key in the log."""
        return {
            record.key: record.partition
            for records in self.snapshot.records.values()
            for record in records
        }

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


def place(record: Record) -> str:
    """How a record is named to a person: `topic/partition/offset`."""
    return f"{record.topic}/{record.partition}/{record.offset}"
