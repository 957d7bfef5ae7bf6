"""What a recorded call says to the rest of the product: a customer that is known, a call told.

A call that somebody else has told of, a switch perhaps, is not told again: a batch would end it.
Nobody is put on a recorded call. Its agent disposed it elsewhere, or not at all, and would be told
of as one who missed a disposition; so the agent's id stands in the call's user data.
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from services.gateway.desk import CALLS, Desk
from services.gateway.dialects.zipteams.batch import Recorded
from services.gateway.dialects.zipteams.headers import Caller
from services.gateway.status_admission import NamingAsked
from shared.contracts.calls import Call, CallDocument, Phase
from shared.contracts.envelope import Event
from shared.contracts.ids import call_key

SOURCE: Final = "/aftercall/zipteams"
MARK: Final = "ingested_by"  # in user data: this call was told here

_encode: Final = msgspec.json.Encoder().encode
_call: Final = msgspec.json.Decoder(CallDocument)


async def known_calls(caller: Caller, calls: Sequence[Recorded], desk: Desk) -> dict[str, Call]:
    """Those of the calls that are known already, by id."""
    await desk.settling.calls()
    keys = [call_key(caller.tenant.id, call.call_id) for call in calls]
    documents = await desk.store.load(CALLS, keys, outboxes=False)
    found = (_call.decode(document.state).call for document in documents.values())
    return {call.id: call for call in found}


def is_done(known: Call | None, dialect: str) -> bool:
    """Whether this very call was ingested before, and nothing is left to do."""
    return known is not None and is_own(known, dialect) and known.phase is Phase.RELEASED


def is_own(known: Call, dialect: str) -> bool:
    """Whether the call was told here."""
    return known.user_data.get(MARK) == dialect


def naming(caller: Caller, call: Recorded, dialect: str) -> NamingAsked:
    """That the call's customer is known; one call names once, however often it is sent."""
    data = {"name": call.name, "email": call.email}
    return NamingAsked(
        subject=caller.customer(call.customer_id),
        dialect=dialect,
        status=call.status,
        data={name: value for name, value in data.items() if value},
        idempotency_key=f"{SOURCE}/{call.call_id}",
    )


def events(caller: Caller, call: Recorded, dialect: str) -> list[Event]:
    """The call as it went, at its own times; nobody was on it, so its end releases it."""
    end = {"by": "system", "cause": "recorded"}
    return [
        _event(caller, call, "call.started", call.start_ms, _started(caller, call, dialect)),
        _event(caller, call, "call.answered", call.start_ms, {}),
        _event(caller, call, "call.disconnected", call.end_ms, end),
    ]


def _started(caller: Caller, call: Recorded, dialect: str) -> dict[str, Any]:
    about: dict[str, Any] = {
        MARK: dialect,
        "subtenant_id": caller.subtenant,
        "agent_id": call.agent_id,
        "recording_url": call.recording_url,
    }
    if call.custom_fields:
        about["custom_fields"] = [
            {"internal_name": name, "value": value} for name, value in call.custom_fields
        ]
    started = {"direction": "outbound", "to": call.contact_number, "user_data": about}
    if caller.is_first:
        return started | {"customer_id": call.customer_id}
    about["customer_id"] = call.customer_id  # of the call itself it would be another customer
    return started


def _event(caller: Caller, call: Recorded, kind: str, time_ms: int, data: dict[str, Any]) -> Event:
    return Event(
        id=f"{call.call_id}/{kind}",
        source=SOURCE,
        type=kind,
        subject=call.call_id,
        time_ms=time_ms,
        tenant=caller.tenant.id,
        data=_encode(data),
    )
