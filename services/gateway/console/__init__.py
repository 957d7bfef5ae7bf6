"""`/console`: a live page of calls, wrap-up countdowns and dispositions.

Plain files beside this module, served as they stand. The page itself needs no credential: it asks
for an API key and talks to the native API as any other client does.
"""

from collections.abc import Iterable
from dataclasses import dataclass
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

# Filled where the page may lead to the admin port; else the page says in words where it is.
_NOT_SAID: Final = b'<meta name="admin-port" content="">'
_SAID: Final = b'<meta name="admin-port" content="%d">'
_DEMO: Final = b'<a href="/toolbar/demo">Toolbar</a> '  # not there but with the demo tenant


@dataclass(slots=True)
class Beside:
    """What is beside the public port.

    Attributes:
        admin_port: None: not for everybody to know, or not known yet.
    """

    admin_port: int | None = None


BESIDE: Final = web.AppKey("beside", Beside)

File = tuple[str, str, str, str, str]
"""Its path, its name, its media type, its operation id, and what it is."""

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
    (
        "/console/elsewhere_page.js",
        "elsewhere_page.js",
        _JS,
        "showConsoleElsewhere",
        "Its page that leads to the dead letters",
    ),
    ("/console/entrance.js", "entrance.js", _JS, "showConsoleEntrance", "How it asks for a key"),
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
    ("/console/pages.js", "pages.js", _JS, "showConsolePages", "How it goes to its pages"),
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


def file_routes(package: str, named: Iterable[File]) -> tuple[Route, ...]:
    """Routes of files that stand beside a module, each served as it stands."""
    return tuple(
        Route(
            method="GET",
            path=path,
            handler=_file(package, name, media_type),
            operation_id=operation_id,
            summary=summary,
            tag="documents",
            responses={200: Body("The file", media_type=media_type)},
        )
        for path, name, media_type, operation_id, summary in named
    )


def _file(package: str, name: str, media_type: str) -> Handler:
    body = files(package).joinpath(name).read_bytes()

    async def show(request: web.Request, desk: Desk) -> web.Response:
        shown = _filled(body, request.app.get(BESIDE), desk) if media_type == _HTML else body
        return web.Response(body=shown, content_type=media_type, charset="utf-8", headers=HEADERS)

    return show


def _filled(page: bytes, beside: Beside | None, desk: Desk) -> bytes:
    """The page with what only this gateway knows."""
    if beside is not None and beside.admin_port is not None:
        page = page.replace(_NOT_SAID, _SAID % beside.admin_port)
    if not any(tenant.demo for tenant in desk.tenants.all()):
        page = page.replace(_DEMO, b"")
    return page


ROUTES: Final = file_routes(__name__, _FILES)
