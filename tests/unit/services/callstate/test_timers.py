"""Deadlines that passed become events, once, and again only when nobody took them."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from typing_extensions import override

from services.callstate.model import CallState
from services.callstate.timers import CALL_TIMERS
from services.callstate.topology import Calls
from shared.contracts.envelope import Event, from_record
from shared.contracts.telephony import TimerDue, decode_data
from shared.runtime import timers
from shared.runtime.ports import Document
from shared.runtime.timers import TimerSweep
from tests.support.calls import ToldCall, at_ms, told
from tests.support.clock import FakeClock
from tests.support.memory import MemoryLog, MemoryStateStore

pytestmark = pytest.mark.asyncio
CALLS = Calls()


class Centre:
    """A store with calls in it, a log, and the sweep between them."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.store = MemoryStateStore()
        self.log = MemoryLog(self.clock)
        self.sweep = TimerSweep(CALL_TIMERS, self.store, self.log, self.clock)

    async def keep(self, state: CallState | None, name: str = "call-1") -> None:
        assert state is not None
        key = f"acme:{name}"
        known = await self.store.load("calls", [key])
        document = Document(
            collection="calls",
            key=key,
            revision=known[key].revision + 1 if known else 1,
            state=CALLS.encode(state),
            watermarks={},
            sequences={},
            index=CALLS.index(state),
        )
        await self.store.save([document])

    def published(self) -> list[Event]:
        return [from_record(record) for record in self.log.all("telephony.events")]

    def ids(self) -> list[str]:
        return sorted(event.id for event in self.published())


def in_wrap_up() -> ToldCall:
    """Ann's wrap-up ends at 40, bob's too."""
    call = ToldCall()
    call.tell(told("call.agent_joined", 0, agent_id="ann"))
    call.tell(told("call.agent_joined", 1, agent_id="bob"))
    call.tell(told("call.disconnected", 10))
    return call


async def test_nothing_is_published_before_it_is_due() -> None:
    centre = Centre()
    await centre.keep(in_wrap_up().state)
    centre.clock.set(at_ms(40) - 1)
    assert await centre.sweep.sweep() == 0
    assert centre.published() == []


async def test_each_process_sweeps_its_own_calls_and_asks_anew_which_they_are() -> None:
    centre = Centre()
    await centre.keep(in_wrap_up().state)
    centre.clock.set(at_ms(41))
    mine: set[str] = set()
    sweep = TimerSweep(CALL_TIMERS, centre.store, centre.log, centre.clock, mine.__contains__)
    assert await sweep.sweep() == 0
    mine.add("acme:call-1")
    assert await sweep.sweep() == 2


async def test_every_deadline_of_a_call_is_published_as_the_event_it_is() -> None:
    centre = Centre()
    await centre.keep(in_wrap_up().state)
    centre.clock.set(at_ms(41))
    assert await centre.sweep.sweep() == 2
    first = min(centre.published(), key=lambda event: event.id)
    assert first.id == f"timer:wrap_up:ann:{at_ms(40)}"
    assert (first.source, first.type) == ("/aftercall/timers/acme/call-1", "call.timer_due")
    assert (first.tenant, first.subject, first.time_ms) == ("acme", "call-1", at_ms(40))
    assert decode_data(first.type, first.data) == TimerDue(
        timer="wrap_up", deadline_ms=at_ms(40), agent_id="ann"
    )
    assert {record.key for record in centre.log.all("telephony.events")} == {"acme:call-1"}


async def test_silence_is_a_deadline_of_the_call() -> None:
    centre = Centre()
    call = ToldCall()
    call.tell(told("call.started", 0, direction="inbound"))
    await centre.keep(call.state)
    centre.clock.set(at_ms(14_400))
    await centre.sweep.sweep()
    assert centre.ids() == [f"timer:silence::{at_ms(14_400)}"]


async def test_a_deadline_is_published_again_after_30_s_if_still_due() -> None:
    centre = Centre()
    await centre.keep(in_wrap_up().state)
    centre.clock.set(at_ms(41))
    assert [await centre.sweep.sweep() for _ in range(3)] == [2, 0, 0]
    centre.clock.advance(29_999)
    assert await centre.sweep.sweep() == 0
    centre.clock.advance(1)
    assert await centre.sweep.sweep() == 2
    assert len(set(centre.ids())) == 2


async def test_a_clock_that_steps_back_holds_nothing_up() -> None:
    centre = Centre()
    await centre.keep(in_wrap_up().state)
    centre.clock.set(at_ms(90_000))
    await centre.sweep.sweep()
    centre.clock.set(at_ms(41))
    assert await centre.sweep.sweep() == 2


