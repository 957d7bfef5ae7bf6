from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contracts.instants import (
    FRACTION_DIGITS_MAX,
    INSTANT_MS_MAX,
    from_datetime,
    from_wire,
    is_rfc_3339,
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
        ("2026-11-21t14:05:38.5z", "2026-11-21T14:05:38.500Z"),
        (f"2026-11-21T14:05:38.{'1' * FRACTION_DIGITS_MAX}Z", "2026-11-21T14:05:38.111Z"),
        ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59.999Z"),
        ("2024-12-31T23:59:60.000Z", "2024-12-31T23:59:59.999Z"),
        ("2015-06-30T23:59:60.1234567890z", "2015-06-30T23:59:59.999Z"),
        ("1998-12-31T15:59:60.123-08:00", "1998-12-31T23:59:59.999Z"),
        ("2017-01-01T05:29:60+05:30", "2016-12-31T23:59:59.999Z"),
        ("9999-12-31T23:59:60Z", "9999-12-31T23:59:59.999Z"),
    ],
)
def test_any_offset_is_read_and_utc_is_written(text: str, wire: str) -> None:
    assert to_wire(from_wire(text)) == wire


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2026-11-21T14:05:38",
        "2026-13-01T00:00:00Z",
        "1969-12-31T23:59:59Z",
        "2016-12-31T23:59:60",
        "2016-12-31T23:58:60Z",
        "2016-12-31T22:59:60.000Z",
        "2016-12-31T23:59:60+01:00",
        "2016-12-30T23:59:60Z",
        "2016-02-30T23:59:60Z",
        "2016-12-31T23:59:61Z",
        "1969-12-31T23:59:60Z",
    ],
)
def test_what_is_no_instant(text: str) -> None:
    with pytest.raises(ValueError, match="time"):
        from_wire(text)


@pytest.mark.parametrize(
    ("text", "spelt"),
    [
        ("2016-12-31T23:59:60Z", True),
        (f"2026-11-21T14:05:38.{'1' * FRACTION_DIGITS_MAX}+01:00", True),
        (f"2026-11-21T14:05:38.{'1' * (FRACTION_DIGITS_MAX + 1)}+01:00", False),
        ("2026-11-21T14:05:38.Z", False),
        ("2026-W47-6T10:00:00Z", False),
        (1, False),
    ],
)
def test_how_a_time_is_spelt(text: object, spelt: bool) -> None:
    assert is_rfc_3339(text) is spelt


def test_beyond_the_last_year_there_is_no_wire_form() -> None:
    with pytest.raises(OverflowError):
        to_wire(INSTANT_MS_MAX + 1)


def test_none_stays_none() -> None:
    assert to_wire_or_none(None) is None
    assert to_wire_or_none(0) == "1970-01-01T00:00:00.000Z"


def test_a_datetime_is_cut_to_milliseconds() -> None:
    assert from_datetime(datetime(1970, 1, 1, 0, 0, 1, 999, tzinfo=UTC)) == 1000
