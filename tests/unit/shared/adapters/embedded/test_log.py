"""The log of the embedded profile where it promises more than its port."""

import asyncio
import resource
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from shared.adapters import tails
from shared.adapters.embedded import Embedded, open_embedded, records
from shared.adapters.embedded.engine import FILE
from shared.contracts.envelope import Message, Record
from shared.contracts.errors import Bug, Unavailable, WriteConflict
from shared.runtime.ports import Batch, Document, Index, TopicPartition
from tests.support.clock import FakeClock
from tests.support.memory import MemoryLog

pytestmark = pytest.mark.asyncio

TOPIC = "telephony.events"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(1_000)


@pytest_asyncio.fixture
async def embedded(tmp_path: Path, clock: FakeClock) -> AsyncIterator[Embedded]:
    opened = await open_embedded(tmp_path, clock)
    yield opened
    await opened.close()


def said(body: bytes = b"", key: str = "demo:call-1", topic: str = TOPIC) -> Message:
    return Message(topic, key, (), body)


def place_of(embedded: Embedded, key: str = "demo:call-1", topic: str = TOPIC) -> TopicPartition:
    return TopicPartition(topic, embedded.log.partition(key))


async def append_at(embedded: Embedded, clock: FakeClock, *times_ms: int) -> None:
    for time_ms in times_ms:
        clock.set(time_ms)
        await embedded.log.append([said(b"%d" % time_ms)])


async def kept(embedded: Embedded, key: str = "demo:call-1") -> list[int]:
    """The offsets of what can still be read."""
    return [record.offset for record in await embedded.log.read(place_of(embedded, key), 0, 100)]


async def advance(embedded: Embedded, group: str, offset: int) -> None:
    consumer = embedded.log.consumer(group, [TOPIC])
    await consumer.publish_and_advance([], {place_of(embedded): offset})


async def test_stored_partitions_stay_what_they_are(embedded: Embedded) -> None:
    keys = ["demo:call-25", "demo:call-1", "b:Ünïcode", "demo:call-2"]
    assert [embedded.log.partition(key) for key in keys] == [3, 1, 2, 3]


