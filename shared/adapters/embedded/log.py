"""The log on SQLite: topics of four partitions, contiguous offsets, groups and their positions.

Two views of where a partition ends. The writer thread numbers records in its own (`Numbering`), and
forgets it whenever anything was rolled back, so that offsets never have a gap. The loop is told of
what is durable, commit by commit (`Tails`): that wakes whoever waits, at once. The positions that
it shows move with them: in the file they are seen an instant earlier, and whoever took them from
there would find a group past a record while what it has published in the same commit was not there.
"""

import asyncio
import sqlite3
from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from shared.adapters.embedded.engine import SqliteEngine
from shared.adapters.embedded.gathering import Gathering
from shared.adapters.embedded.records import (
    Numbering,
    advance_in,
    partition_of,
    places_of,
    prune_in,
    read_all_positions,
    read_ends,
    read_positions,
    read_records,
)
from shared.adapters.tails import Tails
from shared.contracts.envelope import Message, Record
from shared.contracts.topics import dead
from shared.runtime.ports import Clock, Positions, TopicPartition

_DEAD: Final = dead("")


class SqliteLog:
    """`EventLog` on one engine; make it by `SqliteLog.open`, one for each engine."""

    appends_whole: Final = True

    def __init__(self, engine: SqliteEngine, numbering: Numbering, tails: Tails) -> None:
        self._engine = engine
        self._numbering = numbering
        self._tails = tails
        self._gathering = Gathering(self._write)
        self._groups: dict[str, set[str]] = defaultdict(set)
        self._positions: dict[str, dict[TopicPartition, int]] = defaultdict(dict)
        engine.rolled_back.append(numbering.forget)

    @classmethod
    async def open(cls, engine: SqliteEngine, clock: Clock) -> "SqliteLog":
        """The log as it stands in the file. The clock gives records their time."""
        ends, last_ms = await engine.read(read_ends)
        log = cls(engine, Numbering(clock, last_ms), Tails(ends))
        for group, positions in (await engine.read(read_all_positions)).items():
            log.move(group, positions)
        return log

    async def append(self, messages: Sequence[Message]) -> None:
        """See `EventLog`; callers at the same time share one disk flush."""
        if messages:
            await self._gathering.append(tuple(messages))

    async def _write(self, messages: Sequence[Message]) -> None:
        await self._engine.write(lambda connection: self.append_in(connection, messages), self.show)

    def append_in(
        self, connection: sqlite3.Connection, messages: Sequence[Message]
    ) -> list[Record]:
        """For a job of the engine: write the messages; `show` the result once it is durable."""
        return self._numbering.append_in(connection, messages)

    def show(self, records: Sequence[Record]) -> None:
        """Let readers see what is durable; called in the order of commits."""
        self._tails.extend(records)

    def move(self, group: str, positions: Positions) -> None:
        """Let readers see positions that are durable, after what was published with them."""
        self._positions[group] |= positions

    def consumer(self, group: str, topics: Sequence[str]) -> "SqliteConsumer":
        """See `EventLog`. There is one process, so the member owns every partition."""
        for topic in topics:
            self._groups[topic].add(group)
        return SqliteConsumer(self, self._engine, group, topics)

    def partition(self, key: str) -> int:
        """See `EventLog`."""
        return partition_of(key)

    async def ends(self, topics: Sequence[str]) -> dict[TopicPartition, int]:
        """See `EventLog`."""
        return {place: self._tails.end(place) for place in places_of(topics)}

    async def read(self, place: TopicPartition, offset: int, limit: int) -> list[Record]:
        """See `EventLog`."""
        records = self._tails.take(place, offset, limit)
        if records is not None:
            return records
        return await self._engine.read(
            lambda connection: read_records(connection, place, offset, limit)
        )

    async def positions(self, group: str, topics: Sequence[str]) -> dict[TopicPartition, int]:
        """See `EventLog`; never ahead of `ends`."""
        positions = self._positions[group]
        return {place: positions.get(place, 0) for place in places_of(topics)}

    async def grown(self, topics: Sequence[str], seen: Positions, wait_s: float) -> bool:
        """See `EventLog`."""
        return await self._tails.grown(topics, seen, wait_s)

    async def prune(self, before_ms: int, dead_before_ms: int) -> int:
        """Delete records older than this that every group of their topic has read; says how many.

        Those of dead topics go when they are older than `dead_before_ms`.

        A topic that no group reads goes by age alone. The newest record of a partition stays, so
        that offsets go on and a reader from long ago finds the end.

        Raises:
            Unavailable: the disk failed; some may be gone.
        """
        pruned = 0
        for place in self._tails.places():
            limit_ms = dead_before_ms if place.topic.endswith(_DEAD) else before_ms
            while count := await self._prune_some(place, limit_ms):
                pruned += count
        return pruned

    async def _prune_some(self, place: TopicPartition, before_ms: int) -> int:
        members = frozenset(self._groups[place.topic])
        return await self._engine.write(
            lambda connection: prune_in(connection, place, before_ms, members),
            lambda count: self._tails.forget(place) if count else None,
        )


class SqliteConsumer:
    """`Consumer` of the one process: it owns every partition, and none ever moves.

    Attributes:
        group: whose positions it advances.
    """

    def __init__(
        self, log: SqliteLog, engine: SqliteEngine, group: str, topics: Sequence[str]
    ) -> None:
        self.group = group
        self._log = log
        self._engine = engine
        self._topics = tuple(topics)
        self._next: dict[TopicPartition, int] = {}
        self._turn = 0

    async def committed(self) -> dict[TopicPartition, int]:
        """See `Consumer`; from the file, which knows best after a write that may have failed."""
        return await self._engine.read(
            lambda connection: read_positions(connection, self.group, self._topics)
        )

    async def poll(self, *, records_max: int, wait_s: float) -> list[Record]:
        """See `Consumer`; wakes with the commit that brings something."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait_s
        if not self._next:
            self._next = await self.committed()
        while not (records := await self._take(records_max)):
            if not await self._log.grown(self._topics, self._next, deadline - loop.time()):
                return []
        return records

    async def _take(self, records_max: int) -> list[Record]:
        """From each partition in turn, another first each time, so that none waits for ever."""
        places = list(self._next)
        self._turn = (self._turn + 1) % len(places)
        taken: list[Record] = []
        for place in places[self._turn :] + places[: self._turn]:
            if len(taken) < records_max:
                taken += await self._log.read(place, self._next[place], records_max - len(taken))
        for record in taken:
            self._next[TopicPartition(record.topic, record.partition)] = record.offset + 1
        return taken

    async def publish_and_advance(self, messages: Sequence[Message], positions: Positions) -> None:
        """See `Consumer`; here messages and positions stand together or not at all."""
        given = tuple(messages)
        moved = dict(positions)
        await self._engine.write(
            lambda connection: self.publish_in(connection, given, moved),
            lambda records: self.show(records, moved),
        )

    def publish_in(
        self, connection: sqlite3.Connection, messages: Sequence[Message], positions: Positions
    ) -> list[Record]:
        """For a job of the engine: the same, without committing; the log must `show` the result."""
        records = self._log.append_in(connection, messages)
        advance_in(connection, self.group, positions)
        return records

    def show(self, records: Sequence[Record], positions: Positions) -> None:
        """Let readers see what `publish_in` wrote, once it is durable."""
        self._log.show(records)
        self._log.move(self.group, positions)

    async def rewind(self) -> None:
        """See `Consumer`."""
        self._next = {}

    async def close(self) -> None:
        """See `Consumer`."""
