"""The embedded profile: one SQLite file, one writer thread, group commit."""

from dataclasses import dataclass
from pathlib import Path

from shared.adapters.embedded.commit import SqliteCommit
from shared.adapters.embedded.engine import DataDirLocked, SqliteEngine
from shared.adapters.embedded.history import SqliteHistoryStore
from shared.adapters.embedded.letters import SqliteLetterStore
from shared.adapters.embedded.log import SqliteLog
from shared.adapters.embedded.overlays import SqliteOverlayStore
from shared.adapters.embedded.replies import LocalReplies
from shared.adapters.embedded.schema import SchemaRefused
from shared.adapters.embedded.store import SqliteStateStore
from shared.runtime.ports import Clock

__all__ = ["DataDirLocked", "Embedded", "SchemaRefused", "open_embedded"]


@dataclass(frozen=True, slots=True)
class Embedded:
    """Every adapter of the profile, on one file."""

    engine: SqliteEngine
    log: SqliteLog
    store: SqliteStateStore
    history: SqliteHistoryStore
    letters: SqliteLetterStore
    overlays: SqliteOverlayStore
    replies: LocalReplies
    commit: SqliteCommit

    async def close(self) -> None:
        """Write what waits, then let go of the directory."""
        await self.engine.close()


async def open_embedded(data_dir: Path, clock: Clock) -> Embedded:
    """Take the data directory, creating it where it is missing.

    Raises:
        DataDirLocked: another process works on it.
        SchemaRefused: its data is not for this version.
    """
    engine = SqliteEngine(data_dir)
    try:
        log = await SqliteLog.open(engine, clock)
    except BaseException:
        await engine.close()
        raise
    return Embedded(
        engine=engine,
        log=log,
        store=SqliteStateStore(engine),
        history=SqliteHistoryStore(engine),
        letters=SqliteLetterStore(engine),
        overlays=SqliteOverlayStore(engine),
        replies=LocalReplies(),
        commit=SqliteCommit(engine),
    )
