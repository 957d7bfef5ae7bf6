"""What `EventLog` and `Consumer` promise, over every adapter."""

import asyncio
from collections.abc import Awaitable, Sequence
from typing import TypeVar

import pytest

from shared.contracts.envelope import Message, Record
from shared.runtime.ports import Consumer, EventLog, TopicPartition
from tests.conformance.adapters import LOGS, Parts, Profile, Real

pytestmark = pytest.mark.asyncio
PROFILES = LOGS

T = TypeVar("T")

TOPIC = "telephony.events"
OTHER = "calls.changed"
SOON_S = 0.02  # long enough to be told apart from not waiting at all
LONG_S = 3_600.0  # a wait that must end early
HANGING_S = 5.0  # and has not, after this


def said(what: str, key: str = "demo:call-1", topic: str = TOPIC) -> Message:
    return Message(topic, key, (("ce_type", b"call.started"),), what.encode())


def values(records: Sequence[Record]) -> list[str]:
    return [record.value.decode() for record in records]


async def early(waiting: Awaitable[T]) -> T:
    return await asyncio.wait_for(waiting, HANGING_S)


async def read_all(log: EventLog, topic: str = TOPIC) -> list[Record]:
    places = [place for place, end in (await log.ends([topic])).items() if end]
    return [record for place in places for record in await log.read(place, 0, 100_000)]


async def poll_all(consumer: Consumer) -> list[Record]:
    found: list[Record] = []
    while records := await consumer.poll(records_max=3, wait_s=0.01):
        found += records
    return found


def after(records: Sequence[Record]) -> dict[TopicPartition, int]:
    return {TopicPartition(r.topic, r.partition): r.offset + 1 for r in records}


async def test_a_record_keeps_all_that_was_appended(profile: Profile) -> None:
    headers = (("ce_id", b"evt-1"), ("reply_to", b"\x00\xff"), ("ce_id", b"twice"))
    message = Message(TOPIC, "demo:Ünïcode☎", headers, b"\x00 {} \xff")
    async with profile.open() as parts:
        now_ms = parts.clock.now_ms()
        partition = parts.log.partition(message.key)
        await parts.log.append([message, Message(TOPIC, message.key, (), b"")])
    async with profile.open() as parts:
        first, second = await parts.log.read(TopicPartition(TOPIC, partition), 0, 10)
    assert first == Record(TOPIC, partition, 0, now_ms, message.key, headers, message.value)
    assert second == Record(TOPIC, partition, 1, now_ms, message.key, (), b"")


async def test_records_of_one_key_stand_in_one_partition_in_append_order(parts: Parts) -> None:
    for number in range(20):
        await parts.log.append([said(f"{number}", f"demo:call-{n}") for n in range(5)])
    records = await read_all(parts.log)
    for n in range(5):
        of_key = [record for record in records if record.key == f"demo:call-{n}"]
        assert {record.partition for record in of_key} == {parts.log.partition(f"demo:call-{n}")}
        assert values(of_key) == [f"{number}" for number in range(20)]


async def test_a_key_has_the_same_partition_on_every_topic(parts: Parts) -> None:
    await parts.log.append([said("x", "demo:call-7", topic) for topic in (TOPIC, OTHER)])
    records = await read_all(parts.log) + await read_all(parts.log, OTHER)
    assert {record.partition for record in records} == {parts.log.partition("demo:call-7")}


async def test_keys_spread_over_all_partitions(parts: Parts) -> None:
    used = {parts.log.partition(f"demo:call-{number}") for number in range(200)}
    assert used == {place.partition for place in await parts.log.ends([TOPIC])}


async def test_the_partition_of_a_key_never_changes(profile: Profile) -> None:
    keys = [f"demo:call-{number}" for number in range(50)]
    async with profile.open() as parts:
        before = [parts.log.partition(key) for key in keys]
    async with profile.open() as parts:
        assert [parts.log.partition(key) for key in keys] == before


async def test_offsets_are_contiguous_and_go_on_after_reopening(profile: Profile) -> None:
    for turn in range(3):
        async with profile.open() as parts:
            await parts.log.append([said(f"{turn}", f"demo:call-{n}") for n in range(40)])
    async with profile.open() as parts:
        for place, end in (await parts.log.ends([TOPIC])).items():
            records = await parts.log.read(place, 0, 1_000)
            assert [record.offset for record in records] == list(range(end))
        assert len(await read_all(parts.log)) == 120


