"""`GET /v1/stream`: the told topics as server-sent events.

Frames are written by hand: a few lines of bytes, made once for all clients. What a client has seen
is known by the client alone, as the `id` of the last event; the gateway keeps nothing of it.
Source: WHATWG HTML, section 9.2 "Server-sent events".
"""

import asyncio
import contextlib
from typing import Final

from aiohttp import hdrs, web

from services.gateway.desk import Desk
from services.gateway.problems import Invalid
from services.gateway.push.follower import Follower, follow
from services.gateway.push.hub import HUB
from services.gateway.push.position import POSITION_CHARS_MAX, Position
from services.gateway.push.queue import Closing, TooSlow
from services.gateway.push.told import dropped
from services.gateway.queries import Query
from services.gateway.route import FOUND, SHARED, STREAM, TOOLBAR, Body, Parameter, Route
from services.gateway.toolbar.entering import agent_of
from shared.contracts.errors import Refused, Unavailable
from shared.contracts.topics import TOLD

HEARTBEAT_S: Final = 15.0
LOOK_S: Final = 1.0  # a client that has left keeps its place no longer than this
WRITE_S: Final = 20.0  # a client that takes nothing for so long is gone
EVENTS_PER_WRITE_MAX: Final = 64
TOPICS: Final = Parameter(
    "topics", f"any of {', '.join(TOLD)}, separated by commas; all by default"
)
LAST_EVENT_ID: Final = Parameter(
    "Last-Event-ID", "the id of the last event received: what came after it comes first", "header"
)
SINCE: Final = Parameter("last_event_id", "the same, where a header can't be sent")
_HELLO: Final = b": following\nretry: 2000\n"
_HEADERS: Final = {
    hdrs.CONTENT_TYPE: f"{STREAM}; charset=utf-8",
    hdrs.CACHE_CONTROL: "no-store",
    "X-Accel-Buffering": "no",
}


async def stream(request: web.Request, desk: Desk) -> web.StreamResponse:
    """Send what is told until the client leaves, reads too slowly, or the gateway stops.

    It ends, too, once its key is revoked. A toolbar token is told of its agent alone, and no longer
    than it holds.

    Raises:
        Invalid: no such topic.
        Refused: `bad_request`: the position is not one of ours.
        Unavailable: too many clients, or the log does not answer.
    """
    query = Query(request, TOPICS, SINCE)
    topics, since = asked_topics(query), asked_position(request, query)
    tenant = request[FOUND].tenant.id
    try:
        follower = await follow(request.app[HUB], tenant, topics, since, agent=agent_of(request))
    except ValueError as error:
        raise Refused("bad_request", str(error)) from None
    response = web.StreamResponse(headers={**_HEADERS, **request.get(SHARED, {})})
    try:
        with contextlib.suppress(ConnectionError, TimeoutError):
            await response.prepare(request)
            await _send_all(response, follower, request, desk)
    finally:
        follower.leave()
    return response


def asked_topics(query: Query) -> frozenset[str]:
    """The topics of `?topics=a,b`; all of them without it.

    Raises:
        Invalid: one of them is no topic that clients may follow.
    """
    asked = query.text("topics")
    topics = frozenset(TOLD if asked is None else asked.split(","))
    if not topics <= frozenset(TOLD):
        detail = f"any of {', '.join(TOLD)}"
        raise Invalid(f"query parameter topics: {detail}", [{"field": "topics", "detail": detail}])
    return topics


def asked_position(request: web.Request, query: Query) -> Position | None:
    """Where to go on; the header of a client that reconnects wins over the address.

    Raises:
        Refused: `bad_request`: not a position of ours.
    """
    text = query.text("last_event_id", POSITION_CHARS_MAX)
    text = request.headers.get(LAST_EVENT_ID.name) or text
    if text is None:
        return None
    try:
        return Position.parse(text)
    except ValueError as error:
        raise Refused("bad_request", str(error)) from None


async def _send_all(
    response: web.StreamResponse,
    follower: Follower,
    request: web.Request,
    desk: Desk,
) -> None:
    """Write until it ends; the last frame says why, where the client can still hear it."""
    found = request[FOUND]
    # The id comes at once: who is cut off before the first event can resume as well.
    await _write(response, request, _HELLO + _id_line(follower))
    quiet_since = now = asyncio.get_running_loop().time()
    try:
        while request.transport is not None and _stands(request, desk):
            wait_s = min(LOOK_S, max(0.0, quiet_since + HEARTBEAT_S - now))
            told = await follower.take(events_max=EVENTS_PER_WRITE_MAX, wait_s=wait_s)
            now = asyncio.get_running_loop().time()
            if told:
                await _write(response, request, b"".join(one.frame for one in told))
            elif now - quiet_since >= HEARTBEAT_S:
                await _write(response, request, b": heartbeat\n" + _id_line(follower))
            else:
                continue
            quiet_since = now
    except TooSlow:
        now_ms = request.app[HUB].clock.now_ms()
        await _write(response, request, dropped(found.tenant.id, follower.position, now_ms))
    except Closing:
        await _write(response, request, b": closing\n\n")
    except Unavailable:
        await _write(response, request, b": the log does not answer\n\n")


def _stands(request: web.Request, desk: Desk) -> bool:
    """Whether what the request came with would still be let in."""
    claims = request.get(TOOLBAR)
    over = claims is not None and desk.clock.now_ms() >= claims.expires_ms
    return not over and desk.tenants.stands(request[FOUND])


def _id_line(follower: Follower) -> bytes:
    """An id alone: clients keep it and dispatch nothing."""
    return b"id: %b\n\n" % follower.position.text().encode()


async def _write(response: web.StreamResponse, request: web.Request, frames: bytes) -> None:
    try:
        async with asyncio.timeout(WRITE_S):
            await response.write(frames)
    except TimeoutError:
        if request.transport is not None:
            request.transport.abort()
        raise


async def end_streams(app: web.Application) -> None:
    """For `app.on_shutdown`: streams end by themselves, so that nothing waits for them."""
    app[HUB].close()


ROUTES: Final[tuple[Route, ...]] = (
    Route(
        method="GET",
        path="/v1/stream",
        handler=stream,
        operation_id="followStream",
        summary="Follow calls, dispositions, user events and switch commands as they happen",
        scope="read",
        toolbar=True,
        tag="stream",
        parameters=(TOPICS, LAST_EVENT_ID, SINCE),
        responses={
            200: Body(
                "Server-sent events: `event` is the CloudEvent's type, `id` the position, `data` "
                "the CloudEvent as JSON. A callback is told of on `disposition.events`, by "
                "`callback.scheduled`, and by `callback.due` once its time has come. `stream.gap` "
                "says that older records are no longer kept, `stream.dropped` that the client read "
                "too slowly and should resume.",
                media_type=STREAM,
            ),
        },
        refuses=("validation", "unavailable"),
    ),
)
