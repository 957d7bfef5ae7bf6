"""The projection: every record once, whatever log and store do in between."""

import asyncio

import msgspec
import pytest
from msgspec.structs import replace

from services.worker.history import GROUP, HistoryProjection
from shared.contracts.errors import PartitionsMoved, Unavailable
from shared.contracts.topics import DISPOSITION_EVENTS
from shared.runtime.projection import BACKOFF_S
from tests.support.clock import FakeClock
from tests.support.memory import MemoryHistoryStore, MemoryLog
from tests.unit.services.worker.field import NOW_MS, a_call, a_request, ask, part
from tests.unit.services.worker.records import changed, message, requested

WRAPPING_UP = a_call(part("ann", "wrap_up"))
SAVED = ask(None, WRAPPING_UP, a_request())[0].effects[0]


class Floor:
    """A log with what has happened in it, and the projection over it."""

    def __init__(self) -> None:
        self.log = MemoryLog(FakeClock(NOW_MS))
        self.store = MemoryHistoryStore()
        self.pauses: list[float] = []
        self.projection = HistoryProjection(self.log, self.store, pause=self.pause)

    async def pause(self, pause_s: float) -> None:
        self.pauses.append(pause_s)
        await asyncio.sleep(0)

    async def happen(self) -> None:
        saved = message(DISPOSITION_EVENTS, SAVED.type, SAVED.data, sequence=1)
        await self.log.append([changed(WRAPPING_UP), requested(a_request()), saved])

    async def follow(self) -> None:
        """Run until everything is read and advanced over."""
        running = asyncio.create_task(self.projection.run())
        topics = sorted({place.topic for place in self.log.records})
        while await self.log.positions(GROUP, topics) != await self.log.ends(topics):
            await asyncio.sleep(0)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    async def types(self) -> list[str]:
        bodies = await self.store.entries("demo", "call-1")
        return [msgspec.json.decode(body)["type"] for body in bodies]


LINES = ["call.disconnected", "disposition.requested", "disposition.saved"]


@pytest.mark.asyncio
async def test_a_calls_history_stands_in_order_and_its_outcome_beside() -> None:
    floor = Floor()
    await floor.happen()

    await floor.follow()

    assert await floor.types() == LINES
    page = await floor.store.outcomes("demo", from_ms=NOW_MS, to_ms=NOW_MS + 1)
    assert [msgspec.json.decode(body)["code"] for body in page.bodies] == ["Sale"]
    assert floor.pauses == []
    assert GROUP not in floor.log.owners


@pytest.mark.asyncio
@pytest.mark.parametrize("applied", [False, True])
@pytest.mark.parametrize("where", ["poll", "advance"])
async def test_what_the_log_refuses_is_tried_again(where: str, *, applied: bool) -> None:
    floor = Floor()
    await floor.happen()
    floor.log.fail_next(where, applied=applied)

    await floor.follow()

    assert await floor.types() == LINES


@pytest.mark.asyncio
@pytest.mark.parametrize("applied", [False, True])
async def test_what_the_store_refuses_is_tried_again_with_bounded_pauses(*, applied: bool) -> None:
    floor = Floor()
    await floor.happen()
    for _ in range(len(BACKOFF_S) + 2):
        floor.store.fail_next("upsert", applied=applied)

    await floor.follow()

    assert await floor.types() == LINES
    assert floor.pauses == [*BACKOFF_S, BACKOFF_S[-1], BACKOFF_S[-1]]


@pytest.mark.asyncio
async def test_moved_partitions_are_read_from_where_they_stand() -> None:
    floor = Floor()
    await floor.happen()
    floor.log.fail_next("advance", error=PartitionsMoved("moved"))
    floor.log.fail_next("poll", error=Unavailable("gone"))

    moving = asyncio.create_task(_move(floor))
    await floor.follow()
    await moving

    assert await floor.types() == LINES


@pytest.mark.asyncio
async def test_a_share_that_goes_while_it_is_read_again_is_no_longer_ours() -> None:
    floor = Floor()
    floor.log.fail_next("poll")

    async def another_takes_all(_: float) -> None:
        floor.log.consumer(GROUP, HistoryProjection.topics)

    projection = HistoryProjection(floor.log, floor.store, pause=another_takes_all, wait_s=0)
    running = asyncio.create_task(projection.run())
    async with asyncio.timeout(10):
        while projection.turns < 3:
            await asyncio.sleep(0)
    running.cancel()

    assert projection.owned == frozenset()


async def _move(floor: Floor) -> None:
    for _ in range(3):
        await asyncio.sleep(0)
        floor.log.move_partitions()


@pytest.mark.asyncio
async def test_what_cannot_be_read_is_counted_and_holds_nobody_up() -> None:
    floor = Floor()
    await floor.log.append([replace(requested(a_request()), value=b"{")])
    await floor.happen()

    await floor.follow()

    assert await floor.types() == LINES
    assert floor.projection.skipped == 1


@pytest.mark.asyncio
async def test_reading_all_again_changes_nothing() -> None:
    floor = Floor()
    await floor.happen()
    await floor.follow()
    rows, newest = dict(floor.store.rows), dict(floor.store.newest)

    floor.log.committed.clear()
    await floor.follow()

    assert (floor.store.rows, floor.store.newest) == (rows, newest)


@pytest.mark.asyncio
async def test_where_nothing_happens_nothing_is_written() -> None:
    floor = Floor()
    projection = HistoryProjection(floor.log, floor.store, wait_s=0)
    floor.store.fail_next("upsert")
    floor.log.fail_next("advance")

    await projection.turn(floor.log.consumer(GROUP, ("calls.changed",)))

    assert floor.store.rows == {}
