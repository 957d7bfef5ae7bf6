"""Everything in the store, page by page, for whoever checks it. Never writes, makes no index."""

from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar

import msgspec
from msgspec import Struct

from shared.adapters.cluster.letters import letter_of
from shared.adapters.cluster.mongo_client import Collection, Connection, MongoDriver, Row
from shared.adapters.cluster.mongo_schema import VERSION, StoreRefused
from shared.adapters.cluster.mongo_waiting import answered
from shared.adapters.cluster.store import NOT_OURS, document_in
from shared.runtime.history import Entry, OutcomeRow
from shared.runtime.letters import LetterRow
from shared.runtime.ports import Document

T = TypeVar("T")

PAGE: Final = 1_000
PAGE_S: Final = 20.0
OURS: Final = frozenset({"meta", "ends", "history", "outcomes", "overlays", "letters"})
"""Collections that hold no documents."""


class Stored(Struct, frozen=True):
    """All documents and rows; and of those that are not ours what they are called."""

    documents: list[Document]
    entries: list[Entry]
    outcomes: list[OutcomeRow]
    letters: list[LetterRow]
    unreadable: list[str]


@asynccontextmanager
async def open_store(url: str, driver: MongoDriver) -> AsyncIterator[Connection]:
    """Connect to what is there already.

    Raises:
        UrlRefused: the URL is none.
        StoreRefused: what it leads to is not for this version.
        Unavailable: there is no primary to be had.
    """
    connection = Connection(url, driver)
    try:
        meta = connection.database["meta"]
        stored = await answered("open", lambda: meta.find_one({"_id": "schema"}))
        if stored is None:
            raise StoreRefused("MongoDB: nothing was ever stored in this database")
        version = stored.get("version")
        if version != VERSION:
            raise StoreRefused(
                f"MongoDB: the data has schema {version}; this version knows {VERSION}"
            )
        yield connection
    finally:
        await connection.close()


async def read_stored(connection: Connection) -> Stored:
    """All of it, each page as a majority has it.

    Raises:
        Unavailable: the store did not answer.
    """
    stored = Stored([], [], [], [], [])
    for name in await _documents_in(connection):
        async for row in _rows(connection.database[name]):
            document = _document(name, row)
            if document is None:
                stored.unreadable.append(f"{name} {row['_id']} in the store is no document of ours")
            else:
                stored.documents.append(document)
    async for row in _rows(connection.database["history"]):
        name = row.pop("_id").removeprefix(f"{row.get('tenant')}:")
        _convert(row | {"id": name}, Entry, f"history {name}", stored.entries, stored.unreadable)
    async for row in _rows(connection.database["outcomes"]):
        name = f"outcomes {row.pop('_id')}"
        _convert(row, OutcomeRow, name, stored.outcomes, stored.unreadable)
    async for row in _rows(connection.database["letters"]):
        name = f"letters {row['_id']}"
        try:
            stored.letters.append(letter_of(row))
        except NOT_OURS:
            stored.unreadable.append(f"{name} in the store is none of ours")
    return stored


async def _documents_in(connection: Connection) -> list[str]:
    """The collections that hold documents, ours and any other."""
    listed = await answered("list", lambda: connection.database.command("listCollections"))
    names = sorted(row["name"] for row in listed["cursor"]["firstBatch"])
    return [name for name in names if name not in OURS and not name.startswith("system.")]


async def _rows(collection: Collection) -> AsyncIterator[Row]:
    wanted: Row = {}
    while True:
        page = await _page(collection, wanted)
        for row in page:
            wanted = {"_id": {"$gt": row["_id"]}}
            yield row
        if len(page) < PAGE:
            return


async def _page(collection: Collection, wanted: Row) -> list[Row]:
    def ask() -> Awaitable[list[Row]]:
        return collection.find(wanted, sort=[("_id", 1)], limit=PAGE).to_list(None)

    return await answered(f"read {collection.name}", ask, within_s=PAGE_S)


def _document(collection: str, row: Row) -> Document | None:
    try:
        document = document_in(row)
    except NOT_OURS:
        return None
    return document if (document.collection, document.key) == (collection, row["_id"]) else None


def _convert(row: Row, shape: type[T], name: str, into: list[T], unreadable: list[str]) -> None:
    plain: dict[str, Any] = {key: int(v) if isinstance(v, int) else v for key, v in row.items()}
    try:
        into.append(msgspec.convert(plain, shape))
    except msgspec.ValidationError:
        unreadable.append(f"{name} in the store is none of ours")
