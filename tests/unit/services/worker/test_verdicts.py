"""One request, one verdict: whatever is sent again, and whatever has happened since."""

import pytest

from services.worker.dispositions import recall
from services.worker.model import DispositionsState
from shared.contracts import limits
from shared.contracts.calls import Call
from shared.contracts.dispositions import Outcome, Policy
from tests.unit.services.worker.field import (
    NOW_MS,
    a_call,
    a_request,
    ask,
    asked,
    data,
    final,
    part,
    see,
    told,
)

TALKING = a_call(part("ann", "active"))
WRAPPING_UP = a_call(part("ann", "wrap_up"), version=2)
RELEASED = a_call(part("ann", "released"), version=3)


@pytest.mark.parametrize("call", [None, TALKING, WRAPPING_UP, RELEASED])
@pytest.mark.parametrize("now", [None, TALKING, WRAPPING_UP, RELEASED])
def test_the_same_again_gets_the_same_answer_and_changes_nothing(
    call: Call | None, now: Call | None
) -> None:
    first, verdict = ask(None, call, a_request())

    again, repeated = ask(first.state, now, a_request(), NOW_MS + 1000)

    assert repeated == verdict
    assert again.state is first.state
    assert again.effects == ()


def test_a_refusal_stands_even_when_the_call_appears_later() -> None:
    refused, verdict = ask(None, None, a_request())
    assert (verdict.outcome, verdict.problem) == (Outcome.REFUSED, "unknown_call")

    again, repeated = ask(refused.state, TALKING, a_request())

    assert repeated.problem == "unknown_call"
    assert again.state is refused.state
    other, verdict = ask(refused.state, TALKING, a_request(number=2))
    assert verdict.outcome is Outcome.QUEUED
    assert told(other.effects)[0] == "disposition.queued"


def test_another_body_under_the_same_key_is_a_conflict_that_leaves_no_trace() -> None:
    first, _ = ask(None, WRAPPING_UP, a_request("Sale"))

    other, conflict = ask(
        first.state, WRAPPING_UP, a_request("Referred", body_hash="other", request_id="req-9")
    )

    assert (conflict.outcome, conflict.problem) == (Outcome.REFUSED, "idempotency_conflict")
    assert (conflict.request_id, conflict.code) == ("req-9", "Referred")
    assert other.state is first.state
    assert other.effects == ()


def test_what_was_answered_can_be_recalled() -> None:
    first, verdict = ask(None, WRAPPING_UP, a_request())

    assert recall(first.state, asked(a_request())) == verdict
    assert recall(first.state, asked(a_request(number=2))) is None
    assert recall(None, asked(a_request())) is None
    conflict = recall(first.state, asked(a_request(body_hash="other")))
    assert conflict is not None
    assert conflict.rule == "idempotency_conflict"


def _after(count: int) -> DispositionsState:
    """Refused time and again, one millisecond apart."""
    state: DispositionsState | None = None
    saved, _ = ask(None, WRAPPING_UP, a_request(number=-1))
    state = saved.state
    for number in range(count - 1):
        request = a_request(number=number, policy=Policy(correct=False))
        state = ask(state, WRAPPING_UP, request, NOW_MS + 1 + number)[0].state
    assert state is not None
    return state


def test_as_many_verdicts_are_kept_as_the_limit_says() -> None:
    at_max = _after(limits.VERDICTS_PER_CALL_MAX)
    assert len(at_max.verdicts) == limits.VERDICTS_PER_CALL_MAX
    assert "key--1" in at_max.verdicts

    one_more = _after(limits.VERDICTS_PER_CALL_MAX + 1)

    assert len(one_more.verdicts) == limits.VERDICTS_PER_CALL_MAX
    assert "key--1" not in one_more.verdicts
    assert next(iter(one_more.verdicts)) == "key-0"


@pytest.mark.parametrize(("late_ms", "kept"), [(0, ["key-1", "key-2"]), (1, ["key-2"])])
def test_verdicts_are_kept_for_a_day(late_ms: int, kept: list[str]) -> None:
    first, _ = ask(None, WRAPPING_UP, a_request(number=1))

    later = NOW_MS + limits.IDEMPOTENCY_KEPT_MS + late_ms
    second, _ = ask(first.state, WRAPPING_UP, a_request(number=2), later)

    assert second.state is not None
    assert list(second.state.verdicts) == kept


def test_what_is_decided_later_happened_later_whatever_the_topics_say() -> None:
    """History goes by these times: a verdict must not be found behind what followed from it."""
    queued, verdict = ask(None, TALKING, a_request(), NOW_MS)

    older = see(queued.state, WRAPPING_UP, NOW_MS - 80)  # the call's own topic was read late

    assert final(older.state).decided_ms == NOW_MS
    assert data(older.effects[0]).decided_at == verdict.decided_at
    later = see(older.state, RELEASED, NOW_MS + 5)
    assert later.state is older.state  # nothing to decide, and nothing written for the time alone
