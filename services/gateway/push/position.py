"""Where a follower of the told topics stands: the next offset of every partition, as one word.

It is the `id` of each server-sent event, so that a client resumes on any gateway of the same log
with nothing but the last id it has seen: `v1.12-5-0-7.3-4-5-6.0-0-0-0.1-1-0-2`, one group per told
topic in the order of `TOLD`, one number per partition. It says that everything the client had asked
for below these offsets was sent to it.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from shared.contracts.limits import INTEGER_MAX
from shared.contracts.topics import TOLD
from shared.runtime.ports import TopicPartition

POSITION_CHARS_MAX: Final = 8_000  # what fits a header line
_VERSION: Final = "v1"
# Zero or a number without leading zeros: one position has one spelling.
_group_matches: Final = re.compile(r"(?:0|[1-9][0-9]{0,18})(?:-(?:0|[1-9][0-9]{0,18}))*").fullmatch
_TOPIC_INDEX: Final = {topic: index for index, topic in enumerate(TOLD)}


@dataclass(frozen=True, slots=True)
class Position:
    """Next offsets: `offsets[i][p]` is of partition `p` of topic `TOLD[i]`."""

    offsets: tuple[tuple[int, ...], ...]

    @staticmethod
    def of(ends: Mapping[TopicPartition, int]) -> "Position":
        """The position at these ends, which must name every partition of every told topic."""
        counts = {topic: sum(1 for place in ends if place.topic == topic) for topic in TOLD}
        return Position(
            tuple(
                tuple(ends[TopicPartition(topic, number)] for number in range(counts[topic]))
                for topic in TOLD
            )
        )

    @staticmethod
    def parse(text: str) -> "Position":
        """Read what `text` has written.

        Raises:
            ValueError: anything else, with one sentence that never holds the text.
        """
        if len(text) > POSITION_CHARS_MAX:
            raise ValueError("the position is too long")
        version, *groups = text.split(".")
        if version != _VERSION or len(groups) != len(TOLD):
            raise ValueError("the position is not one of ours")
        if not all(_group_matches(group) for group in groups):
            raise ValueError("the position is not one of ours")
        position = Position(tuple(tuple(map(int, group.split("-"))) for group in groups))
        if any(offset > INTEGER_MAX for group in position.offsets for offset in group):
            raise ValueError("the position holds an offset that no log has")
        return position

    def text(self) -> str:
        """What `parse` reads."""
        return ".".join((_VERSION, *("-".join(map(str, group)) for group in self.offsets)))

    def __getitem__(self, place: TopicPartition) -> int:
        return self.offsets[_TOPIC_INDEX[place.topic]][place.partition]

    def moved(self, place: TopicPartition, offset: int) -> "Position":
        """The position with this partition's next offset."""
        topic, at = _TOPIC_INDEX[place.topic], place.partition
        group = self.offsets[topic]
        group = (*group[:at], offset, *group[at + 1 :])
        return Position((*self.offsets[:topic], group, *self.offsets[topic + 1 :]))

    def places(self) -> Iterator[tuple[TopicPartition, int]]:
        """Every partition with its next offset."""
        for topic, group in zip(TOLD, self.offsets, strict=True):
            for number, offset in enumerate(group):
                yield TopicPartition(topic, number), offset

    def fits(self, other: "Position") -> bool:
        """Whether both name the same partitions, so that they can be of one log."""
        return [len(group) for group in self.offsets] == [len(group) for group in other.offsets]

    def behind(self, other: "Position", topics: Collection[str]) -> tuple[TopicPartition, ...]:
        """The partitions of these topics in which the other stands further."""
        return tuple(
            place
            for place, offset in self.places()
            if place.topic in topics and other[place] > offset
        )

    def distance(self, other: "Position", topics: Collection[str]) -> int:
        """How many records of these topics lie between here and the other, ahead of here."""
        return sum(other[place] - self[place] for place in self.behind(other, topics))

    def skipping(self, other: "Position", topics: Collection[str]) -> "Position":
        """The position that stands at the other's offsets, but on these topics where it stood."""
        groups = zip(TOLD, self.offsets, other.offsets, strict=True)
        return Position(tuple(own if topic in topics else their for topic, own, their in groups))

    def within(self, other: "Position") -> "Position":
        """The position, nowhere further than the other."""
        groups = zip(self.offsets, other.offsets, strict=True)
        return Position(tuple(tuple(map(min, own, their)) for own, their in groups))
