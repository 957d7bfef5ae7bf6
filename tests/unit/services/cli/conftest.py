"""One good history for all: a shift played on the embedded store, then read from its file."""

import asyncio
from pathlib import Path

import pytest

from services.cli.verify.reading import read_snapshot
from services.cli.verify.snapshot import Snapshot
from shared.adapters.embedded import open_embedded
from tests.support.clock import FakeClock
from tests.unit.services.cli.shift import Shift


async def _play(data_dir: Path) -> int:
    clock = FakeClock()
    embedded = await open_embedded(data_dir, clock)
    try:
        parts = (embedded.log, embedded.store, embedded.history, embedded.commit)
        await Shift(clock, *parts).play()
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
