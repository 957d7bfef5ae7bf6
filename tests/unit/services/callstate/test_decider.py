"""What holds for every row: one version, one change, one answer; and what a call keeps."""

from itertools import permutations
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from services.callstate.decider import decide, recall
from services.callstate.model import CallInput, Deadline
from shared.contracts.calls import Phase, WrapUpMode
from shared.contracts.instants import to_wire
from tests.support.calls import ToldCall, at_ms, change_of, outcome_of, rules, timer, told

RING = told("call.started", 0, direction="inbound", agent_id="ann")


def after(*events: CallInput) -> ToldCall:
    call = ToldCall()
    for event in events:
        call.tell(event)
    return call


def test_a_change_tells_what_happened_and_which_rule_decided() -> None:
    given = told("call.answered", 5, happened=4, event_id="e-1")
    call = after(RING)
    call.tell(given)
    change = call.changes[-1].change
    assert (change.kind, change.type, change.rule) == ("event", "call.answered", "answered")
    assert (change.event_id, change.agent_id) == ("e-1", "ann")
    assert (change.at, change.time) == (to_wire(at_ms(5)), to_wire(at_ms(4)))


def test_a_timer_tells_that_it_was_one() -> None:
    call = after(RING, told("call.answered", 1), told("call.disconnected", 2))
    (outcome,) = call.fire(at_ms(32))
    assert (outcome.outcome, outcome.rule) == ("applied", "wrap_up_over")
    assert call.changes[-1].change.kind == "timer"
    assert call.call.released_ms == at_ms(32)


def test_the_answer_says_what_became_of_the_event() -> None:
    outcome = outcome_of(decide(None, RING))
    assert (outcome.event_id, outcome.call_id) == (RING.event_id, "call-1")
    assert (outcome.outcome, outcome.rule) == ("applied", "started")
    assert (outcome.version, outcome.phase) == (1, Phase.RINGING)


def test_a_duplicate_gives_the_same_state_and_no_effect() -> None:
    call = after(RING)
    decision = decide(call.state, replace(RING, now_ms=at_ms(50), time_ms=at_ms(40)))
    assert decision.state is call.state
    assert decision.effects == ()
    assert (outcome_of(decision).outcome, outcome_of(decision).version) == ("duplicate", 1)


def test_one_id_from_two_sources_is_two_events() -> None:
    call = after(RING)
    assert call.tell(replace(RING, source="/another")).outcome == "applied"
    assert call.call.version == 2


def test_a_timer_that_is_not_armed_leaves_no_trace() -> None:
    call = after(RING)
    for state in (None, call.state):
        decision = decide(state, timer(Deadline("silence", at_ms(1)), at_ms(2)))
        assert decision.state is state
        assert decision.effects == ()
        assert outcome_of(decision).outcome == "ignored"
        assert outcome_of(decision).rule == "stale_timer"
    assert outcome_of(decide(None, timer(Deadline("silence", 1), 2))).phase is None


@pytest.mark.parametrize(
    "deadline",
    [
        Deadline("wrap_up", at_ms(39), "ann"),
        Deadline("wrap_up", at_ms(40), "bob"),
        Deadline("wrap_up", at_ms(40)),
        Deadline("silence", at_ms(40), "ann"),
    ],
)
def test_a_timer_is_armed_only_to_the_letter(deadline: Deadline) -> None:
    call = after(told("call.agent_left", 10, agent_id="ann"))
    assert call.tell(timer(deadline, at_ms(40))).rule == "stale_timer"
    assert call.tell(timer(Deadline("wrap_up", at_ms(40), "ann"), at_ms(40))).outcome == "applied"


def test_an_event_below_the_watermark_is_answered_while_it_is_known() -> None:
    call = after(RING)
    recalled = recall(call.state, RING)
    assert recalled is not None
    assert (recalled.outcome, recalled.rule, recalled.version) == ("applied", "recalled", 1)
    assert recall(call.state, told("call.held", 9)) is None
    assert recall(None, RING) is None


def test_the_same_input_gives_the_same_bytes() -> None:
    call = after(RING)
    given = told("call.data_attached", 3, user_data={"b": 1, "a": [1.5, None, {"c": "ü"}]})
    before = msgspec.json.encode(call.state)
    first, second = decide(call.state, given), decide(call.state, given)
    assert msgspec.json.encode(first.state) == msgspec.json.encode(second.state)
    assert msgspec.json.encode(change_of(first)) == msgspec.json.encode(change_of(second))
    assert msgspec.json.encode(call.state) == before


