"""Requests that come on a socket: each is answered by what answers its route.

Every message is let in as a request of its own: its credential is looked at anew, so that a
tenant's changed codes, a revoked key and the rate limits count from the next message on.
"""

from collections.abc import Mapping
from time import perf_counter
from typing import Any, Final, NamedTuple

import orjson
import structlog
from aiohttp import hdrs, web

from services.gateway.bodies import checked
from services.gateway.desk import Desk
from services.gateway.edge import Observe
from services.gateway.problems import explain
from services.gateway.route import Route, Scope
from services.gateway.routes import dispositions, wrap_up
from services.gateway.routes.asking import Ask
from services.gateway.sockets.models import DisposeMessage, ExtendWrapUpMessage
from services.gateway.toolbar.entering import Asker, Shown, asker_by
from services.gateway.toolbar.origins import may_ask
from shared.contracts.errors import Refused
from shared.contracts.ids import is_id

log: Final = structlog.get_logger()


SCOPE: Final[Scope] = "disposition:write"


class Kind(NamedTuple):
    """One kind of request.

    Attributes:
        field: of the model, where the body of the route stands.
    """

    model: type[DisposeMessage | ExtendWrapUpMessage]
    field: str
    route: Route
    scope: Scope
    ask: Ask


KINDS: Final[Mapping[str, Kind]] = {
    "dispose": Kind(DisposeMessage, "disposition", dispositions.DISPOSE, SCOPE, dispositions.ask),
    "extend_wrap_up": Kind(ExtendWrapUpMessage, "extension", wrap_up.EXTEND, SCOPE, wrap_up.ask),
}


async def let_in(shown: Shown, desk: Desk, scope: Scope) -> Asker:
    """Who shows this, counted as one request.

    No browser keeps what a socket says from the page, as it does for a request: so a key is taken
    from pages of the gateway's own origin alone.

    Raises:
        Refused: `unauthorized`, `forbidden`.
        TooMany: of the credential or of its tenant it is one too many.
    """
    asker = asker_by(shown, desk, scope, toolbar=True)
    if asker.claims is None and not may_ask(shown.origins, shown.host, ()):
        raise Refused("forbidden", "a key does not belong into a page of another origin")
    await desk.rates.count("native", asker.found.tenant, asker.name)
    return asker


class Requests:
    """Those of one socket; `tenant_id` for the log alone."""

    def __init__(self, shown: Shown, tenant_id: str, desk: Desk, observe: Observe) -> None:
        self._shown = shown
        self._tenant_id = tenant_id
        self._desk = desk
        self._observe = observe

    async def answer(self, id_: str, message: Mapping[str, Any]) -> bytes:
        """The message that answers this one."""
        name = message["type"] if isinstance(message.get("type"), str) else None
        kind = None if name is None else KINDS.get(name)
        began = perf_counter()
        try:
            response = await self._ask(kind, message)
        except Exception as error:  # noqa: BLE001 - the edge: nothing may fall through
            response = refusal(error)
        seconds = perf_counter() - began
        route = "none" if kind is None else kind.route.path
        self._observe(route, response.status, seconds)
        log.info(
            "request",
            method="SOCKET",
            route=route,
            status=response.status,
            ms=round(seconds * 1000, 2),
            tenant=self._tenant_id,
        )
        return frame(id_, response)

    async def _ask(self, kind: Kind | None, message: Mapping[str, Any]) -> web.Response:
        if kind is None:
            raise Refused("bad_request", f"no such type of message; there are {', '.join(KINDS)}")
        said = checked(kind.model, message)
        call_id: Any = said.call_id  # whatever is no id names nothing, as in a path
        if not (isinstance(call_id, str) and is_id(call_id)):
            raise web.HTTPNotFound
        asker = await let_in(self._shown, self._desk, kind.scope)
        keys = () if said.idempotency_key is None else (said.idempotency_key,)
        return await kind.ask(self._desk, asker, call_id, getattr(said, kind.field), keys)


def refusal(error: Exception) -> web.Response:
    """The problem document for this error."""
    problem = explain(error)
    if problem.code == "internal":
        log.error("request_broke", exc_info=error)
    return problem.response()


def frame(id_: str, response: web.Response) -> bytes:
    """An answer of HTTP as a message."""
    body = response.body
    said: dict[str, Any] = {
        "type": "answer",
        "id": id_,
        "status": response.status,
        "body": orjson.Fragment(body if isinstance(body, bytes) else b"null"),
    }
    if hdrs.RETRY_AFTER in response.headers:
        said["retry_after_s"] = int(response.headers[hdrs.RETRY_AFTER])
    return orjson.dumps(said)
