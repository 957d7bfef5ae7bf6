"""Appending to a real broker: where records go, in what order, and what can't be appended."""

import asyncio
import contextlib

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import MessageSizeTooLargeError

from shared.adapters.cluster import publisher as publisher_module
from shared.adapters.cluster.publisher import RECORD_OVERHEAD_BYTES
from shared.adapters.cluster.topics import RECORD_BYTES_MAX
from shared.contracts.envelope import Message
from shared.contracts.errors import Bug
from shared.contracts.topics import dead
from shared.runtime.ports import TopicPartition
from tests.cluster.kafka_parts import (
    OTHER,
    TOPIC,
    Place,
    everything,
    said,
    spread,
    values,
)

pytestmark = [pytest.mark.asyncio, pytest.mark.cluster]


async def test_a_key_stands_where_any_other_writer_puts_it(place: Place) -> None:
    keys = [f"demo:call-{n}" for n in range(60)] + ["demo:Ünïcode☎", "", "x"]
    async with place.opened() as process, place.foreign_writer() as writer:
        for key in keys:
            sent = await writer.send_and_wait(place.prefix + TOPIC, b"{}", key.encode())
            assert process.log.partition(key) == sent.partition, key


async def test_many_are_published_in_order_over_batches_and_calls(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Batches far smaller than what is published at once, and the next call right after."""
    monkeypatch.setattr(publisher_module, "BATCH_BYTES_MAX", 2_000)
    async with place.opened() as process:
        consumer = process.consumer()
        for turn in range(5):
            messages = [
                said(f"{turn}/{n}/{'x' * 50}", f"demo:call-{n % 7}", topic)
                for n in range(200)
                for topic in (TOPIC, OTHER)
            ]
            await consumer.publish_and_advance(messages, {})
        for topic in (TOPIC, OTHER):
            records = await everything(process.log, topic)
            assert len(records) == 1_000
            for key in range(7):
                numbers = [
                    tuple(int(part) for part in value.split("/")[:2])
                    for value in values([r for r in records if r.key == f"demo:call-{key}"])
                ]
                assert numbers == sorted(numbers)


async def test_appends_and_batches_of_many_callers_do_not_mix_up(place: Place) -> None:
    async with place.opened() as process:
        consumer = process.consumer()

        async def caller(name: int) -> None:
            for n in range(20):
                if name % 2:
                    await process.log.append([said(f"{n}", f"demo:{name}")])
                else:
                    await consumer.publish_and_advance([said(f"{n}", f"demo:{name}")], {})

        await asyncio.gather(*(caller(name) for name in range(20)))
        records = await everything(process.log)
        for name in range(20):
            of_caller = values([record for record in records if record.key == f"demo:{name}"])
            assert of_caller == [f"{n}" for n in range(20)]


async def test_a_long_way_to_the_broker_fails_nobody(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Appends come faster than acknowledgements; in the client's own queue some would time out."""
    monkeypatch.setattr(publisher_module, "REQUEST_S", 1.0)
    async with place.opened() as process:
        await process.log.append([said("warm")])
        producer = process.log._publisher._producer
        assert producer is not None
        send = producer.client.send

        async def send_far(*given: object, **named: object) -> object:
            answer = await send(*given, **named)
            await asyncio.sleep(0.02)
            return answer

        monkeypatch.setattr(producer.client, "send", send_far)
        appending = []
        for n in range(400):
            appending.append(asyncio.create_task(process.log.append([said(f"{n}", f"demo:{n}")])))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        await asyncio.gather(*appending)
        assert len(await everything(process.log)) == 401


def sized(size: int, topic: str = TOPIC) -> Message:
    """A message that counts as so many bytes."""
    return Message(topic, "k", (), b"x" * (size - RECORD_OVERHEAD_BYTES - 4))


async def test_the_largest_record_is_taken_and_none_beyond(place: Place) -> None:
    async with place.opened() as process:
        consumer = process.consumer()
        await process.log.append([sized(RECORD_BYTES_MAX)])
        await consumer.publish_and_advance([sized(RECORD_BYTES_MAX)], {})
        for append in (process.log.append, lambda m: consumer.publish_and_advance(m, {})):
            with pytest.raises(Bug, match="too large"):
                await append([said("beside"), sized(RECORD_BYTES_MAX + 1)])
        spot = TopicPartition(TOPIC, process.log.partition("k"))
        records = await process.log.read(spot, 0, 10)
        assert [len(record.value) for record in records] == [len(sized(RECORD_BYTES_MAX).value)] * 2


async def test_a_dead_letter_may_be_larger_than_what_it_is_about(place: Place) -> None:
    letter = sized(RECORD_BYTES_MAX + 10_000, dead(TOPIC))
    async with place.opened() as process:
        await process.log.append([letter])
        assert len(await everything(process.log, dead(TOPIC))) == 1


async def test_what_the_broker_finds_too_large_is_not_lost_in_silence(place: Place) -> None:
    await make_small(place)
    async with place.opened() as process:
        consumer = process.consumer()
        before = len(await everything(process.log))
        for append in (process.log.append, lambda m: consumer.publish_and_advance(m, {})):
            with pytest.raises(Bug, match="takes no record of this size"):
                await append([said("x" * 5_000)])
        await process.log.append(spread(4))  # and the next is not hindered by it
        assert len(await everything(process.log)) == before + 4


async def make_small(place: Place) -> None:
    """A topic whose broker takes no large record any more."""
    admin = AIOKafkaAdminClient(bootstrap_servers=place.bootstrap)
    await admin.start()
    small = {"max.message.bytes": "2000"}
    await admin.alter_configs(
        [ConfigResource(ConfigResourceType.TOPIC, place.prefix + TOPIC, small)]
    )
    await admin.close()
    async with place.foreign_writer() as writer:
        with contextlib.suppress(MessageSizeTooLargeError):
            while True:  # the broker hears of its setting a moment later
                await writer.send_and_wait(place.prefix + TOPIC, b"x" * 5_000)
