"""Topics of a test's own on a real broker, and what tests of the log say and ask."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import aiokafka
from aiokafka.admin import AIOKafkaAdminClient

from shared.adapters.cluster.consumer import KafkaConsumer
from shared.adapters.cluster.kafka import Kafka, open_kafka
from shared.adapters.cluster.log import KafkaLog
from shared.adapters.cluster.names import ALL_TOPICS, Names
from shared.adapters.cluster.topics import apply_topics
from shared.contracts.envelope import Message, Record
from shared.contracts.errors import PartitionsMoved, Retryable, Unavailable
from shared.runtime.ports import Consumer, TopicPartition
from tests.support.clock import FakeClock

T = TypeVar("T")

TOPIC = "telephony.events"
OTHER = "calls.changed"
GROUP = "callstate"
PARTITIONS = 4
PATIENCE_S = 60.0  # of whoever waits for what will surely come


@dataclass
class Place:
    """Topics with a prefix of their own.

    `opened` gives the log as a process would have it; several at once are several processes.
    """

    bootstrap: str
    prefix: str

    @asynccontextmanager
    async def opened(self, instance: str | None = None) -> AsyncIterator["Process"]:
        kafka = await open_kafka(
            self.bootstrap,
            FakeClock(),
            prefix=self.prefix,
            instance=instance,
            broker_time=False,
        )
        try:
            yield Process(kafka)
        finally:
            await kafka.close()

    @property
    def names(self) -> Names:
        return Names(self.prefix, PARTITIONS)

    @asynccontextmanager
    async def foreign_writer(self, **settings: Any) -> AsyncIterator[aiokafka.AIOKafkaProducer]:
        """A producer that is none of ours."""
        producer = aiokafka.AIOKafkaProducer(bootstrap_servers=self.bootstrap, **settings)
        await producer.start()
        try:
            for topic in ALL_TOPICS:
                await producer.partitions_for(self.prefix + topic)
            yield producer
        finally:
            await producer.stop()


class Process:
    """One opening of the log."""

    def __init__(self, kafka: Kafka) -> None:
        self.kafka = kafka
        assert isinstance(kafka.log, KafkaLog)
        self.log = kafka.log

    def consumer(self, topics: Sequence[str] = (TOPIC,), group: str = GROUP) -> KafkaConsumer:
        return self.log.consumer(group, topics)


async def make_place(bootstrap: str) -> Place:
    """Topics; of a broker that has only just come up, as soon as it can make them."""
    prefix = f"t{secrets.token_hex(6)}."
    async with asyncio.timeout(60):
        while True:
            try:
                await apply_topics(
                    bootstrap,
                    partitions=PARTITIONS,
                    replication=1,
                    prefix=prefix,
                    broker_time=False,
                )
            except Unavailable:
                await asyncio.sleep(0.2)
            else:
                return Place(bootstrap, prefix)


async def unmake(place: Place) -> None:
    """Thousands of topics make one broker slow for all tests after."""
    admin = AIOKafkaAdminClient(bootstrap_servers=place.bootstrap)
    await admin.start()
    try:
        await admin.delete_topics([place.prefix + topic for topic in ALL_TOPICS])
    finally:
        await admin.close()


def said(what: str, key: str = "demo:call-1", topic: str = TOPIC) -> Message:
    return Message(topic, key, (("ce_type", b"call.started"),), what.encode())


def spread(count: int, first: int = 0, topic: str = TOPIC) -> list[Message]:
    """Messages over all partitions, each its own number."""
    return [said(f"{n}", f"demo:call-{n}", topic) for n in range(first, first + count)]


def values(records: Sequence[Record]) -> list[str]:
    return [record.value.decode() for record in records]


def after(records: Sequence[Record]) -> dict[TopicPartition, int]:
    return {TopicPartition(r.topic, r.partition): r.offset + 1 for r in records}


async def take(consumer: Consumer, count: int, *, records_max: int = 1_000) -> list[Record]:
    """Poll until there are so many, as the processor does: whatever can be tried again is."""
    found: list[Record] = []
    async with asyncio.timeout(PATIENCE_S):
        while len(found) < count:
            try:
                found += await consumer.poll(records_max=records_max, wait_s=0.2)
            except PartitionsMoved:
                found = []
            except Retryable:
                await asyncio.sleep(0.05)
    return found


async def persist(ask: Callable[[], Awaitable[T]]) -> T:
    """Ask again while it is out of reach, or the partitions move."""
    async with asyncio.timeout(60):
        while True:
            try:
                return await ask()
            except Retryable:
                await asyncio.sleep(0.05)


async def settle(*consumers: Consumer) -> list[dict[TopicPartition, int]]:
    """Wait until all have joined, and together own every partition once; what each owns."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            owned = [one for consumer in consumers if (one := await _owned(consumer)) is not None]
            places = [place for one in owned for place in one]
            shared_out = places and len(places) == len(set(places)) and not len(places) % PARTITIONS
            if len(owned) == len(consumers) and shared_out:
                return owned


async def _owned(consumer: Consumer) -> dict[TopicPartition, int] | None:
    try:
        return await consumer.committed()
    except Retryable:
        return None


async def everything(log: KafkaLog, topic: str = TOPIC) -> list[Record]:
    places = list(await log.ends([topic]))
    return [record for place in places for record in await log.read(place, 0, 100_000)]
