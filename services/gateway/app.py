"""The gateway as one aiohttp application: route tables in, application out."""

from collections.abc import Sequence
from functools import cache, partial
from http import HTTPStatus
from typing import Final

import orjson
from aiohttp import web

from services.gateway.asyncapi import Layout, asyncapi
from services.gateway.connection import expect
from services.gateway.desk import Desk
from services.gateway.dialects.dialect import Dialect
from services.gateway.edge import OBSERVE, Observe, edge, ignore_request, serve
from services.gateway.openapi import openapi
from services.gateway.route import STREAM, Route
from services.gateway.routes import (
    callbacks,
    calls,
    dispositions,
    documents,
    events,
    reports,
    subjects,
    toolbar,
    wrap_up,
)
from services.gateway.toolbar.entering import answer_preflight
from shared.contracts.limits import BODY_BYTES_MAX

NATIVE: Final = (
    *dispositions.ROUTES,
    *wrap_up.ROUTES,
    *toolbar.ROUTES,
    *events.ROUTES,
    *calls.ROUTES,
    *subjects.ROUTES,
    *reports.ROUTES,
    *callbacks.ROUTES,
)
TABLE: Final = web.AppKey("table", tuple[Route, ...])
"""Every route that is served: the router and /openapi.json are made of it."""


def build_app(
    desk: Desk,
    *,
    dialects: Sequence[Dialect] = (),
    more: Sequence[Route] = (),
    observe: Observe = ignore_request,
    layout: Layout | None = None,
) -> web.Application:
    """The application.

    Args:
        desk: what the routes ask.
        dialects: vendors' routes, each with its own shape of errors.
        more: routes of the stream and of the console.
        observe: told of each request, for metrics.
        layout: of the topics, for /asyncapi.json.
    """
    app = web.Application(middlewares=[edge(dialects, observe)], client_max_size=BODY_BYTES_MAX)
    spoken = [route for dialect in dialects for route in dialect.routes]
    # Made at the first request for each: it takes longer than all the rest of a start.
    pages = documents.document_routes(
        cache(lambda: orjson.dumps(openapi(table))),
        cache(lambda: orjson.dumps(asyncapi(layout))),
    )
    table = (*NATIVE, *spoken, *more, *pages)
    app[TABLE] = table
    app[OBSERVE] = observe
    for route in table:
        handler = serve(route, desk)
        methods: list[str] = [route.method]
        app.router.add_route(route.method, route.path, handler, expect_handler=expect)
        if route.method == "GET" and not _is_stream(route):
            app.router.add_route("HEAD", route.path, handler, expect_handler=expect)
            methods.append("HEAD")
        if route.toolbar:
            asked = partial(answer_preflight, desk=desk, methods=(*methods, "OPTIONS"))
            app.router.add_route("OPTIONS", route.path, asked)
    return app


def _is_stream(route: Route) -> bool:
    """Whether no good answer has an end; a HEAD of it would have none, too."""
    good = {
        status: body for status, body in route.responses.items() if status < HTTPStatus.BAD_REQUEST
    }
    return all(
        status == HTTPStatus.SWITCHING_PROTOCOLS or body.media_type == STREAM
        for status, body in good.items()
    )
