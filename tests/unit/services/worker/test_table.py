"""Every row of the disposition table, and that the table has no hole and no overlap."""

from itertools import chain, combinations
from typing import get_args

import pytest
from msgspec.structs import replace

from services.worker.dispositions import TABLE, fitting
from services.worker.model import OUTCOMES, DispositionsState, Fact, Standing
from shared.contracts.calls import Call
from shared.contracts.dispositions import DispositionRequest, Outcome, Policy
from tests.unit.services.worker.field import TIMEOUT, a_call, a_request, ask, part, see, told
from tests.unit.services.worker.readme_table import README, drawn

RINGING = a_call(part("ann", "ringing", segment=0, handled=False))
TALKING = a_call(part("ann", "active"))
WRAPPING_UP = a_call(part("ann", "wrap_up"), version=2)
OVERDUE = a_call(part("ann", "wrap_up", overdue=True), version=3)
RELEASED = a_call(part("ann", "released"), version=4)
UNHANDLED = a_call(part("ann", "released", segment=0, handled=False), version=2)
NEVER_CORRECT = Policy(correct=False)
NEVER_LATE = Policy(late=False)

QUEUED, _ = ask(None, TALKING, a_request("First", number=91))
DISPOSED, _ = ask(None, WRAPPING_UP, a_request("First", number=92))
DISPOSED_THEN_QUEUED, _ = ask(
    DISPOSED.state,
    a_call(part("ann", "active", segment=2), version=3),
    a_request("Second", number=93),
)

Case = tuple[DispositionsState | None, Call | None, DispositionRequest, str, str, list[str]]

REQUESTS: list[Case] = [
    (None, None, a_request(), "unknown_call", "refused", ["disposition.refused"]),
    (None, TALKING, a_request(agent_id="bob"), "agent_not_on_call", "refused",
     ["disposition.refused"]),
    (None, RINGING, a_request(), "queued", "queued", ["disposition.queued", "call.attach_data"]),
    (None, TALKING, a_request(), "queued", "queued", ["disposition.queued", "call.attach_data"]),
    (QUEUED.state, TALKING, a_request(), "queue_replaced", "queued",
     ["disposition.queued", "call.attach_data"]),
    (None, WRAPPING_UP, a_request(), "saved", "saved", ["disposition.saved"]),
    (QUEUED.state, WRAPPING_UP, a_request(), "corrected", "corrected",
     ["disposition.saved", "disposition.corrected"]),
    (DISPOSED.state, WRAPPING_UP, a_request(), "corrected", "corrected",
     ["disposition.corrected"]),
    (DISPOSED.state, WRAPPING_UP, a_request(policy=NEVER_CORRECT), "correction_refused", "refused",
     ["disposition.refused"]),
    (None, WRAPPING_UP, a_request(policy=NEVER_CORRECT), "saved", "saved", ["disposition.saved"]),
    (DISPOSED.state, RELEASED, a_request(), "late", "user_event", ["EventUserEvent"]),
    (DISPOSED.state, RELEASED, a_request(policy=NEVER_LATE), "late_refused", "refused",
     ["disposition.refused"]),
    (None, RELEASED, a_request(), "late", "user_event", ["disposition.missed", "EventUserEvent"]),
    (None, UNHANDLED, a_request(), "late", "user_event", ["EventUserEvent"]),
    (None, UNHANDLED, a_request(policy=NEVER_LATE), "late_refused", "refused",
     ["disposition.refused"]),
]  # fmt: skip


@pytest.mark.parametrize(("state", "call", "request_", "rule", "outcome", "types"), REQUESTS)
def test_a_request_is_decided_by_its_row(
    state: DispositionsState | None,
    call: Call | None,
    request_: DispositionRequest,
    rule: str,
    outcome: str,
    types: list[str],
) -> None:
    decision, verdict = ask(state, call, request_)

    assert (verdict.rule, verdict.outcome) == (rule, outcome)
    assert told(decision.effects) == types
    assert verdict.request_id == "req-1"
    assert verdict.call_version == (0 if call is None else call.version)
    problems = {row.rule: row.problem for row in TABLE}
    assert verdict.problem == problems[rule]


