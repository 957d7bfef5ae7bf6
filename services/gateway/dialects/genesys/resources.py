"""The call and the user as Web Services shows them. Pure.

Source: docs.genesys.com, "CallResource", "UserResource", and the notification on the page
"SetCallDisposition".
"""

import re
from hashlib import blake2b
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5

from services.gateway.desk import CallView
from services.gateway.dialects.genesys.moves import HELD, STATE
from shared.contracts.calls import AgentOnCall, Call, Phase
from shared.contracts.tenants import Agent

# Only what this service carries out: a client draws its buttons from this list, and the switch,
# not we, holds and transfers.
CAPABILITIES: Final = ("SetCallDisposition",)

_e164_matches: Final = re.compile(r"\+[1-9][0-9]{1,14}").fullmatch
_not_digits: Final = re.compile(r"[^0-9]+")
_CALL_TYPE: Final = {"inbound": "Inbound", "outbound": "Outbound", None: "Unknown"}


def call_resource(view: CallView, agent_id: str, base_url: str, now_ms: int) -> dict[str, Any]:
    """The call as one of its agents sees it.

    Args:
        view: the call, and what its agents have said of it.
        agent_id: whose; the state and the disposition shown are this agent's.
        base_url: such as `http://127.0.0.1:8080`, without a slash at its end.
        now_ms: a running call has lasted until now.

    Returns:
        The resource. `duration` is a string of whole seconds; `userData` holds the agent's
        disposition under its key from the moment it is queued.
    """
    call, part = view.call, view.call.agent(agent_id)
    return {
        "id": call.id,
        "state": call_state(call, part),
        "callUuid": call.id,
        "connId": _conn_id(call),
        "deviceUri": f"{base_url}/api/v2/devices/{device_id(call.tenant, agent_id)}",
        "participants": _participants(call),
        "dnis": call.did or call.to,
        "callType": _CALL_TYPE[call.direction],
        "capabilities": list(CAPABILITIES),
        "userData": _user_data(view, agent_id),
        "duration": str(_duration_s(call, part, now_ms)),
        "mute": "Off",
        "supervisorListeningIn": False,
        "monitoredUserMuted": False,
        "monitoring": False,
        "uri": f"{base_url}/api/v2/me/calls/{call.id}",
        "path": f"/calls/{call.id}",
    }


def notification(
    kind: str, view: CallView, agent_id: str, state: str, base_url: str, now_ms: int
) -> dict[str, Any]:
    """What a listener is told of a call: `kind` has happened, and this is the call now.

    Args:
        kind: `StateChange` or `AttachedDataChanged`.
        view: may be newer than what is told of.
        agent_id: whose listener it is.
        state: as it was then, so that states come in order however new the view is.
        base_url: see `call_resource`.
        now_ms: the same.
    """
    call = view.call
    return {
        "notificationType": kind,
        "call": call_resource(view, agent_id, base_url, now_ms) | {"state": state},
        "phoneNumber": call.from_ if call.direction == "outbound" else call.did or call.to,
        "messageType": "CallStateChangeMessage",
    }


def user_resource(agent: Agent, base_url: str) -> dict[str, Any]:
    """The agent as a user."""
    first_name, _, last_name = (agent.name or "").partition(" ")
    return {
        "id": agent.agent_id,
        "userName": agent.agent_id,
        "firstName": first_name,
        "lastName": last_name,
        "roles": ["ROLE_AGENT"],
        "enabled": True,
        "uri": f"{base_url}/api/v2/users/{agent.agent_id}",
        "path": f"/users/{agent.agent_id}",
    }


def device_id(tenant_id: str, agent_id: str) -> str:
    """The agent's one device. We know of none, clients expect one: always the same UUID."""
    return str(uuid5(NAMESPACE_URL, f"urn:aftercall:device:{tenant_id}/{agent_id}"))


def call_state(call: Call, part: AgentOnCall | None) -> str:
    """`Ringing`, `Established`, `Held`, `Released` (in wrap-up) or `Completed`."""
    phase = call.phase if part is None else part.phase
    if phase is Phase.ACTIVE and (call.held or (part is not None and part.held)):
        return HELD
    return STATE[phase]


def _conn_id(call: Call) -> str:
    """Sixteen hexadecimal digits, as a connection id has; always the same for one call."""
    return blake2b(f"{call.tenant}:{call.id}".encode(), digest_size=8).hexdigest().upper()


def _participants(call: Call) -> list[dict[str, str]]:
    """The party outside; other agents have no number that we know."""
    number = call.to if call.direction == "outbound" else call.from_
    if not number:
        return []
    return [
        {
            "e164Number": number if _e164_matches(number) else "",
            "formattedPhoneNumber": number,
            "phoneNumber": number,
            "digits": _not_digits.sub("", number),
        }
    ]


def _user_data(view: CallView, agent_id: str) -> dict[str, Any]:
    """The call's data with the agent's disposition laid over it: a queued one is the newer."""
    said = view.dispositions.agent(agent_id)
    over = () if said is None else (said.disposition, said.queued)
    return view.call.user_data | {one.key: one.code for one in over if one is not None}


def _duration_s(call: Call, part: AgentOnCall | None, now_ms: int) -> int:
    joined_ms = None if part is None else part.joined_ms
    left_ms = None if part is None else part.left_ms
    began_ms = joined_ms or call.answered_ms or call.started_ms or call.created_ms
    ended_ms = left_ms or call.disconnected_ms or now_ms
    return max(0, ended_ms - began_ms) // 1000
