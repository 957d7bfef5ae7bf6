"""Documents on SQLite: a row each, its body in MessagePack, what it is found by in columns.

A tag is a row of its own, in the order in which lists show documents; it is written with the time
under which the document was first stored. All documents of one `save` stand together or not at all.
"""

import asyncio
import sqlite3
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Final

import msgspec

from shared.adapters.cursor import Instant, read_cursor, write_cursor
from shared.adapters.embedded.bulk import execute_rows
from shared.adapters.embedded.engine import SqliteEngine
from shared.contracts.errors import WriteConflict
from shared.runtime.ports import Document, Page, Tagged

KEYS_PER_QUERY_MAX: Final = 500  # every build of SQLite takes that many parameters

_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Document).decode

_INSERT: Final = """
    INSERT INTO documents (phase, due_ms, revision, body, collection, key, tenant, created_ms)
    VALUES {rows}
"""
_UPDATE: Final = """
    UPDATE documents SET phase = new.column1, due_ms = new.column2, revision = new.column3,
        body = new.column4
    FROM (VALUES {rows}) AS new
    WHERE collection = new.column5 AND key = new.column6 AND revision = new.column3 - 1
"""
_TAG: Final = """
    INSERT OR IGNORE INTO tags
    SELECT collection, tenant, new.column1, created_ms, key
    FROM (VALUES {rows}) AS new JOIN documents ON collection = new.column2 AND key = new.column3
"""
_LOAD: Final = "SELECT key, body FROM documents WHERE collection = ? AND key IN ({marks})"
_TAGGED: Final = """
    SELECT d.body FROM tags AS t JOIN documents AS d USING (collection, key)
    WHERE t.collection = ? AND t.tenant = ? AND t.tag = ?
    ORDER BY t.created_ms DESC, t.key DESC LIMIT ?
"""
_DUE: Final = """
    SELECT body FROM documents
    WHERE collection = ? AND due_ms <= ? AND (due_ms, key) > (?, ?) ORDER BY due_ms, key LIMIT ?
"""


