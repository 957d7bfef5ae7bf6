"""`POST /v1/calls/{call_id}/disposition`: the one write that everything else is about."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from aiohttp import web

from services.gateway.admission import Asked
from services.gateway.bodies import answer, checked, checked_key
from services.gateway.call_json import verdict_json
from services.gateway.desk import Desk
from services.gateway.models import DispositionBody, PendingView, RequestView, VerdictView
from services.gateway.queries import Query
from services.gateway.route import FOUND, Body, Route
from services.gateway.routes.asking import IDEMPOTENCY_KEY, over_http
from services.gateway.toolbar.entering import Asker, agent_of
from shared.contracts.dispositions import Outcome, Policy
from shared.contracts.errors import Refused
from shared.contracts.instants import from_wire
from shared.contracts.tenants import Tenant

DIALECT: Final = "native"


async def ask(
    desk: Desk, asker: Asker, call_id: str, body: Any, keys: Sequence[str]
) -> web.Response:
    """Ask for a disposition and wait for the verdict.

    Args:
        desk: the desk.
        asker: who asks.
        call_id: an id.
        body: JSON that may be a `DispositionBody`.
        keys: the client's own idempotency key, if it has one.
    """
    tenant = asker.found.tenant
    said = checked(DispositionBody, body)
    asker.bound(said.agent_id)
    asked = _asked(call_id, said, tenant, checked_key(keys))
    verdict = await desk.dispose(tenant, asked)
    if verdict.outcome is not Outcome.PENDING:
        return answer(verdict_json(verdict))
    return answer(
        {"request_id": verdict.request_id, "outcome": Outcome.PENDING},
        status=202,
        headers={"Location": f"/v1/requests/{verdict.request_id}"},
    )


async def show_request(request: web.Request, desk: Desk) -> web.Response:
    """The verdict of a request: the first one, for a retry changes nothing."""
    Query(request)
    tenant = request[FOUND].tenant
    request_id = request.match_info["request_id"]
    settled = await desk.settling.history()
    entries = [
        msgspec.json.decode(row) for row in await desk.history.of_request(tenant.id, request_id)
    ]
    agent_id = agent_of(request)
    if agent_id is not None and any(entry.get("agent_id") != agent_id for entry in entries):
        raise Refused("not_found", "no such request")
    for entry in entries:
        if "outcome" in entry:
            shown = {name: entry[name] for name in RequestView.model_fields if name in entry}
            return answer({**shown, "request_id": request_id})
    if not entries and settled:
        raise Refused("not_found", "no such request")
    return answer({"request_id": request_id, "outcome": Outcome.PENDING})


def _asked(call_id: str, body: DispositionBody, tenant: Tenant, key: str | None) -> Asked:
    return Asked(
        call_id=call_id,
        agent_id=body.agent_id,
        code=body.code,
        dialect=DIALECT,
        policy=Policy(correct=tenant.corrections, late=tenant.late_dispositions),
        key=body.key,
        comment=body.comment,
        callback_ms=None if body.callback_at is None else from_wire(body.callback_at.upper()),
        pause_after=body.pause_after,
        pause_reason=body.pause_reason,
        release_after=body.release_after,
        idempotency_key=key,
    )


DISPOSE: Final = Route(
    method="POST",
    path="/v1/calls/{call_id}/disposition",
    handler=over_http(ask),
    operation_id="disposeCall",
    summary="Say how a call has ended, for one agent: at any moment of the call",
    scope="disposition:write",
    toolbar=True,
    request=DispositionBody,
    parameters=(IDEMPOTENCY_KEY,),
    responses={
        200: Body("The verdict", VerdictView),
        202: Body("No verdict yet", PendingView, headers={"Location": "where the verdict will be"}),
    },
    refuses=(
        "unknown_call",
        "agent_not_on_call",
        "already_disposed",
        "validation",
        "invalid_disposition",
        "callback_required",
        "idempotency_conflict",
        "too_many_requests",
        "unavailable",
    ),
)
ROUTES: Final = (
    DISPOSE,
    Route(
        method="GET",
        path="/v1/requests/{request_id}",
        handler=show_request,
        operation_id="showRequest",
        summary="The verdict of one request",
        scope="read",
        toolbar=True,
        responses={200: Body("The verdict, or `pending`", RequestView)},
        refuses=("validation", "unavailable"),
    ),
)
