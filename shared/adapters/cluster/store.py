"""Documents on MongoDB: a row each, its body in MessagePack, what it is found by in fields.

Names of topics hold dots, which field names of BSON had better not; so the body is bytes, and
compact. `v` is the revision, the compare-and-set value of every write. The outbox is a field of its
own: it is most of a document, and only who publishes what a crash has left reads it.
"""

from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from typing import Any, Final

import msgspec
from msgspec.structs import replace
from pymongo import InsertOne, ReplaceOne

from shared.adapters.cluster.mongo_client import (
    Collection,
    Database,
    Row,
    aggregated,
    bulk_written,
)
from shared.adapters.cluster.mongo_schema import ALL, DUE, LISTED, in_phase, tagged
from shared.adapters.cluster.mongo_waiting import Writes, answered
from shared.adapters.cursor import Instant, read_cursor, write_cursor
from shared.contracts.errors import Bug, WriteConflict
from shared.runtime.ports import Document, Page, Tagged

BODY_BYTES_MAX: Final = 15 * 1024 * 1024  # a row of BSON ends at 16 MiB, its other fields included
TAGS_PER_QUERY_MAX: Final = 200  # a pipeline ends at 1,000 stages
NOT_OURS: Final = (KeyError, TypeError, msgspec.DecodeError)  # the last also for a wrong shape

_Write = InsertOne[Row] | ReplaceOne[Row]

_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Document).decode

_SHOWN: Final[Row] = {"body": 1}
_ALL_SHOWN: Final[Row] = {"body": 1, "outbox": 1}
_NEWEST: Final = [("created_ms", -1), ("_id", -1)]
_EARLIEST: Final = [("due_ms", 1), ("_id", 1)]


class MongoStateStore:
    """`StateStore` on one database."""

    def __init__(self, database: Database, writes: Writes) -> None:
        self._database = database
        self._writes = writes

    async def load(
        self, collection: str, keys: Sequence[str], *, outboxes: bool = True
    ) -> dict[str, Document]:
        """See `StateStore`."""
        if not keys:
            return {}
        shown = _ALL_SHOWN if outboxes else _SHOWN
        wanted = {"_id": {"$in": list(keys)}}
        # One more than there can be: so the server knows that the first batch is the last.
        rows = await self._rows(collection, wanted, shown, batch_size=len(keys) + 1)
        return {row["_id"]: _document(collection, row) for row in rows}

    async def save(self, documents: Sequence[Document]) -> None:
        """See `StateStore`. Whoever is cancelled in it waits for the outcome first."""
        bulks: defaultdict[str, list[_Write]] = defaultdict(list)
        for document in documents:
            bulks[document.collection].append(_write(document))
        for name, bulk in bulks.items():
            await self._writes.settled(f"save {name}", _save(self._database[name], bulk))

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
        wanted: Row = {"tenant": tenant, "found": _found(phase, tag)}
        if cursor is not None:
            wanted |= _before(read_cursor(cursor, tuple[Instant, str]))
        more: dict[str, Any] = {"sort": _NEWEST, "limit": limit + 1, "batch_size": limit + 1}
        rows = await self._rows(collection, wanted, **more)
        shown = tuple(_document(collection, row) for row in rows[:limit])
        if len(rows) <= limit:
            return Page(shown, None)
        return Page(shown, write_cursor((shown[-1].index.created_ms, shown[-1].key)))

    async def tagged(
        self, collection: str, wanted: Sequence[Tagged], *, each_max: int
    ) -> dict[Tagged, list[Document]]:
        """See `StateStore`. One query for some hundred tags, each of which reads its few alone."""
        _check_listed(collection)
        found: defaultdict[Tagged, list[Document]] = defaultdict(list)
        for start in range(0, len(wanted), TAGS_PER_QUERY_MAX):
            some = wanted[start : start + TAGS_PER_QUERY_MAX]
            rows = await answered(
                f"read {collection}",
                partial(
                    aggregated,
                    self._database[collection],
                    _newest_of_each(collection, some, each_max),
                ),
            )
            for row in rows:
                found[some[row["at"]]].append(_document(collection, row))
        return dict(found)

    async def due(
        self, collection: str, now_ms: int, *, after: tuple[int, str] = (-1, ""), limit: int = 1000
    ) -> list[Document]:
        """See `StateStore`."""
        _check_listed(collection, DUE)
        after_ms, after_key = after
        wanted = {
            "due_ms": {"$gte": after_ms, "$lte": now_ms},
            "$or": [{"due_ms": {"$gt": after_ms}}, {"_id": {"$gt": after_key}}],
        }
        more: dict[str, Any] = {"sort": _EARLIEST, "limit": limit, "batch_size": limit}
        return [_document(collection, row) for row in await self._rows(collection, wanted, **more)]

    async def _rows(
        self, collection: str, wanted: Row, shown: Row = _SHOWN, **more: Any
    ) -> list[Row]:
        cursor = self._database[collection].find(wanted, shown, **more)
        return await answered(f"read {collection}", lambda: cursor.to_list(None))


