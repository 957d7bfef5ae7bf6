"""How SQLite goes about letters: by an index that holds what lists are narrowed by."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from shared.adapters.embedded import Embedded, open_embedded
from shared.adapters.embedded.engine import FILE
from shared.adapters.embedded.reading import read_contents
from tests.conformance.test_letter_store import letter
from tests.support.clock import FakeClock

pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture
async def embedded(tmp_path: Path) -> AsyncIterator[Embedded]:
    opened = await open_embedded(tmp_path, FakeClock())
    yield opened
    await opened.close()


@pytest.mark.parametrize("narrowed", [{}, {"topic": "x"}, {"put_back": True}, {"put_back": False}])
@pytest.mark.parametrize(
    ("tenant", "by"),
    [
        (None, "letters_newest ((at_ms,place)<(?,?))"),
        ("demo", "letters_of_tenant (tenant=? AND (at_ms,place)<(?,?))"),
    ],
)
async def test_a_list_begins_at_its_place_and_sorts_nothing(
    embedded: Embedded, tenant: str | None, by: str, narrowed: dict[str, Any]
) -> None:
    told: list[str] = []
    await embedded.engine.report(lambda connection: connection.set_trace_callback(told.append))
    await embedded.letters.page(tenant, **narrowed)
    statement = told[-1]
    rows = await embedded.engine.report(
        lambda connection: connection.execute(f"EXPLAIN QUERY PLAN {statement}").fetchall()
    )
    assert [row[3] for row in rows] == [f"SEARCH letters USING INDEX {by}"]


async def test_a_file_that_only_an_earlier_program_has_opened_can_be_read(tmp_path: Path) -> None:
    await (await open_embedded(tmp_path, FakeClock())).close()
    with closing(sqlite3.connect(tmp_path / FILE)) as connection, connection:
        connection.execute("DROP TABLE letters")
    assert read_contents(tmp_path).letters == []
    opened = await open_embedded(tmp_path, FakeClock())
    await opened.letters.keep([letter()], {})
    await opened.close()
    assert read_contents(tmp_path).letters == [letter()]
