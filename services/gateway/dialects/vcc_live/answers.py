"""`{"errors", "response"}` as the vendor sends it: JSON as a text, with `Etag`, `X-Resource`."""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any, Final

import orjson
from aiohttp import web

from shared.contracts import limits

CHARSET: Final = "utf-8"
REFUSED: Final = 417  # of an element, whatever is wrong with it

_WORDS: Final = {
    400: "error.malformed",
    401: "error.unauthorized",
    403: "error.forbidden",
    404: "error.not_found",
    405: "error.method_not_allowed",
    408: "error.timeout",
    409: "error.conflict",
    413: "error.too_large",
    415: "error.unsupported_media_type",
    422: "error.invalid",
    429: "error.too_many_requests",
    503: "error.unavailable",
}

Issue = dict[str, Any]


class Stop(Exception):
    """The whole request is answered with this status and word."""

    def __init__(self, status: int, word: str) -> None:
        super().__init__(word)
        self.status = status
        self.word = word

    def response(self) -> web.Response:
        """The answer."""
        return failed(self.status, self.word)


class Wrong(Exception):
    """What is wrong with one element, or with the one disposition that was sent."""

    def __init__(self, word: str) -> None:
        super().__init__(word)
        self.word = word

    def issue(self, index: int | None = None) -> Issue:
        """Its place among the errors."""
        issue: Issue = {"errorcode": REFUSED, "errormessage": self.word}
        return issue if index is None else issue | {"index": index}


def told(
    request: web.Request, resource: str, response: Any, errors: Sequence[Issue] = ()
) -> web.Response:
    """A success, in part at least."""
    answer = _answer(200, {"errors": list(errors), "response": response})
    answer.headers["Allow"] = request.method
    answer.headers["X-Resource"] = resource
    return answer


def failed(status: int, word: str) -> web.Response:
    """Any answer but a 200."""
    answer = _answer(
        status, {"errors": [{"errorcode": status, "errormessage": word}], "response": False}
    )
    if status == web.HTTPUnauthorized.status_code:
        answer.headers["WWW-Authenticate"] = 'Basic realm="aftercall", charset="UTF-8"'
    return answer


def of_http(status: int, message: str) -> web.Response:
    """What is not the vendor's own: router, body limit, a log or store that is away."""
    word = _WORDS.get(status, "error.internal")
    if status == web.HTTPRequestEntityTooLarge.status_code:
        message = f"at most {limits.BODY_BYTES_MAX} bytes; of a batch"
        message += f" {limits.VCC_LIVE_ELEMENTS_MAX} elements in {limits.VCC_LIVE_BODY_BYTES_MAX}"
    return failed(status, f"{word}: {message}" if message else word)


def _answer(status: int, value: Any) -> web.Response:
    body = orjson.dumps(value)
    answer = web.Response(body=body, status=status, content_type="text/plain", charset=CHARSET)
    answer.headers["Etag"] = f'"{blake2b(body, digest_size=16).hexdigest()}"'
    return answer
