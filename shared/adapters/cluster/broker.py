"""Questions to the brokers, one request each, with a deadline; nothing is remembered.

Where partitions end and begin, where a group stands, and records from a place, without joining any
group. These go over connections of their own, on which no request ever waits for records to come
(`wait_s` is for a `Broker` that does nothing else), so that an answer takes one round trip.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from itertools import islice
from typing import Any, Final, TypeVar

import aiokafka
import aiokafka.errors as kafka_errors
from aiokafka.consumer.fetcher import PartitionRecords
from aiokafka.protocol.commit import OffsetFetchRequest
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.offset import OffsetRequest
from aiokafka.record.memory_records import MemoryRecords
from msgspec import Struct

from shared.adapters.cluster.closing import bounded
from shared.adapters.cluster.names import ALL_TOPICS, Names
from shared.adapters.cluster.records import to_record
from shared.contracts.envelope import Record
from shared.contracts.errors import Unavailable
from shared.runtime.ports import Positions, TopicPartition

T = TypeVar("T")

REQUEST_S: Final = 3.0  # then the connection is given up
ANSWER_S: Final = 4.0  # one request, and another one after a connection that was dead
CLOSE_S: Final = 2.0
BACKOFF_S: Final = 0.05
METADATA_AGE_S: Final = 30.0
FETCH_BYTES_MAX: Final = 256 * 1024  # per partition; one record that is larger comes all the same
RESPONSE_BYTES_MAX: Final = 8 * 1024 * 1024
RECORDS_MAX: Final = 10_000

NEWEST: Final = -1
OLDEST: Final = -2
NOBODY: Final = -1
READ_COMMITTED: Final = 1


class Fetched(Struct, frozen=True):
    """What one request for records gave.

    Attributes:
        next: the offset to go on from; beyond the last record where markers follow it.
        end: where the partition ends for us: before whatever transaction is still open.
    """

    records: tuple[Record, ...]
    next: int
    end: int


Fetches = dict[TopicPartition, Fetched]


class OutOfRange(Exception):
    """The log has no such offset: no longer, or not yet.

    Attributes:
        place: where.
    """

    def __init__(self, place: TopicPartition) -> None:
        super().__init__(str(place))
        self.place = place


class Broker:
    """One set of connections. Open by `open`; end by `close`."""

    def __init__(self, bootstrap: str, names: Names) -> None:
        self._names = names
        self._client = aiokafka.AIOKafkaClient(
            bootstrap_servers=bootstrap,
            client_id="aftercall",
            request_timeout_ms=int(REQUEST_S * 1000),
            retry_backoff_ms=int(BACKOFF_S * 1000),
            metadata_max_age_ms=int(METADATA_AGE_S * 1000),
        )
        self._coordinators: dict[str, int] = {}  # by group

    async def open(self) -> None:
        """Connect.

        Raises:
            Unavailable: no broker answered.
        """

        async def connect() -> None:
            await self._client.bootstrap()
            await self._client.set_topics([self._names.topic(name) for name in ALL_TOPICS])

        await self._within(connect)

    async def close(self) -> None:
        """Never raises, never hangs."""
        await bounded(self._client.close(), CLOSE_S)

    async def ends(self, places: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        """The offset after the last record that can be read.

        Raises:
            Unavailable: not all leaders answered.
        """
        return await self._within(lambda: self._offsets(places, NEWEST))

    async def starts(self, places: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        """The offset of the oldest record that is kept.

        Raises:
            Unavailable: not all leaders answered.
        """
        return await self._within(lambda: self._offsets(places, OLDEST))

    async def committed(
        self, group: str, places: Collection[TopicPartition]
    ) -> dict[TopicPartition, int]:
        """Where the group stands; nothing for a partition that it never committed.

        Raises:
            Unavailable: the group's coordinator did not answer.
        """
        return await self._within(lambda: self._committed(self._names.group(group), places))

    async def fetch(
        self, place: TopicPartition, offset: int, *, limit: int = RECORDS_MAX, wait_s: float = 0
    ) -> Fetched:
        """What stands from this offset on, at once if there is anything, else after `wait_s`.

        Raises:
            OutOfRange: see there.
            Unavailable: the leader did not answer.
        """

        async def ask() -> Fetched:
            found = await self._fetch(self._leader(place), {place: offset}, limit, wait_s)
            return found[place]

        return await self._within(ask, wait_s)

    async def fetch_from(self, node: int, offsets: Positions, *, wait_s: float) -> Fetches:
        """The same, of all these partitions that this node leads, each from its offset on.

        Raises:
            OutOfRange, Unavailable: as `fetch`, and then nothing of any.
        """
        return await self._within(lambda: self._fetch(node, offsets, RECORDS_MAX, wait_s), wait_s)

    async def fetch_once(self, node: int, offsets: Positions, *, wait_s: float) -> Fetches:
        """The same, asked once: whatever goes wrong, another node may lead them by now.

        Raises:
            OutOfRange, Unavailable: as `fetch`, and then nothing of any.
        """
        try:
            async with asyncio.timeout(ANSWER_S + wait_s):
                try:
                    return await self._fetch(node, offsets, RECORDS_MAX, wait_s)
                except kafka_errors.KafkaError as error:
                    await self._recover(error)
                    raise Unavailable(f"the log did not answer: {error!r}") from error
        except TimeoutError:
            raise Unavailable("the log did not answer in time") from None

    def leaders(self, places: Iterable[TopicPartition]) -> dict[int, list[TopicPartition]]:
        """Which node leads which of these; not those that have no leader now."""
        found: dict[int, list[TopicPartition]] = defaultdict(list)
        for place in places:
            node = self._client.cluster.leader_for_partition(self._names.theirs(place))
            if node is not None and node != NOBODY:
                found[node].append(place)
        return found

    async def _within(self, ask: Callable[[], Awaitable[T]], wait_s: float = 0) -> T:
        """Ask until there is an answer or no more time."""
        last: Exception | None = None
        try:
            async with asyncio.timeout(ANSWER_S + wait_s):
                while True:
                    try:
                        return await ask()
                    except kafka_errors.KafkaError as error:
                        last = error
                        await self._recover(error)
        except TimeoutError:
            raise Unavailable(f"the log did not answer: {last!r}") from last

    async def _recover(self, error: kafka_errors.KafkaError) -> None:
        if not error.retriable and not isinstance(error, kafka_errors.KafkaConnectionError):
            raise Unavailable(f"the log refused: {error!r}") from error
        self._coordinators.clear()
        if error.invalid_metadata:
            await self._client.force_metadata_update()
        await asyncio.sleep(BACKOFF_S)

    def _leader(self, place: TopicPartition) -> int:
        for node in self.leaders([place]):
            return node
        raise kafka_errors.LeaderNotAvailableError(str(place))

    async def _offsets(
        self, places: Iterable[TopicPartition], which: int
    ) -> dict[TopicPartition, int]:
        asked: dict[int, dict[str, list[tuple[int, int]]]] = defaultdict(lambda: defaultdict(list))
        for place in places:
            topic = self._names.topic(place.topic)
            asked[self._leader(place)][topic].append((place.partition, which))
        requests = (
            self._client.send(node, OffsetRequest(-1, READ_COMMITTED, list(topics.items())))
            for node, topics in asked.items()
        )
        found: dict[TopicPartition, int] = {}
        for response in await asyncio.gather(*requests):
            for topic, partitions in response.topics:
                for partition, code, _, offset in partitions:
                    _check(code, topic)
                    found[self._names.ours(aiokafka.TopicPartition(topic, partition))] = offset
        return found

    async def _committed(
        self, group: str, places: Iterable[TopicPartition]
    ) -> dict[TopicPartition, int]:
        asked: dict[str, list[int]] = defaultdict(list)
        for place in places:
            asked[self._names.topic(place.topic)].append(place.partition)
        node = await self._coordinator(group)
        response = await self._client.send(node, OffsetFetchRequest(group, list(asked.items())))
        _check(response.error_code, group)  # with it come no partitions: not the same as none
        found: dict[TopicPartition, int] = {}
        for topic, partitions in response.topics:
            for partition, offset, _, code in partitions:
                _check(code, topic)
                if offset >= 0:
                    found[self._names.ours(aiokafka.TopicPartition(topic, partition))] = offset
        return found

    async def _coordinator(self, group: str) -> int:
        node = self._coordinators.get(group)
        if node is None:
            kind = 0  # of a group, not of a transaction
            node = int(await self._client.coordinator_lookup(kind, group))
            self._coordinators[group] = node
        return node

    async def _fetch(self, node: int, offsets: Positions, limit: int, wait_s: float) -> Fetches:
        asked: dict[str, list[tuple[int, int, int]]] = defaultdict(list)
        for place, offset in offsets.items():
            topic = self._names.topic(place.topic)
            asked[topic].append((place.partition, offset, FETCH_BYTES_MAX))
        request = FetchRequest(
            int(wait_s * 1000), 1, RESPONSE_BYTES_MAX, READ_COMMITTED, list(asked.items())
        )
        response = await self._client.send(node, request)
        _check(getattr(response, "error_code", 0), "fetch")
        found: Fetches = {}
        for topic, partitions in response.topics:
            for partition, code, _, end, *rest in partitions:
                theirs = aiokafka.TopicPartition(topic, partition)
                place = self._names.ours(theirs)
                if code == kafka_errors.OffsetOutOfRangeError.errno:
                    raise OutOfRange(place)
                _check(code, topic)
                records = _unpack(theirs, offsets[place], rest)
                taken = tuple([to_record(place.topic, record) for record in islice(records, limit)])
                found[place] = Fetched(taken, records.next_fetch_offset, end)
                if taken:
                    await asyncio.sleep(0)  # unpacking took its time; others have a turn
        return found


def _unpack(place: aiokafka.TopicPartition, offset: int, rest: Sequence[Any]) -> PartitionRecords:
    """The records in one partition's answer: `log_start, aborted_transactions, ..., them`."""
    aborted, packed = rest[1], MemoryRecords(rest[-1])
    return PartitionRecords(place, packed, aborted, offset, None, None, True, READ_COMMITTED)  # noqa: FBT003


def _check(code: int, what: Any) -> None:
    if code:
        raise kafka_errors.for_code(code)(what)
