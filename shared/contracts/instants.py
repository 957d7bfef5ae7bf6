"""Time on the wire and inside.

Inside, an instant is an integer of milliseconds since the epoch, UTC (names end in `_ms`);
on the wire it is an RFC 3339 string (names end in `_at`). A value without an offset is refused:
guessing a zone puts callbacks an hour off.

A leap second is the last millisecond before the midnight that it stands before. So it is of its own
day and month wherever days are counted, and never after what happened behind it; the clocks of
machines, which have none, are nearest to it there, too.
"""

import re
from calendar import monthrange
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

from shared.contracts.limits import TEXT_CHARS_MAX

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_MS: Final = 24 * 3600 * 1000
_LEAP: Final = ":60"
_MS: Final = timedelta(milliseconds=1)
_FRACTIONS: Final = tuple(f".{ms:03d}Z" for ms in range(1000))
_MS_OF: Final = {fraction: ms for ms, fraction in enumerate(_FRACTIONS)}
INSTANT_MS_MAX: Final = 253_402_300_799_999  # 9999-12-31T23:59:59.999Z

FRACTION_DIGITS_MAX: Final = TEXT_CHARS_MAX - len("2026-11-21T14:05:38.+01:00")
"""RFC 3339 sets no limit; so many make the longest text that is taken anywhere."""

# What RFC 3339 allows; the parser behind it would take week dates and more.
RFC_3339: Final = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}"
    rf"(\.[0-9]{{1,{FRACTION_DIGITS_MAX}}})?([Zz]|[+-][0-9]{{2}}:[0-9]{{2}})$"
)
_matches: Final = re.compile(RFC_3339).fullmatch


@lru_cache(maxsize=16_384)  # a moment is told of many times, and one batch has one
def to_wire(instant_ms: int) -> str:
    """RFC 3339 with milliseconds, in UTC: `2026-11-21T14:05:38.120Z`.

    Raises:
        OverflowError: the instant is not within years 1 to 9999.
    """
    second, ms = divmod(instant_ms, 1000)
    return _second_to_wire(second) + _FRACTIONS[ms]


@lru_cache(maxsize=4096)  # instants are many, but of few different seconds
def _second_to_wire(second: int) -> str:
    moment = _EPOCH + timedelta(seconds=second)
    return moment.replace(tzinfo=None).isoformat(timespec="seconds")


def to_wire_or_none(instant_ms: int | None) -> str | None:
    """`to_wire`, or None for None."""
    return None if instant_ms is None else to_wire(instant_ms)


def from_datetime(moment: datetime) -> int:
    """Milliseconds since the epoch.

    Raises:
        ValueError: the value has no offset, or does not lie in the years 1970 to 9999 (UTC).
    """
    if moment.utcoffset() is None:
        raise ValueError("a time needs an offset, such as Z or +01:00")
    instant_ms = (moment - _EPOCH) // _MS
    if instant_ms < 0:
        raise ValueError("a time before 1970 makes no sense here")
    if instant_ms > INSTANT_MS_MAX:
        raise ValueError("a time beyond the year 9999 can't be written back")
    return instant_ms


def from_wire(text: str) -> int:
    """Parse an RFC 3339 string to milliseconds since the epoch.

    Raises:
        ValueError: not a time, no offset, or before the epoch.
    """
    ms = _MS_OF.get(text[19:])
    if ms is not None:  # as `to_wire` writes it
        try:
            return _second_from_wire(text[:19]) + ms
        except ValueError:  # a leap second, or no time
            return from_datetime(moment_of(text))
    return from_datetime(moment_of(text))


@lru_cache(maxsize=4096)
def _second_from_wire(text: str) -> int:
    return from_datetime(datetime.fromisoformat(text + "Z"))


def moment_of(text: str) -> datetime:
    """An RFC 3339 string, as the library has it.

    Raises:
        ValueError: it is no time, or a leap second where there can be none.
    """
    text = text.upper()
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        if text[16:19] != _LEAP:
            raise ValueError("not an RFC 3339 time") from None
    return _leap_second(f"{text[:16]}:59{text[19:]}")


def _leap_second(text: str) -> datetime:
    """Of a text with the second before it. There may be one at the end of a month, by UTC."""
    try:
        moment = datetime.fromisoformat(text).replace(microsecond=999_000)
    except ValueError:
        raise ValueError("not an RFC 3339 time") from None
    last_ms = from_datetime(moment)
    day = _EPOCH + last_ms * _MS
    if (last_ms + 1) % _DAY_MS or day.day != monthrange(day.year, day.month)[1]:
        raise ValueError("not a time: a leap second ends a month, by UTC")
    return moment


def is_rfc_3339(text: object) -> bool:
    """Whether it is spelt as RFC 3339 has it; it may still be a day that no calendar has."""
    return isinstance(text, str) and _matches(text) is not None