CATCH_UPS: list[tuple[DispositionsState | None, Call | None, str, list[str]]] = [
    (QUEUED.state, WRAPPING_UP, "queue_applied", ["disposition.saved"]),
    (QUEUED.state, RELEASED, "queue_applied", ["disposition.saved"]),
    (QUEUED.state, a_call(part("ann", "active", segment=2), version=3), "queue_applied",
     ["disposition.saved"]),
    (DISPOSED_THEN_QUEUED.state, a_call(part("ann", "wrap_up", segment=2), version=4),
     "queue_corrects", ["disposition.corrected"]),
    (DISPOSED.state, OVERDUE, "overdue_ended", ["call.released"]),
    (None, a_call(part("ann", "released"), wrap_up=TIMEOUT), "timeout_code",
     ["disposition.saved"]),
    (None, RELEASED, "missed", ["disposition.missed"]),
    (None, a_call(part("ann", "released"), wrap_up=replace(TIMEOUT, timeout_code=None)),
     "missed", ["disposition.missed"]),
]  # fmt: skip


@pytest.mark.parametrize(("state", "call", "rule", "types"), CATCH_UPS)
def test_what_the_call_owes_is_settled_by_its_row(
    state: DispositionsState | None, call: Call | None, rule: str, types: list[str]
) -> None:
    decision = see(state, call)

    assert told(decision.effects) == types
    assert [getattr(effect.data, "rule", "overdue_ended") for effect in decision.effects] == [rule]
    assert see(decision.state, call).state is decision.state


UNMOVED: list[tuple[DispositionsState | None, Call | None]] = [
    (None, None),
    (None, TALKING),
    (None, WRAPPING_UP),
    (None, OVERDUE),
    (None, UNHANDLED),
    (QUEUED.state, TALKING),
    (QUEUED.state, None),
    (DISPOSED.state, WRAPPING_UP),
    (DISPOSED.state, RELEASED),
]


@pytest.mark.parametrize(("state", "call"), UNMOVED)
def test_a_call_that_moves_for_nobody_leaves_the_same_object(
    state: DispositionsState | None, call: Call | None
) -> None:
    decision = see(state, call)

    assert decision.state is state
    assert decision.effects == ()
    assert decision.answer is None


def test_no_row_goes_untried() -> None:
    tried = {case[3] for case in REQUESTS} | {case[2] for case in CATCH_UPS} | {"callback_due"}

    assert tried == {row.rule for row in TABLE}


def test_one_row_fits_each_request_and_at_most_one_the_call() -> None:
    facts = get_args(Fact)
    every = chain.from_iterable(combinations(facts, size) for size in range(len(facts) + 1))
    for held in map(set, every):
        for standing in Standing:
            assert len(fitting("request", standing, held)) == 1
            assert len(fitting("timer", standing, held)) <= 1
            # Only who is on the call may have something queued and not have left.
            if standing is Standing.ON_CALL or "left" in held:
                assert len(fitting("call", standing, held)) <= 1


def test_rules_have_one_name_each_and_outcomes_are_all_told_of() -> None:
    assert len({row.rule for row in TABLE}) == len(TABLE)
    assert set(OUTCOMES.values()) == set(Outcome) - {Outcome.PENDING}
    assert {row.told for row in TABLE if row.given == "request"} == OUTCOMES.keys()


def test_the_same_input_twice_gives_the_same_decision() -> None:
    for state, call, request, *_ in REQUESTS:
        assert ask(state, call, request) == ask(state, call, request)
    for state, call, *_ in CATCH_UPS:
        assert see(state, call) == see(state, call)


def test_the_readme_shows_the_table() -> None:
    readme = README.read_text()

    assert readme == drawn(readme), "run: python -m tests.unit.services.worker.readme_table"
