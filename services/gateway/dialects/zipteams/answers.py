"""`{"success", "message"}`, and the `errors` that validation has more."""

from collections.abc import Sequence
from typing import Any, Final

from aiohttp import web

from services.gateway.bodies import answer

BUSY_RETRY_AFTER_S: Final = 1  # too many wait for a verdict; not the limit of a minute

Issue = dict[str, str]


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
    """The request breaks its shape: 422, with the issues found."""

    def __init__(self, issues: Sequence[Issue]) -> None:
        super().__init__(422, "Validation failed")
        self.issues = tuple(issues)

    def response(self) -> web.Response:
        """The answer."""
        return failed(self.status, self.message, errors=self.issues)


def done() -> web.Response:
    """All that a success says."""
    return answer({"success": True})


def failed(status: int, message: str, **more: Any) -> web.Response:
    """Any answer but a 200."""
    return answer({"success": False, "message": message, **more}, status=status)


def issue(field: str, message: str) -> Issue:
    """One field that breaks its rule."""
    return {"field": field, "message": message}


def of_http(status: int, message: str) -> web.Response:
    """What is not the vendor's own: router, body limit, a log or store that is away."""
    match status:
        case 422:
            return NotValid([issue("body", message)]).response()
        case 429:
            return too_many(BUSY_RETRY_AFTER_S)
        case 500:
            return failed(status, "Internal server error")
        case _:
            return failed(status, message)


def too_many(retry_after_s: int) -> web.Response:
    """Over the rate."""
    message = f"Rate limit exceeded. Try again in {retry_after_s} seconds."
    response = failed(429, message)
    response.headers["Retry-After"] = str(retry_after_s)
    return response