def _newest_of_each(collection: str, wanted: Sequence[Tagged], each_max: int) -> list[Row]:
    """The newest few of the first, then, as a pipeline of its own each, those of the others."""
    pipelines: list[list[Row]] = [
        [
            {"$match": {"tenant": one.tenant, "found": tagged(one.tag)}},
            {"$sort": dict(_NEWEST)},
            {"$limit": each_max},
            {"$project": {"body": 1, "at": {"$literal": at}}},
        ]
        for at, one in enumerate(wanted)
    ]
    first, *others = pipelines
    return [*first, *({"$unionWith": {"coll": collection, "pipeline": one}} for one in others)]


def _found(phase: str | None, tag: str | None) -> str | Row:
    """What `found` must hold. Of a phase and a tag, the tag is on fewer documents."""
    if tag is None:
        return ALL if phase is None else in_phase(phase)
    return tagged(tag) if phase is None else {"$all": [tagged(tag), in_phase(phase)]}


def _before(place: tuple[int, str]) -> Row:
    """What lists show after this place; written so that the index begins at its time."""
    created_ms, key = place
    return {
        "created_ms": {"$lte": created_ms},
        "$or": [{"created_ms": {"$lt": created_ms}}, {"_id": {"$lt": key}}],
    }


def _check_listed(collection: str, listed: frozenset[str] = LISTED) -> None:
    if collection not in listed:
        raise Bug(f"{collection}: its documents are not found so; see mongo_schema")


def _write(document: Document) -> _Write:
    row = _row(document)
    if document.revision == 1:
        return InsertOne(row)
    return ReplaceOne({"_id": document.key, "v": document.revision - 1}, row)


def _row(document: Document) -> Row:
    """The row of a document.

    Raises:
        Bug: MongoDB could not hold it.
    """
    outbox = document.outbox
    try:
        body = _encode(replace(document, outbox=b""))
    except UnicodeError:
        raise Bug(f"{document.collection} {document.key!a}: half a character in it") from None
    size = len(body) + len(outbox)
    if size > BODY_BYTES_MAX:
        raise Bug(f"{document.collection} {document.key}: {size} bytes are too many")
    row: Row = {"_id": document.key, "v": document.revision, "body": body}
    if outbox:
        row["outbox"] = outbox
    if document.collection in LISTED:
        index = document.index
        row["tenant"] = document.key.partition(":")[0]
        row["created_ms"] = index.created_ms
        row["found"] = [ALL, in_phase(index.phase), *map(tagged, index.tags)]
    if document.index.due_ms is not None and document.collection in DUE:
        row["due_ms"] = document.index.due_ms
    return row


async def _save(collection: Collection, bulk: Sequence[_Write]) -> None:
    result = await bulk_written(collection, bulk)
    missed = len(bulk) - result.inserted_count - result.matched_count
    if missed:
        raise WriteConflict(f"{collection.name}: {missed} of {len(bulk)} have another revision")


def document_in(row: Row) -> Document:
    """The document in a row as it was read.

    Raises:
        KeyError, TypeError, msgspec.DecodeError: there is none of ours (`NOT_OURS`).
    """
    document = _decode(row["body"])
    return replace(document, outbox=bytes(row["outbox"])) if "outbox" in row else document


def _document(collection: str, row: Row) -> Document:
    """The document in a row.

    Raises:
        Bug: it is none, or not the one that belongs there. Something else wrote it.
    """
    try:
        document = document_in(row)
    except NOT_OURS:
        raise Bug(f"{collection} {row['_id']}: what is stored is no document of ours") from None
    if (document.collection, document.key) != (collection, row["_id"]):
        raise Bug(f"{collection} {row['_id']}: another document is stored there")
    return document
