"""Every row of the subjects' table, what each leaves behind, and what follows from it."""

import msgspec
import pytest
from msgspec.structs import replace

from services.worker.subject_model import Beside, Place, SubjectState
from services.worker.subjects import CONFLICT, TABLE, asks_beside
from shared.contracts import limits
from shared.contracts.subjects import (
    NamingRequest,
    PreviousStatus,
    Status,
    StatusOutcome,
    StatusPolicy,
    StatusRequest,
)
from tests.unit.services.worker.field import NOW_AT, NOW_MS, data, told
from tests.unit.services.worker.subject_field import (
    FREE,
    FROM_CALL,
    HANDLED,
    NAMED,
    ask_for,
    naming,
    wish,
)

GENTLE = StatusPolicy(avoid_in_call=True)
GIVEN = ask_for(None, wish("First", number=90), NAMED)[0].state
CLEARED = ask_for(GIVEN, wish(None, number=91))[0].state
REFUSED = ask_for(None, wish("First", number=92))[0].state
CHANGED = ["status.changed"]
NO = ["disposition.refused"]
NOTHING: list[str] = []

Case = tuple[SubjectState | None, StatusRequest | NamingRequest, Beside | None, str, list[str]]

CASES: list[Case] = [
    (None, wish(), NAMED, "set", CHANGED),
    (None, wish(), HANDLED, "set", CHANGED),
    (None, wish(policy=FREE), None, "set", CHANGED),
    (None, wish(policy=GENTLE), NAMED, "set", CHANGED),
    (REFUSED, wish(), NAMED, "set", CHANGED),
    (CLEARED, wish(), Beside(), "set", CHANGED),
    (GIVEN, wish(), Beside(), "replaced", CHANGED),
    (GIVEN, wish("First"), Beside(), "replaced", CHANGED),
    (GIVEN, wish(None), Beside(), "cleared", CHANGED),
    (CLEARED, wish(None), Beside(), "nothing_to_clear", NOTHING),
    (None, wish(None), NAMED, "nothing_to_clear", NOTHING),
    (None, wish(), None, "unknown_status", NO),
    (None, wish(), Beside(), "unknown_status", NO),
    (REFUSED, wish(), Beside(), "unknown_status", NO),
    (None, wish(None), Beside(), "unknown_clear", NO),
    (None, wish(policy=GENTLE), HANDLED, "handled_status", NO),
    (GIVEN, wish(policy=GENTLE), HANDLED, "handled_status", NO),
    (GIVEN, wish(None, policy=GENTLE), HANDLED, "handled_clear", NO),
    (None, naming("Fresh"), None, "first_status", CHANGED),
    (CLEARED, naming("Fresh"), None, "first_status", CHANGED),
    (GIVEN, naming("Fresh"), None, "named", NOTHING),
    (None, naming(), None, "named", NOTHING),
]


@pytest.mark.parametrize(("state", "request_", "beside", "rule", "types"), CASES)
def test_a_request_is_decided_by_its_row(
    state: SubjectState | None,
    request_: StatusRequest | NamingRequest,
    beside: Beside | None,
    rule: str,
    types: list[str],
) -> None:
    decision, verdict = ask_for(state, request_, beside)

    row = {row.rule: row for row in TABLE}[rule]
    assert (verdict.rule, verdict.outcome, verdict.problem) == (rule, row.outcome, row.problem)
    assert told(decision.effects) == types
    assert verdict.request_id == "req-1"
    before = None if state is None else state.status
    after = decision.state
    assert after is not None
    if types == CHANGED:
        assert after.status is not None
        assert after.status.code == request_.status
        assert after.status.revision == (0 if before is None else before.revision) + 1
        assert after.known
    else:
        assert after.status == before


def test_every_row_is_tried() -> None:
    assert {rule for _, _, _, rule, _ in CASES} == {row.rule for row in TABLE}


def test_there_is_one_row_for_each_request_wherever_the_subject_stands() -> None:
    for given in ("status", "clear"):
        places = [place for row in TABLE if row.given == given for place in row.subject]
        assert sorted(places) == sorted(Place)
    places = [place for row in TABLE if row.given == "name" for place in row.subject]
    assert sorted(places) == sorted((Place.BLANK, Place.GIVEN))


@pytest.mark.parametrize(
    ("request_", "asks"),
    [
        (wish(), True),
        (wish(policy=FREE), False),
        (wish(policy=replace(FREE, avoid_in_call=True)), True),
        (naming("Fresh"), False),
    ],
)
def test_calls_are_read_only_for_who_asks_for_them(
    request_: StatusRequest | NamingRequest, asks: bool
) -> None:
    assert asks_beside(request_) is asks
    if not asks:
        answers = {ask_for(GIVEN, request_, beside)[1] for beside in (None, NAMED, HANDLED)}
        assert len(answers) == 1


def test_a_replaced_status_is_told_and_kept() -> None:
    decision, verdict = ask_for(GIVEN, wish("Second"), now_ms=NOW_MS + 5)

    first = PreviousStatus(code="First", decided_at=NOW_AT)
    assert (verdict.previous, verdict.revision) == (first, 2)
    (effect,) = decision.effects
    assert (data(effect).previous, data(effect).revision, data(effect).code) == (first, 2, "Second")
    assert decision.state is not None
    assert [status.code for status in decision.state.earlier] == ["First"]


def test_what_was_taken_away_is_nobodys_previous() -> None:
    _, verdict = ask_for(CLEARED, wish("Third"))
    assert (verdict.outcome, verdict.previous, verdict.revision) == (StatusOutcome.SET, None, 3)


