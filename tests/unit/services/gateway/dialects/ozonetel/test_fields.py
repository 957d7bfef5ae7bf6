"""The fields of a set: read in the order of the page, the first that fails answers."""

from typing import Any

import pytest

from services.gateway.dialects.ozonetel import answers
from services.gateway.dialects.ozonetel.answers import Row, Stop, fail
from services.gateway.dialects.ozonetel.fields import Wish, read_action, read_wish
from shared.contracts.instants import from_wire
from shared.contracts.tenants import Agent, Code, Tenant

TENANT = Tenant(
    id="demo",
    agents=(Agent(agent_id="agent-1"),),
    codes=(
        Code(code="Sale"),
        Code(code="Callback", needs_callback=True),
        Code(code="Folder", children=(Code(code="Inside"),)),
    ),
    time_zone="Europe/Berlin",
)
PAGE_DEFAULT = Tenant(id="demo", codes=(Code(code="Sale"),), ozonetel_pause_default=True)
GOOD = {"agentID": "agent-1", "ucid": "901", "did": "9140", "disposition": "Sale"}


def wish(tenant: Tenant = TENANT, **fields: Any) -> Wish:
    return read_wish(GOOD | fields, tenant)


def refused(tenant: Tenant = TENANT, **fields: Any) -> Row:
    with pytest.raises(Stop) as stop:
        wish(tenant, **fields)
    return stop.value.row


def test_a_plain_set() -> None:
    assert wish() == Wish(
        ucid="901",
        did="9140",
        agent_id="agent-1",
        code="Sale",
        pause_after=False,
        pause_reason=None,
        comment=None,
        callback_ms=None,
        release_after=False,
    )


def test_values_are_trimmed_and_keys_are_not_guessed() -> None:
    assert wish(ucid=" 901\n", disposition=" Sale ").ucid == "901"
    with pytest.raises(Stop) as stop:
        read_wish({**GOOD, "Ucid": "901", "ucid": None}, TENANT)
    assert stop.value.row == answers.UCID_MISSING


@pytest.mark.parametrize("given", ["get", "Get", "SET", " set "])
def test_action_without_regard_to_case(given: str) -> None:
    assert read_action({"action": given}) == given.strip().lower()


@pytest.mark.parametrize("given", [None, "", "  ", "put", 1, True, ["set"], {"set": 1}])
def test_any_other_action(given: Any) -> None:
    with pytest.raises(Stop) as stop:
        read_action({"action": given})
    assert stop.value.row == answers.ACTION_INVALID


@pytest.mark.parametrize(
    ("field", "value", "row"),
    [
        ("agentID", None, answers.AGENT_INVALID),
        ("agentID", "", answers.AGENT_INVALID),
        ("agentID", "agent-2", answers.AGENT_INVALID),
        ("agentID", "Agent-1", answers.AGENT_INVALID),
        ("agentID", 1, answers.AGENT_INVALID),
        ("agentID", {"$ne": None}, answers.AGENT_INVALID),
        ("ucid", None, answers.UCID_MISSING),
        ("ucid", 901, answers.UCID_MISSING),
        ("ucid", "", answers.UCID_EMPTY),
        ("ucid", "  ", answers.UCID_EMPTY),
        ("disposition", None, answers.DISPOSITION_MISSING),
        ("disposition", 7, answers.DISPOSITION_MISSING),
        ("disposition", "", answers.DISPOSITION_EMPTY),
        ("disposition", "sale", answers.DISPOSITION_INVALID),
        ("disposition", "Folder", answers.DISPOSITION_INVALID),
        ("pauseAfterDispose", "perhaps", fail("Invalid pauseAfterDispose")),
        ("pauseAfterDispose", 1, fail("Invalid pauseAfterDispose")),
        ("pauseAfterDispose", True, answers.PAUSE_REASON_NEEDED),
        ("comments", 5, answers.COMMENTS_INVALID),
        ("comments", "x" * 251, answers.COMMENTS_TOO_LONG),
        ("callBackTime", 5, answers.CALL_BACK_INVALID),
        ("callBackTime", "tomorrow", answers.CALL_BACK_INVALID),
        ("callBackTime", "2026-11-21T14:05", answers.CALL_BACK_INVALID),
        ("callBackTime", "2026-11-21 14:05:30", answers.CALL_BACK_INVALID),
        ("callBackTime", "2026-02-30 14:05", answers.CALL_BACK_INVALID),
        ("callBackTime", "0001-01-01 00:00", answers.CALL_BACK_INVALID),
        ("callBackTime", "٢٠٢٦-11-21 14:05", answers.CALL_BACK_INVALID),
        ("autoRelease", "yes", fail("Invalid autoRelease")),
        ("autoRelease", [], fail("Invalid autoRelease")),
    ],
)
def test_a_bad_field(field: str, value: Any, row: Row) -> None:
    assert refused(**{field: value}) == row


