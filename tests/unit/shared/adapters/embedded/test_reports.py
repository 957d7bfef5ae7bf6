"""How SQLite goes about lists and reports: by one index, which holds all that a report looks at."""

import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from msgspec.structs import replace
from structlog.testing import capture_logs

from shared.adapters.embedded import engine as engines
from shared.adapters.embedded import open_embedded
from shared.adapters.embedded.engine import FILE, SqliteEngine
from shared.adapters.embedded.history import SqliteHistoryStore
from shared.adapters.embedded.reading import read_contents
from shared.adapters.embedded.schema import SchemaRefused
from shared.contracts.errors import TooLong
from shared.runtime.history import FILTERS, GROUPS, Count, OutcomeRow
from tests.support.clock import FakeClock

pytestmark = pytest.mark.asyncio

EVER: dict[str, Any] = {"from_ms": 0, "to_ms": 1_000_000}
REPORTED = "SEARCH outcomes USING {kind}INDEX outcomes_reported (tenant=? AND {span})"

Ask = Callable[[SqliteHistoryStore], Awaitable[object]]


def outcome(number: int) -> OutcomeRow:
    return OutcomeRow(
        tenant="demo",
        call_id=f"call-{number}",
        agent_id=f"agent-{number % 3}",
        revision=1,
        code="Sale",
        origin="queue",
        decided_ms=number,
        campaign_id=None,
        project_id=None,
        body=b"{}",
        callback_ms=number,
    )


@pytest_asyncio.fixture
async def engine(tmp_path: Path) -> AsyncIterator[SqliteEngine]:
    opened = SqliteEngine(tmp_path)
    yield opened
    await opened.close()


async def second_page(history: SqliteHistoryStore) -> None:
    page = await history.outcomes("demo", **EVER, limit=1)
    assert page.next is not None
    await history.outcomes("demo", **EVER, limit=1, cursor=page.next)


def narrowed(*names: str) -> Ask:
    return lambda h: h.outcomes("demo", only=dict.fromkeys(names, "x"), **EVER)


def counted(*group_by: str, only: tuple[str, ...] = (), missed: bool = False) -> Ask:
    narrowed = dict.fromkeys(only, "x")
    return lambda h: h.counts("demo", group_by=group_by, only=narrowed, missed=missed, **EVER)


async def second_callbacks(history: SqliteHistoryStore) -> None:
    page = await history.callbacks("demo", **EVER, limit=1)
    assert page.next is not None
    await history.callbacks("demo", **EVER, limit=1, cursor=page.next)


async def plan_of(engine: SqliteEngine, ask: Ask) -> list[str]:
    """The steps of the last statement; all reports go by one connection, which tells them."""
    history = SqliteHistoryStore(engine)
    await history.upsert([], [outcome(n) for n in range(3)])
    told: list[str] = []
    await engine.report(lambda connection: connection.set_trace_callback(told.append))
    await ask(history)
    statement = told[-1]
    rows = await engine.report(
        lambda connection: connection.execute(f"EXPLAIN QUERY PLAN {statement}").fetchall()
    )
    return [row[3] for row in rows]


@pytest.mark.parametrize(
    "ask",
    [
        lambda h: h.outcomes("demo", **EVER),
        second_page,
        *(narrowed(name) for name in FILTERS),
        *(narrowed(*names) for names in permutations(FILTERS, 2)),
        narrowed(*FILTERS),
    ],
)
async def test_a_list_begins_at_its_place_and_sorts_nothing(engine: SqliteEngine, ask: Ask) -> None:
    span = "decided_ms>? AND (decided_ms,call_id,agent_id)<(?,?,?)"
    assert await plan_of(engine, ask) == [REPORTED.format(kind="", span=span)]


@pytest.mark.parametrize(
    "ask",
    [
        counted(),
        *(counted(name) for name in GROUPS),
        *(counted(*names) for names in permutations(GROUPS, 2)),
        counted(*GROUPS, only=FILTERS),
        *(counted(*names, missed=True) for names in permutations(GROUPS, 2)),
        counted("origin", only=FILTERS, missed=True),
    ],
)
async def test_a_report_reads_no_row(engine: SqliteEngine, ask: Ask) -> None:
    first, *sorts = await plan_of(engine, ask)
    span = "decided_ms>? AND decided_ms<?"
    assert first == REPORTED.format(kind="COVERING ", span=span)
    assert set(sorts) <= {"USE TEMP B-TREE FOR GROUP BY"}


