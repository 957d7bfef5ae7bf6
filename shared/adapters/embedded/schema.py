"""The tables of the one SQLite file, the steps between its versions, and when a file is refused.

Times are milliseconds since the epoch. Bodies are MessagePack (documents, headers) or whatever JSON
the caller gave. A table read by its own order of records stands `WITHOUT ROWID`.
"""

import sqlite3
from time import monotonic
from typing import Final

import structlog

from shared.contracts.errors import AftercallError

VERSION: Final = 2
PARTITIONS: Final = 4  # of every topic; a key would change its partition if this changed

TABLES: Final = """
CREATE TABLE settings (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE log (
    topic TEXT NOT NULL, part INTEGER NOT NULL, off INTEGER NOT NULL, ts INTEGER NOT NULL,
    key TEXT NOT NULL, headers BLOB NOT NULL, value BLOB NOT NULL,
    PRIMARY KEY (topic, part, off)
) STRICT, WITHOUT ROWID;

CREATE TABLE positions (
    grp TEXT NOT NULL, topic TEXT NOT NULL, part INTEGER NOT NULL, pos INTEGER NOT NULL,
    PRIMARY KEY (grp, topic, part)
) STRICT, WITHOUT ROWID;

CREATE TABLE documents (
    collection TEXT NOT NULL, key TEXT NOT NULL, revision INTEGER NOT NULL, tenant TEXT NOT NULL,
    phase TEXT NOT NULL, due_ms INTEGER, created_ms INTEGER NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY (collection, key)
) STRICT;
CREATE INDEX documents_newest ON documents (collection, tenant, created_ms, key);
CREATE INDEX documents_phase ON documents (collection, tenant, phase, created_ms, key);
CREATE INDEX documents_due ON documents (collection, due_ms, key) WHERE due_ms IS NOT NULL;

CREATE TABLE tags (
    collection TEXT NOT NULL, tenant TEXT NOT NULL, tag TEXT NOT NULL,
    created_ms INTEGER NOT NULL, key TEXT NOT NULL,
    PRIMARY KEY (collection, tenant, tag, created_ms, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE history (
    tenant TEXT NOT NULL, id TEXT NOT NULL, call_id TEXT NOT NULL, request_id TEXT,
    at_ms INTEGER NOT NULL, rank INTEGER NOT NULL, sequence INTEGER NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY (tenant, id)
) STRICT;
CREATE INDEX history_call ON history (tenant, call_id, at_ms, rank, sequence, id);
CREATE INDEX history_request ON history (tenant, request_id) WHERE request_id IS NOT NULL;

CREATE TABLE outcomes (
    tenant TEXT NOT NULL, call_id TEXT NOT NULL, agent_id TEXT NOT NULL, revision INTEGER NOT NULL,
    code TEXT NOT NULL, origin TEXT NOT NULL, decided_ms INTEGER NOT NULL,
    campaign_id TEXT, project_id TEXT, body BLOB NOT NULL,
    PRIMARY KEY (tenant, call_id, agent_id)
) STRICT;
"""

CALLED_BACK: Final = """
ALTER TABLE outcomes ADD COLUMN callback_ms INTEGER;
CREATE INDEX outcomes_called_back ON outcomes (tenant, callback_ms, call_id, agent_id)
    WHERE callback_ms IS NOT NULL
"""
"""When to call back, of outcomes that say so. Those there are have none until they are read again
from the topics (the README says how)."""

STEPS: Final = {2: CALLED_BACK}
"""By version what leads to it from the one before."""

ADDED: Final = """
CREATE TABLE IF NOT EXISTS overlays (
    tenant TEXT PRIMARY KEY, version INTEGER NOT NULL, body BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS letters (
    place TEXT PRIMARY KEY, tenant TEXT NOT NULL, topic TEXT NOT NULL, at_ms INTEGER NOT NULL,
    reason TEXT NOT NULL, detail TEXT NOT NULL, origin TEXT NOT NULL UNIQUE, key TEXT NOT NULL,
    type TEXT, put_back_ms INTEGER, headers BLOB NOT NULL, value BLOB NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS letters_newest ON letters (at_ms, place, topic, put_back_ms);
CREATE INDEX IF NOT EXISTS letters_of_tenant ON letters (
    tenant, at_ms, place, topic, put_back_ms
);
"""
"""What a file of the same version may lack: an earlier program passes over it, so it needs no new
version."""

REPORTED: Final = """
CREATE INDEX outcomes_reported ON outcomes (
    tenant, decided_ms, call_id, agent_id, code, origin, campaign_id, project_id
);
DROP INDEX IF EXISTS outcomes_newest
"""
"""An index with all that lists and reports look at, so that no report reads a row; and the one that
it replaces. It is made of all outcomes there are: a million take seconds."""

log = structlog.get_logger()


class SchemaRefused(AftercallError):
    """The file was written by a newer version, or with another number of partitions."""


def prepare(connection: sqlite3.Connection) -> None:
    """Create the tables in an empty file; refuse a file that this version can't serve.

    Raises:
        SchemaRefused: see there.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        _prepare(connection)
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _prepare(connection: sqlite3.Connection) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > VERSION:
        raise SchemaRefused(f"the data has schema {version}; this version knows up to {VERSION}")
    if version == 0:
        for statement in TABLES.split(";"):
            connection.execute(statement)
        connection.execute("INSERT INTO settings VALUES ('partitions', ?)", (PARTITIONS,))
        version = 1
    for number in range(version + 1, VERSION + 1):
        for statement in STEPS[number].split(";"):
            connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {VERSION}")
    for statement in ADDED.split(";"):
        connection.execute(statement)
    _index_reports(connection)
    (stored,) = connection.execute(
        "SELECT value FROM settings WHERE name = 'partitions'"
    ).fetchone()
    if stored != PARTITIONS:
        raise SchemaRefused(f"the data has {stored} partitions a topic, not {PARTITIONS}")


def _index_reports(connection: sqlite3.Connection) -> None:
    if connection.execute("PRAGMA index_info(outcomes_reported)").fetchone():
        return
    (rows,) = connection.execute("SELECT coalesce(max(rowid), 0) FROM outcomes").fetchone()
    began_s = monotonic()
    if rows:
        log.info("index_begun", index="outcomes_reported", rows=rows)
    for statement in REPORTED.split(";"):
        connection.execute(statement)
    if rows:
        log.info("index_made", index="outcomes_reported", seconds=round(monotonic() - began_s, 1))
