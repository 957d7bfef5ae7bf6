"""`/toolbar/...`: the element's files, and a page that shows it with the demo tenant.

The element is for pages of other origins, which fetch a module only if they are let: its files
hold nothing of anybody's, so everybody is. The demo page is a page like any other.
"""

import re
from hashlib import sha256
from importlib.resources import files
from typing import Final

from aiohttp import hdrs, web

from services.gateway.desk import Desk
from services.gateway.models import ProblemView
from services.gateway.route import PROBLEM, Body, Handler, Parameter, Route
from shared.contracts.errors import Refused

_JS, _JSON, _CSS, _HTML = "text/javascript", "application/json", "text/css", "text/html"
ELEMENT: Final = ("aftercall-toolbar.js", "line.js", "picker.js", "look.js")
LOCALES: Final = ("ar", "en")
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_COMMON: Final = {
    "X-Content-Type-Options": "nosniff",
    hdrs.CACHE_CONTROL: "no-cache",  # kept, and asked for again by its tag
}
_FOR_ALL: Final = {
    "Access-Control-Allow-Origin": "*",
    "Cross-Origin-Resource-Policy": "cross-origin",
}
_FOR_OURS: Final = {"Content-Security-Policy": POLICY, "Referrer-Policy": "no-referrer"}
# Where a statement or a list plainly goes on, or its block ends: no break there ends a statement.
_NEEDLESS: Final = re.compile(r"(?<=[;,{(\[])\n|\n(?=[)}\]])")
_SEEN: Final = Parameter("If-None-Match", "the ETag of the file that is there already", "header")


def squeezed(script: str) -> str:
    """The script without what only its readers need: comment lines, indentation, needless breaks.

    A line must not end in a comment.
    """
    lines = (line.strip() for line in script.splitlines())
    kept = "\n".join(line for line in lines if line and not line.startswith("//"))
    return _NEEDLESS.sub("", kept) + "\n"


def _served(name: str, media_type: str, headers: dict[str, str], *, demo: bool) -> Handler:
    text = files(__package__).joinpath(name).read_text("utf-8")
    body = (squeezed(text) if name in ELEMENT else text).encode()
    tag = sha256(body).hexdigest()[:32]
    told = {**_COMMON, **headers, hdrs.ETAG: f'"{tag}"'}

    async def show(request: web.Request, desk: Desk) -> web.Response:
        if demo and not any(tenant.demo for tenant in desk.tenants.all()):
            raise Refused("not_found", "no demo tenant is served here")
        known = request.if_none_match or ()
        if any(one.value in (tag, "*") for one in known):
            return web.Response(status=304, headers=told)
        return web.Response(body=body, content_type=media_type, charset="utf-8", headers=told)

    return show


def _route(name: str, media_type: str, operation_id: str, summary: str, *, demo: bool) -> Route:
    path = f"/toolbar/{name.removesuffix('.html')}"
    responses = {
        200: Body("The file", media_type=media_type),
        304: Body("As it was", media_type=None),
    }
    if demo:
        responses[404] = Body("No demo tenant is served here", ProblemView, PROBLEM)
    return Route(
        method="GET",
        path=path,
        handler=_served(name, media_type, _FOR_OURS if demo else _FOR_ALL, demo=demo),
        operation_id=operation_id,
        summary=summary,
        tag="documents",
        parameters=(_SEEN,),
        responses=responses,
    )


ROUTES: Final[tuple[Route, ...]] = (
    *(
        _route(name, _JS, f"showToolbar{place}", "Of the agent's toolbar", demo=False)
        for place, name in enumerate(ELEMENT)
    ),
    *(
        _route(
            f"locales/{name}.json",
            _JSON,
            f"showToolbarWords{name.title()}",
            "Its words",
            demo=False,
        )
        for name in LOCALES
    ),
    _route("demo.html", _HTML, "showToolbarDemo", "The toolbar in a page", demo=True),
    _route("demo.js", _JS, "showToolbarDemoScript", "Its script", demo=True),
    _route("demo.css", _CSS, "showToolbarDemoStyle", "Its style", demo=True),
)
