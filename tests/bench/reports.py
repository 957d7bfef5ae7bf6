"""Lists and reports over a million outcomes: `python -m tests.bench.reports [sqlite] [mongod]`.

Not part of `make bench`: to write the rows takes minutes. First it is measured how fast more can be
written; then questions are asked while a writer goes on with 200 outcomes a second.
"""

import asyncio
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from random import Random
from time import perf_counter
from typing import Any, Final, TypedDict

import uvloop

from services.processes import calm_collector
from shared.adapters.clock import SystemClock
from shared.adapters.cluster.mongo import open_mongo
from shared.adapters.embedded import open_embedded
from shared.runtime.history import HistoryStore, OutcomeRow
from tests.bench.outcomes import (
    DAY_MS,
    DAYS,
    FROM_MS,
    LARGE,
    ROWS,
    TO_MS,
    corrected,
    entry_of,
    outcomes,
)
from tests.bench.paced import percentile
from tests.support.parts import RealParts

LOAD_AT_ONCE: Final = 5_000
UPSERT_AT_ONCE: Final = 2_000  # as the worker reads them
UPSERTS: Final = 15
CORRECTED_SHARE: Final = 0.2
WRITER_PER_S: Final = 200
WRITER_TURN_S: Final = 0.05  # the worker gathers for so long
DAY_QUESTIONS: Final = 100
LONG_QUESTIONS: Final = 8
LONG_S: Final = 20.0  # no more questions of a kind after so long

Ask = Callable[[HistoryStore, Random], Awaitable[object]]
Rows = list[OutcomeRow]


class Span(TypedDict):
    from_ms: int
    to_ms: int


def _day(random: Random) -> Span:
    from_ms = FROM_MS + random.randrange(DAYS) * DAY_MS
    return Span(from_ms=from_ms, to_ms=from_ms + DAY_MS)


def _all(_: Random) -> Span:
    return Span(from_ms=FROM_MS, to_ms=TO_MS)


def _listed(span: Callable[[Random], Span], *names: str, rare: bool = False) -> Ask:
    async def ask(history: HistoryStore, random: Random) -> object:
        only = {
            "agent_id": f"agent-{random.randrange(200):03}",
            "code": f"code-{29 if rare else random.randrange(5):02}",
        }
        return await history.outcomes(
            LARGE, **span(random), only={name: only[name] for name in names}
        )

    return ask


def _counted(span: Callable[[Random], Span], *group_by: str, **only: str) -> Ask:
    async def ask(history: HistoryStore, random: Random) -> object:
        return await history.counts(LARGE, group_by=group_by, **span(random), only=only)

    return ask


