"""What a client would rather have, by its `Accept` (RFC 9110, 12.5.1)."""

import re
from collections.abc import Iterable
from typing import Final

_RANGE: Final = re.compile(r"\s*([^\s;,]+)[^;,]*([^,]*)")
_WEIGHT: Final = re.compile(r";\s*q\s*=\s*(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)\s*(?:;|$)")
_WEIGHED: Final = re.compile(r";\s*q\s*=")


def rather(accept: Iterable[str], this: str, that: str) -> bool:
    """Whether `this` media type is wanted more than `that`; all the same where nothing is said.

    Media types are in lower case, as `text/csv`; `accept` has the values of every such header.
    """
    ranges = dict(_ranges(",".join(accept).lower()))
    return _weight(ranges, this) > _weight(ranges, that)


def _ranges(accept: str) -> Iterable[tuple[str, float]]:
    """Each range with its weight; one whose weight is none says nothing."""
    for name, parameters in _RANGE.findall(accept):
        weight = _WEIGHT.search(parameters)
        if weight is not None:
            yield name, float(weight[1])
        elif not _WEIGHED.search(parameters):
            yield name, 1.0


def _weight(ranges: dict[str, float], media_type: str) -> float:
    """Of the range that fits closest."""
    kind, _, _ = media_type.partition("/")
    for name in (media_type, f"{kind}/*", "*/*"):
        if name in ranges:
            return ranges[name]
    return 0.0
