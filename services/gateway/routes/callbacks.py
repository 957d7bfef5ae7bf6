"""Callbacks that stand: of each call and agent, and each subject, by what was said last."""

from typing import Final

import orjson
from aiohttp import web

from services.gateway.desk import Desk
from services.gateway.models import CallbacksPage
from services.gateway.queries import AGENT, AHEAD_FROM, AHEAD_TO, CURSOR, LIMIT, Query, bad_cursor
from services.gateway.route import FOUND, JSON, Body, Route
from services.gateway.routes.reports import CAMPAIGN, PROJECT
from shared.contracts.instants import to_wire
from shared.runtime.history import Callback

_LISTED: Final = (AHEAD_FROM, AHEAD_TO, AGENT, CAMPAIGN, PROJECT, CURSOR, LIMIT)
_NARROWED: Final = (AGENT, CAMPAIGN, PROJECT)


async def list_callbacks(request: web.Request, desk: Desk) -> web.Response:
    """One page of callbacks, the earliest first."""
    query = Query(request, *_LISTED)
    from_ms, to_ms = query.span_ahead(desk.clock.now_ms())
    asked = {parameter.name: query.id(parameter.name) for parameter in _NARROWED}
    limit, cursor = query.limit(), query.cursor()
    await desk.settling.history()
    try:
        page = await desk.history.callbacks(
            request[FOUND].tenant.id,
            from_ms=from_ms,
            to_ms=to_ms,
            only={name: value for name, value in asked.items() if value is not None},
            cursor=cursor,
            limit=limit,
        )
    except ValueError:
        raise bad_cursor() from None
    following = b"" if page.next is None else b',"next":%b' % orjson.dumps(page.next)
    body = b'{"rows":[%b]%b}' % (b",".join(map(_row, page.rows)), following)
    return web.Response(body=body, content_type=JSON)


def _row(callback: Callback) -> bytes:
    """The outcome as it is stored, with its time before it."""
    at = to_wire(callback.callback_ms).encode()
    return b'{"callback_at":"%b",%b' % (at, callback.body[1:])


ROUTES: Final = (
    Route(
        method="GET",
        path="/v1/callbacks",
        handler=list_callbacks,
        operation_id="listCallbacks",
        summary="Callbacks that stand, the earliest first, also once they were due",
        scope="read",
        parameters=_LISTED,
        responses={200: Body("One page", CallbacksPage)},
        refuses=("validation", "unavailable"),
    ),
)
