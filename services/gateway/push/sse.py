"""`GET /v1/stream`: the told topics as server-sent events.

Frames are written by hand: a few lines of bytes, made once for all clients. What a client has seen
is known by the client alone, as the `id` of the last event; the gateway keeps nothing of it.
Source: WHATWG HTML, section 9.2 "Server-sent events".
"""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final

from aiohttp import hdrs, web

from services.gateway.desk import Desk
from services.gateway.push.follower import Follower
from services.gateway.push.hub import HUB
from services.gateway.push.listening import (
    WRITE_S,
    asked_position,
    asked_topics,
    follow_for,
    listen,
)
from services.gateway.push.position import POSITION_CHARS_MAX
from services.gateway.push.queue import Closing, TooSlow
from services.gateway.push.told import dropped
from services.gateway.queries import Query
from services.gateway.route import FOUND, SHARED, STREAM, Body, Parameter, Route
from services.gateway.toolbar.entering import asker_of
from shared.contracts.errors import Unavailable
from shared.contracts.topics import TOLD

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
    topics = asked_topics(query.text("topics"))
    # The header of a client that reconnects wins over the address.
    since = query.text("last_event_id", POSITION_CHARS_MAX)
    position = asked_position(request.headers.get(LAST_EVENT_ID.name) or since)
    asker = asker_of(request)
    follower = await follow_for(request.app[HUB], asker, topics, position)
    response = web.StreamResponse(headers={**_HEADERS, **request.get(SHARED, {})})
    try:
        with contextlib.suppress(ConnectionError, TimeoutError):
            await response.prepare(request)
            await _send_all(response, follower, request, lambda: asker.stands(desk))
    finally:
        follower.leave()
    return response


async def _send_all(
    response: web.StreamResponse,
    follower: Follower,
    request: web.Request,
    stands: Callable[[], bool],
) -> None:
    """Write until it ends; the last frame says why, where the client can still hear it."""

    def there() -> bool:
        return request.transport is not None and stands()

    # The id comes at once: who is cut off before the first event can resume as well.
    await _write(response, request, _HELLO + _id_line(follower))
    try:
        async with contextlib.aclosing(listen(follower, there)) as batches:
            async for told in batches:
                frames = b"".join(one.frame for one in told)
                await _write(response, request, frames or b": heartbeat\n" + _id_line(follower))
    except TooSlow:
        tenant, now_ms = request[FOUND].tenant, request.app[HUB].clock.now_ms()
        await _write(response, request, dropped(tenant.id, follower.position, now_ms))
    except Closing:
        await _write(response, request, b": closing\n\n")
    except Unavailable:
        await _write(response, request, b": the log does not answer\n\n")


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
