"""Page cursors: the place of the last row shown, opaque to whoever carries it."""

import base64
from typing import Annotated, Final, TypeVar

import msgspec

from shared.contracts.limits import INTEGER_MAX

T = TypeVar("T")

Instant = Annotated[int, msgspec.Meta(ge=0, le=INTEGER_MAX)]
CHARS_MAX: Final = 2_048  # the longest place is an instant and two ids


def write_cursor(place: tuple[int | str, ...]) -> str:
    """The cursor that goes on after this place."""
    return base64.urlsafe_b64encode(msgspec.json.encode(place)).decode()


def read_cursor(cursor: str, shape: type[T]) -> T:
    """The place in a cursor.

    Raises:
        ValueError: it is not one of ours.
    """
    if len(cursor) > CHARS_MAX:
        raise ValueError("not a cursor of ours")
    try:
        return msgspec.json.decode(base64.b64decode(cursor, b"-_", validate=True), type=shape)
    except ValueError:  # what msgspec and base64 raise are both kinds of it
        raise ValueError("not a cursor of ours") from None
