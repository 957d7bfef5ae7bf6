"""One row of a route table: what the router needs, and what /openapi.json tells of it.

Both are made from the same rows, so a route cannot be served and not documented.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from aiohttp import web
from pydantic import BaseModel

from services.gateway.desk import Desk
from services.gateway.toolbar.tokens import Claims
from shared.runtime.tenants import Found

Handler = Callable[[web.Request, Desk], Awaitable[web.StreamResponse]]
Scope = Literal["disposition:write", "events:write", "read", "admin"]

JSON: Final = "application/json"
PROBLEM: Final = "application/problem+json"
STREAM: Final = "text/event-stream"

COME_BACK: Final = {"Retry-After": "in so many seconds"}
CHALLENGED: Final = {"WWW-Authenticate": "the kind of credential that is needed"}

FOUND: Final = web.RequestKey("found", Found)
"""Whose credential the request came with; set for every route that names a scope."""

TOOLBAR: Final = web.RequestKey("toolbar", Claims)
"""What the toolbar token says that the request came with; not there for a key."""

SHARED: Final = web.RequestKey("shared", dict[str, str])
"""By which headers a page of another origin may read the answer; set where toolbars ask."""

LISTENED: Final = web.ResponseKey("listened", bool)
"""True for an answer that was held back on purpose: how long it took is no latency."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A query or header parameter; path parameters are read from the path itself."""

    name: str
    description: str
    place: Literal["query", "header"] = "query"
    schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "string"})
    required: bool = False


@dataclass(frozen=True, slots=True)
class Body:
    """A request or response body. `model` None: described by its media type alone.

    Attributes:
        media_type: None means no body at all. Of a model whose media type is not JSON it is told
            that a text holds its JSON.
        many: an array of the model.
        also: a further media type that the same status may come in.
        headers: that an answer always has, and what they say.
    """

    description: str
    model: type[BaseModel] | None = None
    media_type: str | None = JSON
    many: bool = False
    also: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a dialect has to say where it refuses: one shape, many statuses.

    Attributes:
        model: of every such body.
        media_type: the same.
        headers: by status; `Retry-After` goes with 429 and 503 in any shape.
    """

    model: type[BaseModel]
    media_type: str = JSON
    headers: Mapping[int, Mapping[str, str]] = field(default_factory=dict)

    def __call__(self, words: Mapping[int, str]) -> dict[int, Body]:
        """These statuses and those of a fault of ours, each with what it means."""
        told = {**words, 500: "this is our fault"}
        return {status: self._body(status, why) for status, why in sorted(told.items())}

    def _body(self, status: int, why: str) -> Body:
        headers = dict(self.headers.get(status, {}))
        if status in (429, 503):
            headers |= COME_BACK
        return Body(why, self.model, self.media_type, headers=headers)


OF_A_BODY: Final = {
    400: "the body can't be read, or is no JSON",
    408: "the body did not arrive in time",
    413: "the body is over the limit",
    415: f"send {JSON}",
}
UNDECIDED: Final = {
    429: "too many wait for a verdict, or more than the tenant's limits allow",
    503: "not known whether it was done: a retry with the same Idempotency-Key is applied once",
}
OFTEN: Final = {429: "more than the tenant's limits allow"}
AWAY: Final = {503: "log or store can't be reached"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One route.

    Attributes:
        path: as aiohttp's router writes it, `{name}` for a part.
        handler: gets the request and the desk. Raises `Refused`, `Unavailable`, `Busy` or an
            `HTTPException`; each is rendered in the shape of the route's dialect.
        operation_id: unique among all routes.
        scope: the native API's: the bearer credential is checked for it before the handler runs,
            which finds it as `request[FOUND]`. None: open, or the dialect checks its own.
        toolbar: a toolbar token opens it as well, for its agent alone: the handler sees to that
            by `request.get(TOOLBAR)`. Pages of the tenants' origins may read its answers.
        security: which scheme /openapi.json names where `scope` is None: `ozonetel`, `basic` ...
        request: what the body must be; `requests` where it may be of several media types.
        may_be_empty: no body at all means as much as an empty object.
        responses: by status. Where `scope` is None these are all there are, those of the edge too.
        refuses: where `scope` is not None, the codes of problems it may answer with beside those
            of every native route: of a request that can't be read, its credential, its body, the
            ids in its path.
        tag: the section in the documents.
        body_bytes_max: None for the common limit.
    """

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    path: str
    handler: Handler
    operation_id: str
    summary: str
    scope: Scope | None = None
    toolbar: bool = False
    security: str | None = None
    request: type[BaseModel] | None = None
    requests: tuple[Body, ...] = ()
    may_be_empty: bool = False
    responses: Mapping[int, Body] = field(default_factory=dict)
    refuses: tuple[str, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    tag: str = "native"
    body_bytes_max: int | None = None
