"""What is checked: the whole log and store at one moment, as plain data, and views of it."""

from collections import defaultdict
from functools import cached_property
from typing import Final

import msgspec
from msgspec import Struct

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


class Partition(Struct, frozen=True):
    """Where one partition's kept records begin.

    Attributes:
        first: the lowest offset still kept; 0 when nothing was pruned.
        since_ms: the log's time of that record; 0 when nothing was pruned.
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

    def changes(self) -> dict[str, list[tuple[Told, CallChanged]]]:
        """Per call key its changes, in order, each once."""
        found: dict[str, list[tuple[Told, CallChanged]]] = defaultdict(list)
        for told in self.first_told(CALLS_CHANGED):
            if isinstance(told.data, CallChanged):
                found[told.record.key].append((told, told.data))
        return found

    def outcomes_told(self, topic: str) -> dict[str, list[tuple[Told, DispositionTold]]]:
        """Per call key what a topic tells of its dispositions, in order, each once."""
        found: dict[str, list[tuple[Told, DispositionTold]]] = defaultdict(list)
        for told in self.first_told(topic):
            if isinstance(told.data, DispositionTold):
                found[told.record.key].append((told, told.data))
        return found

    @cached_property
    def kept(self) -> dict[TopicPartition, Partition]:
        """Where each partition that was pruned begins."""
        found: dict[TopicPartition, Partition] = {}
        for records in self.snapshot.records.values():
            for record in records:
                where = TopicPartition(record.topic, record.partition)
                if where not in found:
                    since_ms = record.timestamp_ms if record.offset else 0
                    found[where] = Partition(record.offset, since_ms)
        for where, end in self.snapshot.ends.items():
            if where not in found and end:
                found[where] = Partition(end, self.snapshot.taken_ms)
        return found

    @cached_property
    def dead(self) -> dict[str, list[Record]]:
        """By the place that it came from: each dead letter, and its repeats."""
        found: dict[str, list[Record]] = defaultdict(list)
        for topic, records in self.snapshot.records.items():
            for record in records if topic.endswith(dead("")) else ():
                origin = dict(record.headers).get(ORIGIN, b"")
                found[origin.decode(errors="replace")].append(record)
        return found

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