async def test_what_append_returned_for_is_durable(profile: Profile) -> None:
    async with profile.open() as parts:
        for number in range(10):
            await parts.log.append([said(f"{number}")])
    async with profile.open() as parts:
        assert values(await read_all(parts.log)) == [f"{number}" for number in range(10)]


async def test_times_never_run_backwards_whatever_the_clock_does(parts: Parts) -> None:
    start_ms = parts.clock.now_ms()
    for step_ms in (0, 500, -10_000):
        parts.clock.advance(step_ms)
        await parts.log.append([said(f"{step_ms}", f"demo:call-{step_ms}")])
    parts.clock.advance(60_000)
    await parts.log.append([said("later", "demo:call-later")])
    records = {record.value.decode(): record for record in await read_all(parts.log)}
    assert {said: record.timestamp_ms - start_ms for said, record in records.items()} == {
        "0": 0,
        "500": 500,
        "-10000": 500,
        "later": 50_500,
    }


async def test_times_do_not_run_backwards_over_a_reopening_either(
    profile: Profile, request: pytest.FixtureRequest
) -> None:
    if isinstance(profile, Real):
        reason = "in tests its topics believe each writer's clock; else the broker's own stamps"
        request.applymarker(pytest.mark.xfail(strict=True, reason=reason))
    async with profile.open() as parts:
        await parts.log.append([said("before")])
        parts.clock.advance(-10_000)
    async with profile.open() as parts:
        await parts.log.append([said("reopened")])
        before, reopened = await read_all(parts.log)
    assert reopened.timestamp_ms >= before.timestamp_ms


async def test_callers_at_the_same_time_lose_nothing_and_keep_their_order(
    profile: Profile,
) -> None:
    async def caller(log: EventLog, name: int) -> None:
        for number in range(10):
            await log.append([said(f"{name}/{number}", f"demo:call-{name}")])

    async with profile.open() as parts:
        await asyncio.gather(*(caller(parts.log, name) for name in range(30)))
    async with profile.open() as parts:
        records = await read_all(parts.log)
        ends = await parts.log.ends([TOPIC])
    assert sum(ends.values()) == len(records) == 300
    for name in range(30):
        of_caller = [record for record in records if record.key == f"demo:call-{name}"]
        assert values(of_caller) == [f"{name}/{number}" for number in range(10)]


async def test_an_append_may_go_to_several_topics(parts: Parts) -> None:
    await parts.log.append([said("a"), said("b", topic=OTHER), said("c")])
    assert values(await read_all(parts.log)) == ["a", "c"]
    assert values(await read_all(parts.log, OTHER)) == ["b"]


async def test_appending_nothing_is_nothing(parts: Parts) -> None:
    await parts.log.append([])
    assert set((await parts.log.ends([TOPIC])).values()) == {0}


async def test_ends_say_the_next_offset_of_every_partition(parts: Parts) -> None:
    before = await parts.log.ends([TOPIC, OTHER])
    assert {place.topic for place in before} == {TOPIC, OTHER}
    assert set(before.values()) == {0}
    await parts.log.append([said("a"), said("b")])
    place = TopicPartition(TOPIC, parts.log.partition("demo:call-1"))
    assert await parts.log.ends([TOPIC, OTHER]) == before | {place: 2}


@pytest.mark.parametrize(
    ("offset", "limit", "expected"),
    [(0, 10, "01234"), (0, 2, "01"), (3, 10, "34"), (2, 1, "2"), (5, 10, ""), (99, 10, "")],
)
async def test_reading_starts_at_the_offset(
    profile: Profile, offset: int, limit: int, expected: str
) -> None:
    async with profile.open() as parts:
        await parts.log.append([said(f"{number}") for number in range(5)])
        place = TopicPartition(TOPIC, parts.log.partition("demo:call-1"))
        warm = await parts.log.read(place, offset, limit)
    async with profile.open() as parts:
        cold = await parts.log.read(place, offset, limit)
    assert "".join(values(warm)) == "".join(values(cold)) == expected


async def test_a_topic_that_nobody_wrote_is_empty(parts: Parts) -> None:
    assert await parts.log.read(TopicPartition("no.such.topic", 0), 0, 10) == []
    assert set((await parts.log.ends(["no.such.topic"])).values()) == {0}


