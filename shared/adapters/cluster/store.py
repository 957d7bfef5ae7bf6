"""Documents on MongoDB: a row each, its body in MessagePack, what it is found by in fields.

Keys and topics hold dots, which field names of BSON had better not; so the body is bytes, and
compact. `v` is the revision, the compare-and-set value of every write.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final

import msgspec
from bson.binary import Binary
from pymongo import InsertOne, UpdateOne

from shared.adapters.cluster.mongo_client import Collection, Database, Row
from shared.adapters.cluster.mongo_schema import LISTED
from shared.adapters.cluster.mongo_waiting import Writes, answered
from shared.adapters.cursor import Instant, read_cursor, write_cursor
from shared.contracts.errors import Bug, WriteConflict
from shared.runtime.ports import Document, Page

BODY_BYTES_MAX: Final = 15 * 1024 * 1024  # a row of BSON ends at 16 MiB, index fields included

_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Document).decode

_SHOWN: Final[Row] = {"body": 1}
_NEWEST: Final = [("created_ms", -1), ("_id", -1)]
_EARLIEST: Final = [("due_ms", 1), ("_id", 1)]


class MongoStateStore:
    """`StateStore` on one database."""

    def __init__(self, database: Database, writes: Writes) -> None:
        self._database = database
        self._writes = writes

    async def load(self, collection: str, keys: Sequence[str]) -> dict[str, Document]:
        """See `StateStore`."""
        if not keys:
            return {}
        # One more than there can be: the server then knows that the first batch is all.
        cursor = self._database[collection].find(
            {"_id": {"$in": list(keys)}}, _SHOWN, batch_size=len(keys) + 1
        )
        rows = await answered(f"load {collection}", cursor.to_list(None))
        return {row["_id"]: _document(collection, row) for row in rows}

    async def save(self, documents: Sequence[Document]) -> None:
        """See `StateStore`. Cancelling it waits for the outcome first."""
        writes: defaultdict[str, list[InsertOne[Row] | UpdateOne]] = defaultdict(list)
        for document in documents:
            writes[document.collection].append(_write(document))
        for name, bulk in writes.items():
            doing = f"save {name}"
            await self._writes.settled(doing, _save(self._database[name], bulk))

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
        _check_listed(collection)
        wanted: Row = {"tenant": tenant}
        if phase is not None:
            wanted["phase"] = phase
        if tag is not None:
            wanted["tags"] = tag
        if cursor is not None:
            wanted |= _before(read_cursor(cursor, tuple[Instant, str]))
        found = self._database[collection].find(wanted, _SHOWN, sort=_NEWEST, limit=limit + 1)
        rows = await answered(f"find {collection}", found.to_list(None))
        shown = tuple(_document(collection, row) for row in rows[:limit])
        if len(rows) <= limit:
            return Page(shown, None)
        return Page(shown, write_cursor((shown[-1].index.created_ms, shown[-1].key)))

    async def due(
        self, collection: str, now_ms: int, *, after: tuple[int, str] = (-1, ""), limit: int = 1000
    ) -> list[Document]:
        """See `StateStore`."""
        _check_listed(collection)
        after_ms, after_key = after
        wanted = {
            "due_ms": {"$gte": after_ms, "$lte": now_ms},
            "$or": [{"due_ms": {"$gt": after_ms}}, {"_id": {"$gt": after_key}}],
        }
        found = self._database[collection].find(
            wanted, _SHOWN, sort=_EARLIEST, limit=limit, batch_size=limit + 1
        )
        rows = await answered(f"due {collection}", found.to_list(None))
        return [_document(collection, row) for row in rows]


def _before(place: tuple[int, str]) -> Row:
    """What lists show after this place; written so that the index begins at its time."""
    created_ms, key = place
    return {
        "created_ms": {"$lte": created_ms},
        "$or": [{"created_ms": {"$lt": created_ms}}, {"_id": {"$lt": key}}],
    }


def _check_listed(collection: str) -> None:
    if collection not in LISTED:
        raise Bug(f"{collection}: nothing is found there but by its key; see mongo_schema")


def _write(document: Document) -> InsertOne[Row] | UpdateOne:
    body = _encode(document)
    if len(body) > BODY_BYTES_MAX:
        raise Bug(f"{document.collection} {document.key}: {len(body)} bytes are too many")
    index = document.index
    fields: Row = {"v": document.revision, "body": Binary(body)}
    if document.collection in LISTED:
        fields |= {"phase": index.phase, "tags": list(index.tags)}
        if index.due_ms is not None:
            fields["due_ms"] = index.due_ms
    if document.revision == 1:
        if document.collection in LISTED:
            tenant, _, _ = document.key.partition(":")
            fields |= {"tenant": tenant, "created_ms": index.created_ms}
        return InsertOne({"_id": document.key, **fields})
    change: dict[str, Any] = {"$set": fields}
    if document.collection in LISTED and index.due_ms is None:
        change["$unset"] = {"due_ms": ""}
    return UpdateOne({"_id": document.key, "v": document.revision - 1}, change)


async def _save(collection: Collection, bulk: Sequence[InsertOne[Row] | UpdateOne]) -> None:
    result = await collection.bulk_write(bulk, ordered=False)
    missed = len(bulk) - result.inserted_count - result.matched_count
    if missed:
        raise WriteConflict(f"{collection.name}: {missed} of {len(bulk)} have another revision")


def _document(collection: str, row: Row) -> Document:
    """The document in a row.

    Raises:
        Bug: it is none, or not the one that belongs there. Something else wrote it.
    """
    try:
        document = _decode(row["body"])
    except (KeyError, TypeError, msgspec.DecodeError):
        raise Bug(f"{collection} {row['_id']}: this is no document of ours") from None
    if (document.collection, document.key) != (collection, row["_id"]):
        raise Bug(f"{collection} {row['_id']}: another document stands there")
    return document
