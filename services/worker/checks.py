"""What the shape of a record alone does not say, and a decision or a store would stumble over."""

from collections.abc import Mapping
from typing import Final

import msgspec

from shared.contracts.errors import Poison
from shared.contracts.values import check_text

MALFORMED: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def check_texts(request: object, chars_max: Mapping[str, int]) -> None:
    """Check these attributes, where the request has them.

    Raises:
        Poison: `bad_data`.
    """
    for name, most in chars_max.items():
        check_chars(name, getattr(request, name, None), most)


def check_chars(name: str, text: str | None, chars_max: int) -> None:
    """Check one text.

    Raises:
        Poison: `bad_data`; it is too long, or no text that can be stored.
    """
    if text is not None and len(text) > chars_max:
        raise Poison("bad_data", f"{name} is over {chars_max} characters")
    try:
        check_text(text or "")
    except ValueError as error:
        raise Poison("bad_data", f"{name}: {error}") from None
