"""The letters that are listed: those of the dead topics, whatever log and store do in between."""

import asyncio

import pytest

from services.worker.letters import GROUP, LetterProjection
from shared.contracts.envelope import Message, Record
from shared.contracts.errors import Poison
from shared.contracts.topics import (
    CALLS_CHANGED,
    DISPOSITION_REQUESTS,
    TELEPHONY_EVENTS,
    TOPICS,
    dead,
)
from shared.runtime.dead_letters import dead_letter, put_back
from shared.runtime.projection import BACKOFF_S
from tests.support.clock import FakeClock
from tests.support.memory import MemoryLog
from tests.support.memory_letters import MemoryLetterStore

pytestmark = pytest.mark.asyncio
POISON = Poison("bad_data", "no")


class Floor:
    """A log with dead topics, and the projection over it."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.log = MemoryLog(self.clock)
        self.store = MemoryLetterStore()
        self.pauses: list[float] = []
        self.projection = LetterProjection(self.log, self.store, pause=self.pause)

    async def pause(self, pause_s: float) -> None:
        self.pauses.append(pause_s)
        await asyncio.sleep(0)

    async def die(self, offset: int, topic: str = TELEPHONY_EVENTS) -> None:
        record = Record(topic, 0, offset, 0, f"demo:{offset}", (), b"what?")
        await self.log.append([dead_letter(record, POISON)])

    async def follow(self) -> None:
        """Run until everything is read and advanced over."""
        running = asyncio.create_task(self.projection.run())
        topics = self.projection.topics
        while await self.log.positions(GROUP, topics) != await self.log.ends(topics):
            await asyncio.sleep(0)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    def marked(self) -> dict[str, bool]:
        return {row.origin: row.put_back_ms is not None for row in self.store.rows.values()}


async def test_every_topic_is_followed_that_letters_can_be_on() -> None:
    floor = Floor()
    topics = [name for name, topic in TOPICS.items() if topic.decided_by is not None]
    for number, topic in enumerate(topics):
        await floor.die(number, topic)
    await floor.follow()
    assert floor.marked() == {f"{topic}/0/{n}": False for n, topic in enumerate(topics)}
    assert set(topics) == {TELEPHONY_EVENTS, DISPOSITION_REQUESTS, CALLS_CHANGED}


async def test_a_receipt_marks_its_letter() -> None:
    floor = Floor()
    await floor.die(1)
    await floor.die(2, DISPOSITION_REQUESTS)
    await floor.follow()
    (row,) = (row for row in floor.store.rows.values() if row.topic == DISPOSITION_REQUESTS)
    floor.clock.advance(5)
    await put_back(floor.log, [row])
    await floor.follow()
    assert floor.marked() == {f"{TELEPHONY_EVENTS}/0/1": False, f"{DISPOSITION_REQUESTS}/0/2": True}
    assert floor.store.rows[row.place].put_back_ms == floor.clock.now_ms()


async def test_what_is_no_letter_of_ours_holds_nobody_up() -> None:
    floor = Floor()
    await floor.log.append([Message(dead(TELEPHONY_EVENTS), "\ufffd", (), b"\xff")])
    await floor.die(1)
    await floor.follow()
    assert floor.marked() == {f"{TELEPHONY_EVENTS}/0/1": False}
    assert floor.pauses == []


@pytest.mark.parametrize("applied", [False, True])
@pytest.mark.parametrize("where", ["poll", "advance"])
async def test_what_the_log_refuses_is_tried_again(where: str, *, applied: bool) -> None:
    floor = Floor()
    await floor.die(1)
    floor.log.fail_next(where, applied=applied)
    await floor.follow()
    assert floor.marked() == {f"{TELEPHONY_EVENTS}/0/1": False}


@pytest.mark.parametrize("applied", [False, True])
async def test_what_the_store_refuses_is_tried_again(*, applied: bool) -> None:
    floor = Floor()
    await floor.die(1)
    for _ in range(2):
        floor.store.fail_next("keep", applied=applied)
    await floor.follow()
    assert floor.marked() == {f"{TELEPHONY_EVENTS}/0/1": False}
    assert floor.pauses == [*BACKOFF_S[:2]]


async def test_reading_all_again_changes_nothing() -> None:
    floor = Floor()
    await floor.die(1)
    await floor.die(1)  # written twice by a crash
    await floor.follow()
    await put_back(floor.log, list(floor.store.rows.values()))
    await floor.follow()
    rows = dict(floor.store.rows)
    assert len(rows) == 1
    floor.log.committed.clear()
    await floor.follow()
    assert floor.store.rows == rows


async def test_where_nothing_happens_it_waits() -> None:
    floor = Floor()
    floor.store.fail_next("keep")
    running = asyncio.create_task(floor.projection.run())
    for _ in range(100):
        await asyncio.sleep(0)
    running.cancel()
    assert floor.projection.turns <= 1
    assert floor.store.faults.left("keep") == 1