def test_the_first_check_that_fails_answers() -> None:
    bad: dict[str, Any] = {"agentID": "x", "ucid": "", "disposition": "", "pauseAfterDispose": True}
    assert refused(**bad) == answers.AGENT_INVALID
    assert refused(**bad | {"agentID": "agent-1"}) == answers.UCID_EMPTY
    bad |= {"agentID": "agent-1", "ucid": "901"}
    assert refused(**bad) == answers.DISPOSITION_EMPTY
    assert refused(**bad | {"disposition": "Sale"}) == answers.PAUSE_REASON_NEEDED


@pytest.mark.parametrize(
    ("switch", "reason", "pauses"),
    [
        (None, None, False),
        (None, "Lunch", True),
        ("", "Lunch", True),
        (True, "Lunch", True),
        ("true", "Lunch", True),
        (" True ", "Lunch", True),
        (False, "Lunch", False),
        ("false", None, False),
    ],
)
def test_when_it_pauses(switch: object, reason: str | None, *, pauses: bool) -> None:
    got = wish(pauseAfterDispose=switch, pauseReason=reason)
    assert (got.pause_after, got.pause_reason) == (pauses, reason if pauses else None)


def test_a_tenant_may_take_the_page_s_default_at_its_word() -> None:
    assert refused(PAGE_DEFAULT) == answers.PAUSE_REASON_NEEDED
    assert wish(PAGE_DEFAULT, pauseReason="Lunch").pause_after
    assert not wish(PAGE_DEFAULT, pauseAfterDispose="false").pause_after


def test_reasons_and_comments_at_their_limits() -> None:
    assert wish(pauseReason="x" * 256).pause_reason == "x" * 256
    assert refused(pauseReason="x" * 257) == answers.PAUSE_REASON_TOO_LONG
    assert wish(comments="é" * 250).comment == "é" * 250
    assert wish(comments="  ").comment is None


@pytest.mark.parametrize("given", [True, "true", "TRUE"])
def test_auto_release(given: Any) -> None:
    assert wish(autoRelease=given).release_after
    assert not wish(autoRelease="false").release_after
    assert not wish(autoRelease=None).release_after


@pytest.mark.parametrize(
    ("wall", "instant"),
    [
        ("2026-07-01 09:30", "2026-07-01T07:30:00Z"),  # summer time
        ("2026-12-01 09:30", "2026-12-01T08:30:00Z"),
        ("2026-10-25 02:30", "2026-10-25T00:30:00Z"),  # twice: the first
        ("2026-03-29 02:30", "2026-03-29T01:30:00Z"),  # never: an hour on
        (" 2026-12-01 09:30 ", "2026-12-01T08:30:00Z"),
    ],
)
def test_call_back_by_the_tenant_s_wall_clock(wall: str, instant: str) -> None:
    assert wish(disposition="Callback", callBackTime=wall).callback_ms == from_wire(instant)


@pytest.mark.parametrize("given", [None, "", "  "])
def test_a_code_that_needs_a_call_back_time(given: str | None) -> None:
    assert refused(disposition="Callback", callBackTime=given) == answers.CALL_BACK_NEEDED
    assert wish(callBackTime=given).callback_ms is None


@pytest.mark.parametrize(("given", "did"), [(None, ""), ("", ""), (" 91 ", "91"), (91, "91")])
def test_did(given: Any, did: str) -> None:
    assert wish(did=given).did == did
