"""`/console` of the admin port: pages that only an admin or the operator may see.

Plain files, as those of the public console, of which it has the way in, the style and the small
hands. The page itself needs no credential: it asks for a key, and asks the admin routes with it.
"""

from typing import Final

from services.gateway.console import ROUTES as PUBLIC
from services.gateway.console import File, file_routes

_HTML, _JS = "text/html", "text/javascript"
_FILES: Final[tuple[File, ...]] = (
    ("/console", "index.html", _HTML, "showConsole", "The console of the admin port"),
    ("/console/office.js", "office.js", _JS, "showConsoleScript", "Its script"),
    ("/console/letters_page.js", "letters_page.js", _JS, "showConsoleLetters", "Its dead letters"),
    ("/console/letter_page.js", "letter_page.js", _JS, "showConsoleLetter", "Its page of one"),
    ("/console/polling.js", "polling.js", _JS, "showConsolePolling", "How its pages read again"),
    ("/console/pretty.js", "pretty.js", _JS, "showConsolePretty", "How it shows JSON"),
)
_SHARED: Final = frozenset(
    f"/console/{name}"
    for name in (
        "console.css",
        "api.js",
        "dom.js",
        "entrance.js",
        "following.js",
        "icon.svg",
        "pages.js",
        "templates.js",
    )
)
ROUTES: Final = (
    *file_routes(__name__, _FILES),
    *(route for route in PUBLIC if route.path in _SHARED),
)
