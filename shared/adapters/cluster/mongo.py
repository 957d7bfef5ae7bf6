"""One MongoDB database behind the ports of the store and the history."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import pymongo
from pymongo.errors import ConfigurationError

from shared.adapters.cluster.history import MongoHistoryStore
from shared.adapters.cluster.mongo_client import Connection, MongoDriver
from shared.adapters.cluster.mongo_schema import StoreRefused, prepare
from shared.adapters.cluster.mongo_waiting import Writes, answered
from shared.adapters.cluster.store import MongoStateStore
from shared.runtime.history import HistoryStore
from shared.runtime.ports import StateStore

__all__ = ["Mongo", "MongoDriver", "StoreRefused", "open_mongo"]

PING_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Mongo:
    """Open; `ping` raises `Unavailable` when the primary does not answer in time."""

    store: StateStore
    history: HistoryStore
    ping: Callable[[], Awaitable[None]]
    close: Callable[[], Awaitable[None]]


async def open_mongo(url: str, driver: MongoDriver) -> Mongo:
    """Connect, and make the indexes that are missing.

    Args:
        url: with the database as its path; `aftercall` without one.
        driver: whose client; both behave the same.

    Raises:
        StoreRefused: the URL is none, or what it leads to is not for this version.
        Unavailable: there is no primary to be had.
    """
    try:
        connection = Connection(url, driver)
    except ConfigurationError as error:
        raise StoreRefused(f"not a MongoDB URL: {error}") from None
    writes = Writes()

    async def ping() -> None:
        with pymongo.timeout(PING_S):
            found = connection.database["meta"].find_one({"_id": "schema"})
            await answered("ping", found, within_s=PING_S)

    async def close() -> None:
        await writes.all_settled()
        await connection.close()

    try:
        await answered("prepare the database", prepare(connection), within_s=30)
    except BaseException:
        await close()
        raise
    return Mongo(
        store=MongoStateStore(connection.database, writes),
        history=MongoHistoryStore(connection.database, writes),
        ping=ping,
        close=close,
    )
