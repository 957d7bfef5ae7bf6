"""The collections, their indexes, and when a database is refused.

Every index costs mongod time with each document written, and that time bounds what the product can
do. So a collection whose documents are in no list has none for it, and its rows no fields for one;
all lists share one index over `found`, which holds a word for each list that the document is in;
and only documents that wait for a deadline are in the index of those.
"""

from collections.abc import Sequence
from time import monotonic
from typing import Final

import pymongo
import structlog
from pymongo import IndexModel, UpdateOne
from pymongo.errors import ConfigurationError, OperationFailure

from shared.adapters.cluster.mongo_client import OPERATION_S, Collection, Connection, bulk_written
from shared.contracts.errors import AftercallError

VERSION: Final = 1
INDEX_NOT_FOUND: Final = 27
INDEX_UNDERWAY: Final = 12587  # BackgroundOperationInProgressForNamespace
INDEX_BUILD_S: Final = 600.0  # over all documents there are; at once where there are none

LISTED: Final = frozenset({"calls", "subjects"})
"""Collections whose documents are found by tenant, phase and tag. Rows written before a collection
joined them lack the fields, so one with documents joins by a new version only."""

DUE: Final = LISTED | {"dispositions"}
"""Collections whose documents are found by when they are due. Those that wait for nothing have no
field for it, and no place in the index."""

ALL: Final = ""
"""The word in `found` of every document."""

_REFUSALS: Final = {
    13: "the user may not do what is needed",
    18: "the user or the password is wrong",
    85: "an index has another form",
    86: "an index has another form",
}
_FOUND: Final = IndexModel(
    [("tenant", 1), ("found", 1), ("created_ms", -1), ("_id", -1)], name="found"
)
_BY_DUE: Final = IndexModel(
    [("due_ms", 1), ("_id", 1)],
    name="due",
    partialFilterExpression={"due_ms": {"$exists": True}},
)
INDEXES: Final = {
    **dict.fromkeys(DUE - LISTED, (_BY_DUE,)),
    **dict.fromkeys(LISTED, (_FOUND, _BY_DUE)),
    "history": (
        IndexModel(
            [("tenant", 1), ("call_id", 1), ("at_ms", 1), ("rank", 1), ("sequence", 1), ("_id", 1)],
            name="call",
        ),
        IndexModel(
            [("tenant", 1), ("request_id", 1)],
            name="request",
            partialFilterExpression={"request_id": {"$exists": True}},
        ),
    ),
    "letters": (
        IndexModel([("at_ms", -1), ("_id", -1), ("topic", 1), ("put_back_ms", 1)], name="newest"),
        IndexModel(
            [("tenant", 1), ("at_ms", -1), ("_id", -1), ("topic", 1), ("put_back_ms", 1)],
            name="newest_of_tenant",
        ),
        IndexModel([("origin", 1)], name="origin", unique=True),
    ),
    "overlays": (IndexModel([("_id", 1), ("v", 1)], name="versions"),),
    "outcomes": (
        IndexModel(
            [
                *(("tenant", 1), ("decided_ms", -1), ("call_id", -1), ("agent_id", -1)),
                *(("code", 1), ("origin", 1), ("campaign_id", 1), ("project_id", 1)),
            ],
            name="reported",  # holds all that a report looks at, so none reads a row
        ),
        IndexModel(
            [("tenant", 1), ("callback_ms", 1), ("call_id", 1), ("agent_id", 1)],
            name="called_back",
            partialFilterExpression={"callback_ms": {"$exists": True}},
        ),
    ),
}
REPLACED: Final = {"outcomes": "newest"}
"""Indexes of earlier programs, which these may still make and use: each costs time with every row
written, so it goes once another stands in its place."""

log = structlog.get_logger()


class StoreRefused(AftercallError):
    """What is in the store, or the server itself, is not for this version: a person has to look."""


def in_phase(phase: str) -> str:
    """The word in `found` of documents in this phase."""
    return f"={phase}"


def tagged(tag: str) -> str:
    """The word in `found` of documents with this tag."""
    return f"#{tag}"


async def prepare(connection: Connection) -> None:
    """Check the server, write the version where there is none, make the indexes that are missing.

    Any number of processes may do so at the same time.

    Raises:
        StoreRefused: see there.
    """
    try:
        with pymongo.timeout(OPERATION_S):
            await _check_server(connection)
            await _check_version(connection)
        for name, indexes in INDEXES.items():
            await _index(connection.database[name], indexes)
    except OperationFailure as error:
        reason = _REFUSALS.get(error.code or 0)
        if reason is None:
            raise
        raise StoreRefused(f"MongoDB: {reason} ({error.code})") from None
    except ConfigurationError as error:
        raise StoreRefused(f"MongoDB: {error}") from None


async def _check_server(connection: Connection) -> None:
    hello = await connection.admin.command("hello")
    if "setName" not in hello and hello.get("msg") != "isdbgrid":  # the latter is a mongos
        raise StoreRefused("MongoDB: no replica set, so there is no majority to vouch for a write")


async def _check_version(connection: Connection) -> None:
    meta = connection.database["meta"]
    first = UpdateOne({"_id": "schema"}, {"$setOnInsert": {"version": VERSION}}, upsert=True)
    await bulk_written(meta, [first])
    stored = await meta.find_one({"_id": "schema"})
    version = (stored or {}).get("version")
    if version != VERSION:
        raise StoreRefused(f"MongoDB: the data has schema {version}; this version knows {VERSION}")


async def _index(collection: Collection, indexes: Sequence[IndexModel]) -> None:
    with pymongo.timeout(OPERATION_S):
        standing = await collection.index_information()
    missing = [index for index in indexes if index.document["name"] not in standing]
    if missing:
        await _make(collection, missing)
    replaced = REPLACED.get(collection.name)
    if replaced in standing:
        with pymongo.timeout(OPERATION_S):
            await _drop(collection, replaced)


async def _make(collection: Collection, missing: list[IndexModel]) -> None:
    names = [index.document["name"] for index in missing]
    with pymongo.timeout(OPERATION_S):
        long = await collection.find_one({}) is not None
    began_s = monotonic()
    if long:
        log.info("index_begun", collection=collection.name, indexes=names)
    with pymongo.timeout(INDEX_BUILD_S):
        await collection.create_indexes(missing)
    if long:
        seconds = round(monotonic() - began_s, 1)
        log.info("index_made", collection=collection.name, indexes=names, seconds=seconds)


async def _drop(collection: Collection, name: str) -> None:
    try:
        await collection.drop_index(name)
    except OperationFailure as error:
        # Another process was faster, or still makes an index: then it drops this one, or the next.
        if error.code not in (INDEX_NOT_FOUND, INDEX_UNDERWAY):
            raise
