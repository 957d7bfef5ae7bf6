"""When a callback is due: once, at its time, and only the one that was scheduled last."""

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from services.worker import dispositions, subjects
from services.worker.entries import read
from services.worker.model import CallbackTimed, DispositionsState, callbacks
from services.worker.subject_model import CallbackTimed as SubjectTimed
from services.worker.subject_model import SubjectState, callback
from services.worker.timers import CALL_CALLBACKS, SUBJECT_CALLBACKS
from services.worker.topology import WorkerTopology
from shared.contracts.callbacks import CallbackTimer
from shared.contracts.calls import Call
from shared.contracts.dispositions import DispositionTold, Origin
from shared.contracts.envelope import Event, from_record
from shared.contracts.errors import Poison
from shared.contracts.subjects import StatusTold
from shared.kernel import Decision
from shared.runtime.ports import Document
from shared.runtime.timers import PAGE_MAX, Timers
from tests.support.clock import FakeClock
from tests.support.memory import MemoryLog, MemoryStateStore
from tests.support.sweeps import Sweeps
from tests.unit.services.worker.field import (
    NOW_AT,
    NOW_MS,
    a_call,
    a_request,
    ask,
    data,
    of,
    part,
    see,
    told,
)
from tests.unit.services.worker.records import message, own, record, timed
from tests.unit.services.worker.subject_field import CUSTOMER, FREE, FROM_CALL, ask_for, wish

LATER_MS = NOW_MS + 3_600_000
LATER_AT = "2026-11-21T15:06:40.000Z"
WRAPPING_UP = a_call(part("ann", "wrap_up"), version=2, customer_id="77")
RELEASED = a_call(part("ann", "released"), version=3, customer_id="77")
TIMER = CallbackTimer(deadline_ms=LATER_MS, revision=1, agent_id="ann")
OF_SUBJECT = CallbackTimer(deadline_ms=LATER_MS, revision=1)
TOPOLOGY = WorkerTopology()


def scheduled(**more: Any) -> DispositionsState:
    """Ann has promised to call back."""
    request = a_request("Callback", callback_ms=LATER_MS, comment="at home", **more)
    state = ask(None, WRAPPING_UP, request)[0].state
    assert state is not None
    return state


def meet(
    state: DispositionsState | None,
    timer: CallbackTimer = TIMER,
    call: Call | None = RELEASED,
    now_ms: int = LATER_MS,
) -> Decision[DispositionsState | None]:
    given = CallbackTimed(tenant="demo", call_id="call-1", timer=timer, now_ms=now_ms)
    return dispositions.decide(state, given, call)


def meet_subject(
    state: SubjectState | None, timer: CallbackTimer = OF_SUBJECT, now_ms: int = LATER_MS
) -> Decision[SubjectState | None]:
    given = SubjectTimed(tenant="demo", subject=CUSTOMER, timer=timer, now_ms=now_ms)
    return subjects.decide(state, given, None)


def test_it_is_told_as_it_was_scheduled_without_a_word_on_anybody() -> None:
    decision = meet(scheduled())

    assert [(effect.topic, effect.type) for effect in decision.effects] == [
        ("disposition.events", "callback.due")
    ]
    assert data(decision.effects[0]) == DispositionTold(
        tenant="demo",
        call_id="call-1",
        agent_id="ann",
        rule="callback_due",
        decided_at=LATER_AT,
        call_version=3,
        code="Callback",
        key="DispositionCode",
        origin=Origin.WRAP_UP,
        request_id="req-1",
        revision=1,
        callback_at=LATER_AT,
        customer_id="77",
    )
    assert decision.answer is None


def test_it_is_told_once() -> None:
    first = meet(scheduled())
    assert meet(first.state).state is first.state
    assert of(first.state).called_back == 1


