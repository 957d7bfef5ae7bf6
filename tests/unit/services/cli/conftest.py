"""One good history for all: a shift played on the embedded store, then read from its file."""

import asyncio
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from services.cli.verify.reading import read_snapshot
from services.cli.verify.snapshot import Snapshot
from shared.adapters.embedded import open_embedded
from shared.adapters.embedded.engine import FILE
from tests.support.clock import FakeClock
from tests.unit.services.cli.shift import Shift


async def _play(data_dir: Path) -> int:
    clock = FakeClock()
    embedded = await open_embedded(data_dir, clock)
    try:
        parts = (embedded.log, embedded.store, embedded.history, embedded.letters)
        await Shift(clock, *parts, embedded.commit).play()
    finally:
        await embedded.close()
    return clock.now_ms()


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the shift was played. Read it only."""
    where = tmp_path_factory.mktemp("shift")
    asyncio.run(_play(where))
    return where


@pytest.fixture(scope="session")
def good(data_dir: Path) -> Snapshot:
    """The shift as plain data."""
    return read_snapshot(data_dir, 1_795_270_999_000)


@pytest.fixture
def own_dir(data_dir: Path, tmp_path: Path) -> Path:
    """A copy of the shift that a test may write to."""
    where = tmp_path / "data"
    shutil.copytree(data_dir, where)
    return where


@pytest.fixture
def broken_dir(own_dir: Path) -> Path:
    """A copy in which nobody can read what was told of one call's changes."""
    with closing(sqlite3.connect(own_dir / FILE)) as connection, connection:
        connection.execute(
            "UPDATE log SET value = x'7b7d' WHERE topic = 'calls.changed' AND key = 'demo:two'"
        )
    return own_dir
