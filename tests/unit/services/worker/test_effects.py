"""What follows from a disposition: in which order, to whom, how often, and what it never says."""

import msgspec
import pytest
from msgspec.structs import replace

from shared.contracts import limits
from shared.contracts.calls import WrapUpMode, WrapUpRules
from shared.contracts.dispositions import DispositionTold, Origin, Outcome, Policy, SwitchCommand
from shared.contracts.errors import WriteConflict
from tests.unit.services.worker.field import (
    NOW_AT,
    NOW_MS,
    TIMEOUT,
    a_call,
    a_request,
    ask,
    data,
    final,
    of,
    part,
    see,
    told,
)

TALKING = a_call(part("ann", "active"))
WRAPPING_UP = a_call(part("ann", "wrap_up"), version=2)
OF_A_CUSTOMER = replace(WRAPPING_UP, customer_id="77")
RELEASED = a_call(part("ann", "released"), version=3)
EVERYTHING = a_request(
    "Callback",
    comment="call me at +49 30 98765",
    callback_ms=NOW_MS + 3_600_000,
    pause_after=True,
    pause_reason="Lunch",
    release_after=True,
    policy=Policy(tell_in_wrap_up=True),
)


def test_a_save_in_wrap_up_causes_everything_in_order() -> None:
    decision, _ = ask(None, OF_A_CUSTOMER, EVERYTHING)

    assert [(effect.topic, effect.type) for effect in decision.effects] == [
        ("disposition.events", "disposition.saved"),
        ("disposition.events", "callback.scheduled"),
        ("user.events", "EventUserEvent"),
        ("switch.commands", "agent.pause"),
        ("switch.commands", "agent.release"),
        ("telephony.events", "call.released"),
        ("disposition.requests", "status.requested"),
    ]
    saved, callback, user_event, pause, release, released, status = map(data, decision.effects)
    assert saved == DispositionTold(
        tenant="demo",
        call_id="call-1",
        agent_id="ann",
        rule="saved",
        decided_at=NOW_AT,
        call_version=2,
        code="Callback",
        key="DispositionCode",
        origin=Origin.WRAP_UP,
        outcome=Outcome.SAVED,
        request_id="req-1",
        revision=1,
        callback_at="2026-11-21T15:06:40.000Z",
        customer_id="77",
    )
    assert callback.callback_at == "2026-11-21T15:06:40.000Z"
    assert user_event.user_data == {"DispositionCode": "Callback"}
    assert pause == SwitchCommand(
        tenant="demo",
        call_id="call-1",
        agent_id="ann",
        decided_at=NOW_AT,
        reason="Lunch",
        request_id="req-1",
    )
    assert (release.agent_id, released.agent_id) == ("ann", "ann")
    assert released.segment == 1
    assert (status.subject, status.status, status.origin.call_id) == (
        "customer:77",
        "Callback",
        "call-1",
    )


def test_what_was_queued_causes_the_same_at_the_end_but_no_user_event() -> None:
    queued, _ = ask(None, TALKING, EVERYTHING)
    assert told(queued.effects) == ["disposition.queued", "call.attach_data"]
    assert data(queued.effects[1]).user_data == {"DispositionCode": "Callback"}

    left = see(queued.state, WRAPPING_UP)

    assert told(left.effects) == [
        "disposition.saved",
        "callback.scheduled",
        "agent.pause",
        "agent.release",
        "call.released",
    ]
    assert data(left.effects[0]).request_id == "req-1"
    assert final(left.state).origin is Origin.QUEUE
    assert final(left.state).comment == "call me at +49 30 98765"


def test_there_is_no_wrap_up_to_end_once_the_agent_is_released() -> None:
    queued, _ = ask(None, TALKING, a_request(release_after=True))

    assert told(see(queued.state, RELEASED).effects) == ["disposition.saved", "agent.release"]


def test_a_wrap_up_is_ended_once_however_often_it_is_asked() -> None:
    first, _ = ask(None, WRAPPING_UP, a_request(release_after=True))
    second, _ = ask(first.state, WRAPPING_UP, a_request(release_after=True, number=2))
    assert told(first.effects)[-1] == "call.released"
    assert told(second.effects) == ["disposition.corrected", "agent.release"]

    next_wrap_up = a_call(part("ann", "wrap_up", segment=2), version=3)
    third, _ = ask(second.state, next_wrap_up, a_request(release_after=True, number=3))

    assert told(third.effects)[-1] == "call.released"


def test_a_save_ends_a_wrap_up_that_is_overdue_once() -> None:
    overdue = a_call(part("ann", "wrap_up", overdue=True), version=3)

    saved, _ = ask(None, overdue, a_request())

    assert told(saved.effects) == ["disposition.saved", "call.released"]
    assert see(saved.state, overdue).effects == ()


def test_what_was_queued_ends_a_wrap_up_found_overdue() -> None:
    queued, _ = ask(None, TALKING, a_request())

    found = see(queued.state, a_call(part("ann", "wrap_up", overdue=True), version=5))

    assert told(found.effects) == ["disposition.saved", "call.released"]


def test_a_disposition_saved_in_time_lets_a_mandatory_wrap_up_end_at_its_deadline() -> None:
    saved, _ = ask(None, WRAPPING_UP, a_request())
    overdue = a_call(part("ann", "wrap_up", overdue=True), version=3)

    run_over = see(saved.state, overdue)

    assert told(run_over.effects) == ["call.released"]
    assert see(run_over.state, overdue).state is run_over.state


