"""/openapi.json and the page that shows it. No credential is needed for either."""

from collections.abc import Callable
from importlib.resources import files
from typing import Final

from aiohttp import web

from services.gateway.desk import Desk
from services.gateway.route import JSON, Body, Handler, Route

# The pages load nothing but their own files, whatever they are made to show.
SECURITY: Final = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
_PAGES: Final = (
    ("/docs", "index.html", "text/html", "showDocs", "These documents as a page"),
    ("/docs/page.css", "page.css", "text/css", "showDocsStyle", "The page's style"),
    ("/docs/page.js", "page.js", "text/javascript", "showDocsScript", "The page's script"),
)


def document_routes(document: Callable[[], bytes]) -> tuple[Route, ...]:
    """The routes; `document` gives the bytes of /openapi.json once all routes are known."""

    async def show(_: web.Request, __: Desk) -> web.Response:
        return web.Response(body=document(), content_type=JSON, headers=SECURITY)

    return (
        Route(
            method="GET",
            path="/openapi.json",
            handler=show,
            operation_id="showOpenApi",
            summary="This document",
            tag="documents",
            responses={200: Body("OpenAPI 3.1")},
        ),
        *(
            Route(
                method="GET",
                path=path,
                handler=_page(name, media_type),
                operation_id=operation_id,
                summary=summary,
                tag="documents",
                responses={200: Body("The file", media_type=media_type)},
            )
            for path, name, media_type, operation_id, summary in _PAGES
        ),
    )


def _page(name: str, media_type: str) -> Handler:
    body = files("services.gateway.docs").joinpath(name).read_bytes()

    async def show(_: web.Request, __: Desk) -> web.Response:
        return web.Response(body=body, content_type=media_type, charset="utf-8", headers=SECURITY)

    return show
