"""Requests checked as the vendor checks them: by zod, whose words its errors are.

Source: the request body on the page, its pattern of a UUID included (zod 4's). Fields it does not
know are passed over. `received` is the kind of what came, never the value.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

from services.gateway.dialects.carecycle.answers import Issue, NotValid

UUID: Final = (
    "^([0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[1-8][0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}"
    "|00000000-0000-0000-0000-000000000000|ffffffff-ffff-ffff-ffff-ffffffffffff)$"
)
STATUSES: Final = (
    "pending",
    "awaiting_call",
    "in_progress",
    "completed",
    "failed",
    "expired",
    "cancelled",
    "skipped",
    "exceeded_max_calls",
)
SIZE_DEFAULT: Final = 50
SIZE_MAX: Final = 100
LISTED_MAX: Final = 5_000  # customers up to the end of a page; each page reads those before it

_is_uuid: Final = re.compile(UUID.removeprefix("^").removesuffix("$")).fullmatch
_is_number: Final = re.compile(r"[0-9]{1,9}").fullmatch
_ABSENT: Final = object()
_OPTIONS: Final = "|".join(f'"{status}"' for status in STATUSES)


class Wish(Struct, frozen=True):
    """The body of a request for a status."""

    customer_id: str
    campaign_id: str
    status: str


class Window(Struct, frozen=True):
    """Which customers are listed: `size` of them, on this page, from 1 on."""

    page: int
    size: int


def read_wish(value: Any) -> Wish:
    """The body, checked.

    Raises:
        NotValid: with every field that breaks its rule.
    """
    if not isinstance(value, Mapping):
        raise NotValid([_ill_typed([], "object", value)])
    issues = [
        *_uuid("customerId", value.get("customerId", _ABSENT)),
        *_uuid("campaignId", value.get("campaignId", _ABSENT)),
        *_status(value.get("status", _ABSENT)),
    ]
    if issues:
        raise NotValid(issues)
    return Wish(value["customerId"], value["campaignId"], value["status"])


def read_window(query: Mapping[str, str]) -> Window:
    """The page that is asked for.

    Raises:
        NotValid: with each parameter that breaks its rule.
    """
    issues: list[Issue] = []
    size = _number("size", query.get("size"), SIZE_DEFAULT, SIZE_MAX, issues)
    page = _number("page", query.get("page"), 1, LISTED_MAX // max(size, 1), issues)
    if issues:
        raise NotValid(issues)
    return Window(page, size)


def reused_key() -> NotValid:
    """The idempotency key came before with another body."""
    message = "Idempotency-Key was used with another body"
    return NotValid([_issue(["Idempotency-Key"], message, "same body", "other body", "custom")])


def _uuid(name: str, value: object) -> list[Issue]:
    if not isinstance(value, str):
        return [_ill_typed([name], "string", value)]
    if _is_uuid(value) is None:
        return [_issue([name], "Invalid UUID", "uuid", "string", "invalid_format")]
    return []


def _status(value: object) -> list[Issue]:
    if isinstance(value, str) and value in STATUSES:
        return []
    message = f"Invalid option: expected one of {_OPTIONS}"
    return [_issue(["status"], message, _OPTIONS, _kind(value), "invalid_value")]


def _number(name: str, text: str | None, default: int, most: int, issues: list[Issue]) -> int:
    if text is None:
        return default
    if _is_number(text) is None:
        issues.append(_ill_typed([name], "number", text))
        return default
    number = int(text)
    if number < 1:
        message = "Too small: expected number to be >=1"
        issues.append(_issue([name], message, ">=1", "number", "too_small"))
    elif number > most:
        message = f"Too big: expected number to be <={most}"
        issues.append(_issue([name], message, f"<={most}", "number", "too_big"))
    return number


def _ill_typed(path: list[str], expected: str, value: object) -> Issue:
    received = _kind(value)
    message = f"Invalid input: expected {expected}, received {received}"
    return _issue(path, message, expected, received, "invalid_type")


def _issue(path: list[str], message: str, expected: str, received: str, code: str) -> Issue:
    return {
        "path": path,
        "message": message,
        "expected": expected,
        "received": received,
        "code": code,
    }


def _kind(value: object) -> str:
    """The kind of a JSON value, in JavaScript's words."""
    return "undefined" if value is _ABSENT else _KINDS.get(type(value), "object")


_KINDS: Final[dict[type, str]] = {
    type(None): "null",
    bool: "boolean",
    int: "number",
    float: "number",
    str: "string",
    list: "array",
}