@pytest.mark.parametrize(
    ("timer", "now_ms"),
    [
        (TIMER, LATER_MS - 1),
        (replace(TIMER, deadline_ms=NOW_MS), LATER_MS),
        (replace(TIMER, deadline_ms=LATER_MS + 1), LATER_MS + 1),
        (replace(TIMER, revision=2), LATER_MS),
        (replace(TIMER, agent_id="bob"), LATER_MS),
        (replace(TIMER, agent_id=None), LATER_MS),
    ],
)
def test_a_timer_too_soon_or_of_another_callback_changes_nothing(
    timer: CallbackTimer, now_ms: int
) -> None:
    state = scheduled()
    decision = meet(state, timer, now_ms=now_ms)
    assert (decision.state, decision.effects) == (state, ())
    assert decision.state is state


def test_nobody_waits_where_nothing_was_said() -> None:
    assert meet(None, call=WRAPPING_UP) == Decision(None)
    assert meet(None, call=None) == Decision(None)


def test_a_time_that_is_past_already_is_due_at_once() -> None:
    past = ask(None, WRAPPING_UP, a_request(callback_ms=NOW_MS - 1))[0].state
    (timer,) = callbacks(past or scheduled())
    assert told(meet(past, timer, now_ms=NOW_MS).effects) == ["callback.due"]


def test_a_decision_of_a_younger_time_has_met_it_too() -> None:
    """Times of a call's decisions never go back."""
    state = replace(scheduled(), decided_ms=LATER_MS)
    (effect,) = meet(state, now_ms=NOW_MS).effects
    assert data(effect).decided_at == LATER_AT


def test_a_timer_first_applies_what_takes_the_callback_away() -> None:
    back = a_call(part("ann", "active", segment=2), version=3)
    queued, _ = ask(scheduled(), back, a_request("Sale", number=2))
    left = a_call(part("ann", "wrap_up", segment=2), version=4)

    decision = meet(queued.state, call=left)

    assert told(decision.effects) == ["disposition.corrected"]
    assert callbacks(decision.state or scheduled()) == []


def test_a_record_that_comes_again_tells_nothing_twice() -> None:
    aggregate = TOPOLOGY.aggregates["dispositions"]
    given = CallbackTimed(tenant="demo", call_id="call-1", timer=TIMER, now_ms=LATER_MS)
    decision = aggregate.again(scheduled(), given, RELEASED)
    assert (decision.effects, decision.answer) == ((), None)
    mine = SubjectTimed(tenant="demo", subject=CUSTOMER, timer=OF_SUBJECT, now_ms=LATER_MS)
    state = of_subject()
    assert TOPOLOGY.aggregates["subjects"].again(state, mine, None).state is state


def of_subject(**more: Any) -> SubjectState:
    decision, _ = ask_for(None, wish("Call", policy=FREE, callback_ms=LATER_MS, **more))
    assert decision.state is not None
    return decision.state


def test_a_subject_s_is_told_as_it_was_scheduled() -> None:
    decision = meet_subject(of_subject(user_id="7"))

    (effect,) = decision.effects
    assert (effect.topic, effect.type) == ("disposition.events", "callback.due")
    assert data(effect) == StatusTold(
        tenant="demo",
        subject=CUSTOMER,
        rule="callback_due",
        decided_at=LATER_AT,
        dialect="zipteams",
        code="Call",
        request_id="req-1",
        revision=1,
        callback_at=LATER_AT,
        user_id="7",
        customer_id="77",
    )
    assert meet_subject(decision.state).state is decision.state


@pytest.mark.parametrize(
    ("timer", "now_ms"),
    [
        (OF_SUBJECT, LATER_MS - 1),
        (replace(OF_SUBJECT, revision=2), LATER_MS),
        (replace(OF_SUBJECT, deadline_ms=NOW_MS), LATER_MS),
    ],
)
def test_a_subject_s_timer_too_soon_or_of_another_changes_nothing(
    timer: CallbackTimer, now_ms: int
) -> None:
    state = of_subject()
    assert meet_subject(state, timer, now_ms) == Decision(state)
    assert meet_subject(None, timer, now_ms) == Decision(None)


