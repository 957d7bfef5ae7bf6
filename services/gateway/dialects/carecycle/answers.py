"""`{"message", "code"}`, and what validation and the rate limit have more."""

from collections.abc import Sequence
from typing import Any, Final

from aiohttp import web

from services.gateway.bodies import answer

_CODES: Final = {
    400: "BAD_REQUEST",
    401: "UNAUTHORIZED",
    403: "FORBIDDEN",
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    408: "REQUEST_TIMEOUT",
    409: "CONFLICT",
    413: "PAYLOAD_TOO_LARGE",
    415: "UNSUPPORTED_MEDIA_TYPE",
    422: "VALIDATION_ERROR",
    429: "RATE_LIMIT_EXCEEDED",
    503: "SERVICE_UNAVAILABLE",
}
BUSY_RETRY_AFTER_S: Final = 1  # too many wait for a verdict; not the limit of a minute

Issue = dict[str, Any]


class Stop(Exception):
    """The answer is this status, with this message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message

    def response(self) -> web.Response:
        """The answer."""
        return failed(self.status, self.message)


class NotValid(Stop):
    """The request breaks its shape: 422, with every issue found."""

    def __init__(self, issues: Sequence[Issue]) -> None:
        super().__init__(422, "Validation failed")
        self.issues = tuple(issues)

    def response(self) -> web.Response:
        """The answer."""
        return failed(self.status, self.message, errors=self.issues)


def failed(status: int, message: str, **more: Any) -> web.Response:
    """Any answer but a 200."""
    body = {"message": message, "code": _CODES.get(status, "INTERNAL_ERROR"), **more}
    return answer(body, status=status)


def of_http(status: int, message: str) -> web.Response:
    """What is not the vendor's own: router, body limit, a log or store that is away."""
    match status:
        case 422:
            return failed(status, message, errors=[])
        case 429:
            return failed(status, message, retryAfter=BUSY_RETRY_AFTER_S)
        case _:
            return failed(status, message)


def too_many(retry_after_s: int) -> web.Response:
    """Over the rate."""
    response = failed(429, "Rate limit exceeded", retryAfter=retry_after_s)
    response.headers["Retry-After"] = str(retry_after_s)
    return response
