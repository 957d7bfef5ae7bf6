"""The log on Kafka. An offset that a transaction's marker takes is a gap between two records."""

from collections.abc import Sequence
from typing import Final
from weakref import WeakSet

from shared.adapters.cluster.broker import Broker, OutOfRange
from shared.adapters.cluster.consumer import KafkaConsumer
from shared.adapters.cluster.following import Following
from shared.adapters.cluster.names import Names, is_known
from shared.adapters.cluster.publisher import Publisher
from shared.adapters.cluster.rounds import Rounds
from shared.contracts.envelope import Message, Record
from shared.runtime.ports import Positions, TopicPartition

FOLLOWED_RECORDS_MAX: Final = 10_000

_Topics = tuple[str, ...]


class KafkaLog:
    """`EventLog` on one cluster.

    Attributes:
        consumers: those that are still in use.
    """

    appends_whole: Final = False

    def __init__(
        self,
        bootstrap: str,
        names: Names,
        broker: Broker,
        publisher: Publisher,
        following: Following,
        instance: str | None,
    ) -> None:
        self.consumers: WeakSet[KafkaConsumer] = WeakSet()
        self._bootstrap = bootstrap
        self._names = names
        self._broker = broker
        self._publisher = publisher
        self._following = following
        self._instance = instance
        self._ends: Rounds[_Topics, dict[TopicPartition, int]] = Rounds(self._ask_ends)
        self._positions: Rounds[tuple[str, _Topics], dict[TopicPartition, int]] = Rounds(
            self._ask_positions
        )

    async def append(self, messages: Sequence[Message]) -> None:
        """See `EventLog`.

        Raises:
            Bug: a record is too large, or the topics have other partitions than at the start.
        """
        await self._publisher.append(messages)

    def consumer(self, group: str, topics: Sequence[str]) -> KafkaConsumer:
        """See `EventLog`; joins the group when it is first used."""
        consumer = KafkaConsumer(
            self._bootstrap,
            self._names,
            self._broker,
            self._publisher,
            group,
            topics,
            self._instance,
        )
        self.consumers.add(consumer)
        return consumer

    def partition(self, key: str) -> int:
        """See `EventLog`."""
        return self._names.partition(key)

    async def ends(self, topics: Sequence[str]) -> dict[TopicPartition, int]:
        """See `EventLog`: what every reader can reach, before any transaction still open."""
        return await self._ends.get(tuple(topics))

    async def _ask_ends(self, topics: _Topics) -> dict[TopicPartition, int]:
        none = dict.fromkeys(self._names.places(topics), 0)
        known = self._names.places(filter(is_known, topics))
        return none | (await self._broker.ends(known) if known else {})

    async def read(self, place: TopicPartition, offset: int, limit: int) -> list[Record]:
        """See `EventLog`; from memory, where it is followed and reaches back that far."""
        if not is_known(place.topic):
            return []
        if offset < self._following.tails.end(place):
            records = self._following.tails.take(place, offset, limit)
            if records:
                return records
        return await self._read(place, offset, limit)

    async def _read(self, place: TopicPartition, offset: int, limit: int) -> list[Record]:
        found: list[Record] = []
        while len(found) < limit:
            try:
                fetched = await self._broker.fetch(place, offset, limit=limit - len(found))
            except OutOfRange:
                start = (await self._broker.starts([place]))[place]
                if offset >= start:  # beyond the end
                    return found
                offset = start
                continue
            found += fetched.records
            if fetched.next >= fetched.end or fetched.next == offset:
                return found
            offset = fetched.next
        return found

    async def positions(self, group: str, topics: Sequence[str]) -> dict[TopicPartition, int]:
        """See `EventLog`."""
        return await self._positions.get((group, tuple(topics)))

    async def _ask_positions(self, asked: tuple[str, _Topics]) -> dict[TopicPartition, int]:
        group, topics = asked
        places = self._names.places(topics)
        return dict.fromkeys(places, 0) | await self._broker.committed(group, places)

    async def grown(self, topics: Sequence[str], seen: Positions, wait_s: float) -> bool:
        """See `EventLog`."""
        known = [topic for topic in topics if is_known(topic)]
        if await self._following.grown(known, seen, wait_s):
            return True
        ends = await self.ends(known)
        return any(end > seen.get(place, 0) for place, end in ends.items())