def test_a_status_keeps_where_it_comes_from() -> None:
    decision, _ = ask_for(None, wish(policy=FREE, origin=FROM_CALL, dialect="call"))
    assert decision.state is not None
    assert decision.state.status == Status(
        code="Sale",
        revision=1,
        decided_ms=NOW_MS,
        request_id="req-1",
        dialect="call",
        origin=FROM_CALL,
    )
    (effect,) = decision.effects
    assert (data(effect).call_id, data(effect).agent_id) == ("call-1", "ann")
    after, verdict = ask_for(decision.state, wish("Next", number=2))
    assert verdict.previous is not None
    assert verdict.previous.call_id == "call-1"
    assert after.state is not None


def test_a_callback_is_told_by_whoever_was_asked_for_it() -> None:
    later = NOW_MS + 3_600_000
    mine, _ = ask_for(None, wish(callback_ms=later), NAMED)
    of_a_call, _ = ask_for(None, wish(callback_ms=later, origin=FROM_CALL), NAMED)

    assert told(mine.effects) == ["status.changed", "callback.scheduled"]
    assert data(mine.effects[1]).callback_at == "2026-11-21T15:06:40.000Z"
    assert told(of_a_call.effects) == ["status.changed"]
    assert of_a_call.state is not None
    assert of_a_call.state.status is not None
    assert of_a_call.state.status.callback_ms == later


def test_messages_are_sent_where_they_are_asked_for() -> None:
    sent, _ = ask_for(None, wish(subject="record:17/4711", send_messages=True), NAMED)
    assert [(effect.topic, effect.type) for effect in sent.effects] == [
        ("disposition.events", "status.changed"),
        ("switch.commands", "message.send"),
    ]
    message = data(sent.effects[1])
    assert (message.code, message.record_id, message.project_id) == ("Sale", "4711", "17")
    cleared, _ = ask_for(sent.state, wish(None, number=2, send_messages=True))
    assert told(cleared.effects) == CHANGED
    refused, _ = ask_for(None, wish(send_messages=True, callback_ms=NOW_MS))
    assert told(refused.effects) == NO


def test_nothing_personal_is_told() -> None:
    secret = "call +49 30 98765"
    effects = [
        *ask_for(GIVEN, wish(comment=secret, send_messages=True))[0].effects,
        *ask_for(None, wish(comment=secret))[0].effects,
        *ask_for(None, naming("Fresh", data={"name": secret}))[0].effects,
    ]
    assert len(effects) == 4
    assert not any(b"98765" in msgspec.json.encode(effect.data) for effect in effects)


def test_a_retry_gets_the_answer_given_and_changes_nothing() -> None:
    for state, request, beside in (
        (None, wish(), NAMED),
        (None, wish(), None),
        (GIVEN, wish(), None),
    ):
        first, verdict = ask_for(state, request, beside)
        again, answer = ask_for(first.state, request, HANDLED, NOW_MS + 1)
        assert (again.state, again.effects) == (first.state, ())
        assert again.state is first.state
        assert answer == verdict


def test_the_same_key_with_another_body_is_a_conflict_that_leaves_no_trace() -> None:
    first, _ = ask_for(None, wish(), NAMED)
    again, answer = ask_for(first.state, wish("Other", body_hash="other"), NAMED)
    assert (answer.outcome, answer.problem, answer.rule) == ("refused", CONFLICT, CONFLICT)
    assert again.state is first.state
    assert again.effects == ()


def test_times_never_go_back() -> None:
    decision, verdict = ask_for(GIVEN, wish(), now_ms=NOW_MS - 1_000)
    assert verdict.decided_at == NOW_AT
    assert decision.state is not None
    assert decision.state.decided_ms == NOW_MS


@pytest.mark.parametrize(
    ("more", "kept"),
    [(-1, [*range(1, 32)]), (0, [*range(1, 33)]), (1, [1, *range(3, 34)])],
)
def test_of_too_many_statuses_the_first_and_the_newest_are_kept(more: int, kept: list[int]) -> None:
    state: SubjectState | None = None
    for number in range(1, limits.STATUSES_KEPT_MAX + more + 2):
        state = ask_for(state, wish(policy=FREE, number=number))[0].state
    assert state is not None
    assert [status.revision for status in state.earlier] == kept


def test_verdicts_are_kept_for_a_day_and_not_without_bound() -> None:
    state: SubjectState | None = None
    for number in range(limits.VERDICTS_PER_SUBJECT_MAX + 1):
        state = ask_for(state, wish(policy=FREE, number=number))[0].state
    assert state is not None
    assert len(state.verdicts) == limits.VERDICTS_PER_SUBJECT_MAX
    assert "key-0" not in state.verdicts
    later = NOW_MS + limits.IDEMPOTENCY_KEPT_MS + 1
    aged = ask_for(state, wish(number=9_999), now_ms=later)[0].state
    assert aged is not None
    assert list(aged.verdicts) == ["key-9999"]


def test_what_is_known_of_a_subject_grows_up_to_its_limit() -> None:
    first = ask_for(None, naming(data={"name": "Green", "city": "Ulm"}))[0].state
    second = ask_for(first, naming(number=2, data={"name": "Greene"}))[0].state
    assert second is not None
    assert second.data == {"name": "Greene", "city": "Ulm"}
    size = limits.SUBJECT_DATA_BYTES_MAX - len("nameGreenecityUlmx")
    full = ask_for(second, naming(number=3, data={"x": "y" * size}))[0].state
    over = ask_for(second, naming(number=3, data={"x": "y" * (size + 1)}))[0].state
    assert full is not None
    assert over is not None
    assert len(full.data) == 3
    assert over.data == second.data
