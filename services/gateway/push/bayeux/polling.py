"""The transports over plain requests: long-polling by POST, callback-polling (JSONP) by GET."""

import re
import secrets
from collections.abc import Iterable
from typing import Final

from aiohttp import hdrs, web

from services.gateway.bodies import read_json, strict_json
from services.gateway.push.bayeux.messages import HANDSHAKE, Malformed, Message, read_messages
from services.gateway.push.bayeux.protocol import Bayeux, Held
from services.gateway.push.bayeux.session import Owner
from services.gateway.route import JSON, LISTENED
from shared.contracts.errors import Refused
from shared.contracts.limits import BAYEUX_CALLBACK_CHARS_MAX

BROWSER: Final = "BAYEUX_BROWSER"
DEFAULT_CALLBACK: Final = "jsonpcallback"
_HEADERS: Final = {
    hdrs.CACHE_CONTROL: "no-store",
    "X-Content-Type-Options": "nosniff",
    # A browser that does not say whose page asks still keeps the script from another site's.
    "Cross-Origin-Resource-Policy": "same-origin",
}
# What a script may call: a name, or names with dots between; nothing that could be a program.
_callback_matches: Final = re.compile(
    r"[A-Za-z_$][A-Za-z0-9_$]*(?:\.[A-Za-z_$][A-Za-z0-9_$]*)*"
).fullmatch
_COMMENT: Final = b"/**/"  # so that the body does not begin with what the client has chosen
_NOTHING: Final = b"[]"  # for a client that is gone


async def answer_posted(
    request: web.Request, bayeux: Bayeux, owner: Owner, url: str
) -> web.Response:
    """Long-polling: messages in the body, replies in the answer.

    Raises:
        Refused: it is not JSON, or no messages; `too_slow`.
        HTTPRequestEntityTooLarge: over the limit.
    """
    sent = _messages(await read_json(request))
    body, listened = await _exchange(request, await bayeux.receive(sent, owner, url), bayeux)
    return _known(request, sent, _response(body, JSON, listened=listened))


async def answer_script(
    request: web.Request, bayeux: Bayeux, owner: Owner, url: str
) -> web.Response:
    """Callback-polling: messages in `message`, replies as the argument of the function `jsonp`.

    Raises:
        Refused: there is no message, it is not JSON, or the function has no name of one.
    """
    message, callback = _parameter(request, "message"), _parameter(request, "jsonp")
    if message is None:
        raise Refused("bad_request", "message is missing")
    callback = DEFAULT_CALLBACK if callback is None else callback
    if len(callback) > BAYEUX_CALLBACK_CHARS_MAX or not _callback_matches(callback):
        raise Refused("bad_request", "jsonp names no function")
    sent = _messages(strict_json(message.encode("utf-8", "surrogateescape")))
    array, listened = await _exchange(request, await bayeux.receive(sent, owner, url), bayeux)
    # Both are JSON, and once ended a line of a script.
    array = array.replace(b"\xe2\x80\xa8", b"\\u2028").replace(b"\xe2\x80\xa9", b"\\u2029")
    body = b"%b%b(%b);" % (_COMMENT, callback.encode(), array)
    script = _response(body, "text/javascript", charset="utf-8", listened=listened)
    return _known(request, sent, script)


async def _exchange(
    request: web.Request, answer: bytes | Held, bayeux: Bayeux
) -> tuple[bytes, bool]:
    """The answer's array, and whether it was held."""
    if isinstance(answer, bytes):
        return answer, False
    return await bayeux.release(answer, lambda: _is_gone(request)) or _NOTHING, True


def _response(
    body: bytes, media_type: str, *, charset: str | None = None, listened: bool
) -> web.Response:
    response = web.Response(body=body, content_type=media_type, charset=charset, headers=_HEADERS)
    response[LISTENED] = listened
    return response


def _known(request: web.Request, sent: Iterable[Message], response: web.Response) -> web.Response:
    """With a cookie that names the client at its handshake, as CometD's own server has it.

    It opens nothing and is asked for nowhere here: a balancer may know by it who is whose.
    """
    shakes_hands = any(message.channel == HANDSHAKE for message in sent)
    if shakes_hands and BROWSER not in request.cookies:
        name = secrets.token_hex(16)
        response.set_cookie(BROWSER, name, httponly=True, samesite="Strict", secure=request.secure)
    return response


def _is_gone(request: web.Request) -> bool:
    return request.transport is None or request.transport.is_closing()


def _messages(value: object) -> list[Message]:
    try:
        return read_messages(value)
    except Malformed as error:
        raise Refused("bad_request", str(error)) from None


def _parameter(request: web.Request, name: str) -> str | None:
    values = request.query.getall(name, ())
    if len(values) > 1:
        raise Refused("bad_request", f"{name} stands twice")
    return values[0] if values else None
