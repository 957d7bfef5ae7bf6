"""Each limit at its maximum and one above."""

from typing import Any

import pytest

from services.callstate.model import deadlines
from shared.contracts.limits import (
    AGENTS_PER_CALL_MAX,
    EVENT_IDS_PER_CALL_MAX,
    USER_DATA_BYTES_MAX,
    WRAP_UP_S_MAX,
)
from tests.support.calls import ToldCall, at_ms, rules, told

FULL = AGENTS_PER_CALL_MAX


def full_call() -> ToldCall:
    call = ToldCall()
    for number in range(FULL):
        assert call.tell(told("call.agent_joined", 1, agent_id=f"agent-{number}")).rule == "joined"
    return call


@pytest.mark.parametrize(
    ("event_type", "fields"),
    [
        ("call.agent_joined", {}),
        ("call.answered", {}),
        ("call.agent_left", {}),
        ("call.started", {"direction": "inbound", "did": "800"}),
    ],
)
@pytest.mark.parametrize("ended", [False, True])
def test_a_65th_agent_finds_no_room(event_type: str, fields: dict[str, Any], ended: bool) -> None:
    call = full_call()
    if ended:
        call.tell(told("call.disconnected", 5))
    version = call.call.version
    outcome = call.tell(told(event_type, 9, agent_id="one-more", **fields))
    assert (outcome.rule, outcome.outcome) == ("too_many_agents", "ignored")
    assert call.call.version == version + 1
    assert len(call.call.agents) == FULL
    assert call.call.agent("one-more") is None


def test_the_64_are_still_heard_in_a_full_call() -> None:
    call = full_call()
    assert call.tell(told("call.agent_left", 2, agent_id="agent-63")).rule == "left"


def test_a_stranger_to_a_full_call_is_no_more_than_a_stranger() -> None:
    call = full_call()
    for event_type in ("call.held", "call.released"):
        assert call.tell(told(event_type, 2, agent_id="cyd")).rule == "agent_not_on_call"


def data_of(size: int) -> dict[str, Any]:
    """User data that is `size` bytes of JSON."""
    return {"a": "x" * (size - len('{"a":""}'))}


def test_user_data_is_full_at_64_kib_in_all() -> None:
    call = ToldCall()
    most = data_of(USER_DATA_BYTES_MAX - len(',"b":1'))
    assert call.tell(told("call.data_attached", 0, user_data=most)).rule == "data_attached"
    exact = call.tell(told("call.data_attached", 1, user_data={"b": 1}))
    assert (exact.rule, exact.outcome) == ("data_attached", "applied")
    over = call.tell(told("call.data_attached", 2, user_data={"b": 10}))
    assert (over.rule, over.outcome) == ("user_data_full", "ignored")
    assert call.call.user_data == most | {"b": 1}
    assert call.call.version == 3
    assert call.changes[-1].change.user_data_keys == ()


def test_a_late_start_brings_no_user_data_over_the_limit() -> None:
    call = ToldCall()
    most = data_of(USER_DATA_BYTES_MAX)
    call.tell(told("call.data_attached", 1, user_data=most))
    started = told("call.started", 2, happened=0, direction="inbound", user_data={"b": 1})
    assert call.tell(started).rule == "started_late"
    assert call.call.user_data == most


def test_a_duplicate_is_known_among_the_newest_256() -> None:
    call = ToldCall()
    first = told("call.held", 0, event_id="first")
    call.tell(first)
    for number in range(EVENT_IDS_PER_CALL_MAX - 1):
        call.tell(told("call.retrieved", 1, event_id=f"event-{number}"))
    assert call.tell(first).outcome == "duplicate"
    call.tell(told("call.retrieved", 1, event_id="one-more"))
    assert call.tell(first).rule == "late"
    assert call.state is not None
    assert len(call.state.seen) == EVENT_IDS_PER_CALL_MAX


@pytest.mark.parametrize("seconds", [WRAP_UP_S_MAX, WRAP_UP_S_MAX + 1])
def test_wrap_up_lasts_a_day_at_most(seconds: int) -> None:
    call = ToldCall()
    call.tell(told("call.agent_left", 0, agent_id="ann", wrap_up=rules(seconds)))
    assert call.call.agents[0].wrap_up_ends_ms == at_ms(WRAP_UP_S_MAX)


@pytest.mark.parametrize(("seconds", "ends"), [(86_370, 86_400), (86_371, 86_400), (9, 39)])
def test_an_extension_reaches_no_further_than_a_day(seconds: int, ends: int) -> None:
    call = ToldCall()
    call.tell(told("call.agent_left", 0, agent_id="ann"))
    call.tell(told("call.wrap_up_extended", 1, agent_id="ann", seconds=seconds))
    assert call.call.agents[0].wrap_up_ends_ms == at_ms(ends)


def test_silence_runs_from_the_newest_receipt_even_where_clocks_step_back() -> None:
    call = ToldCall()
    call.tell(told("call.started", 100, direction="inbound"))
    call.tell(told("call.held", 40))
    assert call.state is not None
    assert [deadline.due_ms for deadline in deadlines(call.state)] == [at_ms(100 + 14_400)]
