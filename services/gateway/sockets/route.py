"""The route: what can still be refused in HTTP is, then the connection becomes a socket."""

from typing import Final

from aiohttp import hdrs, web

from services.gateway.desk import Desk
from services.gateway.edge import OBSERVE
from services.gateway.models import ProblemView
from services.gateway.problems import PROBLEMS
from services.gateway.push.hub import HUB
from services.gateway.push.upgrade import upgrade
from services.gateway.queries import Query
from services.gateway.route import CHALLENGED, LISTENED, PROBLEM, Body, Parameter, Route
from services.gateway.sockets.conversation import CLOSE_S, Conversation
from services.gateway.toolbar.entering import asker_by, shown_of
from shared.contracts.errors import Refused
from shared.contracts.limits import SOCKET_FRAME_BYTES_MAX, SOCKET_HELLO_S

PROTOCOL: Final = "aftercall.v1"
HEARTBEAT_S: Final = 20.0  # a ping; a client that answers none for half as long is gone
_PROTOCOLS: Final = Parameter(
    hdrs.SEC_WEBSOCKET_PROTOCOL, f"`{PROTOCOL}`, among others or not at all", place="header"
)


async def converse(request: web.Request, desk: Desk) -> web.WebSocketResponse:
    """Upgrade, and speak until either side closes.

    Raises:
        Invalid: there is something in the query: credentials don't belong there.
        Refused: `unauthorized`, `forbidden`: by the header, if it has one;
            `bad_request`: another subprotocol.
        HTTPBadRequest: it is no WebSocket that is asked for.
    """
    Query(request)
    if not _speaks(request):
        raise Refused("bad_request", f"the subprotocol here is {PROTOCOL}")
    shown = shown_of(request)
    if shown.authorizations:
        asker_by(shown, desk, "read", toolbar=True)
    socket = web.WebSocketResponse(
        protocols=(PROTOCOL,),
        heartbeat=HEARTBEAT_S,
        max_msg_size=SOCKET_FRAME_BYTES_MAX + 1,  # it takes what is below
        timeout=CLOSE_S,
        compress=False,
        writer_limit=0,  # each write waits for the transport, and not only one in 64 KiB
    )
    socket[LISTENED] = True
    await upgrade(socket, request)
    observe = request.app[OBSERVE]
    conversation = Conversation(socket, request, desk=desk, hub=request.app[HUB], observe=observe)
    await conversation.run()
    return socket


def _speaks(request: web.Request) -> bool:
    """Whether the client speaks ours, or does not say."""
    offered = request.headers.getall(hdrs.SEC_WEBSOCKET_PROTOCOL, ())
    return not offered or PROTOCOL in (name.strip() for name in ",".join(offered).split(","))


def _refused(*codes: str) -> Body:
    words = "; ".join(f"`{code}`: {PROBLEMS[code].title}" for code in codes)
    headers = CHALLENGED if "unauthorized" in codes else {}
    return Body(words, ProblemView, PROBLEM, headers=headers)


ROUTES: Final[tuple[Route, ...]] = (
    Route(
        method="GET",
        path="/v1/socket",
        handler=converse,
        operation_id="openSocket",
        summary="The stream, and a toolbar's requests and their answers, on one WebSocket",
        security="bearer",
        tag="stream",
        parameters=(_PROTOCOLS,),
        responses={
            101: Body(
                "A WebSocket, whose messages both ways stand in /asyncapi.json. The first is the "
                f"client's `hello`, within {SOCKET_HELLO_S} s; it has the credential where the "
                "upgrade had no `Authorization`, as of a browser.",
                media_type=None,
            ),
            400: _refused("bad_request"),
            401: _refused("unauthorized"),
            403: _refused("forbidden"),
            422: _refused("validation"),
            500: _refused("internal"),
        },
    ),
)
