"""What topics, groups and partitions are called on the broker, and which partition a key has."""

from collections.abc import Iterable
from functools import lru_cache
from typing import Final

import aiokafka
from aiokafka.partitioner import murmur2

from shared.contracts.topics import TOPICS, dead
from shared.runtime.ports import TopicPartition

KEYS_CACHED_MAX: Final = 65_536  # a hash in plain Python costs as much as all the rest of a send

ALL_TOPICS: Final = (*TOPICS, *map(dead, TOPICS))
_KNOWN: Final = frozenset(ALL_TOPICS)


class Names:
    """One prefix before every topic and group, and one number of partitions for every topic."""

    def __init__(self, prefix: str, partitions: int) -> None:
        self.prefix: Final = prefix
        self.partitions: Final = partitions
        self.partition: Final = lru_cache(maxsize=KEYS_CACHED_MAX)(self._partition)

    def _partition(self, key: str) -> int:
        """As Kafka's own clients choose it for a key, so that their records join ours."""
        hashed: int = murmur2(key.encode())
        return (hashed & 0x7FFFFFFF) % self.partitions

    def topic(self, name: str) -> str:
        """A topic's name on the broker."""
        return self.prefix + name

    def group(self, name: str) -> str:
        """A group's name on the broker."""
        return self.prefix + name

    def theirs(self, place: TopicPartition) -> aiokafka.TopicPartition:
        """A partition as the client calls it."""
        return aiokafka.TopicPartition(self.prefix + place.topic, place.partition)

    def ours(self, place: aiokafka.TopicPartition) -> TopicPartition:
        """A partition as the ports call it."""
        return TopicPartition(place.topic.removeprefix(self.prefix), place.partition)

    def places(self, topics: Iterable[str]) -> list[TopicPartition]:
        """Every partition of these topics."""
        return [TopicPartition(topic, n) for topic in topics for n in range(self.partitions)]


def is_known(topic: str) -> bool:
    """Whether this is one of our topics; any other is empty to us, whatever the broker has."""
    return topic in _KNOWN
