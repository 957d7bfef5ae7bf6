"""Query parameters, checked: a misspelt filter must not silently mean no filter."""

import re
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Final

from aiohttp import web

from services.gateway.problems import Invalid
from services.gateway.route import Parameter
from shared.contracts import limits
from shared.contracts.ids import ID_PATTERN, is_id
from shared.contracts.instants import (
    INSTANT_MS_MAX,
    RFC_3339,
    from_datetime,
    from_wire,
    is_rfc_3339,
)

PAGE_SIZE: Final = 50
CURSOR_CHARS_MAX: Final = 1_000
DAY_MS: Final = 24 * 3600 * 1000
DEFAULT_DAYS: Final = 30

_DAY: Final = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"

LIMIT: Final = Parameter(
    "limit",
    f"rows on a page, {PAGE_SIZE} by default",
    schema={"type": "integer", "minimum": 1, "maximum": limits.PAGE_SIZE_MAX},
)
CURSOR: Final = Parameter(
    "cursor",
    "`next` of the page before",
    schema={"type": "string", "minLength": 1, "maxLength": CURSOR_CHARS_MAX},
)
AGENT: Final = Parameter(
    "agent_id", "only this agent's", schema={"type": "string", "pattern": ID_PATTERN}
)
_INSTANT: Final = {"type": "string", "pattern": f"^{_DAY}$|{RFC_3339}"}
FROM: Final = Parameter("from", "RFC 3339 or a UTC day; 30 days ago by default", schema=_INSTANT)
TO: Final = Parameter("to", "RFC 3339 or a UTC day, not included; now by default", schema=_INSTANT)
AHEAD_FROM: Final = Parameter(
    "from", "RFC 3339 or a UTC day; a day ago by default", schema=_INSTANT
)
AHEAD_TO: Final = Parameter(
    "to", "RFC 3339 or a UTC day, not included; no end by default", schema=_INSTANT
)

_is_day: Final = re.compile(_DAY).fullmatch
_unescaped_plus: Final = re.compile(r" (?=[0-9:]{5}$)").sub
_is_number: Final = re.compile(r"[0-9]{1,6}").fullmatch


class Query:
    """The parameters of one request.

    Raises:
        Invalid: from the constructor for names that are not known or stand twice; from each
            method for a value that breaks its rule.
    """

    def __init__(self, request: web.Request, *known: Parameter) -> None:
        names = {parameter.name for parameter in known}
        for name in request.query:
            if name not in names:
                raise _invalid(name[:64], f"no such parameter; there are {sorted(names)}")
            if len(request.query.getall(name)) > 1:
                raise _invalid(name, "stands twice")
        self._query = request.query

    def text(self, name: str, chars_max: int = limits.TEXT_CHARS_MAX) -> str | None:
        """A text of at most so many printable characters."""
        value = self._query.get(name)
        if value is not None and not (0 < len(value) <= chars_max and value.isprintable()):
            raise _invalid(name, f"1 to {chars_max} printable characters")
        return value

    def id(self, name: str) -> str | None:
        """An id."""
        value = self._query.get(name)
        if value is not None and not is_id(value):
            raise _invalid(name, "not an id")
        return value

    def one_of(self, name: str, words: Collection[str]) -> str | None:
        """One of these."""
        value = self._query.get(name)
        if value is not None and value not in words:
            raise _invalid(name, f"one of {', '.join(words)}")
        return value

    def cursor(self) -> str | None:
        """The cursor, unchecked but for its length."""
        return self.text("cursor", CURSOR_CHARS_MAX)

    def limit(self) -> int:
        """The page size."""
        value = self._query.get("limit")
        if value is None:
            return PAGE_SIZE
        number = int(value) if _is_number(value) else 0
        if not 1 <= number <= limits.PAGE_SIZE_MAX:
            raise _invalid("limit", f"1 to {limits.PAGE_SIZE_MAX}")
        return number

    def span(self, now_ms: int) -> tuple[int, int]:
        """`from` and `to`; by default the last days up to just behind now."""
        from_ms = self._instant("from", now_ms - DEFAULT_DAYS * DAY_MS)
        to_ms = self._instant("to", now_ms + 1000)
        return from_ms, to_ms

    def span_ahead(self, now_ms: int) -> tuple[int, int]:
        """`from` and `to`; by default from a day ago on, without an end."""
        return self._instant("from", now_ms - DAY_MS), self._instant("to", INSTANT_MS_MAX + 1)

    def _instant(self, name: str, default_ms: int) -> int:
        value = self._query.get(name)
        if value is None:
            return default_ms
        try:
            return _in_ms(value)
        except ValueError as error:
            raise _invalid(name, str(error)) from None


def bad_cursor() -> Invalid:
    """The cursor is not one of ours."""
    return _invalid("cursor", "not one of ours")


def _invalid(name: str, detail: str) -> Invalid:
    return Invalid(f"query parameter {name}: {detail}", [{"field": name, "detail": detail}])


def _in_ms(value: str) -> int:
    if _is_day(value):
        return from_datetime(datetime.fromisoformat(value).replace(tzinfo=UTC))
    # A "+" of the offset that nobody has escaped arrives as a space.
    value = _unescaped_plus("+", value)
    if not is_rfc_3339(value):
        raise ValueError("not an RFC 3339 time")
    return from_wire(value.upper())