async def test_grown_is_true_at_once_when_there_is_more(parts: Parts) -> None:
    await parts.log.append([said("a")])
    assert await early(parts.log.grown([TOPIC], {}, LONG_S))
    assert await parts.log.grown([OTHER, TOPIC], {}, 0)


async def test_grown_is_false_after_the_wait(parts: Parts) -> None:
    await parts.log.append([said("a")])
    seen = await parts.log.ends([TOPIC])
    assert not await parts.log.grown([TOPIC], seen, SOON_S)
    assert not await parts.log.grown([TOPIC], seen, 0)


async def test_grown_wakes_with_an_append_to_its_topics_only(parts: Parts) -> None:
    await parts.log.append([said("a")])
    seen = await parts.log.ends([TOPIC])
    waiting = asyncio.create_task(parts.log.grown([TOPIC], seen, LONG_S))
    await asyncio.sleep(0)
    await parts.log.append([said("b", topic=OTHER)])
    done, _ = await asyncio.wait([waiting], timeout=SOON_S)
    assert not done
    await parts.log.append([said("c")])
    assert await early(waiting)


async def test_a_new_group_stands_at_the_start(parts: Parts) -> None:
    await parts.log.append([said("a")])
    consumer = parts.log.consumer("callstate", [TOPIC, OTHER])
    committed = await consumer.committed()
    assert committed == dict.fromkeys(await parts.log.ends([TOPIC, OTHER]), 0)
    assert await parts.log.positions("callstate", [TOPIC, OTHER]) == committed


async def test_poll_gives_each_record_once_in_offset_order(parts: Parts) -> None:
    await parts.log.append([said(f"{n}", f"demo:call-{n}") for n in range(50)])
    consumer = parts.log.consumer("callstate", [TOPIC])
    records = await poll_all(consumer)
    assert sorted(values(records), key=int) == [f"{n}" for n in range(50)]
    for place, end in (await parts.log.ends([TOPIC])).items():
        of_place = [record.offset for record in records if record.partition == place.partition]
        assert of_place == list(range(end))


async def test_poll_gives_no_more_than_asked_for(parts: Parts) -> None:
    await parts.log.append([said(f"{n}", f"demo:call-{n}") for n in range(50)])
    consumer = parts.log.consumer("callstate", [TOPIC])
    counts = [len(await consumer.poll(records_max=20, wait_s=0.01)) for _ in range(4)]
    assert counts == [20, 20, 10, 0]


async def test_poll_reads_its_topics_only(parts: Parts) -> None:
    await parts.log.append([said("a"), said("b", topic=OTHER), said("c", topic="user.events")])
    consumer = parts.log.consumer("worker", [OTHER, "user.events"])
    assert sorted(values(await poll_all(consumer))) == ["b", "c"]


async def test_poll_answers_at_once_when_there_is_something(parts: Parts) -> None:
    await parts.log.append([said("a")])
    consumer = parts.log.consumer("callstate", [TOPIC])
    assert values(await early(consumer.poll(records_max=10, wait_s=LONG_S))) == ["a"]


async def test_poll_wakes_with_an_append(parts: Parts) -> None:
    consumer = parts.log.consumer("callstate", [TOPIC])
    polling = asyncio.create_task(consumer.poll(records_max=10, wait_s=LONG_S))
    done, _ = await asyncio.wait([polling], timeout=SOON_S)
    assert not done
    await parts.log.append([said("a")])
    assert values(await early(polling)) == ["a"]


async def test_poll_gives_nothing_after_the_wait(parts: Parts) -> None:
    consumer = parts.log.consumer("callstate", [TOPIC])
    assert await consumer.poll(records_max=10, wait_s=SOON_S) == []
    assert await consumer.poll(records_max=10, wait_s=0.01) == []


async def test_a_cancelled_poll_loses_nothing(parts: Parts) -> None:
    consumer = parts.log.consumer("callstate", [TOPIC])
    polling = asyncio.create_task(consumer.poll(records_max=10, wait_s=LONG_S))
    await asyncio.wait([polling], timeout=SOON_S)
    polling.cancel()
    await asyncio.wait([polling])
    await parts.log.append([said("a")])
    assert values(await consumer.poll(records_max=10, wait_s=0.01)) == ["a"]