def test_a_correction_tells_what_it_replaces_and_keeps_the_first() -> None:
    first, _ = ask(None, WRAPPING_UP, a_request("Sale", number=1))
    second, verdict = ask(first.state, WRAPPING_UP, a_request("Referred", number=2), NOW_MS + 5)

    assert verdict.previous is not None
    assert (verdict.previous.code, verdict.previous.origin) == ("Sale", Origin.WRAP_UP)
    assert data(second.effects[0]).previous == verdict.previous
    assert data(second.effects[0]).revision == 2
    assert [earlier.code for earlier in of(second.state).earlier] == ["Sale"]


def test_a_late_disposition_is_told_to_reporting_alone() -> None:
    saved, _ = ask(None, WRAPPING_UP, a_request("Sale", number=1))

    late, verdict = ask(
        saved.state, RELEASED, a_request("Callback", number=2, pause_after=True, release_after=True)
    )

    assert told(late.effects) == ["EventUserEvent"]
    user_event = data(late.effects[0])
    assert user_event.user_data == {"DispositionCode": "Callback"}
    assert (user_event.origin, user_event.revision) == (Origin.LATE, 2)
    assert user_event.previous == verdict.previous
    assert verdict.previous is not None
    assert verdict.previous.code == "Sale"


def test_a_queued_one_tells_what_is_final_so_far() -> None:
    saved, _ = ask(None, WRAPPING_UP, a_request("Sale", number=1))
    back = a_call(part("ann", "active", segment=2), version=3)

    queued, verdict = ask(saved.state, back, a_request("Referred", number=2))

    assert verdict.previous is not None
    assert verdict.previous.code == "Sale"
    assert data(queued.effects[0]).previous == verdict.previous
    again, verdict = ask(queued.state, back, a_request("Callback", number=3))
    assert verdict.rule == "queue_replaced"
    assert verdict.previous is not None
    assert verdict.previous.code == "Sale"
    assert data(again.effects[0]).rule == "queue_replaced"


def test_who_is_rung_at_and_then_joins_has_not_left() -> None:
    ringing = a_call(part("ann", "ringing", segment=0, handled=False))
    queued, _ = ask(None, ringing, a_request())

    joined = see(queued.state, a_call(part("ann", "active", segment=1), version=2))

    assert joined.effects == ()


def test_who_has_left_and_come_back_unseen_is_disposed_for_the_first_time() -> None:
    queued, _ = ask(None, TALKING, a_request("Sale", number=1))
    back = a_call(part("ann", "active", segment=2), version=4)

    again, verdict = ask(queued.state, back, a_request("Referred", number=2))

    assert told(again.effects) == ["disposition.saved", "disposition.queued", "call.attach_data"]
    assert verdict.rule == "queued"
    assert verdict.previous is not None
    assert verdict.previous.code == "Sale"


def test_the_timeout_code_is_saved_under_the_tenants_key() -> None:
    ended = see(None, a_call(part("ann", "released"), wrap_up=TIMEOUT))

    disposition = final(ended.state)
    assert (disposition.code, disposition.key) == ("NoCode", "Key")
    assert (disposition.origin, disposition.revision) == (Origin.TIMEOUT, 1)
    assert disposition.request_id is None
    assert data(ended.effects[0]).request_id is None


def test_without_its_mode_a_timeout_code_is_not_saved() -> None:
    rules = WrapUpRules(mode=WrapUpMode.MANDATORY, timeout_code="NoCode")

    assert told(see(None, a_call(part("ann", "released"), wrap_up=rules)).effects) == [
        "disposition.missed"
    ]


def test_nothing_personal_is_told() -> None:
    queued, _ = ask(None, TALKING, EVERYTHING)
    effects = [*queued.effects, *see(queued.state, WRAPPING_UP).effects]
    effects += ask(None, OF_A_CUSTOMER, EVERYTHING)[0].effects
    effects += ask(None, RELEASED, EVERYTHING)[0].effects
    effects += ask(None, None, EVERYTHING)[0].effects

    published = b"".join(msgspec.json.encode(effect.data) for effect in effects)

    assert b"4930" not in published
    assert b"98765" not in published
    assert b"comment" not in published


@pytest.mark.parametrize(
    ("corrections", "kept"),
    [
        (limits.CORRECTIONS_KEPT_MAX, list(range(32))),
        (limits.CORRECTIONS_KEPT_MAX + 1, [0, *range(2, 33)]),
        (limits.CORRECTIONS_KEPT_MAX + 2, [0, *range(3, 34)]),
    ],
)
def test_of_too_many_corrections_the_first_and_the_newest_are_kept(
    corrections: int, kept: list[int]
) -> None:
    state = None
    for number in range(corrections + 1):
        decision, _ = ask(state, WRAPPING_UP, a_request(f"code-{number}", number=number))
        state = decision.state

    assert [earlier.code for earlier in of(state).earlier] == [f"code-{n}" for n in kept]
    assert final(state).revision == corrections + 1


def test_a_call_read_older_than_before_means_that_another_has_written() -> None:
    saved, _ = ask(None, WRAPPING_UP, a_request())

    with pytest.raises(WriteConflict, match="older version"):
        see(saved.state, TALKING)
