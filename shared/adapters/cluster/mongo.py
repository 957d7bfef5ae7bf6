"""One MongoDB database behind the ports of the store, the history and the letters."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

from shared.adapters.cluster.history import MongoHistoryStore
from shared.adapters.cluster.letters import MongoLetterStore
from shared.adapters.cluster.mongo_client import Connection, MongoDriver
from shared.adapters.cluster.mongo_ends import Ends
from shared.adapters.cluster.mongo_schema import INDEX_BUILD_S, StoreRefused, prepare
from shared.adapters.cluster.mongo_waiting import Writes, answered
from shared.adapters.cluster.overlays import MongoOverlayStore
from shared.adapters.cluster.store import MongoStateStore
from shared.contracts.errors import Unavailable
from shared.runtime.history import HistoryStore
from shared.runtime.letters import LetterStore
from shared.runtime.overlays import OverlayStore
from shared.runtime.ports import StateStore

__all__ = ["Mongo", "MongoDriver", "StoreRefused", "open_mongo"]

PING_S: Final = 1.0
START_S: Final = 30.0  # to wait for a primary at start; an election takes about 12
_PAUSE_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class Mongo:
    """Open.

    Attributes:
        ping: raises `Unavailable` when the primary does not answer in time.
        remember_ends: keeps, for each name, the greatest end that it was ever told.
        remembered_ends: all that are kept.
        close: waits for writes under way. Never raises, never hangs.
    """

    store: StateStore
    history: HistoryStore
    letters: LetterStore
    overlays: OverlayStore
    ping: Callable[[], Awaitable[None]]
    remember_ends: Callable[[Mapping[str, int]], Awaitable[None]]
    remembered_ends: Callable[[], Awaitable[dict[str, int]]]
    close: Callable[[], Awaitable[None]]


async def open_mongo(url: str, driver: MongoDriver) -> Mongo:
    """Connect, and make the indexes that are missing.

    Args:
        url: with the database as its path; `aftercall` without one.
        driver: whose client; both behave the same.

    Raises:
        UrlRefused: the URL is none, or asks for what can't be had.
        StoreRefused: what it leads to is not for this version.
        Unavailable: there is no primary to be had.
    """
    connection = Connection(url, driver)
    try:
        await _prepare(connection)
    except BaseException:
        await connection.close()
        raise
    return _join(connection)


async def _prepare(connection: Connection) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + START_S
    while True:
        try:
            return await answered("open", lambda: prepare(connection), within_s=INDEX_BUILD_S)
        except Unavailable:
            if loop.time() >= deadline:
                raise
        await asyncio.sleep(_PAUSE_S)


def _join(connection: Connection) -> Mongo:
    writes = Writes()
    database = connection.database
    ends = Ends(database, writes)

    async def ping() -> None:
        ask = database["meta"].find_one
        await answered("ping", lambda: ask({"_id": "schema"}), within_s=PING_S)

    async def close() -> None:
        await writes.all_settled()
        await connection.close()

    return Mongo(
        store=MongoStateStore(database, writes),
        history=MongoHistoryStore(database, writes),
        letters=MongoLetterStore(database, writes),
        overlays=MongoOverlayStore(database, writes),
        ping=ping,
        remember_ends=ends.remember,
        remembered_ends=ends.remembered,
        close=close,
    )
