"""`/console`: a live page of calls, wrap-up countdowns and dispositions.

Plain files beside this module. The page itself needs no credential: it asks for an API key and
talks to the native API as any other client does.
"""

from dataclasses import dataclass
from typing import Final

from aiohttp import web

from services.gateway.desk import Desk
from services.gateway.files import File, file_route, serves_demo

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

_PAGE: Final = File("/console", "index.html", "showConsole", "The live console")
_FILES: Final = tuple(
    File(f"/console/{name}", name, f"showConsole{operation}", summary)
    for name, operation, summary in (
        ("console.css", "Style", "Its style"),
        ("console.js", "Script", "Its script"),
        ("api.js", "Api", "How it asks and follows the API"),
        ("board_page.js", "Board", "Its wall board"),
        ("call_page.js", "Call", "Its page of one call"),
        ("callbacks.js", "Callbacks", "What it knows of callbacks"),
        ("chart.js", "Chart", "How it draws charts"),
        ("charts_page.js", "Charts", "Its charts"),
        ("codes_page.js", "Codes", "Its page of the codes"),
        ("dom.js", "Dom", "How it changes its document"),
        ("elsewhere_page.js", "Elsewhere", "Its page that leads to the dead letters"),
        ("entrance.js", "Entrance", "How it asks for a key"),
        ("entries.js", "Entries", "How it draws a history"),
        ("floor.js", "Floor", "What it knows of the calls"),
        ("floor_page.js", "FloorPage", "How it draws them"),
        ("following.js", "Following", "How its pages follow one thing"),
        ("pages.js", "Pages", "How it goes to its pages"),
        ("subject_page.js", "Subject", "Its page of a customer, a record or an enrolment"),
        ("templates.js", "Templates", "Its outlines"),
        ("timers.js", "Timers", "Its countdowns"),
        ("words.js", "Words", "What short words mean"),
        ("icon.svg", "Icon", "Its icon"),
    )
)


def _filled(page: bytes, request: web.Request, desk: Desk) -> bytes:
    """The page with what only this gateway knows."""
    beside = request.app.get(BESIDE)
    if beside is not None and beside.admin_port is not None:
        page = page.replace(_NOT_SAID, _SAID % beside.admin_port)
    return page if serves_demo(desk) else page.replace(_DEMO, b"")


ROUTES: Final = (
    file_route(_PAGE, _PAGE.read(__name__), made=_filled),
    *(file_route(file, file.read(__name__)) for file in _FILES),
)
