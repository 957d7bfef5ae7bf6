"""JSON from outside: every list of reliability research that concerns JSON and numbers."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contracts.limits import INTEGER_MAX, JSON_DEPTH_MAX
from shared.contracts.values import check_json, check_values, parse_json


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"\xef\xbb\xbf{}", "byte order mark"),
        (b'{"a": "\xe9"}', "not UTF-8"),
        (b'{"a": 1, "a": 2}', "twice"),
        (b'{"o": {"a": 1, "a": 1}}', "twice"),
        (b'{"a": NaN}', "not JSON"),
        (b'{"a": -Infinity}', "not JSON"),
        (b'{"a": 1e400}', "not finite"),
        (b'{"a": 9223372036854775808}', "64 bits"),
        (b'{"a": -9223372036854775809}', "64 bits"),
        (b'{"a": ' + b"9" * 400 + b"}", "64 bits"),  # more than a float can hold
        (b'{"a": -' + b"9" * 4300 + b"}", "64 bits"),
        (b'{"a": ' + b"9" * 5000 + b"}", "digits|64 bits"),
        (b'{"a": "\\u0000"}', "NUL"),
        (b'{"\\u0000": 1}', "NUL"),
        (b'{"a": "\\ud800"}', "surrogate"),
        (b'{"\\udfff": 1}', "surrogate"),
        (b"[" * 1500 + b"]" * 1500, "deep"),
        (b"[" * 100_000, "deep"),
        (b'{"a":' * 1500 + b"1" + b"}" * 1500, "deep"),
    ],
)
def test_what_no_store_or_consumer_could_hold_is_refused(body: bytes, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        parse_json(body)


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b"[]", []),
        (b"-0", 0),
        (b'{"a": [1, 2.5, true, null, "\xc3\xa4"]}', {"a": [1, 2.5, True, None, "ä"]}),
        (str(INTEGER_MAX).encode(), INTEGER_MAX),
        (str(-INTEGER_MAX - 1).encode(), -INTEGER_MAX - 1),
        (b'"\\ud83d\\ude00"', "\U0001f600"),
    ],
)
def test_what_is_fine(body: bytes, value: Any) -> None:
    assert parse_json(body) == value


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def test_depth_at_the_limit_and_one_above() -> None:
    check_values(nested(JSON_DEPTH_MAX))
    with pytest.raises(ValueError, match="deep"):
        check_values(nested(JSON_DEPTH_MAX + 1))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), b"bytes", object()])
def test_values_that_json_does_not_know(value: object) -> None:
    with pytest.raises(ValueError, match="not"):
        check_values(value)


@pytest.mark.parametrize(
    "key", ["", "$where", "a.b", "__proto__", "constructor", "x" * 129, "a\n", "ä", " lead"]
)
def test_keys_that_mean_something_to_somebody(key: str) -> None:
    for data in ({key: 1}, {"fine": [{key: 1}]}):
        with pytest.raises(ValueError, match="key"):
            check_json(data)


@pytest.mark.parametrize("key", ["DispositionCode", "a-b_c d:e", "x" * 128, "9"])
def test_keys_that_are_fine(key: str) -> None:
    check_json({key: {"inner": [1, "two", None]}})


@given(st.binary(max_size=64))
def test_any_bytes_are_parsed_or_refused_never_more(body: bytes) -> None:
    with suppress(ValueError):
        parse_json(body)


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
numbers = st.integers(1, 4300).map(lambda digits: 10**digits - 1)  # as long as Python reads them


@given(
    st.recursive(
        scalars | numbers, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_any_value_is_taken_or_refused_never_more(value: object) -> None:
    with suppress(ValueError):
        check_values(value)
