from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contracts.instants import (
    INSTANT_MS_MAX,
    from_datetime,
    from_wire,
    to_wire,
    to_wire_or_none,
)


@given(st.integers(min_value=0, max_value=INSTANT_MS_MAX))
def test_the_wire_form_comes_back(instant_ms: int) -> None:
    assert from_wire(to_wire(instant_ms)) == instant_ms


@pytest.mark.parametrize(
    ("text", "wire"),
    [
        ("2026-11-21T14:05:38.120Z", "2026-11-21T14:05:38.120Z"),
        ("2026-11-21T15:05:38.120999+01:00", "2026-11-21T14:05:38.120Z"),
        ("2026-11-21T14:05:38Z", "2026-11-21T14:05:38.000Z"),
    ],
)
def test_any_offset_is_read_and_utc_is_written(text: str, wire: str) -> None:
    assert to_wire(from_wire(text)) == wire


@pytest.mark.parametrize(
    "text", ["", "now", "2026-11-21T14:05:38", "2026-13-01T00:00:00Z", "1969-12-31T23:59:59Z"]
)
def test_what_is_no_instant(text: str) -> None:
    with pytest.raises(ValueError, match="time"):
        from_wire(text)


def test_beyond_the_last_year_there_is_no_wire_form() -> None:
    with pytest.raises(OverflowError):
        to_wire(INSTANT_MS_MAX + 1)


def test_none_stays_none() -> None:
    assert to_wire_or_none(None) is None
    assert to_wire_or_none(0) == "1970-01-01T00:00:00.000Z"


def test_a_datetime_is_cut_to_milliseconds() -> None:
    assert from_datetime(datetime(1970, 1, 1, 0, 0, 1, 999, tzinfo=UTC)) == 1000
