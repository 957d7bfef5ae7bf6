"""Members of a group on a real broker: who has which partitions, and what is durable meanwhile."""

import asyncio
import time

import pytest
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from shared.adapters.cluster import consumer as consumer_module
from shared.adapters.cluster import membership as membership_module
from shared.adapters.cluster.consumer import KafkaConsumer
from shared.contracts.errors import Bug, PartitionsMoved, Unavailable
from shared.runtime.ports import TopicPartition
from tests.cluster.kafka_parts import (
    GROUP,
    OTHER,
    PARTITIONS,
    PATIENCE_S,
    TOPIC,
    Place,
    after,
    everything,
    persist,
    said,
    settle,
    spread,
    take,
    values,
)

pytestmark = [pytest.mark.asyncio, pytest.mark.cluster]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A member hears of the others at its next heartbeat."""
    monkeypatch.setattr(membership_module, "HEARTBEAT_S", 0.2)


async def next_move(consumer: KafkaConsumer) -> int:
    """Poll until the consumer tells of a new assignment; how many records came before."""
    came = 0
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                came += len(await consumer.poll(records_max=100, wait_s=0.1))
            except PartitionsMoved:
                return came


async def test_a_first_assignment_is_no_move(place: Place) -> None:
    async with place.opened() as process:
        consumer = process.consumer()
        assert len(await persist(consumer.committed)) == PARTITIONS
        assert await consumer.poll(records_max=10, wait_s=0.01) == []


async def test_who_joins_takes_a_share_and_everybody_is_told_once(place: Place) -> None:
    async with place.opened() as first, place.opened() as second:
        old, new = first.consumer(), second.consumer()
        await first.log.append(spread(40))
        read = await take(old, 40)
        await old.publish_and_advance([], after(read))
        joining = asyncio.create_task(persist(new.committed))
        assert await next_move(old) == 0
        await joining
        owned = await settle(old, new)
        assert [len(one) for one in owned] == [PARTITIONS // 2, PARTITIONS // 2]
        assert owned[0] | owned[1] == after(read)
        for consumer in (old, new):  # and nobody is told again
            assert await consumer.poll(records_max=10, wait_s=0.5) == []


async def test_who_leaves_gives_its_share_back(place: Place) -> None:
    async with place.opened() as first, place.opened() as second:
        old, new = first.consumer(), second.consumer()
        await settle(old, new)
        await new.close()
        await next_move(old)
        assert len(await old.committed()) == PARTITIONS


async def test_members_coming_and_going_lose_nothing_and_commit_nothing_twice(
    place: Place,
) -> None:
    """Each publishes what it has read, with its position: by the log itself, each number once."""
    count = 300
    stopping = asyncio.Event()

    async def work(consumer: KafkaConsumer) -> None:
        while not stopping.is_set():
            try:
                read = await consumer.poll(records_max=7, wait_s=0.1)
                out = [said(v, f"demo:{v}", OTHER) for v in values(read)]
                if read:
                    await consumer.publish_and_advance(out, after(read))
            except PartitionsMoved:
                continue

    async with place.opened() as process, place.opened() as other:
        consumers = [process.consumer()]
        tasks = [asyncio.create_task(work(consumers[0]))]
        for step in range(6):
            await process.log.append(spread(count // 6, first=step * count // 6))
            if step % 2 == 0:
                consumers.append(other.consumer())
                tasks.append(asyncio.create_task(work(consumers[-1])))
            else:
                tasks.pop().cancel()
                await consumers.pop().close()
            await asyncio.sleep(0.3)
        async with asyncio.timeout(PATIENCE_S):
            while sum((await process.log.positions(GROUP, [TOPIC])).values()) < count:
                await asyncio.sleep(0.1)
        stopping.set()
        await asyncio.gather(*tasks)
        out = values(await everything(process.log, OTHER))
        # A member that was cut short may have published and not advanced: repeated, never lost.
        assert set(out) == {f"{n}" for n in range(count)}


async def test_what_a_member_has_read_is_not_durable_once_its_partitions_are_gone(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was given its time to finish, and did not: the batch is dropped, nothing is told."""
    monkeypatch.setattr(consumer_module, "FINISH_S", 0.2)
    async with place.opened() as first, place.opened() as second:
        old, new = first.consumer(), second.consumer()
        await first.log.append(spread(40))
        read = await take(old, 40)
        joining = asyncio.create_task(persist(new.committed))
        await joining
        with pytest.raises(PartitionsMoved):
            await old.publish_and_advance([said("stale", topic=OTHER)], after(read))
        assert await everything(first.log, OTHER) == []
        assert set((await first.log.positions(GROUP, [TOPIC])).values()) == {0}
        owned = await settle(old, new)
        assert [len(one) for one in owned] == [PARTITIONS // 2, PARTITIONS // 2]
        again = await take(old, 1) + await take(new, 1)
        assert min(record.offset for record in again) == 0


async def test_a_commit_under_way_does_not_outlive_the_assignment(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sent late, it would bear the next generation, and the group would take it."""
    monkeypatch.setattr(consumer_module, "FINISH_S", 0.2)
    async with place.opened() as first, place.opened() as second:
        old, new = first.consumer(), second.consumer()
        await first.log.append(spread(8))
        read = await take(old, 8)
        assert old._member is not None
        cut = asyncio.Event()

        async def hang(_: object) -> None:
            try:
                await asyncio.sleep(3_600)
            finally:
                cut.set()

        monkeypatch.setattr(old._member, "commit", hang)
        advancing = asyncio.create_task(old.publish_and_advance([], after(read)))
        joining = asyncio.create_task(persist(new.committed))
        with pytest.raises(PartitionsMoved):
            await advancing
        assert cut.is_set()
        await joining


async def test_partitions_go_only_when_the_running_batch_is_durable(place: Place) -> None:
    async with place.opened() as first, place.opened() as second:
        old, new = first.consumer(), second.consumer()
        await first.log.append(spread(40))
        read = await take(old, 40)
        joining = asyncio.create_task(persist(new.committed))
        done, _ = await asyncio.wait([joining], timeout=1.5)
        assert not done  # for the batch is out
        begun = time.monotonic()
        assert await old.poll(records_max=10, wait_s=0.01) == []  # one may look for the next before
        assert time.monotonic() - begun < 1.0
        await old.publish_and_advance([said("in time", topic=OTHER)], after(read))
        owned = await joining
        assert owned.items() <= after(read).items()
        with pytest.raises(PartitionsMoved):
            await old.poll(records_max=10, wait_s=0.01)


async def test_the_group_refuses_a_member_that_it_has_forgotten(place: Place) -> None:
    """A zombie knows nothing of its end: its messages may land, its positions never."""
    async with place.opened() as first, place.opened() as second:
        old = first.consumer()
        await first.log.append(spread(8))
        read = await take(old, 8)
        assert old._member is not None
        coordinator = old._member.consumer._coordinator
        await coordinator._stop_heartbeat_task()
        member, generation = coordinator.member_id, coordinator.generation
        await coordinator._maybe_leave_group()
        coordinator.member_id, coordinator.generation = member, generation
        with pytest.raises(PartitionsMoved):
            await old.publish_and_advance([said("zombie", topic=OTHER)], after(read))
        assert set((await second.log.positions(GROUP, [TOPIC])).values()) == {0}
        assert sorted(values(await take(old, 8)), key=int) == [f"{n}" for n in range(8)]


async def test_a_forgotten_member_does_not_commit_as_nobody_to_an_empty_group(place: Place) -> None:
    """Others may have had the partitions, gone on, and gone: positions would fall back."""
    async with place.opened() as first:
        old = first.consumer()
        await first.log.append(spread(8))
        read = await take(old, 8)
        assert old._member is not None
        coordinator = old._member.consumer._coordinator
        await coordinator._stop_heartbeat_task()
        await coordinator._maybe_leave_group()
        with pytest.raises(PartitionsMoved):
            await old.publish_and_advance([], after(read))
        assert set((await first.log.positions(GROUP, [TOPIC])).values()) == {0}


async def test_two_topics_are_shared_by_their_numbers(place: Place) -> None:
    """What is read together of one call stands at one member."""
    async with place.opened() as first, place.opened() as second, place.opened() as third:
        consumers = [process.consumer([TOPIC, OTHER]) for process in (first, second, third)]
        for owned in await settle(*consumers):
            numbers = {
                topic: {place.partition for place in owned if place.topic == topic}
                for topic in (TOPIC, OTHER)
            }
            assert numbers[TOPIC] == numbers[OTHER] != set()


async def test_a_member_too_many_owns_nothing_and_waits(place: Place) -> None:
    async with place.opened() as process:
        consumers = [process.consumer() for _ in range(PARTITIONS + 1)]
        owned = await settle(*consumers)
        assert sorted(len(one) for one in owned) == [0, *[1] * PARTITIONS]
        idle = next(c for c, one in zip(consumers, owned, strict=True) if not one)
        assert await idle.committed() == {}
        assert await idle.poll(records_max=10, wait_s=0.1) == []
        with pytest.raises(PartitionsMoved):
            await idle.publish_and_advance([], {TopicPartition(TOPIC, 0): 1})


async def test_a_restart_under_its_name_takes_the_partitions_at_once(place: Place) -> None:
    async with place.opened() as witness:
        await witness.log.append(spread(20))
        async with place.opened("one") as first, place.opened("two") as second:
            before = await settle(first.consumer(), second.consumer())
        # Both have gone without a word, as a killed process does; the session still runs.
        begun = time.monotonic()
        async with place.opened("one") as first:
            owned = await persist(first.consumer().committed)
            assert time.monotonic() - begun < membership_module.SESSION_S
            assert owned.keys() == before[0].keys()


async def test_two_processes_of_one_name_are_found_out(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(membership_module, "NAME_LOST_MAX", 2)

    async def poll_on(consumer: KafkaConsumer) -> None:
        while True:
            try:
                await consumer.poll(records_max=10, wait_s=0.1)
            except PartitionsMoved:
                continue
            except Unavailable:
                await asyncio.sleep(0.05)

    async with place.opened("twin") as first, place.opened("twin") as second:
        polling = [asyncio.create_task(poll_on(p.consumer())) for p in (first, second)]
        done, _ = await asyncio.wait(
            polling, timeout=PATIENCE_S, return_when=asyncio.FIRST_COMPLETED
        )
        for task in polling:
            task.cancel()
        assert {type(task.exception()) for task in done} == {Bug}  # one of them, or both at once


async def test_records_that_were_deleted_unread_stop_the_reader(place: Place) -> None:
    async with place.opened() as process:
        await process.log.append([said(f"{n}") for n in range(10)])
        spot = TopicPartition(TOPIC, process.log.partition("demo:call-1"))
        consumer = process.consumer()
        await consumer.publish_and_advance([], {spot: 3})
        await consumer.close()
        await delete_before(place, spot, 7)
        with pytest.raises(Bug, match="deleted unread"):
            await take(process.consumer(), 1)


async def test_a_new_group_begins_with_the_oldest_that_is_kept(place: Place) -> None:
    async with place.opened() as process:
        await process.log.append([said(f"{n}") for n in range(10)])
        spot = TopicPartition(TOPIC, process.log.partition("demo:call-1"))
        await delete_before(place, spot, 7)
        assert values(await take(process.consumer(), 3)) == ["7", "8", "9"]


async def delete_before(place: Place, spot: TopicPartition, offset: int) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=place.bootstrap)
    await admin.start()
    try:
        await admin.delete_records({place.names.theirs(spot): RecordsToDelete(offset)})
    finally:
        await admin.close()


async def test_waiting_for_records_piles_nothing_up(place: Place) -> None:
    """Each empty wait leaves something behind in some versions of the client."""
    async with place.opened() as process:
        consumer = process.consumer()
        await persist(consumer.committed)
        assert consumer._member is not None
        client = consumer._member.consumer
        for _ in range(50):
            assert await consumer.poll(records_max=10, wait_s=0.01) == []
        assert len(client._fetcher._fetch_waiters) <= 1
        assert len(client._subscription._assignment_waiters) <= 1
        assert len(asyncio.all_tasks()) < 40


async def test_a_client_that_gives_nothing_is_replaced(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer_module, "STUCK_S", 1.0)
    monkeypatch.setattr(consumer_module, "CATCH_UP_S", 0.2)
    async with place.opened() as process:
        consumer = process.consumer()
        await persist(consumer.committed)
        assert consumer._member is not None

        async def nothing(*_: object) -> list[object]:
            await asyncio.sleep(0.01)
            return []

        monkeypatch.setattr(consumer._member, "get", nothing)
        await process.log.append(spread(8))
        assert sorted(values(await take(consumer, 8)), key=int) == [f"{n}" for n in range(8)]
        assert consumer.rebuilt == 1


async def test_a_client_that_finds_no_assignment_is_replaced(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer_module, "UNASSIGNED_S", 1.0)
    async with place.opened() as process:
        consumer = process.consumer()
        await persist(consumer.committed)
        assert consumer._member is not None
        consumer._member.moving = True  # taken back, and nothing follows
        await process.log.append(spread(8))
        assert sorted(values(await take(consumer, 8)), key=int) == [f"{n}" for n in range(8)]
        assert consumer.rebuilt == 1
