"""Records on their way to the brokers: idempotent, acknowledged by all copies in sync.

The client's producer is disposable. Whatever it fails with, and whenever a deadline passes, it is
dropped and the next call makes a new one: some of its errors never end, and it would go on trying
to deliver for ever what everybody has been told is unknown.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Any, Final, Self

import aiokafka
import aiokafka.errors as kafka_errors

from shared.adapters.cluster.closing import bounded, end_producer, retrieve
from shared.adapters.cluster.names import ALL_TOPICS, Names
from shared.adapters.cluster.together import Place, Together
from shared.adapters.cluster.topics import DEAD_RECORD_BYTES_MAX, RECORD_BYTES_MAX
from shared.contracts.envelope import Message
from shared.contracts.errors import Bug, Unavailable
from shared.contracts.topics import TOPICS
from shared.runtime.ports import Clock

APPEND_S: Final = 5.0
PUBLISH_S: Final = 10.0
REQUEST_S: Final = 5.0
BACKOFF_S: Final = 0.02
METADATA_AGE_S: Final = 30.0  # so soon a changed number of partitions is noticed
BATCH_BYTES_MAX: Final = 256 * 1024  # of a partition; a request holds one of each, 100 MB at most
RECORD_OVERHEAD_BYTES: Final = 512  # of a batch with one record, generously
FLUSH_S: Final = 3.0

CLIENT_ERRORS: Final = (  # the latter: of a producer that was dropped meanwhile
    kafka_errors.KafkaError,
    kafka_errors.IllegalOperation,
    TimeoutError,
    OSError,
    AssertionError,
    KeyError,
)

_Delivery = asyncio.Future[Any]


class Publisher:
    """Appends for one process. Callers of one event loop."""

    def __init__(self, bootstrap: str, names: Names, clock: Clock) -> None:
        self._bootstrap = bootstrap
        self._names = names
        self._clock = clock
        self._last_ms = 0
        self._producer: aiokafka.AIOKafkaProducer | None = None
        self._starting: asyncio.Task[aiokafka.AIOKafkaProducer] | None = None
        self._ending: set[asyncio.Task[bool]] = set()
        self._broken: Bug | None = None
        self._closed = False
        self._together = Together(self._place_of, self._send_gathered, within_s=APPEND_S)
        self.dropped = 0

    async def open(self) -> None:
        """Connect, so that the first append needs not.

        Raises:
            Unavailable: no broker answered.
        """
        async with _Deadline(self, APPEND_S) as using:
            using.producer = await self._usable()

    async def append(self, messages: Sequence[Message]) -> None:
        """Append a few; what several callers append at the same time goes out together.

        Raises:
            Unavailable: not all are known to stand in the log.
            Bug: a record is too large, or the topics have changed.
        """
        _check_sizes(messages)
        await self._together.append(messages)

    async def publish(self, messages: Sequence[Message]) -> None:
        """Append many, in order within each partition, with one acknowledgement for each batch.

        Raises:
            Unavailable, Bug: as `append`.
        """
        _check_sizes(messages)
        by_place: defaultdict[Place, list[Message]] = defaultdict(list)
        for message in messages:
            by_place[self._place_of(message)].append(message)
        async with _Deadline(self, PUBLISH_S) as using:
            producer = using.producer = self._producer or await self._usable()
            sending = (self._send(producer, place, some) for place, some in by_place.items())
            await asyncio.gather(*sending)

    def _place_of(self, message: Message) -> Place:
        return message.topic, self._names.partition(message.key)

    async def _send_gathered(self, place: Place, messages: Sequence[Message]) -> None:
        """See `Together`."""
        async with _Deadline(self, APPEND_S) as using:
            producer = using.producer = self._producer or await self._usable()
            await self._send(producer, place, messages)

    async def _send(
        self, producer: aiokafka.AIOKafkaProducer, place: Place, messages: Iterable[Message]
    ) -> None:
        """Batch by batch; each is taken only when the one before is on its way."""
        topic, partition = self._names.topic(place[0]), place[1]
        now_ms = self._now_ms()
        sent: list[_Delivery] = []
        batch = producer.create_batch()
        for message in messages:
            key, value, headers = message.key.encode(), message.value, list(message.headers)
            if batch.append(timestamp=now_ms, key=key, value=value, headers=headers) is None:
                sent.append(await _send_batch(producer, batch, topic, partition))  # it was full
                batch = producer.create_batch()
                batch.append(timestamp=now_ms, key=key, value=value, headers=headers)
        sent.append(await _send_batch(producer, batch, topic, partition))
        for delivery in sent:
            await delivery

    def _now_ms(self) -> int:
        """Never earlier than before. The broker stamps by its own clock, unless told otherwise."""
        self._last_ms = max(self._last_ms, self._clock.now_ms())
        return self._last_ms

    async def _usable(self) -> aiokafka.AIOKafkaProducer:
        """The producer; a new one if there is none."""
        if self._broken is not None:
            raise self._broken
        if self._closed:
            raise Unavailable("the log is closed")
        if self._starting is None:
            self._starting = asyncio.ensure_future(self._start())
            self._starting.add_done_callback(self._started)
        return await asyncio.shield(self._starting)

    async def _start(self) -> aiokafka.AIOKafkaProducer:
        producer = aiokafka.AIOKafkaProducer(
            bootstrap_servers=self._bootstrap,
            client_id="aftercall",
            enable_idempotence=True,
            acks="all",
            linger_ms=0,
            max_batch_size=BATCH_BYTES_MAX,
            max_request_size=DEAD_RECORD_BYTES_MAX,
            request_timeout_ms=int(REQUEST_S * 1000),
            retry_backoff_ms=int(BACKOFF_S * 1000),
            metadata_max_age_ms=int(METADATA_AGE_S * 1000),
        )
        try:
            async with asyncio.timeout(APPEND_S):
                await producer.start()
                topics = [self._names.topic(name) for name in ALL_TOPICS]
                await producer.client.set_topics(topics)  # or the first send to each would fail
        except BaseException:
            await end_producer(producer)
            raise
        producer.client.cluster.add_listener(self._look_at_counts)
        self._look_at_counts(producer.client.cluster)
        return producer

    def _started(self, starting: "asyncio.Task[aiokafka.AIOKafkaProducer]") -> None:
        self._starting = None
        if starting.cancelled() or starting.exception() is not None:
            return
        if self._closed:
            self._end(starting.result())
        else:
            self._producer = starting.result()

    def _look_at_counts(self, cluster: Any) -> None:
        """Called at each look at the cluster. More partitions would give keys other places."""
        for name in ALL_TOPICS:
            found = cluster.partitions_for_topic(self._names.topic(name))
            if found and len(found) != self._names.partitions:
                self._broken = Bug(
                    f"{name} has {len(found)} partitions now, and had {self._names.partitions}:"
                    " keys would change their place"
                )
                self.drop(self._producer)

    def check(self) -> None:
        """See that the topics are still such that one may go on.

        Raises:
            Bug: they are not.
        """
        if self._broken is not None:
            raise self._broken

    def drop(self, producer: aiokafka.AIOKafkaProducer | None) -> None:
        """Never use this producer again; whoever waits for it learns that nothing is known.

        One that is no longer in use was dropped before, and the one in its place may be well.
        """
        if producer is not None and producer is self._producer:
            self._producer = None
            self.dropped += 1
            self._end(producer)

    def _end(self, producer: aiokafka.AIOKafkaProducer) -> None:
        ending = asyncio.ensure_future(end_producer(producer))
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)

    async def close(self) -> None:
        """Send what waits, within reason. Never raises, never hangs."""
        self._closed = True
        producer, self._producer = self._producer, None
        if producer is not None and not await bounded(producer.stop(), FLUSH_S):
            self._end(producer)
        if self._starting is not None:
            await asyncio.wait({self._starting}, timeout=FLUSH_S)
        if self._ending:
            await asyncio.wait(self._ending, timeout=FLUSH_S)


class _Deadline:
    """What is done with a producer, within its time; what goes wrong drops this producer.

    Attributes:
        producer: the one that is used; None until there is one.
    """

    def __init__(self, publisher: Publisher, within_s: float) -> None:
        self.producer: aiokafka.AIOKafkaProducer | None = None
        self._publisher = publisher
        self._timeout = asyncio.timeout(within_s)

    async def __aenter__(self) -> Self:
        await self._timeout.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            await self._timeout.__aexit__(kind, error, trace)
        except TimeoutError:
            error = TimeoutError("no acknowledgement in time")
        if error is None:
            return
        if isinstance(error, Bug | Unavailable | asyncio.CancelledError):
            return
        if isinstance(error, kafka_errors.MessageSizeTooLargeError):
            raise Bug("the broker takes no record of this size") from error
        self._publisher.drop(self.producer)
        if not isinstance(error, CLIENT_ERRORS):
            return
        raise Unavailable(f"whether the log has the records is unknown: {error!r}") from error


async def _send_batch(
    producer: aiokafka.AIOKafkaProducer, batch: Any, topic: str, partition: int
) -> _Delivery:
    """Hand over a batch; what others append can't join it."""
    batch.close()
    delivery: _Delivery = await producer.send_batch(batch, topic, partition=partition)
    delivery.add_done_callback(retrieve)
    return delivery


def _check_sizes(messages: Iterable[Message]) -> None:
    """A record that no topic takes must be nobody's silent loss.

    Raises:
        Bug: one is too large. Every limit of ours is far below.
    """
    for message in messages:
        size = RECORD_OVERHEAD_BYTES + len(message.value) + 4 * len(message.key)
        if size > RECORD_BYTES_MAX // 2:
            size += sum(len(name) + len(value) + 16 for name, value in message.headers)
            most = RECORD_BYTES_MAX if message.topic in TOPICS else DEAD_RECORD_BYTES_MAX
            if size > most:
                raise Bug(f"a record of {size} bytes is too large for {message.topic}")