async def test_a_commit_that_fails_leaves_no_gap(embedded: Embedded, tmp_path: Path) -> None:
    await embedded.log.append([said()])
    wal = (tmp_path / f"{FILE}-wal").stat().st_size
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (wal, before[1]))
    try:
        with pytest.raises(Unavailable):
            await embedded.log.append([said(b"x" * 20_000)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    await embedded.log.append([said()])
    assert await kept(embedded) == [0, 1]


async def test_a_rolled_back_job_leaves_no_gap_for_those_beside_it(embedded: Embedded) -> None:
    document = Document(
        collection="calls",
        key="demo:call-1",
        revision=9,  # there is no revision 8: every one of these fails
        state=b"{}",
        watermarks={},
        sequences={},
        index=Index(created_ms=0),
    )
    consumer = embedded.log.consumer("callstate", [TOPIC])
    conflicting = Batch((), (said(b"gone"),), {})

    async def answer() -> None:
        return

    def fail_late(connection: object) -> None:
        embedded.log.append_in(connection, conflicting.messages)  # type: ignore[arg-type]
        raise WriteConflict(document.key)

    async def fail() -> None:
        with pytest.raises(WriteConflict):
            await embedded.engine.write(fail_late)
        with pytest.raises(WriteConflict):
            await embedded.commit(consumer, Batch((document,), (said(b"gone"),), {}), answer)

    for _ in range(5):
        appends = [embedded.log.append([said(b"%d" % number)]) for number in range(10)]
        await asyncio.gather(
            *appends,
            *(fail() for _ in range(5)),
            *[embedded.log.append([said(b"x")]) for _ in range(5)],
        )
    stored = await embedded.engine.read(
        lambda connection: records.read_records(connection, place_of(embedded), 0, 1_000)
    )
    assert [record.offset for record in stored] == list(range(75))
    assert b"gone" not in {record.value for record in stored}
    assert await embedded.log.ends([TOPIC]) == {
        place: 75 if place == place_of(embedded) else 0
        for place in await embedded.log.ends([TOPIC])
    }


async def test_memory_and_disk_tell_the_same(embedded: Embedded) -> None:
    messages = [said(b"%d" % number) for number in range(tails.RECORDS_MAX * 2 + 7)]
    for start in range(0, len(messages), 300):
        await embedded.log.append(messages[start : start + 300])
    place = place_of(embedded)
    stored = await embedded.engine.read(
        lambda connection: records.read_records(connection, place, 0, len(messages))
    )
    assert [record.value for record in stored] == [message.value for message in messages]
    for offset in (0, 1, 500, 1_000, 1_001, 1_499, 1_500, 1_501, 2_000, 2_006, 2_007, 3_000):
        for limit in (1, 10, 5_000):
            read = await embedded.log.read(place, offset, limit)
            assert read == stored[offset : offset + limit]


async def test_no_partition_waits_for_ever_behind_a_busy_one(embedded: Embedded) -> None:
    keys = {embedded.log.partition(key): key for key in (f"demo:call-{n}" for n in range(40))}
    for key in keys.values():
        await embedded.log.append([said(key=key)] * 30)
    consumer = embedded.log.consumer("callstate", [TOPIC])
    polls = [await consumer.poll(records_max=10, wait_s=0) for _ in keys]
    assert {record.partition for records in polls for record in records} == set(keys)


async def test_only_a_consumer_of_this_file_can_be_committed_with(embedded: Embedded) -> None:
    async def answer() -> None:
        return

    consumer = MemoryLog().consumer("callstate", [TOPIC])
    with pytest.raises(Bug, match="same file"):
        await embedded.commit(consumer, Batch((), (), {}), answer)


@pytest.mark.parametrize(
    ("before_ms", "left"),
    [(0, [0, 1, 2, 3]), (10, [0, 1, 2, 3]), (11, [1, 2, 3]), (31, [3]), (99, [3])],
)
async def test_what_is_old_and_read_by_nobody_goes(
    embedded: Embedded, clock: FakeClock, before_ms: int, left: list[int]
) -> None:
    await append_at(embedded, clock, 10, 20, 30, 40)
    assert await embedded.log.prune(before_ms, before_ms) == 4 - len(left)
    assert await kept(embedded) == left
    assert await embedded.log.prune(before_ms, before_ms) == 0


@pytest.mark.parametrize(
    ("positions", "left"),
    [
        ({"a": 0}, [0, 1, 2, 3]),
        ({"a": 1}, [1, 2, 3]),
        ({"a": 2, "b": 3}, [2, 3]),
        ({"a": 4, "b": 1}, [1, 2, 3]),
        ({"a": 4, "b": 4}, [3]),
    ],
)
async def test_what_a_group_has_yet_to_read_stays(
    embedded: Embedded, clock: FakeClock, positions: dict[str, int], left: list[int]
) -> None:
    await append_at(embedded, clock, 10, 20, 30, 40)
    for group, offset in positions.items():
        await advance(embedded, group, offset)
    await embedded.log.prune(99, 99)
    assert await kept(embedded) == left


async def test_a_group_that_has_committed_nothing_yet_keeps_everything(
    embedded: Embedded, clock: FakeClock
) -> None:
    await append_at(embedded, clock, 10, 20, 30)
    embedded.log.consumer("new", [TOPIC])
    assert await embedded.log.prune(99, 99) == 0


async def test_a_group_of_another_topic_keeps_nothing(embedded: Embedded, clock: FakeClock) -> None:
    await append_at(embedded, clock, 10, 20, 30)
    embedded.log.consumer("elsewhere", ["calls.changed"])
    assert await embedded.log.prune(99, 99) == 2


async def test_offsets_and_times_go_on_after_everything_was_pruned(
    tmp_path: Path, clock: FakeClock
) -> None:
    embedded = await open_embedded(tmp_path, clock)
    await append_at(embedded, clock, 10, 20, 30)
    await embedded.log.prune(99, 99)
    await embedded.close()
    clock.set(5)
    embedded = await open_embedded(tmp_path, clock)
    await embedded.log.append([said()])
    read = await embedded.log.read(place_of(embedded), 0, 10)
    await embedded.close()
    assert [(record.offset, record.timestamp_ms) for record in read] == [(2, 30), (3, 30)]


async def test_more_than_one_job_can_take_is_pruned(
    embedded: Embedded, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "PRUNED_PER_JOB_MAX", 3)
    await append_at(embedded, clock, *range(10, 20))
    assert await embedded.log.prune(18, 18) == 8
    assert await kept(embedded) == [8, 9]


async def test_a_consumer_behind_the_pruned_goes_on_at_what_is_left(
    embedded: Embedded, clock: FakeClock
) -> None:
    await append_at(embedded, clock, 10, 20, 30)
    await embedded.log.prune(99, 99)
    consumer = embedded.log.consumer("late", [TOPIC])
    polled = await consumer.poll(records_max=10, wait_s=0)
    assert [record.offset for record in polled] == [2]
    assert await consumer.poll(records_max=10, wait_s=0) == []


def record(offset: int, size: int = 0) -> Record:
    return Record(TOPIC, 0, offset, 0, "demo:call-1", (), b"x" * size)


@pytest.mark.parametrize(
    ("count", "size", "first"),
    [
        (tails.RECORDS_MAX, 0, 0),
        (tails.RECORDS_MAX + 1, 0, tails.RECORDS_MAX // 2 + 1),
        (4, tails.BYTES_MAX // 4, 0),
        (5, tails.BYTES_MAX // 4, 3),
        (2, tails.BYTES_MAX + 1, None),
    ],
)
async def test_the_memory_of_a_partition_is_bounded(
    count: int, size: int, first: int | None
) -> None:
    tail = tails.Tails({})
    tail.extend([record(offset, size) for offset in range(count)])
    place = TopicPartition(TOPIC, 0)
    in_memory = [offset for offset in range(count) if tail.take(place, offset, 1) is not None]
    assert in_memory == ([] if first is None else list(range(first, count)))
    assert tail.end(place) == count


async def test_a_group_is_never_seen_past_a_record_before_what_it_made_of_it(
    embedded: Embedded, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = "calls.changed"
    await embedded.log.append([said()])
    durable, go_on = threading.Event(), threading.Event()
    commit = embedded.engine._commit

    def halt_behind_the_commit(group: list[Any]) -> None:
        commit(group)
        durable.set()
        go_on.wait(5)

    monkeypatch.setattr(embedded.engine, "_commit", halt_behind_the_commit)
    consumer = embedded.log.consumer("callstate", [TOPIC])
    writing = asyncio.create_task(
        consumer.publish_and_advance([said(topic=made)], {place_of(embedded): 1})
    )
    await asyncio.to_thread(durable.wait, 5)

    async def seen() -> tuple[int, int]:
        positions = await embedded.log.positions("callstate", [TOPIC])
        ends = await embedded.log.ends([made])
        return positions[place_of(embedded)], ends[place_of(embedded, topic=made)]

    assert await consumer.committed() == {**await embedded.log.ends([TOPIC])}
    assert await seen() == (0, 0)
    go_on.set()
    await writing
    assert await seen() == (1, 1)


async def test_positions_are_there_again_after_a_restart(tmp_path: Path, clock: FakeClock) -> None:
    for expected in (0, 1):
        opened = await open_embedded(tmp_path, clock)
        positions = await opened.log.positions("callstate", [TOPIC])
        assert positions[place_of(opened)] == expected
        await opened.log.append([said()])
        await advance(opened, "callstate", expected + 1)
        await opened.close()


async def test_of_one_append_all_stands_or_nothing(embedded: Embedded) -> None:
    assert embedded.log.appends_whole
    many = [said(b"%d" % number) for number in range(200)]  # more than one statement takes
    unfit: Any = "no bytes, which the file refuses"
    with pytest.raises(Exception, match="BLOB"):
        await embedded.log.append([*many, said(topic="other"), said(unfit)])
    assert await kept(embedded) == []
    assert await embedded.log.read(place_of(embedded, topic="other"), 0, 10) == []
    await embedded.log.append([said(b"next")])
    assert await kept(embedded) == [0]