@pytest.mark.parametrize(
    "ask",
    [
        lambda h: h.callbacks("demo", **EVER),
        second_callbacks,
        lambda h: h.callbacks("demo", only=dict.fromkeys(FILTERS, "x"), **EVER),
    ],
)
async def test_callbacks_are_found_among_themselves(engine: SqliteEngine, ask: Ask) -> None:
    (step,) = await plan_of(engine, ask)
    place = "(callback_ms,call_id,agent_id)>(?,?,?) AND callback_ms<?"
    assert step == f"SEARCH outcomes USING INDEX outcomes_called_back (tenant=? AND {place})"


async def test_a_file_of_the_first_version_is_brought_on(tmp_path: Path) -> None:
    """Its rows have no callback until their records are read again."""
    embedded = await open_embedded(tmp_path, FakeClock())
    rows = [replace(outcome(n), callback_ms=None) for n in (1, 2)]
    await embedded.history.upsert([], rows)
    await embedded.close()
    with closing(sqlite3.connect(tmp_path / FILE)) as connection, connection:
        connection.execute("DROP INDEX outcomes_called_back")
        connection.execute("ALTER TABLE outcomes DROP COLUMN callback_ms")
        connection.execute("PRAGMA user_version = 1")
    with pytest.raises(SchemaRefused):
        read_contents(tmp_path)
    for _ in range(2):
        embedded = await open_embedded(tmp_path, FakeClock())
        try:
            counts = await embedded.history.counts("demo", group_by=["code"], **EVER)
            assert counts == [Count(("Sale",), 2)]
            await embedded.history.upsert([], [outcome(1)])
            page = await embedded.history.callbacks("demo", **EVER)
            assert [row.callback_ms for row in page.rows] == [1]
        finally:
            await embedded.close()
    stored = read_contents(tmp_path).outcomes
    assert {row.call_id: row.callback_ms for row in stored} == {"call-1": 1, "call-2": None}


async def test_a_file_with_the_earlier_index_gets_this_one(tmp_path: Path) -> None:
    embedded = await open_embedded(tmp_path, FakeClock())
    await embedded.history.upsert([], [outcome(1)])
    await embedded.close()
    earlier = "CREATE INDEX outcomes_newest ON outcomes (tenant, decided_ms, call_id, agent_id)"
    with closing(sqlite3.connect(tmp_path / FILE)) as connection, connection:
        connection.execute("DROP INDEX outcomes_reported")
        connection.execute(earlier)
    with capture_logs() as told:
        embedded = await open_embedded(tmp_path, FakeClock())
    assert [line["event"] for line in told] == ["index_begun", "index_made"]
    try:
        counts = await embedded.history.counts("demo", group_by=["code"], **EVER)
        assert counts == [Count(("Sale",), 1)]
        found = await embedded.engine.read(indexes)
        kept = {"outcomes_reported", "outcomes_called_back", "sqlite_autoindex_outcomes_1"}
        assert found == kept
    finally:
        await embedded.close()
    with capture_logs() as told:
        await (await open_embedded(tmp_path, FakeClock())).close()
    assert told == []


def indexes(connection: sqlite3.Connection) -> set[str]:
    return {row[1] for row in connection.execute("PRAGMA index_list(outcomes)")}


ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"


async def test_a_report_that_takes_too_long_ends_and_the_next_goes_on(
    engine: SqliteEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "REPORT_S", 0.05)
    with pytest.raises(TooLong):
        await engine.report(lambda connection: connection.execute(ENDLESS).fetchall())
    monkeypatch.setattr(engines, "REPORT_S", 20.0)
    assert await engine.report(lambda connection: connection.execute("SELECT 1").fetchone()) == (1,)


async def test_a_report_whose_time_is_over_before_its_turn_is_not_begun(
    engine: SqliteEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "REPORT_S", 0.0)
    begun: list[object] = []
    with pytest.raises(TooLong):
        await engine.report(begun.append)
    assert begun == []
