"""The call resource: keys and types of the page, whatever state the call is in."""

from typing import Any

import pytest

from services.gateway.desk import CallView
from services.gateway.dialects.genesys.resources import (
    call_resource,
    call_state,
    device_id,
    user_resource,
)
from shared.contracts.calls import AgentOnCall, Call, Phase
from shared.contracts.dispositions import (
    AgentDispositions,
    Disposition,
    DispositionsDocument,
    Origin,
    Queued,
)
from shared.contracts.tenants import Agent

AGAIN = Queued(code="Interested", key="Code", request_id="r", queued_ms=2)
BASE = "http://127.0.0.1:8080"
NOW = 1_000_000
QUEUED = Queued(code="Referred", key="DispositionCode", request_id="r", queued_ms=1)
SAVED = Disposition(code="Sale", key="Code", origin=Origin.WRAP_UP, decided_ms=1, revision=1)


def part(phase: Phase = Phase.ACTIVE, **more: Any) -> AgentOnCall:
    return AgentOnCall(agent_id="agent-1", phase=phase, **more)


def call(*parts: AgentOnCall, **more: Any) -> Call:
    given: dict[str, Any] = {"phase": Phase.ACTIVE, "direction": "inbound", "from_": "+4930123"}
    return Call(
        tenant="demo", id="c-1", version=3, created_ms=700_000, agents=parts, **given | more
    )


def shown(of: Call, *said: AgentDispositions) -> dict[str, Any]:
    return call_resource(CallView(of, DispositionsDocument(said)), "agent-1", BASE, NOW)


def test_an_established_call() -> None:
    resource = shown(
        call(part(joined_ms=738_000), did="15000", user_data={"Tier": "gold"}),
        AgentDispositions(agent_id="agent-1", queued=QUEUED),
    )
    assert resource == {
        "id": "c-1",
        "state": "Established",
        "callUuid": "c-1",
        "connId": resource["connId"],
        "deviceUri": f"{BASE}/api/v2/devices/{device_id('demo', 'agent-1')}",
        "participants": [
            {
                "e164Number": "+4930123",
                "formattedPhoneNumber": "+4930123",
                "phoneNumber": "+4930123",
                "digits": "4930123",
            }
        ],
        "dnis": "15000",
        "callType": "Inbound",
        "capabilities": ["SetCallDisposition"],
        "userData": {"Tier": "gold", "DispositionCode": "Referred"},
        "duration": "262",
        "mute": "Off",
        "supervisorListeningIn": False,
        "monitoredUserMuted": False,
        "monitoring": False,
        "uri": f"{BASE}/api/v2/me/calls/c-1",
        "path": "/calls/c-1",
    }
    assert len(resource["connId"]) == 16
    assert int(resource["connId"], 16)


@pytest.mark.parametrize(
    ("of", "state"),
    [
        (call(part(Phase.RINGING), phase=Phase.RINGING), "Ringing"),
        (call(part()), "Established"),
        (call(part(held=True)), "Held"),
        (call(part(), held=True), "Held"),
        (call(part(Phase.WRAP_UP), held=True), "Released"),
        (call(part(Phase.RELEASED), phase=Phase.WRAP_UP), "Completed"),
        (call(phase=Phase.RINGING), "Ringing"),
    ],
)
def test_the_state_is_the_agent_s_own(of: Call, state: str) -> None:
    assert call_state(of, of.agent("agent-1")) == state


@pytest.mark.parametrize(
    ("said", "user_data"),
    [
        ((), {"Code": "old"}),
        ((AgentDispositions(agent_id="agent-2", queued=QUEUED),), {"Code": "old"}),
        ((AgentDispositions(agent_id="agent-1", disposition=SAVED),), {"Code": "Sale"}),
        (
            (AgentDispositions(agent_id="agent-1", disposition=SAVED, queued=QUEUED),),
            {"Code": "Sale", "DispositionCode": "Referred"},
        ),
        (
            (AgentDispositions(agent_id="agent-1", disposition=SAVED, queued=AGAIN),),
            {"Code": "Interested"},
        ),
    ],
)
def test_user_data_shows_the_agent_s_own_disposition(
    said: tuple[AgentDispositions, ...], user_data: dict[str, str]
) -> None:
    of = call(part(), user_data={"Code": "old"})
    assert shown(of, *said)["userData"] == user_data
    assert of.user_data == {"Code": "old"}


@pytest.mark.parametrize(
    ("of", "duration"),
    [
        (call(part(joined_ms=990_000)), "10"),
        (call(part(joined_ms=990_000, left_ms=995_900)), "5"),
        (call(part(), answered_ms=980_000), "20"),
        (call(part(joined_ms=990_000), answered_ms=980_000), "10"),
        (call(part(), started_ms=970_000), "30"),
        (call(part()), "300"),
        (call(part(joined_ms=990_000), disconnected_ms=992_000), "2"),
        (call(part(joined_ms=1_005_000)), "0"),  # a switch whose clock is ahead
    ],
)
def test_duration_in_whole_seconds(of: Call, duration: str) -> None:
    assert shown(of)["duration"] == duration


@pytest.mark.parametrize(
    ("of", "number", "e164", "digits"),
    [
        (call(part(), direction="outbound", to="15001"), "15001", "", "15001"),
        (call(part(), direction="outbound", to="sip:+49@x"), "sip:+49@x", "", "49"),
        (call(part(), direction=None, from_="+1 555"), "+1 555", "", "1555"),
    ],
)
def test_the_party_outside(of: Call, number: str, e164: str, digits: str) -> None:
    (participant,) = shown(of)["participants"]
    assert participant == {
        "e164Number": e164,
        "formattedPhoneNumber": number,
        "phoneNumber": number,
        "digits": digits,
    }


def test_nobody_known_outside() -> None:
    assert shown(call(part(), from_=""))["participants"] == []


def test_ids_stay_and_differ_between_tenants() -> None:
    assert device_id("demo", "agent-1") == device_id("demo", "agent-1")
    assert device_id("demo", "agent-1") != device_id("other", "agent-1")


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [("Ada", "Ada", ""), ("Ada King Lovelace", "Ada", "King Lovelace"), (None, "", "")],
)
def test_the_user(name: str | None, first: str, last: str) -> None:
    assert user_resource(Agent(agent_id="agent-1", name=name), BASE) == {
        "id": "agent-1",
        "userName": "agent-1",
        "firstName": first,
        "lastName": last,
        "roles": ["ROLE_AGENT"],
        "enabled": True,
        "uri": f"{BASE}/api/v2/users/agent-1",
        "path": "/users/agent-1",
    }
