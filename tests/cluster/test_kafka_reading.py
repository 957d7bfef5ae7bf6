"""Reading a real broker's log: what foreign writers leave there, and what is no longer kept."""

import asyncio

import pytest
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.util import calc_crc32c as crc32c

from shared.adapters.cluster.broker import Fetches
from shared.adapters.cluster.following import FETCH_WAIT_S
from shared.contracts.errors import Bug, PartitionsMoved
from shared.runtime.ports import Positions, TopicPartition
from tests.cluster.kafka_parts import (
    GROUP,
    PATIENCE_S,
    TOPIC,
    Place,
    after,
    everything,
    persist,
    said,
    take,
    values,
)

pytestmark = [pytest.mark.asyncio, pytest.mark.cluster]

SPOT = TopicPartition(TOPIC, 0)


async def test_reading_begins_with_the_oldest_that_is_kept(place: Place) -> None:
    async with place.opened() as process:
        await process.log.append([said(f"{n}") for n in range(10)])
        spot = TopicPartition(TOPIC, process.log.partition("demo:call-1"))
        admin = AIOKafkaAdminClient(bootstrap_servers=place.bootstrap)
        await admin.start()
        await admin.delete_records({place.names.theirs(spot): RecordsToDelete(6)})
        await admin.close()
        assert values(await process.log.read(spot, 0, 2)) == ["6", "7"]
        assert values(await process.log.read(spot, 9, 2)) == ["9"]
        assert await process.log.read(spot, 10, 2) == []


async def test_what_is_followed_is_read_from_memory_and_else_from_the_log(place: Place) -> None:
    async with place.opened() as process, place.opened() as writer:
        spot = TopicPartition(TOPIC, process.log.partition("demo:call-1"))
        await writer.log.append([said(f"{n}") for n in range(3)])
        assert await process.log.grown([TOPIC], {}, 5)
        await writer.log.append([said(f"{n}") for n in range(3, 6)])
        while process.log._following.tails.end(spot) < 6:
            assert await process.log.grown([TOPIC], {spot: 5}, 5)
        process.log._broker.fetch = None  # type: ignore[method-assign,assignment]
        assert values(await process.log.read(spot, 3, 10)) == ["3", "4", "5"]
        del process.log._broker.fetch
        assert values(await process.log.read(spot, 0, 10)) == [f"{n}" for n in range(6)]


async def test_tens_of_readers_at_the_same_time_all_get_theirs(place: Place) -> None:
    async with place.opened() as process:
        await process.log.append([said(f"{n}") for n in range(100)])
        spot = TopicPartition(TOPIC, process.log.partition("demo:call-1"))
        found = await asyncio.gather(*(process.log.read(spot, n, 5) for n in range(95)))
        assert [values(records) for records in found] == [
            [f"{n + k}" for k in range(5)] for n in range(95)
        ]


async def test_one_read_may_take_more_than_one_answer_holds(place: Place) -> None:
    async with place.opened() as process:
        for n in range(12):
            await process.log.append([said(f"{n}" + "x" * 100_000)])
        assert len(await everything(process.log)) == 12


async def test_ends_are_never_older_than_the_question(place: Place) -> None:
    """Many ask while many write, and one round answers many of them."""
    async with place.opened() as process:

        async def writer(name: int) -> None:
            key = f"demo:{name}"
            spot = TopicPartition(TOPIC, process.log.partition(key))
            for _ in range(10):
                before = (await process.log.ends([TOPIC]))[spot]
                await process.log.append([said("x", key)])
                assert (await process.log.ends([TOPIC]))[spot] > before

        await asyncio.gather(*(writer(name) for name in range(30)))


async def test_markers_of_foreign_transactions_leave_nobody_behind(place: Place) -> None:
    """A marker takes an offset and is no record: a group must reach the end all the same."""
    async with (
        place.opened() as process,
        place.foreign_writer(transactional_id=f"{place.prefix}x") as writer,
    ):
        for what in (b"first", b"second"):
            async with writer.transaction():
                await writer.send(place.prefix + TOPIC, what, b"demo:k", partition=0)
        consumer = process.consumer()
        read = await take(consumer, 2)
        await consumer.publish_and_advance([], after(read))
        ends = await process.log.ends([TOPIC])
        assert ends[SPOT] == 4
        assert await process.log.positions(GROUP, [TOPIC]) == ends
        assert values(await process.log.read(SPOT, 0, 10)) == ["first", "second"]
        assert values(await process.log.read(SPOT, 1, 10)) == ["second"]
        assert await process.log.read(SPOT, 3, 10) == []