async def _deep(history: HistoryStore, random: Random) -> object:
    """A page from the middle of all."""
    at_ms = FROM_MS + random.randrange(DAYS // 4, DAYS // 2) * DAY_MS + DAY_MS // 2
    page = await history.outcomes(LARGE, from_ms=FROM_MS, to_ms=at_ms, limit=1)
    return partial(history.outcomes, LARGE, from_ms=FROM_MS, to_ms=TO_MS, cursor=page.next)


QUESTIONS: Final[dict[str, tuple[int, Ask]]] = {
    "list, first page": (DAY_QUESTIONS, _listed(_all)),
    "list, deep page": (DAY_QUESTIONS, _deep),
    "list, day, agent": (DAY_QUESTIONS, _listed(_day, "agent_id")),
    "list, day, rare code": (DAY_QUESTIONS, _listed(_day, "code", rare=True)),
    "list, day, agent, code": (DAY_QUESTIONS, _listed(_day, "agent_id", "code")),
    "list, 30 days, agent": (DAY_QUESTIONS, _listed(_all, "agent_id")),
    "list, 30 days, code": (DAY_QUESTIONS, _listed(_all, "code")),
    "list, 30 days, rare code": (DAY_QUESTIONS, _listed(_all, "code", rare=True)),
    "list, 30 days, agent, code": (LONG_QUESTIONS, _listed(_all, "agent_id", "code")),
    "list, 30 days, agent, rare": (
        LONG_QUESTIONS,
        _listed(_all, "agent_id", "code", rare=True),
    ),
    "report, day: code": (DAY_QUESTIONS, _counted(_day, "code")),
    "report, day: code, agent_id": (DAY_QUESTIONS, _counted(_day, "code", "agent_id")),
    "report, day: hour, code": (DAY_QUESTIONS, _counted(_day, "hour", "code")),
    "report, day: campaign_id": (DAY_QUESTIONS, _counted(_day, "campaign_id", "project_id")),
    "report, 30 days: code": (LONG_QUESTIONS, _counted(_all, "code")),
    "report, 30 days: code, agent_id": (LONG_QUESTIONS, _counted(_all, "code", "agent_id")),
    "report, 30 days: day, origin": (LONG_QUESTIONS, _counted(_all, "day", "origin")),
    "report, 30 days: agent-7, code": (
        LONG_QUESTIONS,
        _counted(_all, "code", agent_id="agent-007"),
    ),
}


async def measure(history: HistoryStore, more: Iterator[OutcomeRow], old: Rows) -> dict[str, Any]:
    """How fast it takes rows, then how long each question takes beside a writer."""
    found: dict[str, Any] = {"upserted_per_s": round(await _upserted(history, more, old))}
    writer = asyncio.create_task(_write(history, more))
    try:
        for name, (count, ask) in QUESTIONS.items():
            taken = await _timed(history, count, ask)
            found[name] = {
                "p50_ms": percentile(taken, 0.5),
                "p99_ms": percentile(taken, 0.99),
                "times": len(taken),
            }
    finally:
        writer.cancel()
        await asyncio.wait((writer,))
    return found


async def _timed(history: HistoryStore, count: int, ask: Ask) -> list[float]:
    random = Random(count)
    taken: list[float] = []
    for _ in range(count):
        began = perf_counter()
        further = await ask(history, random)
        if callable(further):
            began = perf_counter()
            await further()
        taken.append((perf_counter() - began) * 1000)
        if sum(taken) > LONG_S * 1000:
            break
    return sorted(taken)


async def _upserted(history: HistoryStore, more: Iterator[OutcomeRow], old: Rows) -> float:
    """Rows a second: entries with their outcomes, some of which replace one that stands."""
    random = Random(3)
    batches = []
    for _ in range(UPSERTS):
        count = int(UPSERT_AT_ONCE * CORRECTED_SHARE)
        rows = [corrected(old.pop(), random) for _ in range(count)]
        rows += islice(more, UPSERT_AT_ONCE - count)
        batches.append(([entry_of(row) for row in rows], rows))
    taken = []
    for entries, rows in batches:
        began = perf_counter()
        await history.upsert(entries, rows)
        taken.append(perf_counter() - began)
    return UPSERT_AT_ONCE / sorted(taken)[UPSERTS // 2]


async def _write(history: HistoryStore, more: Iterator[OutcomeRow]) -> None:
    while True:
        rows = list(islice(more, int(WRITER_PER_S * WRITER_TURN_S)))
        await history.upsert([entry_of(row) for row in rows], rows)
        await asyncio.sleep(WRITER_TURN_S)


async def load(history: HistoryStore) -> tuple[Iterator[OutcomeRow], Rows]:
    """Write the million.

    Returns:
        What comes after them; and of those that stand some, in no order.
    """
    rows, old = outcomes(ROWS), []
    random = Random(2)
    while some := list(islice(rows, LOAD_AT_ONCE)):
        await history.upsert([], some)
        old += random.sample(some, LOAD_AT_ONCE // 50)
    random.shuffle(old)
    return outcomes(ROWS, seed=2), old


@asynccontextmanager
async def _sqlite() -> AsyncIterator[HistoryStore]:
    folder = Path(tempfile.mkdtemp(prefix="aftercall-bench-"))
    embedded = await open_embedded(folder, SystemClock())
    try:
        yield embedded.history
    finally:
        await embedded.close()
        shutil.rmtree(folder, ignore_errors=True)


@asynccontextmanager
async def _mongod(parts: RealParts) -> AsyncIterator[HistoryStore]:
    mongo = await open_mongo(parts.mongo_url.replace("/?", "/reports?"), "motor")
    try:
        yield mongo.history
    finally:
        await mongo.close()


async def run(where: str, parts: RealParts) -> None:
    async with _sqlite() if where == "sqlite" else _mongod(parts) as history:
        began = perf_counter()
        more, old = await load(history)
        calm_collector()  # as in a gateway, which holds none of what is kept here to be written
        print(f"{where}: {ROWS} outcomes written in {perf_counter() - began:.0f} s", flush=True)
        found = await measure(history, more, old)
    print(f"{where}: {found.pop('upserted_per_s')} outcomes a second, with their entries")
    for name, times in found.items():
        print(
            f"{where:7} {name:34} p50 {times['p50_ms']:8.1f} ms   p99 {times['p99_ms']:8.1f} ms"
            f"   of {times['times']}"
        )


def main() -> None:
    names = sys.argv[1:] or ["sqlite", "mongod"]
    if not set(names) <= {"sqlite", "mongod"}:
        sys.exit("python -m tests.bench.reports [sqlite] [mongod]")
    parts = RealParts()
    try:
        for where in names:
            uvloop.run(run(where, parts))
    finally:
        parts.end()


if __name__ == "__main__":
    main()
