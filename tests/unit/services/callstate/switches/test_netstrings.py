"""Framing: whatever the pieces, the same messages; whatever is wrong, said and never skipped."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.callstate.switches.netstrings import NETSTRING_BYTES_MAX, Netstrings


def frame(message: bytes) -> bytes:
    return b"%d:%s," % (len(message), message)


@settings(deadline=None, max_examples=100)
@given(
    messages=st.lists(st.binary(max_size=40), max_size=6),
    cuts=st.lists(st.integers(0, 250), max_size=8),
)
def test_any_cutting_of_the_stream_gives_the_same_messages(
    messages: list[bytes], cuts: list[int]
) -> None:
    stream = b"".join(frame(message) for message in messages)
    places = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    netstrings, found = Netstrings(), []
    for start, end in pairwise(places):
        some, wrong = netstrings.feed(stream[start:end])
        assert wrong is None
        found += some
    assert found == messages


@pytest.mark.parametrize(
    ("stream", "detail"),
    [
        (b"x", "not a number"),
        (b"-1:,", "not a number"),
        (b"5 :hello,", "not a number"),
        (b":,", "missing"),
        (b"000000", "too many digits"),
        (b"123456:", "too many digits"),
        (b"5:hello;", "comma"),
        (b"4:hello,", "comma"),
    ],
)
def test_a_broken_frame_is_told_behind_the_messages_before_it(stream: bytes, detail: str) -> None:
    found, wrong = Netstrings().feed(frame(b"before") + stream)
    assert found == [b"before"]
    assert wrong is not None
    assert wrong.reason == "bad_netstring"
    assert detail in wrong.detail


def test_a_message_may_be_as_long_as_the_limit_and_no_longer() -> None:
    longest = b"x" * NETSTRING_BYTES_MAX
    assert Netstrings().feed(frame(longest)) == ([longest], None)
    found, wrong = Netstrings().feed(b"%d:" % (NETSTRING_BYTES_MAX + 1))
    assert found == []
    assert wrong is not None
