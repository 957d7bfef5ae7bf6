"""Every profile's adapters behind one face, so that one suite runs against all of them."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from shared.adapters.embedded import open_embedded
from shared.runtime.commit import SeparateCommit
from shared.runtime.history import HistoryStore
from shared.runtime.ports import Commit, EventLog, StateStore
from tests.support.clock import FakeClock
from tests.support.memory import MemoryHistoryStore, MemoryLog, MemoryStateStore


@dataclass
class Parts:
    """The ports of one profile, open."""

    clock: FakeClock
    log: EventLog
    store: StateStore
    history: HistoryStore
    commit: Commit


class Memory:
    """Parts whose data outlives them only as long as the test."""

    def __init__(self, _: Path) -> None:
        clock = FakeClock()
        store = MemoryStateStore()
        self._parts = Parts(
            clock, MemoryLog(clock), store, MemoryHistoryStore(), SeparateCommit(store)
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
            yield Parts(self._clock, embedded.log, embedded.store, embedded.history, commit)
        finally:
            await embedded.close()


Profile = Memory | Sqlite
PROFILES: dict[str, Callable[[Path], Profile]] = {"memory": Memory, "sqlite": Sqlite}
COMMITS: dict[str, Callable[[Path], Profile]] = {
    **PROFILES,
    "sqlite apart": partial(Sqlite, apart=True),
}
