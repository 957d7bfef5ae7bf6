"""JSON from outside, made safe for every store, consumer and log behind us.

Python's own parser is used at the edge because it shows duplicate keys and non-standard numbers,
which faster ones pass over in silence.
"""

import json
import math
import re
from typing import Any, Final, NoReturn

from shared.contracts import limits

# No "$" in front, no dot, no empty key: each means something to a store or a browser.
_key_matches: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_ :-]{0,127}").fullmatch
_FORBIDDEN_KEYS: Final = frozenset({"__proto__", "constructor", "prototype"})


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return found


def _constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def parse_json(body: bytes) -> Any:
    """Parse a body strictly: UTF-8 without a mark, no duplicate keys, finite 64-bit numbers.

    Raises:
        ValueError: with one sentence on what is wrong; never holds the body.
    """
    if body.startswith(b"\xef\xbb\xbf"):
        raise ValueError("the body starts with a byte order mark")
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError("the body is not UTF-8") from None
    try:
        value = json.loads(text, object_pairs_hook=_pairs, parse_constant=_constant)
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error.msg} at character {error.pos}") from None
    except RecursionError:
        raise ValueError("nested too deep") from None
    check_values(value)
    return value


def check_values(value: Any, depth: int = 0) -> None:
    """Refuse what some store or consumer can't hold, whatever the keys are called.

    Raises:
        ValueError: with one sentence on what is wrong.
    """
    if depth > limits.JSON_DEPTH_MAX:
        raise ValueError("nested too deep")
    match value:
        case None | bool():
            return
        case str():
            check_text(value)
        case int() | float():
            _check_number(value)
        case dict():
            for key, item in value.items():
                check_text(key)
                check_values(item, depth + 1)
        case list():
            for item in value:
                check_values(item, depth + 1)
        case _:
            raise ValueError("not a JSON value")


def _check_number(number: float) -> None:
    if isinstance(number, int):
        if not -limits.INTEGER_MAX - 1 <= number <= limits.INTEGER_MAX:
            raise ValueError("an integer does not fit 64 bits")
    elif not math.isfinite(number):
        raise ValueError("a number is not finite")


def check_text(text: str) -> None:
    """Refuse text that is not storable Unicode: NUL, lone surrogates.

    Raises:
        ValueError: with one sentence on what is wrong.
    """
    if "\x00" in text:
        raise ValueError("a text holds NUL")
    if not text.isascii():
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            raise ValueError("a text holds a lone surrogate") from None


def check_json(value: dict[str, Any]) -> None:
    """Refuse free-form data whose values or keys some store can't hold.

    Raises:
        ValueError: with one sentence on what is wrong.
    """
    check_values(value)
    _check_keys(value)


def _check_keys(value: Any) -> None:
    match value:
        case dict():
            for key, item in value.items():
                if _key_matches(key) is None or key in _FORBIDDEN_KEYS:
                    raise ValueError("a key is empty, too long, or holds a character not allowed")
                _check_keys(item)
        case list():
            for item in value:
                _check_keys(item)
        case _:
            return
