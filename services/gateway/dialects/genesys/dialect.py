"""The routes: who the agent is, what is asked, and the verdict as a status code."""

import re
from base64 import b64decode
from dataclasses import dataclass
from typing import Final

from aiohttp import hdrs, web

from services.gateway.admission import Asked
from services.gateway.bodies import idempotency_key
from services.gateway.desk import CallView, Desk
from services.gateway.dialects.exchange import IDEMPOTENCY_KEY, read_object, secret_header
from services.gateway.dialects.genesys import answers
from services.gateway.dialects.genesys.answers import StatusCode, Stop, failed, succeeded
from services.gateway.dialects.genesys.operation import read_operation
from services.gateway.dialects.genesys.resources import call_resource, user_resource
from services.gateway.route import Body, Handler, Parameter, Route
from shared.contracts import limits
from shared.contracts.calls import Phase
from shared.contracts.dispositions import Outcome, Policy
from shared.contracts.errors import Refused
from shared.contracts.tenants import Agent, Tenant

NAME: Final = "genesys"
KIND: Final = "genesys"  # of the credentials that open this door: the agents' own

# The release of Web Services whose pages this follows; clients read it to know what to expect.
API_VERSION: Final = "8.5.200.50"

# Corrected in wrap-up, and told to reporting there: in their sense the call is released by then.
POLICY: Final = Policy(correct=True, late=True, tell_in_wrap_up=True)

# In this order: a call that moves on while we look is then seen twice, never missed.
_SHOWN: Final = (Phase.RINGING, Phase.ACTIVE, Phase.WRAP_UP)
_host_matches: Final = re.compile(
    r"[A-Za-z0-9.-]+(:\d{1,5})?|\[[0-9A-Fa-f:.]+\](:\d{1,5})?"
).fullmatch


@dataclass(frozen=True, slots=True)
class Asker:
    """The agent who asks, and the tenant that the agent's password belongs to."""

    tenant: Tenant
    agent: Agent

    @property
    def agent_id(self) -> str:
        """Of the agent."""
        return self.agent.agent_id


async def operate_on_call(request: web.Request, desk: Desk) -> web.Response:
    """`POST /api/v2/me/calls/{id}`."""
    return await _set_disposition(request, desk, request.match_info["id"])


async def operate_on_device(request: web.Request, desk: Desk) -> web.Response:
    """`POST /api/v2/me/devices/{id}`: the body alone names the call.

    An agent has one device here, and a client may know it by an id of its own: any id will do.
    """
    return await _set_disposition(request, desk, None)


async def show_me(request: web.Request, desk: Desk) -> web.Response:
    """`GET /api/v2/me`."""
    asker = authenticate(request, desk)
    return succeeded(user=user_resource(asker.agent, base_url_of(request)))


async def show_my_calls(request: web.Request, desk: Desk) -> web.Response:
    """`GET /api/v2/me/calls`: those the agent still has something to do with, newest first."""
    asker, now_ms = authenticate(request, desk), desk.clock.now_ms()
    base_url = base_url_of(request)
    return succeeded(
        calls=[
            call_resource(view, asker.agent_id, base_url, now_ms)
            for view in await _calls_of(asker, desk)
        ]
    )


async def show_version(request: web.Request, desk: Desk) -> web.Response:
    """`GET /api/v2/diagnostics/version`: asked before signing in, so open to everybody."""
    del request, desk
    return succeeded(version=API_VERSION)


def authenticate(request: web.Request, desk: Desk) -> Asker:
    """The agent behind HTTP Basic: `agent-1:password`, or `tenant/agent-1:password`.

    Raises:
        Stop: 20, whatever is wrong with it.
    """
    denied = Stop(StatusCode.NOT_AUTHENTICATED, "Access denied")
    scheme, _, sent = secret_header(request, hdrs.AUTHORIZATION).partition(b" ")
    try:
        name, colon, password = b64decode(sent.strip(), validate=True).partition(b":")
        tenant_id, slash, agent_id = name.decode().rpartition("/")
    except ValueError:
        raise denied from None
    if scheme.lower() != b"basic" or not colon:
        raise denied
    found = desk.tenants.find(KIND, password, agent_id)
    if found is None or (slash and found.tenant.id != tenant_id):
        raise denied
    agent = found.tenant.agent(agent_id)
    if agent is None:
        raise denied
    return Asker(found.tenant, agent)


