"""Everything in the log, as far as it goes, and where the groups stand; without joining any."""

import asyncio
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import Struct

from shared.adapters.cluster.broker import Broker, OutOfRange
from shared.adapters.cluster.names import ALL_TOPICS, Names
from shared.contracts.envelope import Record
from shared.contracts.errors import Unavailable
from shared.runtime.ports import TopicPartition

LEADER_S: Final = 10.0  # for how long partitions may be without a leader
LEADER_EVERY_S: Final = 0.2

Groups = Mapping[str, Sequence[str]]
"""By group the topics that it reads."""


class Look(Struct, frozen=True):
    """Where the groups stand, and where the log ends.

    Attributes:
        positions: by group; nothing where nothing was committed.
    """

    positions: dict[str, dict[TopicPartition, int]]
    ends: dict[TopicPartition, int]


class LogReading:
    """Reads on from where it was.

    Attributes:
        starts: where the log began when the reading did.
        records: by partition, in order.
    """

    def __init__(self, broker: Broker, names: Names, topics: Sequence[str] = ALL_TOPICS) -> None:
        self.starts: dict[TopicPartition, int] = {}
        self.records: dict[TopicPartition, list[Record]] = defaultdict(list)
        self._broker = broker
        self._names = names
        self._topics = topics
        self._next: dict[TopicPartition, int] = {}

    async def look(self, groups: Groups) -> Look:
        """Look now: at the positions first.

        Raises:
            Unavailable: the broker did not answer.
        """
        positions = {
            group: await self._broker.committed(group, self._names.places(topics))
            for group, topics in groups.items()
        }
        return Look(positions, await self._broker.ends(self._names.places(self._topics)))

    async def read_to(self, ends: Mapping[TopicPartition, int]) -> None:
        """Read on to these ends. Where the oldest records have gone meanwhile, all is read anew.

        Raises:
            Unavailable: the broker did not answer.
        """
        while True:
            if not self._next:
                self.starts = await self._broker.starts(list(ends))
                self._next = dict(self.starts)
            try:
                return await self._read_to(ends)
            except OutOfRange:
                self.records.clear()
                self._next = {}

    async def _read_to(self, ends: Mapping[TopicPartition, int]) -> None:
        deadline = asyncio.get_running_loop().time() + LEADER_S
        while left := [place for place, end in ends.items() if self._next.get(place, 0) < end]:
            led = self._broker.leaders(left)
            if not led and asyncio.get_running_loop().time() > deadline:
                raise Unavailable(f"nobody leads {left[0].topic}/{left[0].partition}")
            if not led:
                await asyncio.sleep(LEADER_EVERY_S)
            for node, places in led.items():
                await self._fetch(node, places)
                deadline = asyncio.get_running_loop().time() + LEADER_S

    async def _fetch(self, node: int, places: Sequence[TopicPartition]) -> None:
        offsets = {place: self._next[place] for place in places}
        for place, fetched in (await self._broker.fetch_from(node, offsets, wait_s=0)).items():
            self.records[place] += fetched.records
            self._next[place] = fetched.next

    def by_topic(self, ends: Mapping[TopicPartition, int]) -> dict[str, list[Record]]:
        """What stands before these ends: by topic, each by partition and offset."""
        found: dict[str, list[Record]] = defaultdict(list)
        for place in sorted(ends):
            records = self.records[place]
            found[place.topic] += records[: _count(records, ends[place])]
        return dict(found)

    def behind(self, positions: Mapping[TopicPartition, int], topics: Sequence[str]) -> int:
        """How many records of these topics stand at or above the positions."""
        total = 0
        for place in self._names.places(topics):
            records = self.records[place]
            total += len(records) - _count(records, positions.get(place, 0))
        return total


def _count(records: Sequence[Record], offset: int) -> int:
    """How many of them stand before an offset."""
    return bisect_left(records, offset, key=lambda record: record.offset)