async def test_a_marker_at_the_end_is_asked_for_once(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broker has it to give at once, each time that it is asked for."""
    async with (
        place.opened() as process,
        place.foreign_writer(transactional_id=f"{place.prefix}x") as writer,
    ):
        following = process.log._following
        await process.log.grown([TOPIC], {}, 0)
        async with writer.transaction():
            await writer.send(place.prefix + TOPIC, b"only", b"demo:k", partition=0)
        assert await process.log.grown([TOPIC], {}, PATIENCE_S)
        asked = 0
        fetch_from = following._broker.fetch_from

        async def count(node: int, offsets: Positions, *, wait_s: float) -> Fetches:
            nonlocal asked
            asked += 1
            return await fetch_from(node, offsets, wait_s=wait_s)

        monkeypatch.setattr(following._broker, "fetch_from", count)
        await asyncio.sleep(4 * FETCH_WAIT_S)
        assert asked < 10
        assert values(await process.log.read(SPOT, 0, 10)) == ["only"]


async def test_what_a_foreign_transaction_took_back_is_never_seen(place: Place) -> None:
    async with (
        place.opened() as process,
        place.foreign_writer(transactional_id=f"{place.prefix}x") as writer,
    ):
        consumer = process.consumer()
        await persist(consumer.committed)
        await writer.begin_transaction()
        sent = await writer.send(place.prefix + TOPIC, b"no", b"demo:k", partition=0)
        await sent
        assert (await process.log.ends([TOPIC]))[SPOT] == 0  # for nobody can read it yet
        assert await process.log.read(SPOT, 0, 10) == []
        await writer.abort_transaction()
        assert await consumer.poll(records_max=10, wait_s=0.3) == []
        assert await process.log.read(SPOT, 0, 10) == []
        ends = await process.log.ends([TOPIC])
        assert ends[SPOT] == 2
        assert await process.log.positions(GROUP, [TOPIC]) == ends  # no lag for ever
        assert not await process.log.grown([TOPIC], ends, 0)


async def test_records_without_key_or_value_are_taken_as_they_are(place: Place) -> None:
    async with place.opened() as process, place.foreign_writer() as writer:
        topic = place.prefix + TOPIC
        await writer.send_and_wait(topic, None, b"\xff\xfe", partition=0)
        await writer.send_and_wait(topic, b"{}", None, partition=0, headers=[("h", b"")])
        consumer = process.consumer()
        first, second = await take(consumer, 2)
        assert (first.key, first.value) == ("\ufffd\ufffd", b"")
        assert (second.key, second.value, second.headers) == ("", b"{}", (("h", b""),))


async def test_what_foreign_writers_pack_is_unpacked_by_the_broker(place: Place) -> None:
    """A reader needs no codec, and no small record turns out a huge one."""
    async with (
        place.opened() as process,
        place.foreign_writer(compression_type="gzip", max_request_size=10**7) as writer,
    ):
        await writer.send_and_wait(place.prefix + TOPIC, b"x" * 1_000_000, b"k", partition=0)
        (record,) = await process.log.read(SPOT, 0, 10)
        assert len(record.value) == 1_000_000
        with pytest.raises(Exception, match="MessageSizeTooLarge"):
            await writer.send_and_wait(place.prefix + TOPIC, b"x" * 3_000_000, b"k", partition=0)


async def test_a_record_that_the_client_cannot_read_stops_the_group(place: Place) -> None:
    """A header whose name is no text: never skipped, never waited for in silence."""
    async with place.opened() as process, place.foreign_writer() as writer:
        builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 10_000)
        builder.append(0, 1, b"k", b"v", [("name", b"x")])
        packed = bytearray(builder.build()).replace(b"name", b"\xff\xfe\xff\xfe")
        packed[17:21] = crc32c(packed[21:]).to_bytes(4, "big")
        topic = place.prefix + TOPIC
        request = ProduceRequest(None, -1, 5_000, [(topic, [(0, bytes(packed))])])
        for _ in range(100):  # a topic is just made, and may have no leader yet
            response = await writer.client.send(writer.client.get_random_node(), request)
            code = response.topics[0][1][0][1]
            if code == 0:
                break
            await asyncio.sleep(0.1)
        consumer = process.consumer()
        for _ in range(2):  # a restart comes to the same
            with pytest.raises(Bug, match="can't be read"):
                await take(consumer, 1)
            await consumer.close()
            consumer = process.consumer()


async def test_a_rewound_consumer_is_given_its_records_soon(place: Place) -> None:
    async with place.opened() as process:
        consumer = process.consumer()
        await process.log.append([said("a")])
        assert values(await take(consumer, 1)) == ["a"]
        assert await consumer.poll(records_max=10, wait_s=0.2) == []
        await consumer.rewind()
        loop = asyncio.get_running_loop()
        begun = loop.time()
        assert values(await consumer.poll(records_max=10, wait_s=5)) == ["a"]
        assert loop.time() - begun < 4  # no matter what request was under way


async def test_nobody_is_told_of_a_move_that_was_not(place: Place) -> None:
    async with place.opened() as process:
        consumer = process.consumer()
        for _ in range(20):
            try:
                await consumer.poll(records_max=10, wait_s=0.1)
            except PartitionsMoved:
                pytest.fail("nobody came, and nobody went")
