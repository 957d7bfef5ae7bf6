"""The log's SQL: records numbered and written, read back, pruned; positions of groups.

Everything here runs inside a job or a query of the engine, on its threads.
"""

import sqlite3
import zlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from shared.adapters.embedded.bulk import execute_rows
from shared.adapters.embedded.schema import PARTITIONS
from shared.contracts.envelope import Headers, Message, Record
from shared.runtime.ports import Clock, Positions, TopicPartition

PRUNED_PER_JOB_MAX: Final = 2_000  # so that appends get their turn in between

_encode_headers: Final = msgspec.msgpack.Encoder().encode
_decode_headers: Final = msgspec.msgpack.Decoder(Headers).decode

_INSERT: Final = "INSERT INTO log VALUES {rows}"
_READ: Final = """
    SELECT off, ts, key, headers, value FROM log
    WHERE topic = ? AND part = ? AND off >= ? ORDER BY off LIMIT ?
"""
_NEWEST: Final = "SELECT off, ts FROM log WHERE topic = ? AND part = ? ORDER BY off DESC LIMIT 1"
_NEXT_TOPIC: Final = "SELECT topic FROM log WHERE topic > ? ORDER BY topic LIMIT 1"
_ADVANCE: Final = """
    INSERT INTO positions VALUES {rows}
    ON CONFLICT (grp, topic, part) DO UPDATE SET pos = excluded.pos
"""
_POSITIONS: Final = "SELECT topic, part, pos FROM positions WHERE grp = ?"
_ALL_POSITIONS: Final = "SELECT grp, topic, part, pos FROM positions"
_READ_BY: Final = "SELECT grp, pos FROM positions WHERE topic = ? AND part = ?"
_GROUPS: Final = "SELECT DISTINCT grp FROM positions WHERE topic = ?"
_OLDEST: Final = """
    SELECT off, ts FROM log WHERE topic = ? AND part = ? AND off < ? ORDER BY off LIMIT ?
"""
_DELETE: Final = "DELETE FROM log WHERE topic = ? AND part = ? AND off <= ?"


def partition_of(key: str) -> int:
    """The partition of a key, on every topic. Stored data depends on it: never change it."""
    return zlib.crc32(key.encode()) % PARTITIONS


def places_of(topics: Iterable[str]) -> list[TopicPartition]:
    """All partitions of the topics."""
    return [TopicPartition(topic, part) for topic in topics for part in range(PARTITIONS)]


class Numbering:
    """Gives appended records their offsets and times. Lives on the writer thread."""

    def __init__(self, clock: Clock, last_ms: int) -> None:
        self._clock = clock
        self._last_ms = last_ms
        self._ends: dict[tuple[str, int], int] = {}

    def forget(self) -> None:
        """Something was rolled back: look again where the partitions end."""
        self._ends.clear()

    def append_in(
        self, connection: sqlite3.Connection, messages: Sequence[Message]
    ) -> list[Record]:
        """Write the messages in order; times never run backwards, whatever the clock does."""
        self._last_ms = max(self._last_ms, self._clock.now_ms())
        records = [self._number(connection, message) for message in messages]
        execute_rows(connection, _INSERT, [_row(record) for record in records])
        return records

    def _number(self, connection: sqlite3.Connection, message: Message) -> Record:
        place = (message.topic, partition_of(message.key))
        offset = self._ends.get(place)
        if offset is None:
            offset = _newest(connection, *place)[0] + 1
        self._ends[place] = offset + 1
        return Record(
            topic=message.topic,
            partition=place[1],
            offset=offset,
            timestamp_ms=self._last_ms,
            key=message.key,
            headers=message.headers,
            value=message.value,
        )


def _row(record: Record) -> tuple[str, int, int, int, str, bytes, bytes]:
    headers = _encode_headers(record.headers)
    return (
        record.topic,
        record.partition,
        record.offset,
        record.timestamp_ms,
        record.key,
        headers,
        record.value,
    )


def _newest(connection: sqlite3.Connection, topic: str, part: int) -> tuple[int, int]:
    """Offset and time of a partition's newest record; -1 and 0 before the first."""
    row: tuple[int, int] | None = connection.execute(_NEWEST, (topic, part)).fetchone()
    return row or (-1, 0)


def read_ends(connection: sqlite3.Connection) -> tuple[dict[TopicPartition, int], int]:
    """Where every partition ends, and the newest time in the log."""
    ends: dict[TopicPartition, int] = {}
    last_ms = 0
    topic = ""
    while row := connection.execute(_NEXT_TOPIC, (topic,)).fetchone():
        (topic,) = row
        for place in places_of([topic]):
            offset, time_ms = _newest(connection, *place)
            last_ms = max(last_ms, time_ms)
            if offset >= 0:
                ends[place] = offset + 1
    return ends, last_ms


def read_records(
    connection: sqlite3.Connection, place: TopicPartition, offset: int, limit: int
) -> list[Record]:
    """Records of a partition from this offset on."""
    rows = connection.execute(_READ, (*place, offset, limit)).fetchall()
    return [
        Record(place.topic, place.partition, off, time_ms, key, _decode_headers(headers), value)
        for off, time_ms, key, headers, value in rows
    ]


def advance_in(connection: sqlite3.Connection, group: str, positions: Positions) -> None:
    """Make a group's positions stand."""
    rows = [(group, *place, position) for place, position in positions.items()]
    execute_rows(connection, _ADVANCE, rows)


def read_positions(
    connection: sqlite3.Connection, group: str, topics: Iterable[str]
) -> dict[TopicPartition, int]:
    """A group's positions; 0 where nothing was committed."""
    rows = connection.execute(_POSITIONS, (group,)).fetchall()
    stored = {TopicPartition(topic, part): position for topic, part, position in rows}
    return {place: stored.get(place, 0) for place in places_of(topics)}


def read_all_positions(connection: sqlite3.Connection) -> dict[str, dict[TopicPartition, int]]:
    """Every group's positions."""
    found: dict[str, dict[TopicPartition, int]] = defaultdict(dict)
    for group, topic, part, position in connection.execute(_ALL_POSITIONS):
        found[group][TopicPartition(topic, part)] = position
    return found


def prune_in(
    connection: sqlite3.Connection, place: TopicPartition, before_ms: int, members: frozenset[str]
) -> int:
    """Delete some of the oldest records that are older and that every group is done with.

    The newest record always stays: it holds the offset and the time that the next one goes on from.

    Args:
        connection: the writer's.
        place: where.
        before_ms: what is older than this goes.
        members: groups that read the topic, whether or not they have committed anything yet.

    Returns:
        How many were deleted; 0 when there are no more.
    """
    limit, _ = _newest(connection, *place)
    groups = {group for (group,) in connection.execute(_GROUPS, (place.topic,))} | members
    done = dict(connection.execute(_READ_BY, place).fetchall())
    for group in groups:
        limit = min(limit, done.get(group, 0))
    oldest = connection.execute(_OLDEST, (*place, limit, PRUNED_PER_JOB_MAX)).fetchall()
    old = [offset for offset, time_ms in oldest if time_ms < before_ms]
    if old:
        connection.execute(_DELETE, (*place, old[-1]))
    return len(old)
