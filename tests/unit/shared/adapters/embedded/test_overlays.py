"""A file from before there were overlays gets their table, and loses nothing."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from shared.adapters.embedded import open_embedded
from shared.adapters.embedded.engine import FILE
from shared.runtime.overlays import Stored
from tests.support.clock import FakeClock


@pytest.mark.asyncio
async def test_a_file_without_the_table_gets_it(tmp_path: Path) -> None:
    await (await open_embedded(tmp_path, FakeClock())).close()
    with closing(sqlite3.connect(tmp_path / FILE)) as connection, connection:
        connection.execute("DROP TABLE overlays")
    embedded = await open_embedded(tmp_path, FakeClock())
    try:
        await embedded.overlays.save("acme", Stored(1, b"{}"))
        assert await embedded.overlays.versions() == {"acme": 1}
    finally:
        await embedded.close()
