"""`/console`: a live page of calls, wrap-up countdowns and dispositions.

Plain files beside this module, served as they stand. The page itself needs no credential: it asks
for an API key and talks to the native API as any other client does.
"""

from importlib.resources import files
from typing import Final

from aiohttp import hdrs, web

from services.gateway.desk import Desk
from services.gateway.route import Body, Handler, Route

# No inline script or style, no form that leaves, no frame, no request to another host.
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    hdrs.CACHE_CONTROL: "no-cache",
}

_HTML, _CSS, _JS, _SVG = "text/html", "text/css", "text/javascript", "image/svg+xml"
_FILES: Final = (
    ("/console", "index.html", _HTML, "showConsole", "The live console"),
    ("/console/console.css", "console.css", _CSS, "showConsoleStyle", "Its style"),
    ("/console/console.js", "console.js", _JS, "showConsoleScript", "Its script"),
    ("/console/api.js", "api.js", _JS, "showConsoleApi", "How it asks and follows the API"),
    ("/console/floor.js", "floor.js", _JS, "showConsoleFloor", "What it knows of the calls"),
    ("/console/view.js", "view.js", _JS, "showConsoleView", "How it draws them"),
    ("/console/icon.svg", "icon.svg", _SVG, "showConsoleIcon", "Its icon"),
)


def _page(name: str, media_type: str) -> Handler:
    body = files(__name__).joinpath(name).read_bytes()

    async def show(_: web.Request, __: Desk) -> web.Response:
        return web.Response(body=body, content_type=media_type, charset="utf-8", headers=HEADERS)

    return show


ROUTES: Final[tuple[Route, ...]] = tuple(
    Route(
        method="GET",
        path=path,
        handler=_page(name, media_type),
        operation_id=operation_id,
        summary=summary,
        tag="documents",
        responses={200: Body("The file", media_type=media_type)},
    )
    for path, name, media_type, operation_id, summary in _FILES
)
