"""What the loop knows of the log: where each partition ends, and its newest records.

Only durable records come here, in order. A reader that keeps up reads from here; one that is behind
reads from the log itself. Bounded per partition, whatever is written.
"""

import asyncio
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Final

from shared.contracts.envelope import Record
from shared.runtime.ports import Positions, TopicPartition

RECORDS_MAX: Final = 1_000
BYTES_MAX: Final = 2 * 1024 * 1024  # of values


class _Tail:
    """The newest records of one partition, none left out, up to its end."""

    __slots__ = ("bytes", "end", "records")

    def __init__(self, end: int) -> None:
        self.end = end
        self.records: list[Record] = []
        self.bytes = 0

    def add(self, record: Record, records_max: int, bytes_max: int) -> None:
        self.end = record.offset + 1
        self.records.append(record)
        self.bytes += len(record.value)
        while len(self.records) > records_max or self.bytes > bytes_max:
            del self.records[: len(self.records) // 2 + 1]
            self.bytes = sum(len(kept.value) for kept in self.records)

    def forget(self) -> None:
        self.records.clear()
        self.bytes = 0


class Tails:
    """Every partition's tail, and whoever waits for one to grow. Lives on the loop.

    Args:
        ends: where each partition ends.
        records_max, bytes_max: of each partition, the latter of values; where either is passed,
            the older half goes.
    """

    def __init__(
        self, ends: Positions, *, records_max: int = RECORDS_MAX, bytes_max: int = BYTES_MAX
    ) -> None:
        self._records_max = records_max
        self._bytes_max = bytes_max
        self._tails = {place: _Tail(end) for place, end in ends.items()}
        self._waiting: dict[str, set[asyncio.Future[None]]] = defaultdict(set)

    def places(self) -> list[TopicPartition]:
        """The partitions that ever held a record."""
        return list(self._tails)

    def end(self, place: TopicPartition) -> int:
        """The offset that the next record will have."""
        tail = self._tails.get(place)
        return 0 if tail is None else tail.end

    def begin(self, ends: Positions) -> None:
        """Know these partitions from here on, and nothing of what they held before."""
        for place, end in ends.items():
            self._tails[place] = _Tail(end)
        self._wake({place.topic for place in ends})

    def extend(self, records: Sequence[Record]) -> None:
        """Take what has just become durable, and wake whoever waits for these topics."""
        for record in records:
            place = TopicPartition(record.topic, record.partition)
            tail = self._tails.get(place)
            if tail is None:
                tail = self._tails[place] = _Tail(0)
            tail.add(record, self._records_max, self._bytes_max)
        self._wake({record.topic for record in records})

    def _wake(self, topics: Iterable[str]) -> None:
        for topic in topics:
            for future in self._waiting.pop(topic, ()):
                if not future.done():
                    future.set_result(None)

    def forget(self, place: TopicPartition) -> None:
        """Leave this partition's records to the log itself again."""
        self._tails[place].forget()

    def take(self, place: TopicPartition, offset: int, limit: int) -> list[Record] | None:
        """Records from this offset on; None when memory doesn't reach back that far."""
        tail = self._tails.get(place)
        if tail is None or offset >= tail.end:
            return []
        if not tail.records or offset < tail.records[0].offset:
            return None
        first = bisect_left(tail.records, offset, key=attrgetter("offset"))  # there may be gaps
        return tail.records[first : first + limit]

    async def grown(self, topics: Iterable[str], seen: Positions, wait_s: float) -> bool:
        """Wait until some partition of the topics ends beyond what was seen."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait_s
        names = frozenset(topics)
        while not self._beyond(names, seen):
            left = deadline - loop.time()
            if left <= 0:
                return False
            await self._woken(names, left)
        return True

    def _beyond(self, topics: frozenset[str], seen: Positions) -> bool:
        return any(
            tail.end > seen.get(place, 0)
            for place, tail in self._tails.items()
            if place.topic in topics
        )

    async def _woken(self, topics: frozenset[str], wait_s: float) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        for topic in topics:
            self._waiting[topic].add(future)
        try:
            await asyncio.wait((future,), timeout=wait_s)
        finally:
            for topic in topics:
                self._waiting[topic].discard(future)
