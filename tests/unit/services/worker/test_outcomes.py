"""Reports and the list of callbacks hold what the rules hold: the newest row says it."""

from collections.abc import Iterable, Sequence
from itertools import chain, product
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from services.worker.entries import read
from services.worker.model import DispositionsState, callback
from services.worker.subject_model import SubjectState
from services.worker.subject_model import callback as callback_of_subject
from shared.contracts.calls import Call
from shared.contracts.dispositions import AgentDispositions, Policy
from shared.contracts.subjects import StatusRequest
from shared.contracts.topics import DISPOSITION_EVENTS, USER_EVENTS
from shared.kernel import Decision, Publish
from shared.runtime.history import MISSED, NOT_COUNTED, OutcomeRow
from tests.unit.services.worker.field import (
    NOW_AT,
    NOW_MS,
    TIMEOUT,
    a_call,
    a_request,
    ask,
    of,
    part,
    see,
)
from tests.unit.services.worker.records import message, record
from tests.unit.services.worker.subject_field import CUSTOMER, FREE, FROM_CALL, ask_for, wish

LATER_MS = NOW_MS + 3_600_000
SAID = ("nothing", "a code", "a callback", "and told")
"""What an agent may say at each stage of the call; the last is a save told as a user event, too."""


def rows_of(effects: Iterable[Publish], subject: str = "call-1") -> list[OutcomeRow]:
    found = [
        read(record(message(effect.topic, effect.type, effect.data, subject=subject))).outcome
        for effect in effects
        if effect.topic in (DISPOSITION_EVENTS, USER_EVENTS)
    ]
    return [row for row in found if row is not None]


def newest(rows: Sequence[OutcomeRow]) -> OutcomeRow | None:
    """As every store keeps it: of the same revision the rows are the same."""
    by_revision: dict[int, OutcomeRow] = {}
    for row in rows:
        assert by_revision.setdefault(row.revision, row) == row
    return by_revision[max(by_revision)] if by_revision else None


def called(call: Call, said: str, number: int, state: DispositionsState | None) -> Any:
    if said == "nothing":
        return see(state, call)
    request = a_request(
        f"Code{number}",
        number=number,
        callback_ms=LATER_MS + number if "callback" in said else None,
        policy=Policy(tell_in_wrap_up=said == "and told"),
    )
    return ask(state, call, request)[0]


@pytest.mark.parametrize("rules", [{}, {"wrap_up": TIMEOUT}], ids=["missed", "timeout"])
def test_the_newest_row_of_an_agent_is_what_the_rules_keep(rules: dict[str, Any]) -> None:
    """Said twice on the call, twice in wrap-up, once after release."""
    for story in product(SAID, SAID[:3], SAID, SAID, SAID[:3]):
        kept, row = lived(story, rules)
        assert says(row) == expected(kept), story
        assert (row.campaign_id, row.decided_ms) == ("c-1", NOW_MS)


def lived(story: tuple[str, ...], rules: dict[str, Any]) -> tuple[AgentDispositions, OutcomeRow]:
    state: DispositionsState | None = None
    rows: list[OutcomeRow] = []
    phases = ("active", "active", "wrap_up", "wrap_up", "released")
    for number, (phase, said) in enumerate(zip(phases, story, strict=True)):
        call = a_call(part("ann", phase), version=number + 1, campaign_id="c-1", **rules)
        before = see(state, call)  # or nothing would be missed when something comes late
        decision = called(call, said, number, before.state)
        state = decision.state
        rows += rows_of((*before.effects, *decision.effects))
    row = newest(rows)
    assert row is not None
    return of(state), row


def says(row: OutcomeRow) -> tuple[Any, ...]:
    return row.revision, row.code, row.origin, row.callback_ms


def expected(kept: AgentDispositions) -> tuple[Any, ...]:
    final, awaited = kept.disposition, callback(kept)
    if final is None:
        assert kept.missed
        return 0, NOT_COUNTED, MISSED, None
    return final.revision, final.code, final.origin, awaited and awaited.deadline_ms


OWN, CLEAR = wish(policy=FREE, user_id="10"), wish(None, policy=FREE)
OF_CALL = wish(policy=FREE, origin=FROM_CALL)
WISHES = [
    replace(request, callback_ms=callback_ms)
    for request in (OWN, OF_CALL, CLEAR)
    for callback_ms in (None, LATER_MS)
]


@pytest.mark.parametrize("length", [1, 2, 3, 4])
def test_the_newest_row_of_a_subject_is_what_the_rules_keep(length: int) -> None:
    for story in product(WISHES, repeat=length):
        state, rows = told_of(story)
        row = newest(rows)
        awaited = None if state is None else callback_of_subject(state)
        assert (row and row.callback_ms) == (awaited and awaited.deadline_ms), story
        status = None if state is None else state.status
        counted = status is not None and status.origin is None and status.code is not None
        assert (row is not None and row.code != NOT_COUNTED) == counted, story


def told_of(story: Sequence[StatusRequest]) -> tuple[SubjectState | None, list[OutcomeRow]]:
    state: SubjectState | None = None
    effects: list[tuple[Publish, ...]] = []
    for number, request in enumerate(story):
        fresh = replace(request, idempotency_key=str(number))
        decision: Decision[SubjectState | None] = ask_for(state, fresh)[0]
        state = decision.state
        effects.append(decision.effects)
    return state, rows_of(chain(*effects), CUSTOMER)


def test_a_callback_of_a_subject_says_whose_it_is() -> None:
    _, (row,) = told_of([replace(OWN, callback_ms=LATER_MS, comment="at home")])
    assert msgspec.json.decode(row.body) == {
        "subject": CUSTOMER,
        "code": "Sale",
        "decided_at": NOW_AT,
        "revision": 1,
        "request_id": "req-1",
        "customer_id": "77",
        "user_id": "10",
    }


def test_one_asked_for_with_no_status_has_no_code() -> None:
    _, rows = told_of([OWN, replace(CLEAR, callback_ms=LATER_MS)])
    assert (rows[-1].code, rows[-1].callback_ms) == (NOT_COUNTED, LATER_MS)
    assert "code" not in msgspec.json.decode(rows[-1].body)
