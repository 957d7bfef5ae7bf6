"""Every adapter behind one face, so that one suite runs against all of them.

Each suite says by its `PROFILES` which it runs against. An adapter of one port alone comes with
the other ports in memory.
"""

import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import pytest

from shared.adapters.cluster.kafka import open_kafka
from shared.adapters.cluster.mongo import MongoDriver, open_mongo
from shared.adapters.cluster.topics import apply_topics
from shared.adapters.embedded import open_embedded
from shared.runtime.commit import SeparateCommit
from shared.runtime.history import HistoryStore
from shared.runtime.letters import LetterStore
from shared.runtime.overlays import OverlayStore
from shared.runtime.ports import Commit, EventLog, StateStore
from tests.support.clock import FakeClock
from tests.support.memory import MemoryHistoryStore, MemoryLog, MemoryStateStore
from tests.support.memory_letters import MemoryLetterStore
from tests.support.memory_overlays import MemoryOverlayStore


@dataclass
class Parts:
    """The ports of one profile, open."""

    clock: FakeClock
    log: EventLog
    store: StateStore
    history: HistoryStore
    commit: Commit
    overlays: OverlayStore
    letters: LetterStore


class Profile(Protocol):
    """What outlives its opening: opened again, it shows the same data."""

    def open(self) -> AbstractAsyncContextManager[Parts]: ...


class Memory:
    """Parts whose data outlives them only as long as the test."""

    def __init__(self) -> None:
        clock = FakeClock()
        store = MemoryStateStore()
        self._parts = Parts(
            clock,
            MemoryLog(clock),
            store,
            MemoryHistoryStore(),
            SeparateCommit(store),
            MemoryOverlayStore(),
            MemoryLetterStore(),
        )

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Parts]:
        yield self._parts


class Sqlite:
    """The embedded profile on a directory of the test's own.

    `apart`: committed step by step, as if log and store shared no transaction.
    """

    def __init__(self, path: Path, *, apart: bool = False) -> None:
        self._path = path
        self._apart = apart
        self._clock = FakeClock()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Parts]:
        embedded = await open_embedded(self._path, self._clock)
        commit = SeparateCommit(embedded.store) if self._apart else embedded.commit
        try:
            yield Parts(
                self._clock,
                embedded.log,
                embedded.store,
                embedded.history,
                commit,
                embedded.overlays,
                embedded.letters,
            )
        finally:
            await embedded.close()


class Real:
    """Kafka, or MongoDB by one of its drivers, or both: topics and a database of the test's own.

    Records are stamped by the test's clock, which the log's topics are told to believe.
    """

    def __init__(
        self, kafka: str | None = None, mongo_url: str | None = None, driver: MongoDriver = "motor"
    ) -> None:
        name = f"t{secrets.token_hex(6)}"
        self._kafka = kafka
        self._mongo_url = None if mongo_url is None else database_url(mongo_url, name)
        self._driver: MongoDriver = driver
        self._prefix = f"{name}."
        self._clock = FakeClock()
        self._applied = False

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Parts]:
        async with AsyncExitStack() as stack:
            log = await self._log(stack)
            store, history, overlays, letters = await self._store(stack)
            commit = SeparateCommit(store)
            yield Parts(self._clock, log, store, history, commit, overlays, letters)

    async def _log(self, stack: AsyncExitStack) -> EventLog:
        if self._kafka is None:
            return MemoryLog(self._clock)
        if not self._applied:
            await apply_topics(
                self._kafka, partitions=4, replication=1, prefix=self._prefix, broker_time=False
            )
            self._applied = True
        kafka = await open_kafka(self._kafka, self._clock, prefix=self._prefix, broker_time=False)
        stack.push_async_callback(kafka.close)
        return kafka.log

    async def _store(
        self, stack: AsyncExitStack
    ) -> tuple[StateStore, HistoryStore, OverlayStore, LetterStore]:
        if self._mongo_url is None:
            overlays, letters = MemoryOverlayStore(), MemoryLetterStore()
            return MemoryStateStore(), MemoryHistoryStore(), overlays, letters
        mongo = await open_mongo(self._mongo_url, self._driver)
        stack.push_async_callback(mongo.close)
        return mongo.store, mongo.history, mongo.overlays, mongo.letters


def database_url(mongo_url: str, database: str) -> str:
    """The URL with this database as its path."""
    host, _, query = mongo_url.partition("/?")
    return f"{host}/{database}?{query}"


Make = Callable[[pytest.FixtureRequest, Path], Profile]

MEMORY: Final[dict[str, Make]] = {
    "memory": lambda _, __: Memory(),
    "sqlite": lambda _, path: Sqlite(path),
}
LOGS: Final[dict[str, Make]] = {
    **MEMORY,
    "kafka": lambda request, _: Real(kafka=request.getfixturevalue("kafka")),
}
STORES: Final[dict[str, Make]] = {
    **MEMORY,
    "motor": lambda request, _: Real(mongo_url=request.getfixturevalue("mongo_url")),
    "pymongo": lambda request, _: Real(
        mongo_url=request.getfixturevalue("mongo_url"), driver="pymongo"
    ),
}
COMMITS: Final[dict[str, Make]] = {
    **MEMORY,
    "sqlite apart": lambda _, path: Sqlite(path, apart=True),
    "cluster": lambda request, _: Real(
        request.getfixturevalue("kafka"), request.getfixturevalue("mongo_url")
    ),
}
REAL: Final = {"kafka", "motor", "pymongo", "cluster"}
