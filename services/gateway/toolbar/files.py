"""`/toolbar/...`: the element's files, and a page that shows it with the demo tenant.

The element is for pages of other origins, which fetch a module only if they are let: its files
hold nothing of anybody's, so everybody is. The demo page is a page like any other.
"""

import re
from typing import Final

from aiohttp import web

from services.gateway.desk import Desk
from services.gateway.files import COMMON, File, file_route, serves_demo
from shared.contracts.errors import Refused

ELEMENT: Final = ("aftercall-toolbar.js", "line.js", "picker.js", "look.js")
LOCALES: Final = ("ar", "en")
_FOR_ALL: Final = {
    **COMMON,
    "Access-Control-Allow-Origin": "*",
    "Cross-Origin-Resource-Policy": "cross-origin",
}
# Where a statement or a list plainly goes on, or its block ends: no break there ends a statement.
_NEEDLESS: Final = re.compile(r"(?<=[;,{(\[])\n|\n(?=[)}\]])")
_TEXT_OR_SPACED: Final = re.compile(
    r"""("(?:[^"\\]|\\.)*" | `(?:[^`\\]|\\.)*`)  |  [ ]*([=(){}\[\],;:?<>&|*])[ ]*""", re.VERBOSE
)
_NO_DEMO: Final = "No demo tenant is served here"

_SCRIPTS: Final = tuple(
    File(f"/toolbar/{name}", name, f"showToolbar{place}", "Of the agent's toolbar")
    for place, name in enumerate(ELEMENT)
)
_WORDS: Final = tuple(
    File(
        f"/toolbar/locales/{name}.json",
        f"locales/{name}.json",
        f"showToolbarWords{name.title()}",
        "Its words",
    )
    for name in LOCALES
)
_DEMO: Final = (
    File("/toolbar/demo", "demo.html", "showToolbarDemo", "The toolbar in a page"),
    File("/toolbar/demo.js", "demo.js", "showToolbarDemoScript", "Its script"),
    File("/toolbar/demo.css", "demo.css", "showToolbarDemoStyle", "Its style"),
)


def squeezed(script: str) -> str:
    """The script without what only its readers need: comment lines, indentation, spaces, breaks.

    A line must not end in a comment, a regular expression hold no space and no quotation mark.
    """
    lines = (line.strip() for line in script.splitlines())
    kept = "\n".join(line for line in lines if line and not line.startswith("//"))
    spaced = _TEXT_OR_SPACED.sub(lambda found: found[1] or found[2], kept)
    return _NEEDLESS.sub("", spaced) + "\n"


def _if_demo(body: bytes, _: web.Request, desk: Desk) -> bytes:
    if not serves_demo(desk):
        raise Refused("not_found", "no demo tenant is served here")
    return body


ROUTES: Final = (
    *(
        file_route(file, squeezed(file.read(__package__).decode()).encode(), headers=_FOR_ALL)
        for file in _SCRIPTS
    ),
    *(file_route(file, file.read(__package__), headers=_FOR_ALL) for file in _WORDS),
    *(
        file_route(file, file.read(__package__), made=_if_demo, not_there=_NO_DEMO)
        for file in _DEMO
    ),
)
