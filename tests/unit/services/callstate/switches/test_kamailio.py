"""What Kamailio says, and what we make of it: live messages, live dialogs, and their ids."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.callstate.switches.kamailio import (
    CALL_ID_CHARS_MAX,
    Party,
    Switch,
    gone,
    is_end,
    live_dialogs,
    recover,
    translate,
)
from shared.contracts import limits
from shared.contracts.envelope import Event
from shared.contracts.errors import Poison
from shared.contracts.ids import is_id
from shared.contracts.telephony import CallDisconnected, decode_data

KAM = Switch(tenant="demo")
CALL = "kam:1-77:127.0.0.1"
TS, TS_MS = "1795271922.965103", 1795271922965


def message(event: str, **fields: Any) -> bytes:
    about = {"callid": "1-77@127.0.0.1", "ts": TS, "agent": "agent-7", "direction": "inbound"}
    return json.dumps({**about, "event": event, **fields}).encode()


def told(events: tuple[Event, ...]) -> list[tuple[str, str, dict[str, Any]]]:
    for event in events:
        assert is_id(event.id), "an event's id is as strict as any other"
        decode_data(event.type, event.data)
        assert (event.source, event.tenant) == ("/switches/kam", "demo")
    return [(e.id.removeprefix(f"{e.subject}:"), e.type, json.loads(e.data)) for e in events]


STARTED = {
    "direction": "inbound",
    "from": "+49301234",
    "to": "agent-7",
    "did": "800",
    "agent_id": "agent-7",
    "user_data": {"sip_call_id": "1-77@127.0.0.1"},
}
AGENT = {"agent_id": "agent-7"}


@pytest.mark.parametrize(
    ("event", "fields", "expected"),
    [
        (
            "invite",
            {"from": "+49301234", "to": "agent-7", "did": "800"},
            [("started", "call.started", STARTED)],
        ),
        ("ringing", {}, []),
        (
            "established",
            {},
            [
                ("answered", "call.answered", AGENT),
                ("agent_joined", "call.agent_joined", AGENT),
            ],
        ),
        ("established", {"agent": "Anna Müller"}, [("answered", "call.answered", {})]),
        ("hold", {"leg": "caller", "cseq": "2"}, [("held:caller-2", "call.held", {})]),
        ("hold", {"leg": "callee", "cseq": "2"}, [("held:callee-2", "call.held", AGENT)]),
        (
            "retrieve",
            {"leg": "callee", "cseq": "3"},
            [("retrieved:callee-3", "call.retrieved", AGENT)],
        ),
        (
            "hold",
            {"leg": "caller", "cseq": "2", "direction": "outbound"},
            [("held:caller-2", "call.held", AGENT)],
        ),
    ],
)
def test_what_happens_on_a_call(
    event: str, fields: dict[str, str], expected: list[tuple[str, str, dict[str, Any]]]
) -> None:
    events = translate(message(event, **fields), KAM)
    assert told(events) == expected
    assert {(e.subject, e.time_ms) for e in events} <= {(CALL, TS_MS)}


@pytest.mark.parametrize(
    ("event", "fields", "by", "cause"),
    [
        ("released", {"leg": "caller"}, "caller", "hangup"),
        ("released", {"leg": "callee"}, "agent", "hangup"),
        ("released", {"leg": "caller", "direction": "outbound"}, "agent", "hangup"),
        ("released", {"leg": "callee", "direction": "outbound"}, "caller", "hangup"),
        ("released", {}, "system", "timeout"),
        ("failed", {"status": "486"}, "agent", "busy"),
        ("failed", {"status": "486", "direction": "outbound"}, "caller", "busy"),
        ("failed", {"status": "600"}, "agent", "busy"),
        ("failed", {"status": "603"}, "agent", "declined"),
        ("failed", {"status": "487"}, "caller", "cancelled"),
        ("failed", {"status": "480"}, "system", "no_answer"),
        ("failed", {"status": "408"}, "system", "no_answer"),
        ("failed", {}, "system", "no_answer"),
        ("failed", {"status": "503"}, "system", "sip 503"),
    ],
)
def test_who_ended_the_call_and_why(
    event: str, fields: dict[str, str], by: Party, cause: str
) -> None:
    (end,) = translate(message(event, **fields), KAM)
    assert end.id == f"{CALL}:disconnected"
    assert decode_data(end.type, end.data) == CallDisconnected(by=by, cause=cause)
    assert is_end(end)


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"{",
        b"[]",
        b"\xff",
        b"[" * 100_000,
        b'{"event":"invite","callid":"1@h"}',
        b'{"event":"invite","ts":"1.000000"}',
        message("invite", callid=""),
        message("invite", callid=7),
        message("invite", ts="1795271922"),
        message("invite", ts="tomorrow"),
        message("invite", ts="\u0661.000000"),
        message("invite", direction="sideways"),
        message("released", leg="both"),
        message("hold", cseq="2"),
        message("hold", leg="caller"),
        message("hold", leg="caller", cseq="\u0662"),
        message("hold", leg="caller", cseq="12345678901"),
    ],
)
def test_what_cannot_be_understood_is_poison(broken: bytes) -> None:
    with pytest.raises(Poison) as poison:
        translate(broken, KAM)
    assert poison.value.reason == "bad_message"


def test_an_event_nobody_knows_is_poison() -> None:
    with pytest.raises(Poison) as poison:
        translate(message("teleported"), KAM)
    assert poison.value.reason == "unknown_event"


def test_what_a_stranger_wrote_is_cut_to_what_can_be_stored() -> None:
    (event,) = translate(
        message("invite", **{"from": "a\x00b\n\u202ec" + "x" * 300, "agent": 'x"; drop'}), KAM
    )
    data = json.loads(event.data)
    assert data["from"].startswith("abcx")
    assert len(data["from"]) == limits.TEXT_CHARS_MAX
    assert "agent_id" not in data


def test_a_year_beyond_the_calendar_is_the_last_one_there_is() -> None:
    (event,) = translate(message("released", ts="999999999999.000000"), KAM)
    assert event.time_ms == 253_402_300_799_999


@pytest.mark.parametrize(
    ("sip_call_id", "call_id"),
    [
        ("1-2345@127.0.0.1", "kam:1-2345:127.0.0.1"),
        ("a84b4c76e66710", "kam:a84b4c76e66710"),
        ("{1D2F}@[2001:db8::9]", "kam::bec31f8ed129cc578b2edeca0b877a6160fc158c"),
    ],
)
def test_a_call_id_keeps_its_characters_where_it_can(sip_call_id: str, call_id: str) -> None:
    assert KAM.call_id(sip_call_id) == call_id


def test_a_call_id_keeps_its_characters_up_to_the_limit() -> None:
    longest = "x" * (CALL_ID_CHARS_MAX - len("kam:"))
    assert KAM.call_id(longest) == f"kam:{longest}"
    assert KAM.call_id(longest + "x").startswith("kam::")


CALL_IDS = st.text(alphabet=st.sampled_from("ab@:.{"), min_size=1, max_size=5) | st.text(
    min_size=1, max_size=200
)


@settings(deadline=None, max_examples=300)
@given(one=CALL_IDS, other=CALL_IDS, event=st.sampled_from(["invite", "hold", "released"]))
def test_every_call_id_has_a_strict_id_of_its_own(one: str, other: str, event: str) -> None:
    assert is_id(KAM.call_id(one))
    assert (KAM.call_id(one) == KAM.call_id(other)) == (one == other)
    line = message(event, callid=one, leg="callee", cseq="4294967295")
    assert all(is_id(e.id) for e in translate(line, KAM))


def test_two_switches_of_a_tenant_never_share_a_call() -> None:
    assert Switch(tenant="demo", name="b").call_id("1@h") == "b:1:h"


def dialog(variables: Mapping[str, str | None], state: int = 4) -> Any:
    return {
        "h_entry": 1,
        "call-id": "1-77@127.0.0.1",
        "state": state,
        "callee": {"tag": None},
        "variables": [{name: text} for name, text in variables.items()],
    }


def listed(*dialogs: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": 1, "result": dialogs}).encode()


KEPT = {"agent": "agent-7", "direction": "inbound", "from": "+49301234", "to": "agent-7"} | {
    "did": "800",
    "invited": TS,
}


def test_a_dialog_gives_the_very_events_that_were_told_live() -> None:
    kept = KEPT | {
        "answered": "1795271930.000001",
        "hold_caller": "hold 2 1795271940.000001",
        "hold_callee": "retrieve 5 1795271945.000001",
    }
    live = [
        message("invite", **{"from": "+49301234", "to": "agent-7", "did": "800"}),
        message("established", ts="1795271930.000001"),
        message("hold", leg="caller", cseq="2", ts="1795271940.000001"),
        message("retrieve", leg="callee", cseq="5", ts="1795271945.000001"),
    ]
    (found,) = live_dialogs(listed(dialog(kept)))
    assert recover(found, KAM) == tuple(e for line in live for e in translate(line, KAM))


def test_a_dialog_that_still_rings_is_started_only() -> None:
    (found,) = live_dialogs(listed(dialog(KEPT, state=2)))
    assert [name for name, _, _ in told(recover(found, KAM))] == ["started"]


@pytest.mark.parametrize("variables", [{}, {"invited": None}, {"agent": "agent-7"}])
def test_a_dialog_that_is_none_of_ours_tells_nothing(variables: dict[str, Any]) -> None:
    (found,) = live_dialogs(listed(dialog(variables)))
    assert recover(found, KAM) == ()


def test_a_dialog_without_variables_tells_nothing() -> None:
    (found,) = live_dialogs(listed({"call-id": "1@h", "state": 4}))
    assert recover(found, KAM) == ()


def test_a_dialog_that_has_ended_is_not_live_though_it_is_still_listed() -> None:
    assert live_dialogs(listed(dialog(KEPT, state=5))) == ()


@pytest.mark.parametrize("wrong", [{"direction": "up"}, {"invited": "noon"}, {"answered": "noon"}])
def test_variables_that_are_not_ours_are_poison(wrong: dict[str, str]) -> None:
    (found,) = live_dialogs(listed(dialog(KEPT | wrong)))
    with pytest.raises(Poison):
        recover(found, KAM)


@pytest.mark.parametrize(
    "answer",
    [b"", b"<html>", b'{"error":{"code":500}}', b'{"result":{}}', b'{"result":[{"state":4}]}'],
)
def test_an_answer_without_dialogs_is_poison_and_never_an_empty_list(answer: bytes) -> None:
    with pytest.raises(Poison) as poison:
        live_dialogs(answer)
    assert poison.value.reason == "bad_snapshot"


def test_a_name_in_another_encoding_does_not_hide_the_dialogs() -> None:
    answer = listed(dialog(KEPT | {"from": "M@ller"})).replace(b"M@ller", b"M\xfcller")
    assert len(live_dialogs(answer)) == 1


def test_a_call_that_is_gone_is_ended_by_the_system_under_the_id_of_its_end() -> None:
    event = gone(CALL, KAM, 1_000)
    (hung_up,) = translate(message("released", leg="caller"), KAM)
    assert (event.id, event.subject, event.time_ms) == (hung_up.id, CALL, 1_000)
    assert told((event,))[0][2]["cause"] == "resync"
    assert is_end(event)
