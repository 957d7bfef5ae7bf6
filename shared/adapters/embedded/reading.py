"""Everything in the file at one moment, for whoever checks it. Never writes, never takes the lock.

One read transaction sees one commit: log, positions, documents and projection belong together,
whether the service runs, has stopped, or was killed.
"""

import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import msgspec

from shared.adapters.embedded.engine import BUSY_TIMEOUT_MS, FILE
from shared.adapters.embedded.letters import read_letters
from shared.adapters.embedded.records import partition_of
from shared.adapters.embedded.schema import VERSION, SchemaRefused
from shared.contracts.envelope import Headers, Record
from shared.runtime.contents import Contents
from shared.runtime.history import Entry, OutcomeRow
from shared.runtime.letters import LetterRow
from shared.runtime.ports import Document, TopicPartition

_headers: Final = msgspec.msgpack.Decoder(Headers).decode
_document: Final = msgspec.msgpack.Decoder(Document).decode

_LOG: Final = """
    SELECT topic, part, off, ts, key, headers, value FROM log ORDER BY topic, part, off
"""
_TOPIC: Final = """
    SELECT topic, part, off, ts, key, headers, value FROM log WHERE topic = ? ORDER BY part, off
"""
_TOPICS: Final = "SELECT DISTINCT topic FROM log"
_NEWEST: Final = "SELECT max(ts) FROM log"
_POSITIONS: Final = "SELECT grp, topic, part, pos FROM positions"
_DOCUMENTS: Final = "SELECT body FROM documents ORDER BY collection, key"
_ENTRIES: Final = """
    SELECT id, tenant, call_id, at_ms, rank, sequence, body, request_id FROM history
"""
_OUTCOMES: Final = """
    SELECT tenant, call_id, agent_id, revision, code, origin, decided_ms, campaign_id, project_id,
        body, callback_ms
    FROM outcomes
"""


def read_contents(data_dir: Path) -> Contents:
    """Everything in the file, in one read transaction.

    Raises:
        FileNotFoundError: nothing was ever stored there.
        SchemaRefused: the file is not for this version.
        sqlite3.Error: the file can't be read.
    """
    with _reading(data_dir) as connection:
        records = _records(connection.execute(_LOG))
        return Contents(
            records=records,
            ends=_ends(records),
            positions=_positions(connection),
            documents=[_document(body) for (body,) in connection.execute(_DOCUMENTS)],
            entries=msgspec.convert(_rows(connection, _ENTRIES), list[Entry]),
            outcomes=msgspec.convert(_rows(connection, _OUTCOMES), list[OutcomeRow]),
            letters=_letters(connection),
            home=partition_of,
        )


def read_topics(data_dir: Path, suffix: str) -> dict[str, list[Record]]:
    """The records of every topic whose name ends so.

    Raises:
        FileNotFoundError, SchemaRefused, sqlite3.Error: as `read_contents`.
    """
    with _reading(data_dir) as connection:
        names = [name for (name,) in connection.execute(_TOPICS) if name.endswith(suffix)]
        return {name: _records(connection.execute(_TOPIC, (name,)))[name] for name in names}


def newest_ms(data_dir: Path) -> int | None:
    """The time of the newest record; None when there is none.

    Raises:
        FileNotFoundError, SchemaRefused, sqlite3.Error: as `read_contents`.
    """
    with _reading(data_dir) as connection:
        (newest,) = connection.execute(_NEWEST).fetchone()
        return None if newest is None else int(newest)


@contextmanager
def _reading(data_dir: Path) -> Iterator[sqlite3.Connection]:
    """A connection that can't write, inside a read transaction."""
    path = data_dir / FILE
    if not path.is_file():
        raise FileNotFoundError(path)
    address = f"file:{quote(str(path.absolute()))}?mode=ro"
    with closing(sqlite3.connect(address, uri=True, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
        connection.execute("BEGIN")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version != VERSION:
            raise SchemaRefused(f"the data has schema {version}; this version reads {VERSION}")
        yield connection


def _records(rows: sqlite3.Cursor) -> dict[str, list[Record]]:
    found: dict[str, list[Record]] = defaultdict(list)
    for topic, part, off, time_ms, key, headers, value in rows:
        found[topic].append(Record(topic, part, off, time_ms, key, _headers(headers), value))
    return found


def _ends(records: dict[str, list[Record]]) -> dict[TopicPartition, int]:
    """The newest record of a partition is never pruned, so it tells where the partition ends."""
    return {
        TopicPartition(record.topic, record.partition): record.offset + 1
        for found in records.values()
        for record in found
    }


def _positions(connection: sqlite3.Connection) -> dict[str, dict[TopicPartition, int]]:
    found: dict[str, dict[TopicPartition, int]] = defaultdict(dict)
    for group, topic, part, position in connection.execute(_POSITIONS):
        found[group][TopicPartition(topic, part)] = position
    return found


def _letters(connection: sqlite3.Connection) -> list[LetterRow]:
    """None where only an earlier program has opened the file, which had no such table."""
    there = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'letters'").fetchone()
    return read_letters(connection) if there else []


def _rows(connection: sqlite3.Connection, sql: str) -> list[dict[str, Any]]:
    """Rows by the names of their columns, which are the names of the fields."""
    cursor = connection.execute(sql)
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor]
