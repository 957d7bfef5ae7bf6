"""The routes: who the agent is, what is asked, and the verdict as a status code."""

from typing import Final

from aiohttp import web

from services.gateway.admission import Asked
from services.gateway.bodies import idempotency_key
from services.gateway.desk import CallView, Desk
from services.gateway.dialects.exchange import RETRY_SAFE, read_object
from services.gateway.dialects.genesys import answers
from services.gateway.dialects.genesys.answers import StatusCode, Stop, failed, succeeded
from services.gateway.dialects.genesys.asker import Asker, admit, base_url_of
from services.gateway.dialects.genesys.notifications import get_messages, post_messages
from services.gateway.dialects.genesys.operation import read_operation
from services.gateway.dialects.genesys.resources import call_resource, user_resource
from services.gateway.dialects.genesys.shapes import (
    REFUSED,
    BayeuxMessages,
    BayeuxReply,
    GenesysCalls,
    GenesysDone,
    GenesysMe,
    GenesysOperation,
    GenesysVersion,
)
from services.gateway.route import (
    AWAY,
    OF_A_BODY,
    OFTEN,
    UNDECIDED,
    Body,
    Handler,
    Parameter,
    Route,
)
from shared.contracts import limits
from shared.contracts.calls import Phase
from shared.contracts.dispositions import Outcome, Policy
from shared.contracts.errors import Refused

NAME: Final = "genesys"

# The release of Web Services whose pages this follows; clients read it to know what to expect.
API_VERSION: Final = "8.5.200.50"

# Corrected in wrap-up, and told to reporting there: in their sense the call is released by then.
POLICY: Final = Policy(correct=True, late=True, tell_in_wrap_up=True)

# In this order: a call that moves on while we look is then seen twice, never missed.
_SHOWN: Final = (Phase.RINGING, Phase.ACTIVE, Phase.WRAP_UP)


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
    asker = await admit(request, desk)
    return succeeded(user=user_resource(asker.agent, base_url_of(request)))


async def show_my_calls(request: web.Request, desk: Desk) -> web.Response:
    """`GET /api/v2/me/calls`: those the agent still has something to do with, newest first."""
    asker, now_ms = await admit(request, desk), desk.clock.now_ms()
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


async def _set_disposition(
    request: web.Request, desk: Desk, call_in_path: str | None
) -> web.Response:
    asker = await admit(request, desk)
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


_AGENT: Final = {401: "not authenticated"}
_SET: Final = {
    200: Body("done", GenesysDone),
    **REFUSED(
        {
            **OF_A_BODY,
            **_AGENT,
            **UNDECIDED,
            400: "a parameter is missing or bad, or the call's state does not allow it",
            403: "the agent may not",
            404: "no such call of this agent",
            504: "not decided in time: ask again",
        }
    ),
}
_TAKEN: Final = {
    **_AGENT,
    400: "no Bayeux messages",
    403: "a browser asks for a page of another site",
}
_MESSAGES: Final = (
    Parameter("message", "callback-polling: Bayeux messages as JSON"),
    Parameter("jsonp", "callback-polling: the function to call, `jsonpcallback` by default"),
)


def _notifications(path: str, name: str) -> tuple[Route, ...]:
    """The transports at one path; clients append the kind of a message to the one they know."""
    below = {404: "no kind of a message"} if "{" in path else {}
    return (
        Route(
            method="POST",
            path=path,
            handler=_told(post_messages),
            operation_id=f"genesysPost{name}",
            summary="CometD by long-polling",
            tag=NAME,
            security="genesys",
            request=BayeuxMessages,
            responses={
                200: Body("an array of Bayeux messages", BayeuxReply, many=True),
                **REFUSED({**OF_A_BODY, **_TAKEN, **below}),
            },
            body_bytes_max=limits.BAYEUX_BODY_BYTES_MAX,
        ),
        Route(
            method="GET",
            path=path,
            handler=_told(get_messages),
            operation_id=f"genesysGet{name}",
            summary="CometD by websocket, or by callback-polling",
            tag=NAME,
            security="genesys",
            parameters=_MESSAGES,
            responses={
                101: Body("a websocket, whose frames are arrays of messages", media_type=None),
                200: Body("a script that calls the function", media_type="text/javascript"),
                **REFUSED({**_TAKEN, **below, 429: "too many websockets"}),
            },
        ),
    )


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
            request=GenesysOperation,
            parameters=(RETRY_SAFE,),
            responses=_SET,
        ),
        Route(
            method="POST",
            path="/api/v2/me/devices/{id}",
            handler=_told(operate_on_device),
            operation_id="genesysSetCallDispositionOnDevice",
            summary="SetCallDisposition of the call that the body names",
            tag=NAME,
            security="genesys",
            request=GenesysOperation,
            parameters=(RETRY_SAFE,),
            responses=_SET,
        ),
        Route(
            method="GET",
            path="/api/v2/me",
            handler=_told(show_me),
            operation_id="genesysMe",
            summary="The agent who asks",
            tag=NAME,
            security="genesys",
            responses={200: Body("the user", GenesysMe), **REFUSED({**_AGENT, **OFTEN})},
        ),
        Route(
            method="GET",
            path="/api/v2/me/calls",
            handler=_told(show_my_calls),
            operation_id="genesysMyCalls",
            summary="The agent's calls, until their wrap-up is over",
            tag=NAME,
            security="genesys",
            responses={
                200: Body("the calls", GenesysCalls),
                **REFUSED({**_AGENT, **OFTEN, **AWAY}),
            },
        ),
        Route(
            method="GET",
            path="/api/v2/diagnostics/version",
            handler=show_version,
            operation_id="genesysVersion",
            summary="The release of Web Services that is spoken here",
            tag=NAME,
            responses={200: Body("the version", GenesysVersion)},
        ),
        *_notifications("/api/v2/notifications", "Notifications"),
        *_notifications("/api/v2/notifications/", "NotificationsBelow"),
        *_notifications("/api/v2/notifications/{type}", "NotificationsOfType"),
    )

    def error(self, status: int, message: str) -> web.Response:
        """See `Dialect`."""
        return answers.of_http(status, message)
