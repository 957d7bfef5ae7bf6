"""Problems: one table from what went wrong to what the caller is told (RFC 9457).

Whatever is raised below a native route ends here, and below a dialect's prefix the same status and
sentence are rendered by the dialect.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import orjson
from aiohttp import web

from services.gateway.rates import TooMany
from services.gateway.refusals import RefusedByRule
from services.gateway.verdicts import Busy
from shared.contracts.errors import Refused, Retryable, TooLong


class Row(NamedTuple):
    """How a code is told."""

    status: int
    title: str


PROBLEMS: Final = {
    "malformed_json": Row(400, "The body is not acceptable JSON"),
    "bad_request": Row(400, "The request can't be read"),
    "unauthorized": Row(401, "A valid credential is needed"),
    "forbidden": Row(403, "The credential does not allow this"),
    "not_found": Row(404, "There is nothing here"),
    "unknown_call": Row(404, "No such call"),
    "unknown_subject": Row(404, "No such customer, record or enrolment"),
    "method_not_allowed": Row(405, "The method is not allowed here"),
    "too_slow": Row(408, "The body did not arrive in time"),
    "agent_not_on_call": Row(409, "The agent has no part in this call"),
    "already_disposed": Row(409, "The agent has already disposed this call"),
    "not_in_wrap_up": Row(409, "The agent is not in wrap-up"),
    "subject_in_call": Row(409, "Agents are handling it now"),
    "conflict": Row(409, "It can't be changed so"),
    "already_put_back": Row(409, "The dead letter was put back before"),
    "too_large": Row(413, "The body is too large"),
    "unsupported_media_type": Row(415, "The media type is not supported"),
    "validation": Row(422, "The request breaks a rule"),
    "invalid_disposition": Row(422, "No such disposition code"),
    "callback_required": Row(422, "The code needs a callback time"),
    "idempotency_conflict": Row(422, "The idempotency key was used with another body"),
    "too_many_requests": Row(429, "Too many requests"),
    "internal": Row(500, "Something broke here"),
    "unavailable": Row(503, "Not known whether it was done"),
}
RETRY_AFTER_S: Final = 1
UNKNOWN_RETRY: Final = "unknown: retry with the same key; a retry is never applied twice"
TOO_LONG: Final = "the answer takes longer than it may: ask for a shorter span, or narrow it"

_BY_STATUS: Final = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    415: "unsupported_media_type",
    422: "validation",
    429: "too_many_requests",
}

_HEADERS: Final = {
    "unauthorized": {"WWW-Authenticate": 'Bearer realm="aftercall"'},
    "too_many_requests": {"Retry-After": str(RETRY_AFTER_S)},
}


class Invalid(Refused):
    """The request breaks its shape; `errors` says where: `{field, detail}` or `{index, ...}`."""

    def __init__(self, detail: str, errors: Sequence[Mapping[str, Any]] = ()) -> None:
        super().__init__("validation", detail)
        self.errors = tuple(errors)


@dataclass(frozen=True, slots=True)
class Problem:
    """What to tell, before it has a shape."""

    code: str
    detail: str
    headers: Mapping[str, str] = field(default_factory=dict)
    more: Mapping[str, Any] = field(default_factory=dict)

    @property
    def status(self) -> int:
        """The HTTP status."""
        return PROBLEMS[self.code].status

    def response(self) -> web.Response:
        """The problem document."""
        row = PROBLEMS[self.code]
        document = {
            "type": f"urn:aftercall:problem:{self.code}",
            "title": row.title,
            "status": row.status,
            "code": self.code,
            "detail": self.detail,
            **self.more,
        }
        return web.Response(
            body=orjson.dumps(document),
            status=row.status,
            headers={"Content-Type": "application/problem+json", **self.headers},
        )


def explain(error: Exception) -> Problem:
    """What to tell of this error; `internal` for what nobody meant to happen."""
    match error:
        case Refused(code=code) if code in PROBLEMS:
            return _of_refused(error)
        case Busy(retry_after_s=seconds) | TooMany(retry_after_s=seconds):
            return Problem("too_many_requests", str(error), {"Retry-After": str(seconds)})
        case Retryable():
            detail = TOO_LONG if isinstance(error, TooLong) else UNKNOWN_RETRY
            return Problem("unavailable", detail, {"Retry-After": str(RETRY_AFTER_S)})
        case web.HTTPException():
            return _of_http(error)
        case web.RequestPayloadError() | ConnectionError():
            return Problem("bad_request", "the body ends early or breaks its encoding")
        case _:
            return Problem("internal", "this is our fault, not yours")


def _of_refused(error: Refused) -> Problem:
    more: dict[str, Any] = {}
    match error:
        case Invalid(errors=errors) if errors:
            more["errors"] = errors
        case RefusedByRule(verdict=verdict):
            more["request_id"] = verdict.request_id
        case _:
            pass
    return Problem(error.code, error.detail, _HEADERS.get(error.code, {}), more)


def _of_http(error: web.HTTPException) -> Problem:
    code = _BY_STATUS.get(error.status, "bad_request")
    headers = {name: error.headers[name] for name in ("Allow",) if name in error.headers}
    return Problem(code, PROBLEMS[code].title, headers)
