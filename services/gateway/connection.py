"""One connection. What can't be read as HTTP is refused in our shape, and is never repeated.

The server's own handler tells the client and the log the very bytes that it could not read: they
may be a credential or somebody's number. Here both are told that it could not be read, and why in
a word.
"""

from typing import Any, Final

import structlog
from aiohttp import HttpVersion11, hdrs, web
from aiohttp.http_exceptions import LineTooLong

from services.gateway.problems import Problem

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"

log: Final = structlog.get_logger()


class Connection(web.RequestHandler):
    """aiohttp's connection, but for what it says when something is wrong."""

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The answer to what could not be read, or to what broke outside of the edge.

        Raises:
            ConnectionError: part of an answer has gone out already.
        """
        del message  # it quotes the request
        if status < web.HTTPInternalServerError.status_code:
            log.info("request_unreadable", reason=type(exc).__name__)
            problem = Problem("bad_request", _why(exc))
        else:
            log.error("request_broke", exc_info=exc)
            problem = Problem("internal", "this is our fault, not yours")
        if request.writer.output_size > 0:
            raise ConnectionError("part of an answer has gone out already")
        response = problem.response()
        response.force_close()
        return response

    def log_exception(self, *args: Any, **kw: Any) -> None:
        """What ends a connection beside its requests: by its kind, for its words quote bytes."""
        del args
        error = kw.get("exc_info")
        if isinstance(error, web.RequestPayloadError):  # a body that breaks its own encoding
            log.info("request_unreadable", reason=type(error).__name__)
        else:
            log.error("connection_broke", reason=type(error).__name__)


async def expect(request: web.Request) -> None:
    """Wave on who waits to be told to; any other expectation is nobody's promise (RFC 9110)."""
    awaited = request.headers.get(hdrs.EXPECT, "").lower() == "100-continue"
    if not awaited or request.version != HttpVersion11:
        return
    await request.writer.write(CONTINUE)
    request.writer.output_size = 0  # the answer itself has not begun


def _why(error: BaseException | None) -> str:
    if isinstance(error, LineTooLong):
        return "a line of its head is too long"
    return "it breaks the rules of HTTP, or its encoding is not known here"
