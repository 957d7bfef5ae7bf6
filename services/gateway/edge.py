"""The edge: what every request passes, whichever route it is for.

Ids in the path are checked before anything else sees them, the credential and its rate before the
handler runs, and whatever is raised is told in the shape of whoever owns the path: a problem
document, or the dialect's own. Nothing that a client sends may come back as a 500.
"""

from collections.abc import Awaitable, Callable, Sequence
from time import perf_counter
from typing import Final

import structlog
from aiohttp import hdrs, web

from services.gateway.desk import Desk
from services.gateway.dialects.dialect import Dialect
from services.gateway.problems import Problem, explain
from services.gateway.rates import Counted
from services.gateway.route import FOUND, LISTENED, SHARED, STREAM, TOOLBAR, Route
from services.gateway.toolbar.entering import asker_of, enter
from shared.contracts.ids import is_id

Observe = Callable[[str, int, float], None]
"""Told of each request: its route, its status, how many seconds it took."""

Served = Callable[[web.Request], Awaitable[web.StreamResponse]]

OBSERVE: Final[web.AppKey[Observe]] = web.AppKey("observe")
"""For what is asked in another way than by a request of its own."""

log: Final = structlog.get_logger()


def ignore_request(_: str, __: int, ___: float) -> None:
    """Measure nothing."""


def serve(route: Route, desk: Desk) -> Served:
    """The route's handler as the router calls it: ids first, then the credential."""
    names = id_parts(route)

    # What a switch tells is counted apart: toolbars must not take its turns.
    what: Counted = "events" if route.scope == "events:write" else "native"

    async def served(request: web.Request) -> web.StreamResponse:
        check_ids(request, names)
        enter(request, desk, route)
        if route.scope is not None:
            await desk.rates.count(what, request[FOUND].tenant, asker_of(request).name)
        if route.body_bytes_max is not None:
            request = _with_limit(request, route.body_bytes_max)
        return await route.handler(request, desk)

    return served


def id_parts(route: Route) -> tuple[str, ...]:
    """The parts of a route's path that must be ids: those without a pattern of their own."""
    return tuple(
        part.strip("{}") for part in route.path.split("/") if part[:1] == "{" and ":" not in part
    )


def check_ids(request: web.Request, names: Sequence[str]) -> None:
    """Refuse what is no id before anything else sees it.

    Raises:
        HTTPNotFound: so it names nothing.
    """
    for name in names:
        if not is_id(request.match_info[name]):
            raise web.HTTPNotFound


def edge(
    dialects: Sequence[Dialect], observe: Observe
) -> Callable[..., Awaitable[web.StreamResponse]]:
    """The one middleware: renders errors, measures, and writes one log line per request."""
    prefixes = sorted(
        ((prefix, dialect) for dialect in dialects for prefix in dialect.prefixes),
        key=lambda pair: -len(pair[0]),
    )

    @web.middleware
    async def pass_through(request: web.Request, handler: Served) -> web.StreamResponse:
        began = perf_counter()
        try:
            response = await handler(request)
        except web.HTTPRedirection:
            raise
        except Exception as error:  # noqa: BLE001 - the edge: nothing may fall through
            response = _told(request, error, prefixes)
        if SHARED in request and not response.prepared:
            response.headers.update(request[SHARED])
        seconds = perf_counter() - began
        route = request.match_info.route.resource
        name = "none" if route is None else route.canonical
        # How long somebody listened is no latency.
        streamed = not isinstance(response, web.Response) and response.content_type == STREAM
        if not streamed and not response.get(LISTENED, False):
            observe(name, response.status, seconds)
        found = request.get(FOUND)
        log.info(
            "request",
            method=request.method,
            route=name,
            status=response.status,
            ms=round(seconds * 1000, 2),
            tenant=None if found is None else found.tenant.id,
        )
        return response

    return pass_through


def _told(
    request: web.Request, error: Exception, prefixes: Sequence[tuple[str, Dialect]]
) -> web.StreamResponse:
    problem = explain(error)
    if problem.code == "internal":
        log.error("request_broke", route=request.match_info.route.name, exc_info=error)
    if request.method == hdrs.METH_OPTIONS and problem.code == "method_not_allowed":
        return web.Response(status=204, headers=dict(problem.headers))
    for prefix, dialect in prefixes:
        if request.path.startswith(prefix):
            return _in_its_shape(dialect, problem)
    return problem.response()


def _in_its_shape(dialect: Dialect, problem: Problem) -> web.Response:
    response = dialect.error(problem.status, problem.detail)
    for name, value in problem.headers.items():
        if name not in response.headers:
            response.headers[name] = value
    return response


def _with_limit(request: web.Request, bytes_max: int) -> web.Request:
    """The request with a body limit of its own; what was known of it stays known."""
    clone = request.clone(client_max_size=bytes_max)
    if FOUND in request:
        clone[FOUND] = request[FOUND]
    if TOOLBAR in request:
        clone[TOOLBAR] = request[TOOLBAR]
    return clone
