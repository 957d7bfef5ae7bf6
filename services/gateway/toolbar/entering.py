"""Who comes with a native request: a key, or a toolbar token where it is open to one."""

from typing import Final

from aiohttp import hdrs, web

from services.gateway.auth import authenticate
from services.gateway.desk import Desk
from services.gateway.route import FOUND, SHARED, TOOLBAR, Route
from services.gateway.toolbar import tokens
from services.gateway.toolbar.origins import VARIES, may_ask, preflight, shared_with
from shared.contracts.errors import Refused
from shared.runtime.tenants import Found

_CACHED_BY: Final = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"


def enter(request: web.Request, desk: Desk, route: Route) -> None:
    """Leave with the request whose it is, and who may read the answer.

    Raises:
        Refused: `unauthorized`, or `forbidden` where the credential does not open the route.
    """
    if route.toolbar:
        origin = origin_of(request)
        known = origin is not None and desk.tenants.all()
        request[SHARED] = shared_with(origin, known or ())
    if route.scope is None:
        return
    _, _, secret = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    if secret.lstrip(" ").startswith(tokens.PREFIX):
        _enter_by_token(request, desk, route)
        return
    request[FOUND] = authenticate(request, desk.tenants, route.scope)
    if route.toolbar:
        request[SHARED] = VARIES  # a key does not belong into a page: no page reads its answer


def agent_of(request: web.Request) -> str | None:
    """The agent whose toolbar token the request came with; None: it came with a key."""
    claims = request.get(TOOLBAR)
    return None if claims is None else claims.agent


def asker_of(request: web.Request) -> str:
    """Whose requests are counted together: a key's, and each agent's who has a token for it."""
    key, agent = request[FOUND].credential.id, agent_of(request)
    return key if agent is None else f"{key} {agent}"


def bound_agent(request: web.Request, asked: str | None) -> str | None:
    """The agent that is asked for; of a toolbar token always its own.

    Raises:
        Refused: `forbidden`: the token is another agent's.
    """
    own = agent_of(request)
    if own is None:
        return asked
    if asked not in (None, own):
        raise Refused("forbidden", "the toolbar token is another agent's")
    return own


async def answer_preflight(
    request: web.Request, desk: Desk, methods: tuple[str, ...]
) -> web.Response:
    """What a browser asks before it lets a page ask."""
    headers = preflight(origin_of(request), methods, desk.tenants.all())
    return web.Response(status=204, headers={**headers, "Vary": _CACHED_BY})


def origin_of(request: web.Request) -> str | None:
    """The origin of the page that asks; None: nobody says so, or in two ways."""
    origins = request.headers.getall(hdrs.ORIGIN, ())
    return origins[0] if len(origins) == 1 else None


def _enter_by_token(request: web.Request, desk: Desk, route: Route) -> None:
    headers = request.headers.getall(hdrs.AUTHORIZATION, ())
    scheme, _, token = ",".join(headers).partition(" ")  # two headers hold no token
    sealed = tokens.take_apart(token.strip(" ")) if scheme.lower() == "bearer" else None
    if sealed is None:
        raise Refused("unauthorized", "no such toolbar token")
    tenant = desk.tenants.get(sealed.claims.tenant)
    tenant, credential = tokens.check(sealed, tenant, desk.clock.now_ms())
    if not route.toolbar:
        raise Refused("forbidden", "a toolbar token does not open this")
    if not may_ask(request.headers.getall(hdrs.ORIGIN, ()), request.host, tenant):
        raise Refused("forbidden", "the page's origin is not among the tenant's toolbar_origins")
    request[FOUND] = Found(tenant, credential)
    request[TOOLBAR] = sealed.claims
