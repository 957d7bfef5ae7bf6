"""The fakes go wrong exactly as they are told, for tests lean on that."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from shared.contracts.envelope import Message
from shared.contracts.errors import PartitionsMoved, Unavailable, WriteConflict
from shared.runtime.history import Entry, HistoryStore
from shared.runtime.ports import (
    Document,
    EventLog,
    Index,
    Replies,
    StateStore,
    TopicPartition,
)
from tests.support.memory import MemoryHistoryStore, MemoryLog, MemoryReplies, MemoryStateStore

pytestmark = pytest.mark.asyncio

TOPIC = "telephony.events"
SAID = Message(TOPIC, "demo:call-1", (), b"{}")
DOCUMENT = Document(
    collection="calls",
    key="demo:call-1",
    revision=1,
    state=b"{}",
    watermarks={},
    sequences={},
    index=Index(created_ms=0),
)


class Crash(BaseException):
    """The process is gone."""


async def test_the_fakes_are_what_they_stand_for() -> None:
    log: EventLog = MemoryLog()
    store: StateStore = MemoryStateStore()
    history: HistoryStore = MemoryHistoryStore()
    replies: Replies = MemoryReplies()
    assert all((log, store, history, replies))


@pytest.mark.parametrize("applied", [False, True])
async def test_a_planned_failure_comes_once_before_or_after(applied: bool) -> None:
    log, store, history = MemoryLog(), MemoryStateStore(), MemoryHistoryStore()
    log.fail_next("append", applied=applied)
    store.fail_next("save", applied=applied)
    history.fail_next("upsert", applied=applied)
    entry = Entry(id="1", tenant="demo", call_id="1", at_ms=0, rank=0, sequence=0, body=b"")
    for step in (log.append([SAID]), store.save([DOCUMENT]), history.upsert([entry], [])):
        with pytest.raises(Unavailable):
            await step
    stand = (len(log.all(TOPIC)), len(store.documents), len(history.rows))
    assert stand == ((1, 1, 1) if applied else (0, 0, 0))
    await log.append([SAID])
    assert len(log.all(TOPIC)) == stand[0] + 1


async def test_any_error_can_be_planned() -> None:
    store = MemoryStateStore()
    store.fail_next("load", error=Crash())
    with pytest.raises(Crash):
        await store.load("calls", [])
    assert await store.load("calls", []) == {}


async def test_a_conflict_writes_the_others_as_a_store_without_transactions_would() -> None:
    store = MemoryStateStore()
    await store.save([DOCUMENT])
    other = Document(
        collection="calls",
        key="demo:call-2",
        revision=1,
        state=b"{}",
        watermarks={},
        sequences={},
        index=Index(created_ms=0),
    )
    with pytest.raises(WriteConflict, match="demo:call-1"):
        await store.save([DOCUMENT, other])
    assert await store.load("calls", ["demo:call-2"]) == {"demo:call-2": other}


@pytest.mark.parametrize("call", ["poll", "committed", "publish"])
async def test_moved_partitions_are_told_once_and_start_at_the_committed(call: str) -> None:
    log = MemoryLog()
    await log.append([SAID] * 3)
    place = TopicPartition(TOPIC, log.partition(SAID.key))
    consumer = log.consumer("callstate", [TOPIC])
    assert len(await consumer.poll(records_max=2, wait_s=0.01)) == 2
    await consumer.publish_and_advance([], {place: 1})
    log.move_partitions()
    calls: dict[str, Callable[[], Awaitable[object]]] = {
        "poll": lambda: consumer.poll(records_max=2, wait_s=0.01),
        "committed": consumer.committed,
        "publish": lambda: consumer.publish_and_advance([SAID], {place: 2}),
    }
    with pytest.raises(PartitionsMoved):
        await calls[call]()
    assert (await consumer.committed())[place] == 1
    again = await consumer.poll(records_max=9, wait_s=0.01)
    assert [record.offset for record in again] == [1, 2]


async def test_moved_partitions_wake_who_waits() -> None:
    log = MemoryLog()
    consumer = log.consumer("callstate", [TOPIC])
    polling = asyncio.create_task(consumer.poll(records_max=1, wait_s=20))
    await asyncio.sleep(0)
    log.move_partitions()
    with pytest.raises(PartitionsMoved):
        await asyncio.wait_for(polling, 5)


async def test_a_zombie_owns_nothing_and_moves_nothing() -> None:
    log = MemoryLog()
    await log.append([SAID])
    place = TopicPartition(TOPIC, log.partition(SAID.key))
    zombie = log.consumer("callstate", [TOPIC])
    assert len(await zombie.poll(records_max=1, wait_s=0.01)) == 1
    owner = log.consumer("callstate", [TOPIC])
    assert len(await owner.poll(records_max=1, wait_s=0.01)) == 1
    for _ in range(2):
        with pytest.raises(PartitionsMoved):
            await zombie.publish_and_advance([], {place: 1})
    assert await zombie.committed() == {}
    assert await zombie.poll(records_max=1, wait_s=0.01) == []
    assert (await owner.committed())[place] == 0
