"""Page cursors: bounded, and made of exactly what was put in."""

import pytest

from shared.adapters.cursor import CHARS_MAX, Instant, read_cursor, write_cursor
from shared.contracts.limits import INTEGER_MAX


@pytest.mark.parametrize("place", [(0, ""), (INTEGER_MAX, "demo:Ünïcode☎"), (1, "x" * 1_500)])
def test_a_place_comes_back(place: tuple[int, str]) -> None:
    assert read_cursor(write_cursor(place), tuple[Instant, str]) == place


@pytest.mark.parametrize(
    "place", [(-1, "a"), (INTEGER_MAX + 1, "a"), (1,), (1, "a", "b"), ("a", 1)]
)
def test_another_shape_is_refused(place: tuple[int | str, ...]) -> None:
    with pytest.raises(ValueError, match="not a cursor of ours"):
        read_cursor(write_cursor(place), tuple[Instant, str])


def test_a_cursor_is_bounded() -> None:
    room = CHARS_MAX // 4 * 3 - len('[1,""]')
    longest = write_cursor((1, "x" * room))
    assert len(longest) == CHARS_MAX
    assert read_cursor(longest, tuple[Instant, str]) == (1, "x" * room)
    with pytest.raises(ValueError, match="not a cursor of ours"):
        read_cursor(write_cursor((1, "x" * (room + 1))), tuple[Instant, str])
