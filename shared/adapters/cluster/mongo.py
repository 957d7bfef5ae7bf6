"""One MongoDB database behind the ports of the store and the history."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from shared.contracts.errors import AftercallError
from shared.runtime.history import HistoryStore
from shared.runtime.ports import StateStore

MongoDriver = Literal["motor", "pymongo"]


class StoreRefused(AftercallError):
    """What is in the store, or the server itself, is not for this version: a person has to look."""


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
        Unavailable: there is no primary to be had.
    """
    raise NotImplementedError(url, driver)