class SqliteStateStore:
    """`StateStore` on one engine."""

    def __init__(self, engine: SqliteEngine) -> None:
        self._engine = engine

    async def load(
        self,
        collection: str,
        keys: Sequence[str],
        *,
        outboxes: bool = True,  # noqa: ARG002
    ) -> dict[str, Document]:
        """See `StateStore`; outboxes are empty here, or as small as the rest."""
        found: dict[str, Document] = {}
        for start in range(0, len(keys), KEYS_PER_QUERY_MAX):
            some = keys[start : start + KEYS_PER_QUERY_MAX]
            found |= self._engine.read_here(partial(_load, collection=collection, keys=some))
            if len(keys) > KEYS_PER_QUERY_MAX:
                await asyncio.sleep(0)  # a large batch lets others have a turn in between
        return found

    async def save(self, documents: Sequence[Document]) -> None:
        """See `StateStore`; here a conflict leaves every document as it was."""
        if documents:
            given = tuple(documents)
            await self._engine.write(lambda connection: save_in(connection, given))

    async def find(
        self,
        collection: str,
        tenant: str,
        *,
        phase: str | None = None,
        tag: str | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> Page:
        """See `StateStore`."""
        place = None if cursor is None else read_cursor(cursor, tuple[Instant, str])
        sql, values = _search(collection, tenant, phase, tag, place)
        rows = await self._engine.read(
            lambda connection: connection.execute(sql, (*values, limit + 1)).fetchall()
        )
        shown = rows[:limit]
        following = write_cursor(shown[-1][1:]) if len(rows) > limit else None
        return Page(tuple(_decode(body) for body, _, _ in shown), following)

    async def tagged(
        self, collection: str, wanted: Sequence[Tagged], *, each_max: int
    ) -> dict[Tagged, list[Document]]:
        """See `StateStore`."""
        found: dict[Tagged, list[Document]] = {}
        for start in range(0, len(wanted), KEYS_PER_QUERY_MAX):
            some = wanted[start : start + KEYS_PER_QUERY_MAX]
            found |= self._engine.read_here(
                partial(_tagged, collection=collection, wanted=some, each_max=each_max)
            )
            if len(wanted) > KEYS_PER_QUERY_MAX:
                await asyncio.sleep(0)
        return found

    async def due(
        self, collection: str, now_ms: int, *, after: tuple[int, str] = (-1, ""), limit: int = 1000
    ) -> list[Document]:
        """See `StateStore`."""
        values = (collection, now_ms, *after, limit)
        rows = await self._engine.read(
            lambda connection: connection.execute(_DUE, values).fetchall()
        )
        return [_decode(body) for (body,) in rows]


def save_in(connection: sqlite3.Connection, documents: Sequence[Document]) -> None:
    """For a job of the engine: write all documents.

    Raises:
        WriteConflict: a document has another revision in the store.
    """
    first = [_row(document) for document in documents if document.revision == 1]
    later = [_row(document) for document in documents if document.revision != 1]
    try:
        execute_rows(
            connection, _INSERT, [(*row, tenant, created) for row, tenant, created in first]
        )
    except sqlite3.IntegrityError as error:
        raise WriteConflict("a document exists already") from error
    if execute_rows(connection, _UPDATE, [row for row, _, _ in later]) != len(later):
        raise WriteConflict("a document has another revision")
    execute_rows(connection, _TAG, list(_tags(documents)))


_Row = tuple[str, int | None, int, bytes, str, str]


def _row(document: Document) -> tuple[_Row, str, int]:
    """The columns that both statements share, then what only an insert writes."""
    index = document.index
    tenant, _, _ = document.key.partition(":")
    row = (
        index.phase,
        index.due_ms,
        document.revision,
        _encode(document),
        document.collection,
        document.key,
    )
    return row, tenant, index.created_ms


def _tags(documents: Sequence[Document]) -> Iterator[tuple[str, str, str]]:
    for document in documents:
        for tag in document.index.tags:
            yield tag, document.collection, document.key


def _load(
    connection: sqlite3.Connection, collection: str, keys: Sequence[str]
) -> dict[str, Document]:
    sql = _LOAD.format(marks=",".join("?" * len(keys)))
    rows = connection.execute(sql, (collection, *keys)).fetchall()
    return {key: _decode(body) for key, body in rows}


def _tagged(
    connection: sqlite3.Connection, collection: str, wanted: Sequence[Tagged], each_max: int
) -> dict[Tagged, list[Document]]:
    found: dict[Tagged, list[Document]] = {}
    for one in wanted:
        rows = connection.execute(_TAGGED, (collection, *one, each_max)).fetchall()
        if rows:
            found[one] = [_decode(body) for (body,) in rows]
    return found


def _search(
    collection: str, tenant: str, phase: str | None, tag: str | None, place: tuple[int, str] | None
) -> tuple[str, tuple[int | str, ...]]:
    """The statement of a list, without its limit: by tag from the tags, else from the documents."""
    table = (
        "documents AS d" if tag is None else "tags AS t JOIN documents AS d USING (collection, key)"
    )
    at = "d" if tag is None else "t"
    clauses = [f"{at}.collection = ?", f"{at}.tenant = ?"]
    values: list[int | str] = [collection, tenant]
    if tag is not None:
        clauses.append("t.tag = ?")
        values.append(tag)
    if phase is not None:
        clauses.append("d.phase = ?")
        values.append(phase)
    if place is not None:
        clauses.append(f"({at}.created_ms, {at}.key) < (?, ?)")
        values += place
    sql = f"""
        SELECT d.body, {at}.created_ms, {at}.key FROM {table} WHERE {" AND ".join(clauses)}
        ORDER BY {at}.created_ms DESC, {at}.key DESC LIMIT ?
    """  # noqa: S608 - built from the literals above
    return sql, tuple(values)