def base_url_of(request: web.Request) -> str:
    """Where the client reaches us, as it says itself; no host that is not one gets into a body."""
    host = request.host if _host_matches(request.host) else "localhost"
    return f"{request.scheme}://{host}"


async def _set_disposition(
    request: web.Request, desk: Desk, call_in_path: str | None
) -> web.Response:
    asker = authenticate(request, desk)
    operation = read_operation(await read_object(request), call_in_path)
    asked = Asked(
        call_id=operation.call_id,
        agent_id=asker.agent_id,
        code=operation.code,
        key=operation.key,
        dialect=NAME,
        policy=POLICY,
        idempotency_key=idempotency_key(request),
    )
    verdict = await desk.dispose(asker.tenant, asked)
    if verdict.outcome is Outcome.PENDING:
        return failed(StatusCode.INTERNAL, "Not decided in time: ask again", 504)
    return succeeded()


async def _calls_of(asker: Asker, desk: Desk) -> list[CallView]:
    views: dict[str, CallView] = {}
    for phase in _SHOWN:
        page, _ = await desk.calls(
            asker.tenant,
            phase=phase,
            agent_id=asker.agent_id,
            cursor=None,
            limit=limits.PAGE_SIZE_MAX,
        )
        views |= {view.call.id: view for view in page if _has_part(view, asker.agent_id)}
    return sorted(views.values(), key=lambda view: view.call.created_ms, reverse=True)


def _has_part(view: CallView, agent_id: str) -> bool:
    part = view.call.agent(agent_id)
    return part is not None and part.phase is not Phase.RELEASED


def _told(handler: Handler) -> Handler:
    """The handler, its refusals said as status codes."""

    async def handle(request: web.Request, desk: Desk) -> web.StreamResponse:
        try:
            return await handler(request, desk)
        except Stop as stop:
            return stop.response()
        except Refused as refused:
            if refused.code == "validation":
                return Stop(StatusCode.BAD_VALUE, refused.detail).response()
            if refused.code not in answers.BY_REFUSAL:
                raise
            return Stop(*answers.BY_REFUSAL[refused.code]).response()

    return handle


_RETRY_SAFE: Final = (Parameter(IDEMPOTENCY_KEY, "makes a retry safe", "header"),)
_OPERATION: Final = (Body("operationName, disposition, and what the vendor's page has more"),)
_FAILURES: Final[dict[int, Body]] = {
    400: Body("a parameter is missing or bad, or the call's state does not allow it"),
    401: Body("not authenticated"),
    404: Body("no such call of this agent"),
}


class Genesys:
    """The dialect; see the package."""

    name: Final = NAME
    prefixes: Final = ("/api/v2",)
    routes: Final = (
        Route(
            method="POST",
            path="/api/v2/me/calls/{id}",
            handler=_told(operate_on_call),
            operation_id="genesysSetCallDisposition",
            summary="SetCallDisposition of the call in the path",
            tag=NAME,
            security="genesys",
            requests=_OPERATION,
            parameters=_RETRY_SAFE,
            responses={200: Body("done"), **_FAILURES},
        ),
        Route(
            method="POST",
            path="/api/v2/me/devices/{id}",
            handler=_told(operate_on_device),
            operation_id="genesysSetCallDispositionOnDevice",
            summary="SetCallDisposition of the call that the body names",
            tag=NAME,
            security="genesys",
            requests=_OPERATION,
            parameters=_RETRY_SAFE,
            responses={200: Body("done"), **_FAILURES},
        ),
        Route(
            method="GET",
            path="/api/v2/me",
            handler=_told(show_me),
            operation_id="genesysMe",
            summary="The agent who asks",
            tag=NAME,
            security="genesys",
            responses={200: Body("the user"), 401: Body("not authenticated")},
        ),
        Route(
            method="GET",
            path="/api/v2/me/calls",
            handler=_told(show_my_calls),
            operation_id="genesysMyCalls",
            summary="The agent's calls, until their wrap-up is over",
            tag=NAME,
            security="genesys",
            responses={200: Body("the calls"), 401: Body("not authenticated")},
        ),
        Route(
            method="GET",
            path="/api/v2/diagnostics/version",
            handler=show_version,
            operation_id="genesysVersion",
            summary="The release of Web Services that is spoken here",
            tag=NAME,
            responses={200: Body("the version")},
        ),
    )

    def error(self, status: int, message: str) -> web.Response:
        """See `Dialect`."""
        return answers.of_http(status, message)
