"""`{"statusCode", "statusMessage"}`, and the HTTP status that goes with each code.

The codes are of the page "ReturnValues"; it leaves the HTTP status open.
"""

from collections.abc import Mapping
from enum import IntEnum
from typing import Any, Final

from aiohttp import web

from services.gateway import bodies


class StatusCode(IntEnum):
    """What went wrong, in the vendor's numbers."""

    OK = 0
    PARAMETER_MISSING = 1
    NOT_VALID_IN_THIS_STATE = 2
    FORBIDDEN = 3
    INTERNAL = 4
    NOT_FOUND = 6
    BAD_VALUE = 10
    NOT_AUTHENTICATED = 20


HTTP_STATUS: Final = {
    StatusCode.OK: 200,
    StatusCode.PARAMETER_MISSING: 400,
    StatusCode.NOT_VALID_IN_THIS_STATE: 400,
    StatusCode.FORBIDDEN: 403,
    StatusCode.INTERNAL: 500,
    StatusCode.NOT_FOUND: 404,
    StatusCode.BAD_VALUE: 400,
    StatusCode.NOT_AUTHENTICATED: 401,
}

# What is not the vendor's own: router, body limit, rates, a log or store that is away.
_BY_HTTP_STATUS: Final = {
    400: StatusCode.BAD_VALUE,
    401: StatusCode.NOT_AUTHENTICATED,
    403: StatusCode.FORBIDDEN,
    404: StatusCode.NOT_FOUND,
    405: StatusCode.NOT_VALID_IN_THIS_STATE,
    413: StatusCode.BAD_VALUE,
    415: StatusCode.BAD_VALUE,
    422: StatusCode.BAD_VALUE,
}

# The agent's own call is the only one there is for an agent: somebody else's is answered like one
# that does not exist, so that nobody learns which ids are in use.
BY_REFUSAL: Final = {
    "unknown_call": (StatusCode.NOT_FOUND, "No such call"),
    "agent_not_on_call": (StatusCode.NOT_FOUND, "No such call"),
    "already_disposed": (StatusCode.NOT_VALID_IN_THIS_STATE, "The call is already disposed"),
    "invalid_disposition": (StatusCode.BAD_VALUE, "disposition is not in the catalogue"),
    "callback_required": (StatusCode.BAD_VALUE, "This disposition needs a callback time"),
    "idempotency_conflict": (StatusCode.BAD_VALUE, "Idempotency-Key was used for another request"),
    "forbidden": (StatusCode.FORBIDDEN, "The operation is forbidden"),
}

_CHALLENGE: Final = {"WWW-Authenticate": 'Basic realm="aftercall", charset="UTF-8"'}


class Stop(Exception):
    """The answer is this code, with this message."""

    def __init__(self, code: StatusCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    def response(self) -> web.Response:
        """The answer."""
        return failed(self.code, self.message, HTTP_STATUS[self.code])


def succeeded(**more: Any) -> web.Response:
    """`{"statusCode": 0, ...}`."""
    return bodies.answer({"statusCode": StatusCode.OK.value, **more})


def failed(code: StatusCode, message: str, status: int) -> web.Response:
    """`{"statusCode": n, "statusMessage": ...}`."""
    headers: Mapping[str, str] = _CHALLENGE if code is StatusCode.NOT_AUTHENTICATED else {}
    body = {"statusCode": code.value, "statusMessage": message}
    return bodies.answer(body, status=status, headers=dict(headers))


def of_http(status: int, message: str) -> web.Response:
    """What nobody meant to happen, under its own HTTP status."""
    return failed(_BY_HTTP_STATUS.get(status, StatusCode.INTERNAL), message, status)
