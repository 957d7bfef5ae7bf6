"""The collections, their indexes, and when a database is refused.

Every index costs mongod time with each document written, and that time is what bounds the product.
So a collection whose documents are only ever read by key has none, and its rows no fields for one.
"""

from typing import Final

from pymongo import IndexModel, UpdateOne

from shared.adapters.cluster.mongo_client import Connection
from shared.contracts.errors import AftercallError

VERSION: Final = 1

LISTED: Final = {"calls"}
"""Collections whose documents are found by more than their key. To add one that has documents
already is a new version: their rows lack the fields."""

_NEWEST: Final = [("created_ms", -1), ("_id", -1)]
_DOCUMENTS: Final = [
    IndexModel([("tenant", 1), *_NEWEST], name="newest"),
    IndexModel([("tenant", 1), ("phase", 1), *_NEWEST], name="phase"),
    IndexModel([("tenant", 1), ("tags", 1), *_NEWEST], name="tags"),
    IndexModel(
        [("due_ms", 1), ("_id", 1)],
        name="due",
        partialFilterExpression={"due_ms": {"$exists": True}},
    ),
]

INDEXES: Final = {
    **dict.fromkeys(LISTED, _DOCUMENTS),
    "history": [
        IndexModel(
            [("tenant", 1), ("call_id", 1), ("at_ms", 1), ("rank", 1), ("sequence", 1), ("_id", 1)],
            name="call",
        ),
        IndexModel(
            [("tenant", 1), ("request_id", 1)],
            name="request",
            partialFilterExpression={"request_id": {"$exists": True}},
        ),
    ],
    "outcomes": [
        IndexModel(
            [("tenant", 1), ("decided_ms", -1), ("call_id", -1), ("agent_id", -1), ("code", 1)],
            name="newest",
        )
    ],
}


class StoreRefused(AftercallError):
    """What is in the store, or the server itself, is not for this version: a person has to look."""


async def prepare(connection: Connection) -> None:
    """Check the server, write the version where there is none, make the indexes that are missing.

    Raises:
        StoreRefused: see there.
    """
    hello = await connection.admin.command("hello")
    if "setName" not in hello and hello.get("msg") != "isdbgrid":
        raise StoreRefused("this mongod is no member of a replica set, so no majority can vouch")
    meta = connection.database["meta"]
    first = UpdateOne({"_id": "schema"}, {"$setOnInsert": {"version": VERSION}}, upsert=True)
    await meta.bulk_write([first], ordered=False)
    stored = await meta.find_one({"_id": "schema"})
    version = None if stored is None else stored.get("version")
    if version != VERSION:
        raise StoreRefused(f"the data has schema {version}; this version knows {VERSION}")
    for name, indexes in INDEXES.items():
        await connection.database[name].create_indexes(indexes)
