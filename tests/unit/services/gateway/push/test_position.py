import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.gateway.push.position import POSITION_CHARS_MAX, Position
from shared.contracts.topics import CALLS_CHANGED, DISPOSITION_EVENTS, TOLD, USER_EVENTS
from shared.runtime.ports import TopicPartition

HERE = Position(((12, 5, 0), (3, 4, 5), (0, 0, 0), (1, 0, 2)))

offsets = st.integers(0, 2**63 - 1)
positions = st.lists(
    st.lists(offsets, min_size=1, max_size=8).map(tuple), min_size=len(TOLD), max_size=len(TOLD)
).map(lambda groups: Position(tuple(groups)))


@settings(deadline=None, max_examples=100)
@given(positions)
def test_what_is_written_is_read_again(position: Position) -> None:
    assert Position.parse(position.text()) == position


def test_it_reads_as_one_group_per_topic_and_one_number_per_partition() -> None:
    assert HERE.text() == "v1.12-5-0.3-4-5.0-0-0.1-0-2"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "v1",
        "v1.",
        "v2.1.1.1.1",
        "V1.1.1.1.1",
        "v1.1.1.1",
        "v1.1.1.1.1.1",
        "v1.1.1.1.",
        "v1.1-.1.1.1",
        "v1.-1.1.1.1",
        "v1.1--2.1.1.1",
        "v1.01.1.1.1",
        "v1.+1.1.1.1",
        "v1.1_0.1.1.1",
        "v1. 1.1.1.1",
        "v1.1.1.1.1\n",
        "v1.1.1.1.1 ",
        "v1.\u0661.1.1.1",
        "v1.0x1.1.1.1",
        "v1.9223372036854775808.1.1.1",
        "v1.99999999999999999999.1.1.1",
        "12",
        "null",
    ],
)
def test_nothing_else_is_a_position(text: str) -> None:
    with pytest.raises(ValueError, match="position"):
        Position.parse(text)


def test_a_position_may_just_fit_a_header() -> None:
    start = "v1.0.0.0.0"
    longest = start + "-0" * ((POSITION_CHARS_MAX - len(start)) // 2)
    assert len(longest) == POSITION_CHARS_MAX
    assert Position.parse(longest).text() == longest
    with pytest.raises(ValueError, match="too long"):
        Position.parse(longest + "-0")


def test_it_moves_one_partition() -> None:
    place = TopicPartition(DISPOSITION_EVENTS, 1)
    moved = HERE.moved(place, 9)
    assert moved[place] == 9
    assert moved == Position(((12, 5, 0), (3, 9, 5), (0, 0, 0), (1, 0, 2)))


def test_what_lies_between_two_positions_is_asked_by_topic() -> None:
    there = Position(((13, 5, 2), (3, 4, 0), (1, 0, 0), (1, 0, 2)))
    assert HERE.behind(there, TOLD) == (
        TopicPartition(CALLS_CHANGED, 0),
        TopicPartition(CALLS_CHANGED, 2),
        TopicPartition(USER_EVENTS, 0),
    )
    assert HERE.distance(there, TOLD) == 4
    assert HERE.behind(there, {USER_EVENTS}) == (TopicPartition(USER_EVENTS, 0),)
    assert HERE.skipping(there, {USER_EVENTS}) == Position(
        ((13, 5, 2), (3, 4, 0), (0, 0, 0), (1, 0, 2))
    )
    assert HERE.within(there) == Position(((12, 5, 0), (3, 4, 0), (0, 0, 0), (1, 0, 2)))


def test_positions_of_another_partition_count_do_not_fit() -> None:
    assert HERE.fits(Position(((0, 0, 0),) * 4))
    assert not HERE.fits(Position(((0, 0, 0),) * 3 + ((0, 0),)))


def test_it_is_read_from_the_ends_of_a_log() -> None:
    ends = dict(HERE.places())
    assert Position.of(dict(reversed(ends.items()))) == HERE