async def test_a_deadline_that_moved_is_another_event() -> None:
    centre = Centre()
    call = in_wrap_up()
    await centre.keep(call.state)
    centre.clock.set(at_ms(41))
    await centre.sweep.sweep()
    call.tell(told("call.wrap_up_extended", 41, agent_id="ann", seconds=5))
    await centre.keep(call.state)
    centre.clock.set(at_ms(45))
    assert await centre.sweep.sweep() == 1
    assert f"timer:wrap_up:ann:{at_ms(45)}" in centre.ids()


@pytest.mark.parametrize("calls", [999, 1_000, 1_001, 2_500])
async def test_a_crowd_goes_out_page_by_page_each_deadline_once(calls: int) -> None:
    centre = Centre()
    state = in_wrap_up().state
    for number in range(calls):
        await centre.keep(state, f"call-{number}")
    centre.clock.set(at_ms(41))
    assert await centre.sweep.sweep() == 2 * calls
    assert await centre.sweep.sweep() == 0
    keys = [record.key for record in centre.log.all("telephony.events")]
    assert len(keys) == 2 * calls
    assert len(set(keys)) == calls


async def test_beyond_the_bound_the_rest_waits_for_its_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(timers, "SENT_MAX", 4)
    monkeypatch.setattr(timers, "PAGE_MAX", 1)
    centre = Centre()
    for number in range(3):
        await centre.keep(in_wrap_up().state, f"call-{number}")
    centre.clock.set(at_ms(41))
    assert await centre.sweep.sweep() == 4
    assert await centre.sweep.sweep() == 0


@pytest.mark.parametrize("place", ["due", "append"])
async def test_a_store_or_log_not_to_be_had_is_logged_and_tried_again(place: str) -> None:
    centre = Centre()
    await centre.keep(in_wrap_up().state)
    centre.clock.set(at_ms(41))
    (centre.store if place == "due" else centre.log).fail_next(place)
    with structlog.testing.capture_logs() as lines:
        assert await centre.sweep.sweep() == 0
    assert [line["event"] for line in lines] == ["timer_sweep_failed"]
    assert await centre.sweep.sweep() == 2


async def test_the_rules_decide_on_what_the_sweep_publishes_and_only_once() -> None:
    centre = Centre()
    call = in_wrap_up()
    await centre.keep(call.state)
    centre.clock.set(at_ms(41))
    await centre.sweep.sweep()
    centre.clock.advance(30_000)
    await centre.sweep.sweep()
    rules = []
    for event in centre.published():
        data = decode_data(event.type, event.data)
        assert isinstance(data, TimerDue)
        fields = {"timer": data.timer, "deadline_ms": data.deadline_ms, "agent_id": data.agent_id}
        rules.append(call.tell(told(event.type, 50, event_id=event.id, data=fields)).rule)
    assert sorted(rules) == ["stale_timer", "stale_timer", "wrap_up_over", "wrap_up_over"]


async def test_the_schedule_is_every_second_never_late_never_twice() -> None:
    centre = Centre()
    scheduler = AsyncIOScheduler(timezone=UTC)
    centre.sweep.start(scheduler)
    (job,) = scheduler.get_jobs()
    assert job.trigger.interval.total_seconds() == 1
    assert job.trigger.timezone is UTC
    scheduler.start(paused=True)
    try:
        (job,) = scheduler.get_jobs()
        assert (job.misfire_grace_time, job.coalesce, job.max_instances) == (None, True, 1)
    finally:
        scheduler.shutdown(wait=False)


class SlowStore(MemoryStateStore):
    """Never says what is due."""

    asked = False

    @override
    async def due(self, *_: Any, **__: Any) -> list[Document]:
        self.asked = True
        await asyncio.Event().wait()
        raise AssertionError


async def test_a_sweep_under_way_when_the_service_stops_is_no_failure(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock, store = FakeClock(), SlowStore()
    scheduler = AsyncIOScheduler(timezone=UTC)
    TimerSweep(CALL_TIMERS, store, MemoryLog(clock), clock).start(scheduler)
    scheduler.start()
    scheduler.modify_job("timers of calls", next_run_time=datetime.now(UTC))
    async with asyncio.timeout(5):
        while not store.asked:
            await asyncio.sleep(0.01)
    with caplog.at_level("WARNING"):
        scheduler.shutdown(wait=False)
        await asyncio.sleep(0.05)
    assert not caplog.records