@pytest.mark.parametrize(
    "request_",
    [
        wish("Sale", policy=FREE, number=2),
        wish(None, policy=FREE, number=2),
        wish("Sale", policy=FREE, number=2, origin=FROM_CALL, callback_ms=LATER_MS),
    ],
)
def test_whatever_takes_a_status_away_takes_its_callback_away(request_: Any) -> None:
    after = ask_for(of_subject(), request_)[0].state
    assert after is not None
    assert callback(after) is None
    assert meet_subject(after).effects == ()


def test_a_new_time_is_another_callback() -> None:
    after = ask_for(of_subject(), wish("Call", number=2, callback_ms=LATER_MS + 1))[0].state
    assert meet_subject(after).effects == ()
    second = CallbackTimer(deadline_ms=LATER_MS + 1, revision=2)
    assert told(meet_subject(after, second, LATER_MS + 1).effects) == ["callback.due"]


def test_documents_are_found_by_the_callbacks_they_wait_for() -> None:
    calls, of_subjects = (TOPOLOGY.aggregates[name] for name in ("dispositions", "subjects"))
    two = ask(
        scheduled(),
        a_call(part("ann", "wrap_up"), part("bob", "wrap_up"), version=3),
        a_request(agent_id="bob", callback_ms=NOW_MS + 5, number=2),
    )[0].state
    assert calls.index(two).due_ms == NOW_MS + 5
    assert calls.index(scheduled()).due_ms == LATER_MS
    assert calls.index(meet(scheduled()).state).due_ms is None
    assert calls.index(ask(None, WRAPPING_UP, a_request())[0].state).due_ms is None
    assert of_subjects.index(of_subject()).due_ms == LATER_MS
    assert of_subjects.index(meet_subject(of_subject()).state).due_ms is None


def test_a_timer_is_routed_to_what_it_is_about() -> None:
    routed = TOPOLOGY.route(record(timed(TIMER)))
    assert (routed.collection, routed.key, routed.alone) == ("dispositions", "demo:call-1", False)
    assert routed.input == CallbackTimed(
        tenant="demo", call_id="call-1", timer=TIMER, now_ms=NOW_MS
    )
    of_one = TOPOLOGY.route(record(timed(OF_SUBJECT, subject=CUSTOMER)))
    assert (of_one.collection, of_one.key, of_one.alone) == ("subjects", f"demo:{CUSTOMER}", True)
    assert of_one.input == SubjectTimed(
        tenant="demo", subject=CUSTOMER, timer=OF_SUBJECT, now_ms=NOW_MS
    )


@pytest.mark.parametrize(
    ("timer", "subject"),
    [
        (b"", "call-1"),
        (b'{"revision": 1}', "call-1"),
        (TIMER, CUSTOMER),
        (OF_SUBJECT, "call-1"),
        (replace(TIMER, agent_id="a b"), "call-1"),
    ],
)
def test_a_timer_of_nothing_is_poison(timer: CallbackTimer | bytes, subject: str) -> None:
    with pytest.raises(Poison, match="bad_data"):
        TOPOLOGY.route(record(timed(timer, subject=subject)))


def test_history_shows_the_time_and_not_the_timer() -> None:
    (effect,) = meet(scheduled()).effects
    line = read(record(message(effect.topic, effect.type, effect.data, sequence=3)))
    assert (own(line).rank, line.outcome) == (2, None)
    assert msgspec.json.decode(own(line).body) == {
        "at": LATER_AT,
        "kind": "timer",
        "type": "callback.due",
        "rule": "callback_due",
        "call_id": "call-1",
        "agent_id": "ann",
        "request_id": "req-1",
        "code": "Callback",
        "key": "DispositionCode",
        "origin": "wrap_up",
        "revision": 1,
        "callback_at": LATER_AT,
        "decided_at": LATER_AT,
        "call_version": 3,
    }
    assert read(record(timed(TIMER))).entries == ()


