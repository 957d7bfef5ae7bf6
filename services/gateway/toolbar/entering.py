"""Who comes with a native request: a key, or a toolbar token where it is open to one."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from aiohttp import hdrs, web

from services.gateway.auth import authenticate
from services.gateway.desk import Desk
from services.gateway.route import FOUND, SHARED, TOOLBAR, Route, Scope
from services.gateway.toolbar import tokens
from services.gateway.toolbar.origins import VARIES, may_ask, preflight, shared_with
from services.gateway.toolbar.tokens import Claims
from shared.contracts.errors import Refused
from shared.runtime.tenants import Found

_CACHED_BY: Final = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"


class Shown(NamedTuple):
    """What somebody shows of who they are.

    Attributes:
        authorizations: `Authorization` headers, or what stands in their place.
        origins: as a browser says from where the page is; none: it is no browser's.
        host: what it was sent to.
    """

    authorizations: Sequence[str]
    origins: Sequence[str]
    host: str


class Asker(NamedTuple):
    """Who asks: a key, and of a toolbar token what it says."""

    found: Found
    claims: Claims | None = None

    @property
    def agent(self) -> str | None:
        """The agent whose toolbar token it is; None: a key."""
        return None if self.claims is None else self.claims.agent

    @property
    def name(self) -> str:
        """Whose requests are counted together: a key's, and each agent's who has a token for it."""
        key = self.found.credential.id
        return key if self.agent is None else f"{key} {self.agent}"

    def bound(self, asked: str | None) -> str | None:
        """The agent that is asked for; of a toolbar token always its own.

        Raises:
            Refused: `forbidden`: the token is another agent's.
        """
        if self.agent is None:
            return asked
        if asked not in (None, self.agent):
            raise Refused("forbidden", "the toolbar token is another agent's")
        return self.agent

    def stands(self, desk: Desk) -> bool:
        """Whether what they came with would still be let in."""
        over = self.claims is not None and desk.clock.now_ms() >= self.claims.expires_ms
        return not over and desk.tenants.stands(self.found)


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
    asker = asker_by(shown_of(request), desk, route.scope, toolbar=route.toolbar)
    request[FOUND] = asker.found
    if asker.claims is not None:
        request[TOOLBAR] = asker.claims
    elif route.toolbar:
        request[SHARED] = VARIES  # a key does not belong into a page: no page reads its answer


def shown_of(request: web.Request) -> Shown:
    """What a request shows."""
    headers = request.headers
    authorizations = headers.getall(hdrs.AUTHORIZATION, ())
    return Shown(authorizations, headers.getall(hdrs.ORIGIN, ()), request.host)


def asker_by(shown: Shown, desk: Desk, scope: Scope, *, toolbar: bool) -> Asker:
    """Who shows this.

    Args:
        shown: it.
        desk: the desk.
        scope: what a key needs.
        toolbar: whether a toolbar token will do as well.

    Raises:
        Refused: `unauthorized`, or `forbidden` where the credential does not open it.
    """
    first = shown.authorizations[0] if shown.authorizations else ""
    _, _, secret = first.partition(" ")
    if secret.lstrip(" ").startswith(tokens.PREFIX):
        return _asker_by_token(shown, desk, toolbar=toolbar)
    return Asker(authenticate(shown.authorizations, desk.tenants, scope))


def asker_of(request: web.Request) -> Asker:
    """Who has entered with this request."""
    return Asker(request[FOUND], request.get(TOOLBAR))


def agent_of(request: web.Request) -> str | None:
    """The agent whose toolbar token the request came with; None: it came with a key."""
    return asker_of(request).agent


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


def _asker_by_token(shown: Shown, desk: Desk, *, toolbar: bool) -> Asker:
    scheme, _, token = ",".join(shown.authorizations).partition(" ")  # two headers hold no token
    sealed = tokens.take_apart(token.strip(" ")) if scheme.lower() == "bearer" else None
    if sealed is None:
        raise Refused("unauthorized", "no such toolbar token")
    tenant = desk.tenants.get(sealed.claims.tenant)
    tenant, credential = tokens.check(sealed, tenant, desk.clock.now_ms())
    if not toolbar:
        raise Refused("forbidden", "a toolbar token does not open this")
    if not may_ask(shown.origins, shown.host, tenant.toolbar_origins):
        raise Refused("forbidden", "the page's origin is not among the tenant's toolbar_origins")
    return Asker(Found(tenant, credential), sealed.claims)
