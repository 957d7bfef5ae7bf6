"""`POST /v1/toolbar-tokens`: a CRM's backend asks, with its key, for what its page may hold."""

from typing import Final

from aiohttp import hdrs, web

from services.gateway.bodies import answer, checked, read_json
from services.gateway.desk import Desk
from services.gateway.models import ToolbarTokenBody, ToolbarTokenView
from services.gateway.problems import Invalid
from services.gateway.route import FOUND, Body, Route
from services.gateway.toolbar.tokens import SCOPE, Claims, seal
from shared.contracts.instants import to_wire


async def give_token(request: web.Request, desk: Desk) -> web.Response:
    """Seal a token for one agent."""
    found = request[FOUND]
    body = checked(ToolbarTokenBody, await read_json(request))
    if found.tenant.agents and found.tenant.agent(body.agent_id) is None:
        raise Invalid("no such agent", [{"field": "agent_id", "detail": "no such agent"}])
    now_ms = desk.clock.now_ms()
    claims = Claims(
        tenant=found.tenant.id,
        key=found.credential.id,
        agent=body.agent_id,
        issued_ms=now_ms,
        expires_ms=now_ms + body.ttl_s * 1000,
    )
    given = {
        "token": seal(claims, found.credential),
        "agent_id": claims.agent,
        "expires_at": to_wire(claims.expires_ms),
    }
    return answer(given, headers={hdrs.CACHE_CONTROL: "no-store"})


ROUTES: Final = (
    Route(
        method="POST",
        path="/v1/toolbar-tokens",
        handler=give_token,
        operation_id="giveToolbarToken",
        summary="A short-lived token for one agent's toolbar, in place of a key in a page",
        scope=SCOPE,
        request=ToolbarTokenBody,
        responses={200: Body("The token; nothing is kept of it", ToolbarTokenView)},
        refuses=("validation",),
    ),
)