def test_a_subject_s_history_shows_it_too() -> None:
    (effect,) = meet_subject(of_subject()).effects
    line = read(record(message(effect.topic, effect.type, effect.data, subject=CUSTOMER)))
    body = msgspec.json.decode(own(line).body)
    assert (body["kind"], body["type"], body["rule"]) == ("timer", "callback.due", "callback_due")
    assert (line.outcome, line.also) == (None, None)


class Centre:
    """Documents with callbacks, and the sweeps that look for those that are due."""

    def __init__(self) -> None:
        self.clock = FakeClock(NOW_MS)
        self.store = MemoryStateStore()
        self.log = MemoryLog(self.clock)
        self.sweeps = Sweeps(self.store, self.log, self.clock)

    async def keep(self, timers: Timers, *keys: str, state: Any) -> None:
        aggregate = TOPOLOGY.aggregates[timers.collection]
        body, index = aggregate.encode(state), aggregate.index(state)
        await self.store.save(
            [
                Document(
                    collection=timers.collection,
                    key=key,
                    revision=1,
                    state=body,
                    watermarks={},
                    sequences={},
                    index=index,
                )
                for key in keys
            ]
        )

    def published(self) -> Sequence[Event]:
        return [from_record(one) for one in self.log.all("disposition.requests")]


@pytest.mark.asyncio
async def test_the_sweeps_publish_what_is_due_and_no_more() -> None:
    centre = Centre()
    await centre.keep(CALL_CALLBACKS, "demo:call-1", state=scheduled())
    await centre.keep(SUBJECT_CALLBACKS, f"demo:{CUSTOMER}", state=of_subject())
    await centre.keep(SUBJECT_CALLBACKS, "demo:customer:78", state=meet_subject(of_subject()).state)
    centre.clock.set(LATER_MS - 1)
    assert await centre.sweeps.sweep() == 0
    centre.clock.set(LATER_MS)
    assert await centre.sweeps.sweep() == 2
    assert await centre.sweeps.sweep() == 0
    assert [(event.id, event.source, event.subject) for event in centre.published()] == [
        (f"timer:callback:ann:1:{LATER_MS}", "/aftercall/timers/demo/call-1", "call-1"),
        (f"timer:callback::1:{LATER_MS}", f"/aftercall/timers/demo/{CUSTOMER}", CUSTOMER),
    ]
    assert {event.time_ms for event in centre.published()} == {LATER_MS}


@pytest.mark.asyncio
async def test_only_the_callbacks_of_a_call_that_are_due_are_published() -> None:
    both = a_call(part("ann", "wrap_up"), part("bob", "wrap_up"), version=3)
    request = a_request(agent_id="bob", callback_ms=NOW_MS, number=2)
    centre = Centre()
    await centre.keep(CALL_CALLBACKS, "demo:call-1", state=ask(scheduled(), both, request)[0].state)
    assert await centre.sweeps.sweep() == 1
    assert [event.id for event in centre.published()] == [f"timer:callback:bob:1:{NOW_MS}"]


@pytest.mark.asyncio
async def test_a_crowd_that_is_due_goes_out_page_by_page() -> None:
    centre = Centre()
    calls = [f"demo:call-{number}" for number in range(2 * PAGE_MAX + 1)]
    await centre.keep(CALL_CALLBACKS, *calls, state=scheduled())
    centre.clock.set(LATER_MS)
    assert await centre.sweeps.sweep() == len(calls)
    assert {one.key for one in centre.log.all("disposition.requests")} == set(calls)


def test_what_a_late_disposition_says_of_a_callback_is_for_reports() -> None:
    late = ask(scheduled(), RELEASED, a_request(callback_ms=LATER_MS, number=2))[0]
    assert told(late.effects) == ["EventUserEvent", "status.requested"]
    assert data(late.effects[0]).callback_at == LATER_AT
    assert callbacks(late.state or scheduled()) == []


def test_a_change_of_the_call_leaves_a_callback_alone() -> None:
    state = scheduled()
    assert see(state, RELEASED).state is state
    assert NOW_AT < LATER_AT
