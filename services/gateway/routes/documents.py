"""/openapi.json, /asyncapi.json, and the pages that show them. No credential is needed for any."""

from collections.abc import Callable
from hashlib import blake2b
from importlib.resources import files
from typing import Final

from aiohttp import ETag, hdrs, web

from services.gateway.desk import Desk
from services.gateway.route import JSON, Body, Handler, Parameter, Route

# The pages load nothing but their own files, whatever they are made to show.
SECURITY: Final = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
_DOCUMENT: Final = {**SECURITY, hdrs.CACHE_CONTROL: "no-cache"}
_ETAG_BYTES: Final = 16
_HTML, _CSS, _JS = "text/html", "text/css", "text/javascript"
_PAGES: Final = (
    ("/docs", "index.html", _HTML, "showDocs", "The native API and the dialects as a page"),
    ("/docs/topics", "topics.html", _HTML, "showTopics", "The topics and their messages as a page"),
    ("/docs/page.css", "page.css", _CSS, "showDocsStyle", "The pages' style"),
    ("/docs/draw.js", "draw.js", _JS, "showDocsDrawing", "What the pages are drawn with"),
    ("/docs/page.js", "page.js", _JS, "showDocsScript", "The script of the API's page"),
    ("/docs/topics.js", "topics.js", _JS, "showTopicsScript", "The script of the topics' page"),
)
_SEEN: Final = Parameter(
    "If-None-Match", "the ETag of the document that is there already", "header"
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


def _document(
    path: str, made: Callable[[], bytes], operation_id: str, summary: str, of: str
) -> Route:
    async def show(request: web.Request, _: Desk) -> web.Response:
        body = made()
        etag = ETag(blake2b(body, digest_size=_ETAG_BYTES).hexdigest())
        seen = request.if_none_match or ()
        if any(one.value in (etag.value, "*") for one in seen):
            response = web.Response(status=304, headers=_DOCUMENT)
        else:
            response = web.Response(body=body, content_type=JSON, headers=_DOCUMENT)
        response.etag = etag
        return response

    return Route(
        method="GET",
        path=path,
        handler=show,
        operation_id=operation_id,
        summary=summary,
        tag="documents",
        parameters=(_SEEN,),
        responses={200: Body(of), 304: Body("It is the same as it was", media_type=None)},
    )


def _page(name: str, media_type: str) -> Handler:
    body = files("services.gateway.docs").joinpath(name).read_bytes()

    async def show(_: web.Request, __: Desk) -> web.Response:
        return web.Response(body=body, content_type=media_type, charset="utf-8", headers=SECURITY)

    return show
