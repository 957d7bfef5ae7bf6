"""The admin routes, put under the application of the admin port.

Below `/v1/admin` everything passes the same edge as on the public port: ids, credential, problem
documents, one log line. `/metrics` and health beside it are asked all day, and pass none of it.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cache
from typing import Final

import orjson
from aiohttp import web

from services.gateway.administration import console, items, keys, letters, subjects, tenants
from services.gateway.administration.asker import ASKER, authenticate
from services.gateway.administration.desk import Administration
from services.gateway.administration.requests import ADMINISTRATION
from services.gateway.asyncapi import Layout, asyncapi
from services.gateway.connection import expect
from services.gateway.desk import Desk
from services.gateway.edge import Observe, Served, check_ids, edge, id_parts, ignore_request
from services.gateway.openapi import openapi
from services.gateway.route import Route
from services.gateway.routes.documents import document_routes
from shared.runtime.letters import LetterStore

PREFIX: Final = "/v1/admin"
ROUTES: Final = (
    *tenants.ROUTES,
    *items.ROUTES,
    *keys.ROUTES,
    *subjects.ROUTES,
    *letters.ROUTES,
)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Operated:
    """What the routes need.

    Attributes:
        operator_sha256: of the key that makes tenants, in hex; None: nobody has it.
        layout: of the topics, for /asyncapi.json.
        observe: told of each request, for metrics.
    """

    administration: Administration
    desk: Desk
    letters: LetterStore
    operator_sha256: str | None = None
    layout: Layout | None = None
    observe: Observe = ignore_request


def serve_administration(app: web.Application, given: Operated) -> None:
    """Add the routes, the documents that describe them, and the pages that ask them."""
    app[ADMINISTRATION] = given.administration
    app[letters.LETTERS] = given.letters
    app.middlewares.append(_below(PREFIX, edge((), given.observe)))
    documents = document_routes(
        cache(lambda: orjson.dumps(openapi((*ROUTES, *documents, *console.ROUTES)))),
        cache(lambda: orjson.dumps(asyncapi(given.layout))),
    )
    for route in (*ROUTES, *documents, *console.ROUTES):
        handler = _serve(route, given)
        app.router.add_route(route.method, route.path, handler, expect_handler=expect)
        if route.method == "GET":
            app.router.add_route("HEAD", route.path, handler, expect_handler=expect)


def _serve(route: Route, given: Operated) -> Served:
    names = id_parts(route)

    async def served(request: web.Request) -> web.StreamResponse:
        check_ids(request, names)
        if route.scope is not None:
            tenants_ = given.administration.tenants
            request[ASKER] = asker = authenticate(request, tenants_, given.operator_sha256)
            if "tenant" in request.match_info:
                asker.check_reach(request.match_info["tenant"])
        return await route.handler(request, given.desk)

    return served


def _below(
    prefix: str, through: Callable[..., Awaitable[web.StreamResponse]]
) -> Callable[..., Awaitable[web.StreamResponse]]:
    @web.middleware
    async def only_below(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path.startswith(prefix):
            return await through(request, handler)
        return await handler(request)

    return only_below