def test_a_call_keeps_the_rules_it_began_with() -> None:
    call = after(replace(RING, wrap_up=rules(7, "mandatory"), silence_s=60))
    call.tell(told("call.answered", 1, wrap_up=rules(99)))
    call.tell(told("call.disconnected", 2, wrap_up=rules(99)))
    assert call.call.wrap_up.mode is WrapUpMode.MANDATORY
    assert call.call.agents[0].wrap_up_ends_ms == at_ms(9)
    assert call.state is not None
    assert call.state.silence_s == 60


def test_a_late_start_fills_in_what_is_missing_and_nothing_else() -> None:
    call = after(told("call.data_attached", 1, user_data={"tier": "gold"}))
    data = {
        "direction": "outbound",
        "from": "+4930123456",
        "to": "+31201234567",
        "did": "800",
        "customer_id": 77,
        "campaign_id": "c-1",
        "project_id": 17,
        "record_id": 0,
        "user_data": {"tier": "none", "queue": "sales"},
    }
    call.tell(told("call.started", 2, happened=0, data=data))
    found = call.call
    assert (found.direction, found.from_, found.to) == ("outbound", "+4930123456", "+31201234567")
    assert (found.did, found.customer_id, found.campaign_id) == ("800", "77", "c-1")
    assert (found.project_id, found.record_id) == ("17", "0")
    assert found.user_data == {"tier": "gold", "queue": "sales"}
    assert call.changes[-1].change.user_data_keys == ("queue",)
    call.tell(told("call.started", 3, direction="inbound", customer_id=78, did="900"))
    assert (call.call.direction, call.call.customer_id, call.call.did) == ("outbound", "77", "800")
    assert call.call.started_ms == at_ms(0)


def test_of_two_answers_the_earlier_counts_whichever_was_told_first() -> None:
    early, late = told("call.answered", 5, happened=2), told("call.answered", 5, happened=4)
    for events in ((early, late), (late, early)):
        assert after(*events).call.answered_ms == at_ms(2)


def test_an_attached_key_takes_the_newest_value() -> None:
    call = after(told("call.data_attached", 1, user_data={"a": 1, "b": 1}))
    call.tell(told("call.data_attached", 2, user_data={"b": 2, "c": 3}))
    assert call.call.user_data == {"a": 1, "b": 2, "c": 3}
    assert call.changes[-1].change.user_data_keys == ("b", "c")


def test_a_disconnect_keeps_who_and_why_and_a_second_one_changes_nothing() -> None:
    call = after(RING, told("call.disconnected", 9, by="caller", cause="busy"))
    call.tell(told("call.disconnected", 12, by="agent", cause="normal"))
    assert (call.call.by, call.call.cause) == ("caller", "busy")
    assert (call.call.disconnected_ms, call.call.released_ms) == (at_ms(9), at_ms(9))


def test_silence_is_a_disconnect_by_the_system() -> None:
    call = after(RING)
    list(call.fire(at_ms(20_000)))
    assert (call.call.by, call.call.cause) == ("system", "silence")
    assert (call.call.phase, call.call.disconnected_ms) == (Phase.RELEASED, at_ms(14_400))


def test_a_call_opened_once_more_was_not_yet_released() -> None:
    call = after(told("call.disconnected", 5), told("call.agent_left", 6, agent_id="ann"))
    assert (call.call.phase, call.call.released_ms) == (Phase.WRAP_UP, None)
    list(call.fire(at_ms(36)))
    assert call.call.released_ms == at_ms(36)


def test_who_comes_back_starts_with_a_clean_slate() -> None:
    call = after(
        told("call.agent_joined", 0, agent_id="ann", wrap_up=rules(10, "mandatory")),
        told("call.agent_left", 1, agent_id="ann"),
    )
    list(call.fire(at_ms(11)))
    assert call.call.agents[0].overdue
    call.tell(told("call.agent_joined", 20, agent_id="ann"))
    (ann,) = call.call.agents
    assert (ann.phase, ann.segment, ann.joined_ms) == (Phase.ACTIVE, 2, at_ms(20))
    assert (ann.overdue, ann.wrap_up_ends_ms, ann.left_ms) == (False, None, None)