async def test_polling_alone_commits_nothing(profile: Profile) -> None:
    async with profile.open() as parts:
        await parts.log.append([said("a"), said("b")])
        consumer = parts.log.consumer("callstate", [TOPIC])
        assert values(await poll_all(consumer)) == ["a", "b"]
        assert set((await consumer.committed()).values()) == {0}
    async with profile.open() as parts:
        assert values(await poll_all(parts.log.consumer("callstate", [TOPIC]))) == ["a", "b"]


async def test_a_new_consumer_stands_at_the_committed_positions(profile: Profile) -> None:
    async with profile.open() as parts:
        await parts.log.append([said("a"), said("b"), said("c")])
        consumer = parts.log.consumer("callstate", [TOPIC])
        read = await consumer.poll(records_max=2, wait_s=0.01)
        await consumer.publish_and_advance([], after(read))
        dropped = await consumer.poll(records_max=10, wait_s=0.01)  # and the process crashes
        assert values(dropped) == ["c"]
    async with profile.open() as parts:
        consumer = parts.log.consumer("callstate", [TOPIC])
        committed = await consumer.committed()
        assert {place: n for place, n in committed.items() if n} == after(read)
        assert await parts.log.positions("callstate", [TOPIC]) == committed
        assert values(await poll_all(consumer)) == ["c"]


async def test_publish_and_advance_appends_in_order_and_then_advances(profile: Profile) -> None:
    async with profile.open() as parts:
        await parts.log.append([said("in")])
        consumer = parts.log.consumer("callstate", [TOPIC])
        read = await consumer.poll(records_max=10, wait_s=0.01)
        out = [said(f"out-{number}", topic=OTHER) for number in range(5)]
        await consumer.publish_and_advance(out, after(read))
        assert await poll_all(consumer) == []
    async with profile.open() as parts:
        assert values(await read_all(parts.log, OTHER)) == [f"out-{n}" for n in range(5)]
        positions = await parts.log.positions("callstate", [TOPIC])
        assert {place: n for place, n in positions.items() if n} == after(read)


async def test_what_a_consumer_publishes_wakes_another(parts: Parts) -> None:
    reporting = parts.log.consumer("reporting", [OTHER])
    polling = asyncio.create_task(reporting.poll(records_max=10, wait_s=LONG_S))
    await asyncio.sleep(0)
    callstate = parts.log.consumer("callstate", [TOPIC])
    await callstate.publish_and_advance([said("out", topic=OTHER)], {})
    assert values(await early(polling)) == ["out"]


async def test_advancing_one_partition_leaves_the_others(parts: Parts) -> None:
    await parts.log.append([said(f"{n}", f"demo:call-{n}") for n in range(40)])
    first, second, *_ = await parts.log.ends([TOPIC])
    consumer = parts.log.consumer("callstate", [TOPIC])
    await consumer.publish_and_advance([], {first: 2})
    await consumer.publish_and_advance([], {second: 3})
    await consumer.publish_and_advance([], {first: 4})
    committed = await consumer.committed()
    assert {place: n for place, n in committed.items() if n} == {first: 4, second: 3}


async def test_groups_are_independent(parts: Parts) -> None:
    await parts.log.append([said("a")])
    callstate = parts.log.consumer("callstate", [TOPIC])
    worker = parts.log.consumer("worker", [TOPIC])
    read = await poll_all(callstate)
    await callstate.publish_and_advance([], after(read))
    assert set((await worker.committed()).values()) == {0}
    assert values(await poll_all(worker)) == ["a"]


async def test_rewind_gives_again_what_was_not_committed(parts: Parts) -> None:
    await parts.log.append([said("a"), said("b"), said("c")])
    consumer = parts.log.consumer("callstate", [TOPIC])
    read = await consumer.poll(records_max=1, wait_s=0.01)
    await consumer.publish_and_advance([], after(read))
    assert values(await poll_all(consumer)) == ["b", "c"]
    await consumer.rewind()
    assert values(await poll_all(consumer)) == ["b", "c"]


async def test_a_closed_consumer_has_changed_nothing(parts: Parts) -> None:
    await parts.log.append([said("a")])
    consumer = parts.log.consumer("callstate", [TOPIC])
    await poll_all(consumer)
    await consumer.close()
    await consumer.close()
    assert values(await poll_all(parts.log.consumer("callstate", [TOPIC]))) == ["a"]
