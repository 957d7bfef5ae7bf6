"""/openapi.json, /asyncapi.json, and the pages that show them. No credential is needed for any."""

from collections.abc import Callable
from typing import Final

from aiohttp import web

from services.gateway.desk import Desk
from services.gateway.files import AS_IT_WAS, COMMON, SEEN, File, file_route, tagged
from services.gateway.route import JSON, Body, Route

# The pages load nothing but their own files, whatever they are made to show.
_HEADERS: Final = {
    **COMMON,
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}
_PACKAGE: Final = "services.gateway.docs"
_PAGES: Final = (
    File("/docs", "index.html", "showDocs", "The native API and the dialects as a page"),
    File("/docs/topics", "topics.html", "showTopics", "The topics and their messages as a page"),
    File("/docs/page.css", "page.css", "showDocsStyle", "The pages' style"),
    File("/docs/draw.js", "draw.js", "showDocsDrawing", "What the pages are drawn with"),
    File("/docs/page.js", "page.js", "showDocsScript", "The script of the API's page"),
    File("/docs/topics.js", "topics.js", "showTopicsScript", "The script of the topics' page"),
)


def document_routes(
    openapi: Callable[[], bytes], asyncapi: Callable[[], bytes]
) -> tuple[Route, ...]:
    """The routes; the arguments give the documents' bytes once all routes are known."""
    return (
        _document("/openapi.json", openapi, "showOpenApi", "This document", "OpenAPI 3.1"),
        _document(
            "/asyncapi.json",
            asyncapi,
            "showAsyncApi",
            "The topics of the log, their messages and keys; /docs/topics shows it as a page",
            "AsyncAPI 3.0",
        ),
        *(file_route(page, page.read(_PACKAGE), headers=_HEADERS) for page in _PAGES),
    )


def _document(
    path: str, made: Callable[[], bytes], operation_id: str, summary: str, of: str
) -> Route:
    async def show(request: web.Request, _: Desk) -> web.Response:
        return tagged(request, made(), JSON, _HEADERS)

    return Route(
        method="GET",
        path=path,
        handler=show,
        operation_id=operation_id,
        summary=summary,
        tag="documents",
        parameters=(SEEN,),
        responses={200: Body(of), 304: AS_IT_WAS},
    )
