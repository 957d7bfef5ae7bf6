"""From HTTP to a WebSocket (RFC 6455)."""

from aiohttp import web


async def upgrade(socket: web.WebSocketResponse, request: web.Request) -> None:
    """Answer 101.

    Raises:
        HTTPBadRequest: it is no WebSocket that is asked for.
    """
    try:
        await socket.prepare(request)
    except UnicodeError:  # it would repeat a header that is not even text
        raise web.HTTPBadRequest from None
