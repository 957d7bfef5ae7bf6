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
    ("/console/board_page.js", "board_page.js", _JS, "showConsoleBoard", "Its wall board"),
    ("/console/call_page.js", "call_page.js", _JS, "showConsoleCall", "Its page of one call"),
    (
        "/console/callbacks.js",
        "callbacks.js",
        _JS,
        "showConsoleCallbacks",
        "What it knows of callbacks",
    ),
    ("/console/chart.js", "chart.js", _JS, "showConsoleChart", "How it draws charts"),
    ("/console/charts_page.js", "charts_page.js", _JS, "showConsoleCharts", "Its charts"),
    ("/console/codes_page.js", "codes_page.js", _JS, "showConsoleCodes", "Its page of the codes"),
    ("/console/dom.js", "dom.js", _JS, "showConsoleDom", "How it changes its document"),
    ("/console/entries.js", "entries.js", _JS, "showConsoleEntries", "How it draws a history"),
    ("/console/floor.js", "floor.js", _JS, "showConsoleFloor", "What it knows of the calls"),
    ("/console/floor_page.js", "floor_page.js", _JS, "showConsoleFloorPage", "How it draws them"),
    (
        "/console/following.js",
        "following.js",
        _JS,
        "showConsoleFollowing",
        "How its pages follow one thing",
    ),
    (
        "/console/subject_page.js",
        "subject_page.js",
        _JS,
        "showConsoleSubject",
        "Its page of a customer, a record or an enrolment",
    ),
    ("/console/templates.js", "templates.js", _JS, "showConsoleTemplates", "Its outlines"),
    ("/console/timers.js", "timers.js", _JS, "showConsoleTimers", "Its countdowns"),
    ("/console/words.js", "words.js", _JS, "showConsoleWords", "What short words mean"),
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
