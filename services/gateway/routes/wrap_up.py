"""`POST /v1/calls/{call_id}/wrap-up-extension`: an agent asks for more time.

It becomes the event that a switch would tell, and callstate moves the deadline: at most to 24 h
after wrap-up began.
"""

import secrets
from collections.abc import Sequence
from typing import Any, Final

import msgspec
from aiohttp import web

from services.gateway.admission import digest
from services.gateway.bodies import answer, checked, checked_key
from services.gateway.desk import SOURCE, Desk
from services.gateway.models import ExtendedView, ExtensionBody, PendingExtensionView
from services.gateway.route import Body, Route
from services.gateway.routes.asking import IDEMPOTENCY_KEY, over_http
from services.gateway.toolbar.entering import Asker
from shared.contracts.calls import Call, EventOutcome, Phase
from shared.contracts.envelope import Event
from shared.contracts.errors import Refused
from shared.contracts.instants import to_wire_or_none
from shared.contracts.telephony import WRAP_UP_EXTENDED, WrapUpExtended
from shared.contracts.tenants import Tenant

EXTENDED: Final = "extended"
REPEATED: Final = "repeated"
_NOT_IN_WRAP_UP: Final = "not_in_wrap_up"


async def ask(
    desk: Desk, asker: Asker, call_id: str, body: Any, keys: Sequence[str]
) -> web.Response:
    """Move the deadline of one agent's wrap-up; answered once callstate has.

    Args:
        desk: the desk.
        asker: who asks.
        call_id: an id.
        body: JSON that may be an `ExtensionBody`.
        keys: the client's own idempotency key, if it has one.
    """
    tenant = asker.found.tenant
    wish = checked(ExtensionBody, body)
    asker.bound(wish.agent_id)
    event_id = _event_id(tenant, call_id, checked_key(keys))
    _refuse_strangers(await _call(desk, tenant, call_id), wish.agent_id)
    data = WrapUpExtended(agent_id=wish.agent_id, seconds=wish.seconds)
    event = Event(
        id=event_id,
        source=SOURCE,
        type=WRAP_UP_EXTENDED,
        subject=call_id,
        time_ms=desk.clock.now_ms(),
        tenant=tenant.id,
        data=msgspec.json.encode(data),
    )
    told = await desk.tell(tenant, [event], wait=True)
    if told is None:
        return answer({"outcome": "pending"}, status=202)
    call = await desk.stored(tenant, call_id)
    return answer(_extended(told[0], call, wish.agent_id))


async def _call(desk: Desk, tenant: Tenant, call_id: str) -> Call | None:
    view = await desk.call(tenant, call_id)  # what was told before has been applied
    return None if view is None else view.call


def _refuse_strangers(call: Call | None, agent_id: str) -> None:
    """An event would begin a call that nobody has told of; a typing error must not."""
    if call is None:
        raise Refused("unknown_call", "no such call")
    if call.agent(agent_id) is None:
        raise Refused("agent_not_on_call", "the agent has no part in this call")


def _event_id(tenant: Tenant, call_id: str, key: str | None) -> str:
    """An event is known by its id: under the client's own key a retry is a duplicate."""
    if key is None:
        return f"ext-{secrets.token_hex(16)}"
    return f"ext-{digest((tenant.id, call_id, key))}"


def _extended(told: EventOutcome, call: Call | None, agent_id: str) -> dict[str, Any]:
    agent = None if call is None else call.agent(agent_id)
    repeated = told.outcome == "duplicate"
    in_wrap_up = agent is not None and agent.phase is Phase.WRAP_UP
    if agent is None or told.outcome == "ignored" or (repeated and not in_wrap_up):
        raise Refused(_NOT_IN_WRAP_UP, "there is no wrap-up of this agent to extend")
    shown = {
        "outcome": REPEATED if repeated else EXTENDED,
        "call_id": told.call_id,
        "agent_id": agent_id,
        "wrap_up_ends_at": to_wire_or_none(agent.wrap_up_ends_ms) if in_wrap_up else None,
    }
    return {name: value for name, value in shown.items() if value is not None}


EXTEND: Final = Route(
    method="POST",
    path="/v1/calls/{call_id}/wrap-up-extension",
    handler=over_http(ask),
    operation_id="extendWrapUp",
    summary="More time for an agent's wrap-up, at most 24 h in all",
    scope="disposition:write",
    toolbar=True,
    request=ExtensionBody,
    parameters=(IDEMPOTENCY_KEY,),
    responses={
        200: Body("The deadline as it is now", ExtendedView),
        202: Body("In the log, and not yet known to be applied", PendingExtensionView),
    },
    refuses=(
        "unknown_call",
        "agent_not_on_call",
        "not_in_wrap_up",
        "validation",
        "too_many_requests",
        "unavailable",
    ),
)
ROUTES: Final = (EXTEND,)