def test_the_time_of_leaving_is_the_switchs_word_once_it_is_told() -> None:
    call = after(told("call.agent_joined", 0, agent_id="ann"), told("call.disconnected", 9))
    assert call.call.agents[0].left_ms == at_ms(9)
    call.tell(told("call.agent_left", 10, happened=8, agent_id="ann"))
    assert call.call.agents[0].left_ms == at_ms(8)
    call.tell(told("call.agent_left", 11, happened=7, agent_id="ann"))
    assert call.call.agents[0].left_ms == at_ms(8)


ANN: dict[str, Any] = {"agent_id": "ann"}
CONVERSATIONS = {
    "answered": [RING, told("call.answered", 2), told("call.disconnected", 9)],
    "abandoned": [RING, told("call.disconnected", 9)],
    "dialled": [
        told("call.started", 0, direction="outbound", **ANN),
        told("call.answered", 2),
        told("call.disconnected", 9),
    ],
    "dialled in vain": [
        told("call.started", 0, direction="outbound", **ANN),
        told("call.disconnected", 9),
    ],
    "each step told": [
        RING,
        told("call.answered", 2),
        told("call.agent_joined", 3, **ANN),
        told("call.agent_left", 8, **ANN),
        told("call.disconnected", 9),
    ],
    "transferred": [
        RING,
        told("call.answered", 2, **ANN),
        told("call.agent_joined", 3, agent_id="bob"),
        told("call.agent_left", 4, reason="transfer", **ANN),
        told("call.disconnected", 9),
    ],
    "back again": [
        told("call.agent_joined", 1, **ANN),
        told("call.agent_left", 3, **ANN),
        told("call.agent_joined", 5, **ANN),
    ],
    "held": [
        told("call.agent_joined", 1, **ANN),
        told("call.held", 2),
        told("call.retrieved", 4),
        told("call.held", 6),
    ],
}


@pytest.mark.parametrize("events", CONVERSATIONS.values(), ids=CONVERSATIONS.keys())
def test_any_order_ends_the_same(events: list[CallInput]) -> None:
    ends = set()
    for order in permutations(events):
        call = after(*(replace(event, now_ms=at_ms(10)) for event in order)).call
        agents = sorted((a.agent_id, a.phase.value, a.handled, a.held) for a in call.agents)
        ends.add((call.phase, call.held, call.answered_ms, call.disconnected_ms, tuple(agents)))
    assert len(ends) == 1


def returned() -> ToldCall:
    """Ann left at 10 and is back since 20: her second segment."""
    call = after(told("call.agent_joined", 0, agent_id="ann"))
    call.tell(told("call.agent_left", 10, agent_id="ann"))
    call.tell(told("call.agent_joined", 20, agent_id="ann"))
    return call


@pytest.mark.parametrize(
    ("segment", "rule", "phase"),
    [
        (0, "late", "active"),
        (1, "late", "active"),
        (2, "released_on_call", "released"),
        (None, "released_on_call", "released"),
    ],
)
def test_a_release_meant_for_an_earlier_segment_ends_no_later_one(
    segment: int | None, rule: str, phase: str
) -> None:
    call = returned()
    outcome = call.tell(told("call.released", 21, agent_id="ann", segment=segment))
    assert (outcome.rule, call.call.agents[0].phase) == (rule, phase)


@pytest.mark.parametrize(
    ("segment", "rule", "phase"), [(1, "late", "wrap_up"), (2, "released", "released")]
)
def test_nor_does_it_end_the_wrap_up_of_a_later_one(segment: int, rule: str, phase: str) -> None:
    call = returned()
    call.tell(told("call.agent_left", 30, agent_id="ann"))
    outcome = call.tell(told("call.released", 31, agent_id="ann", segment=segment))
    assert (outcome.rule, call.call.agents[0].phase) == (rule, phase)


def test_a_release_asked_for_before_the_first_join_was_told_is_not_late() -> None:
    call = after(told("call.started", 0, direction="outbound", agent_id="ann"))
    call.tell(told("call.disconnected", 10))
    call.tell(told("call.agent_joined", 11, happened=5, agent_id="ann"))
    assert call.call.agents[0].segment == 1
    outcome = call.tell(told("call.released", 12, agent_id="ann", segment=0))
    assert outcome.rule == "released"
