"""Files that stand beside their module: pages, scripts, styles, icons. No credential is needed.

Each is known by a tag of its content, so that a browser which has it already is told no more than
that nothing has changed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from importlib.resources import files
from typing import Final

from aiohttp import ETag, hdrs, web

from services.gateway.desk import Desk
from services.gateway.models import ProblemView
from services.gateway.route import JSON, PROBLEM, Body, Handler, Parameter, Route

# No inline script or style, no form that leaves, no frame, no request to another host.
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
COMMON: Final = {
    "X-Content-Type-Options": "nosniff",
    hdrs.CACHE_CONTROL: "no-cache",  # kept, and asked for again by its tag
}
OURS: Final = {
    **COMMON,
    "Content-Security-Policy": _POLICY,
    "Referrer-Policy": "no-referrer",
}
"""For pages of our own, and what they load."""

SEEN: Final = Parameter("If-None-Match", "the ETag of what is there already", "header")
AS_IT_WAS: Final = Body("It is the same as it was", media_type=None)
_TAG_BYTES: Final = 16
_MEDIA_TYPES: Final = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".json": JSON,
    ".svg": "image/svg+xml",
}

Made = Callable[[bytes, web.Request, Desk], bytes]
"""What is served, made of what stands in the file; raises `Refused` (404) where nothing is."""


@dataclass(frozen=True, slots=True)
class File:
    """One file and its route.

    Attributes:
        path: of the route.
        name: of the file, beside its module; the ending says its media type.
        operation_id: of the route.
        summary: what it is.
    """

    path: str
    name: str
    operation_id: str
    summary: str

    @property
    def media_type(self) -> str:
        """By its ending."""
        return _MEDIA_TYPES[self.name[self.name.rindex(".") :]]

    def read(self, package: str) -> bytes:
        """What stands in it."""
        return files(package).joinpath(self.name).read_bytes()


def file_route(
    file: File,
    body: bytes,
    *,
    headers: Mapping[str, str] = OURS,
    made: Made | None = None,
    not_there: str = "",
) -> Route:
    """A route that serves a file.

    Args:
        file: which.
        body: what stands in it.
        headers: of every answer.
        made: makes of it what this gateway serves; None: it is served as it stands.
        not_there: when it is not served, if there is such a time.
    """
    responses = {200: Body("The file", media_type=file.media_type), 304: AS_IT_WAS}
    if not_there:
        responses[404] = Body(not_there, ProblemView, PROBLEM)
    return Route(
        method="GET",
        path=file.path,
        handler=_handler(body, file.media_type, headers, made),
        operation_id=file.operation_id,
        summary=file.summary,
        tag="documents",
        parameters=(SEEN,),
        responses=responses,
    )


def _handler(
    body: bytes, media_type: str, headers: Mapping[str, str], made: Made | None
) -> Handler:
    async def show(request: web.Request, desk: Desk) -> web.Response:
        shown = body if made is None else made(body, request, desk)
        return tagged(request, shown, f"{media_type}; charset=utf-8", headers)

    return show


def tagged(
    request: web.Request, body: bytes, content_type: str, headers: Mapping[str, str]
) -> web.Response:
    """The answer: this body with its tag, or 304 for who has it already."""
    etag = ETag(blake2b(body, digest_size=_TAG_BYTES).hexdigest())
    seen = request.if_none_match or ()
    if any(one.value in (etag.value, "*") for one in seen):
        response = web.Response(status=304, headers=headers)
    else:
        response = web.Response(body=body, headers={**headers, hdrs.CONTENT_TYPE: content_type})
    response.etag = etag
    return response


def serves_demo(desk: Desk) -> bool:
    """Whether the demo tenant is among those that are served."""
    return any(tenant.demo for tenant in desk.tenants.all())
