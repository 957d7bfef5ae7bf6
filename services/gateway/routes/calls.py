"""Reads of calls, of their history, and of the codes."""

from typing import Any, Final

from aiohttp import web

from services.gateway.bodies import answer
from services.gateway.call_json import call_json
from services.gateway.desk import Desk
from services.gateway.models import CallsPage, CallView, CodesView, HistoryView
from services.gateway.problems import Invalid
from services.gateway.queries import AGENT, CURSOR, LIMIT, Query, bad_cursor
from services.gateway.route import FOUND, JSON, Body, Parameter, Route
from services.gateway.toolbar.entering import agent_of, asker_of
from shared.contracts.calls import Phase
from shared.contracts.errors import Refused
from shared.contracts.tenants import Code

PHASES: Final = [phase.value for phase in Phase]
PHASE: Final = Parameter("phase", "only calls in it", schema={"type": "string", "enum": PHASES})
_FILTERS: Final = (PHASE, AGENT, CURSOR, LIMIT)


async def list_calls(request: web.Request, desk: Desk) -> web.Response:
    """One page of calls, newest first."""
    query = Query(request, *_FILTERS)
    phase, limit = query.text("phase"), query.limit()
    agent_id = asker_of(request).bound(query.id("agent_id"))
    if phase is not None and phase not in PHASES:
        raise Invalid(f"phase: one of {PHASES}", [{"field": "phase", "detail": "not a phase"}])
    cursor = query.cursor()
    tenant = request[FOUND].tenant
    try:
        views, following = await desk.calls(
            tenant, phase=phase, agent_id=agent_id, cursor=cursor, limit=limit
        )
    except ValueError:
        raise bad_cursor() from None
    page: dict[str, Any] = {"calls": [call_json(view, agent_of(request)) for view in views]}
    if following is not None:
        page["next"] = following
    return answer(page)


async def show_call(request: web.Request, desk: Desk) -> web.Response:
    """One call."""
    Query(request)
    view = await desk.call(request[FOUND].tenant, request.match_info["call_id"])
    agent_id = agent_of(request)
    if view is None or (agent_id is not None and view.call.agent(agent_id) is None):
        raise Refused("unknown_call", "no such call")
    return answer(call_json(view, agent_id))


async def show_history(request: web.Request, desk: Desk) -> web.Response:
    """Everything that happened to a call; refused requests of a call nobody knows, too."""
    Query(request)
    tenant, call_id = request[FOUND].tenant, request.match_info["call_id"]
    await desk.settling.history()
    entries = await desk.history.entries(tenant.id, call_id)
    if not entries and await desk.stored(tenant, call_id) is None:
        raise Refused("unknown_call", "no such call")
    # The entries are stored as the API shows them: they are not parsed on the way.
    body = b'{"entries":[' + b",".join(entries) + b"]}"
    return web.Response(body=body, content_type=JSON)


async def list_codes(request: web.Request, _: Desk) -> web.Response:
    """The tenant's codes as a tree."""
    Query(request)
    return answer({"codes": [_code(code) for code in request[FOUND].tenant.codes]})


def _code(code: Code) -> dict[str, Any]:
    shown: dict[str, Any] = {"code": code.code}
    if code.id is not None:
        shown["id"] = code.id
    if code.label is not None:
        shown["label"] = code.label
    if code.children:
        shown["children"] = [_code(child) for child in code.children]
    else:
        shown["needs_callback"] = code.needs_callback
    return shown


ROUTES: Final = (
    Route(
        method="GET",
        path="/v1/calls",
        handler=list_calls,
        operation_id="listCalls",
        summary="Calls, newest first",
        scope="read",
        toolbar=True,
        parameters=_FILTERS,
        responses={200: Body("One page", CallsPage)},
        refuses=("validation", "unavailable"),
    ),
    Route(
        method="GET",
        path="/v1/calls/{call_id}",
        handler=show_call,
        operation_id="showCall",
        summary="One call, its agents and their dispositions",
        scope="read",
        toolbar=True,
        responses={200: Body("The call", CallView)},
        refuses=("unknown_call", "validation", "unavailable"),
    ),
    Route(
        method="GET",
        path="/v1/calls/{call_id}/history",
        handler=show_history,
        operation_id="showCallHistory",
        summary="Everything that happened to a call, each with the rule that decided it",
        scope="read",
        responses={200: Body("The entries, in order", HistoryView)},
        refuses=("unknown_call", "validation", "unavailable"),
    ),
    Route(
        method="GET",
        path="/v1/codes",
        handler=list_codes,
        operation_id="listCodes",
        summary="The disposition codes",
        scope="read",
        toolbar=True,
        responses={200: Body("The tree of codes", CodesView)},
        refuses=("validation",),
    ),
)
