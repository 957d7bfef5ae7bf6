"""`/console` of the admin port: pages that only an admin or the operator may see.

Plain files, as those of the public console, of which it has the way in, the style and the small
hands. The page itself needs no credential: it asks for a key, and asks the admin routes with it.
"""

from typing import Final

from services.gateway.console import ROUTES as PUBLIC
from services.gateway.files import File, file_route

_FILES: Final = (
    File("/console", "index.html", "showConsole", "The console of the admin port"),
    File("/console/office.js", "office.js", "showConsoleScript", "Its script"),
    File("/console/letters_page.js", "letters_page.js", "showConsoleLetters", "Its dead letters"),
    File("/console/letter_page.js", "letter_page.js", "showConsoleLetter", "Its page of one"),
    File("/console/polling.js", "polling.js", "showConsolePolling", "How its pages read again"),
    File("/console/pretty.js", "pretty.js", "showConsolePretty", "How it shows JSON"),
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
    *(file_route(file, file.read(__name__)) for file in _FILES),
    *(route for route in PUBLIC if route.path in _SHARED),
)
