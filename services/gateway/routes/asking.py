"""What a toolbar asks about a call: the same over HTTP and on its socket."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from aiohttp import web

from services.gateway.bodies import KEY_HEADER, read_json
from services.gateway.desk import Desk
from services.gateway.route import Handler, Parameter
from services.gateway.toolbar.entering import Asker, asker_of

Ask = Callable[[Desk, Asker, str, Any, Sequence[str]], Awaitable[web.Response]]
"""The desk, who asks, the call, the body, the client's own idempotency key if there is one."""

IDEMPOTENCY_KEY: Final = Parameter(
    KEY_HEADER,
    "1 to 255 printable ASCII characters; a retry with the same key is never applied twice",
    place="header",
    schema={"type": "string", "pattern": "^[!-~]([ -~]{0,253}[!-~])?$"},
)


def over_http(ask: Ask) -> Handler:
    """The handler of a route with a `call_id` in its path."""

    async def handle(request: web.Request, desk: Desk) -> web.Response:
        body = await read_json(request)
        keys = request.headers.getall(KEY_HEADER, ())
        return await ask(desk, asker_of(request), request.match_info["call_id"], body, keys)

    return handle
