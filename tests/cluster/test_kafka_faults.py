"""A broker that is killed, frozen or gone, under a log that is in use."""

import asyncio
import gc
import time
from collections.abc import Sequence
from typing import Any

import pytest

from shared.adapters.cluster import broker as broker_module
from shared.adapters.cluster import consumer as consumer_module
from shared.adapters.cluster import membership as membership_module
from shared.adapters.cluster import publisher as publisher_module
from shared.adapters.cluster.consumer import KafkaConsumer
from shared.adapters.cluster.quiet import quiet_client
from shared.contracts.envelope import Record, ReplyTo
from shared.contracts.errors import PartitionsMoved, Retryable, Unavailable
from shared.runtime.ports import Answer, TopicPartition
from tests.cluster.kafka_parts import (
    GROUP,
    OTHER,
    TOPIC,
    Place,
    Process,
    after,
    everything,
    persist,
    said,
    spread,
    take,
    values,
)
from tests.support.parts import KafkaBroker

pytestmark = [pytest.mark.asyncio, pytest.mark.cluster]

DEADLINE_S = 1.5  # in place of the publisher's own
BOUND_S = 15.0  # whatever is told to end has ended by then


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publisher_module, "APPEND_S", DEADLINE_S)
    monkeypatch.setattr(publisher_module, "PUBLISH_S", DEADLINE_S)
    monkeypatch.setattr(broker_module, "REQUEST_S", 1.0)
    monkeypatch.setattr(broker_module, "ANSWER_S", 1.5)


async def restart(broker: KafkaBroker) -> None:
    broker.spawn()  # on this thread, for it ends with the one that has started it
    await asyncio.to_thread(broker.wait)


async def append_until_taken(process: Process, number: int, acknowledged: list[str]) -> None:
    """Ask again until it is acknowledged, as a client of the gateway does."""
    await persist(lambda: process.log.append([said(f"{number}", f"demo:call-{number % 9}")]))
    acknowledged.append(f"{number}")


async def stand(
    process: Process, consumer: KafkaConsumer, count: int, *, advance: bool = True
) -> list[Record]:
    """Append so many and read them; and, unless told otherwise, make that durable."""
    await persist(lambda: process.log.append(spread(count)))
    while True:
        read = await take(consumer, count)
        try:
            if advance:
                await consumer.publish_and_advance([], after(read))
        except Retryable:
            await persist(consumer.rewind)
        else:
            return read


async def write(process: Process, acknowledged: list[str], stopping: asyncio.Event) -> None:
    number = 0
    while not stopping.is_set():
        await append_until_taken(process, number, acknowledged)
        number += 1


async def read_on(process: Process, stopping: asyncio.Event) -> None:
    """Write on what is read, as the processor does."""
    consumer = process.consumer()

    async def turn() -> None:
        read = await consumer.poll(records_max=50, wait_s=0.1)
        out = [said(value, "demo:out", OTHER) for value in values(read)]
        if read:
            await consumer.publish_and_advance(out, after(read))

    while not stopping.is_set():
        try:
            await turn()
        except PartitionsMoved:
            continue
        except Retryable:
            await persist(consumer.rewind)


async def longer(acknowledged: list[str], by: int = 50) -> None:
    wanted = len(acknowledged) + by
    async with asyncio.timeout(60):
        while len(acknowledged) < wanted:
            await asyncio.sleep(0.02)


async def test_nothing_acknowledged_is_lost_when_the_broker_is_killed_under_load(
    broker: KafkaBroker, fragile: Place
) -> None:
    acknowledged: list[str] = []
    stopping = asyncio.Event()
    async with fragile.opened() as writer, fragile.opened() as reader:
        running = [
            asyncio.create_task(write(writer, acknowledged, stopping)),
            asyncio.create_task(read_on(reader, stopping)),
        ]
        await longer(acknowledged)
        broker.kill()
        await restart(broker)
        await longer(acknowledged)
        stopping.set()
        await asyncio.gather(*running)
        standing = await persist(lambda: everything(writer.log))
        assert set(acknowledged) <= set(values(standing))
        positions = await persist(lambda: reader.log.positions(GROUP, [TOPIC]))
        passed = [r for r in standing if r.offset < positions[TopicPartition(TOPIC, r.partition)]]
        written = values(await persist(lambda: everything(reader.log, OTHER)))
        assert passed
        assert set(values(passed)) <= set(written)  # no position without its messages


async def test_a_group_never_falls_back_to_the_start_while_the_broker_comes_up(
    broker: KafkaBroker, fragile: Place
) -> None:
    """A coordinator that still loads answers with an error and no positions: that is not none."""
    async with fragile.opened() as process:
        consumer = process.consumer()
        read = await stand(process, consumer, 40)
        broker.kill()
        starting = asyncio.create_task(restart(broker))
        while not starting.done():
            assert await persist(lambda: process.log.positions(GROUP, [TOPIC])) == after(read)
        await starting
        assert await persist(consumer.committed) == after(read)
        assert await persist(lambda: consumer.poll(records_max=10, wait_s=0.2)) == []


async def test_an_append_to_a_frozen_broker_ends_in_time_and_goes_on_after_it(
    broker: KafkaBroker, fragile: Place
) -> None:
    async with fragile.opened() as process:
        await persist(lambda: process.log.append([said("before")]))
        broker.freeze()
        begun = time.monotonic()
        many = [process.log.append([said("frozen", f"demo:{n}")]) for n in range(50)]
        told = await asyncio.gather(*many, return_exceptions=True)
        assert {type(error) for error in told} == {Unavailable}
        with pytest.raises(Unavailable):
            await process.log.append([said("frozen")])
        assert time.monotonic() - begun < BOUND_S
        broker.thaw()
        await append_until_taken(process, 7, [])
        standing = values(await persist(lambda: everything(process.log)))
        assert {"before", "7"} <= set(standing) <= {"before", "frozen", "7"}


async def test_whoever_asks_a_frozen_broker_is_told_in_time(
    broker: KafkaBroker, fragile: Place
) -> None:
    async with fragile.opened() as process:
        consumer = process.consumer()
        read = await stand(process, consumer, 4, advance=False)
        broker.freeze()
        place, *_ = after(read)
        for asking in (
            process.log.ends([TOPIC]),
            process.log.positions(GROUP, [TOPIC]),
            process.log.read(place, 0, 10),
            process.log.grown([TOPIC], {}, 0.1),
            consumer.poll(records_max=10, wait_s=0.2),
            consumer.committed(),
            consumer.publish_and_advance([said("x", topic=OTHER)], after(read)),
        ):
            async with asyncio.timeout(BOUND_S):
                with pytest.raises(Unavailable):
                    await asking
        broker.thaw()
        await persist(consumer.rewind)
        await persist(consumer.committed)
        assert set(values(await take(consumer, 4))) <= {"0", "1", "2", "3"}


async def test_a_commit_that_nobody_waits_for_any_more_fails_in_silence(
    broker: KafkaBroker, fragile: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(membership_module, "REQUEST_S", 2.0)
    monkeypatch.setattr(consumer_module, "COMMIT_S", 0.5)
    told: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    async with fragile.opened() as process:
        consumer = process.consumer()
        read = await stand(process, consumer, 4, advance=False)
        member = consumer._member
        assert member is not None
        broker.freeze()
        with pytest.raises(Unavailable):
            await consumer._commit(member, after(read))
        await asyncio.sleep(3.0)  # until the client gives its request up
        gc.collect()
        broker.thaw()
        await append_until_taken(process, 7, [])
    assert told == []


@pytest.mark.parametrize("how", ["kill", "freeze"])
async def test_closing_is_bounded_whatever_the_broker_does(
    broker: KafkaBroker, fragile: Place, how: str, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = quiet_client().lines
    before = sum(lines.values())
    async with fragile.opened() as process:
        consumer = process.consumer()
        await stand(process, consumer, 4, advance=False)
        await persist(lambda: process.log.grown([TOPIC], {}, 1))
        await persist(lambda: process.kafka.register("gateway", lambda _: None))
        getattr(broker, how)()
        pending = [asyncio.create_task(process.log.append([said("x")])) for _ in range(3)]
        await asyncio.sleep(0.1)
        begun = time.monotonic()
        await process.kafka.close()
        assert time.monotonic() - begun < BOUND_S
        told = await asyncio.gather(*pending, return_exceptions=True)
        assert {type(error) for error in told} == {Unavailable}
    if how == "kill":  # and of what the client writes then, not all is told
        assert capsys.readouterr().out.count("kafka_client") <= 12 < sum(lines.values()) - before


async def test_a_close_that_was_cut_short_can_be_done_again(
    broker: KafkaBroker, fragile: Place
) -> None:
    async with fragile.opened() as process:
        consumer = process.consumer()
        await stand(process, consumer, 4)
        member = consumer._member
        assert member is not None
        broker.freeze()
        closing = asyncio.create_task(consumer.close())
        await asyncio.sleep(0.1)
        closing.cancel()
        await asyncio.wait({closing})
        assert closing.cancelled()
        broker.thaw()
        ending = consumer._member
        assert ending is member
        await consumer.close()
        assert consumer._member is None
        assert member.consumer._closed
        with pytest.raises(Unavailable):
            await consumer.poll(records_max=1, wait_s=0.1)
        assert consumer._joining is None


async def test_answers_and_followers_come_back_with_the_broker(
    broker: KafkaBroker, fragile: Place
) -> None:
    async with fragile.opened() as process:
        came: list[Answer] = []

        def deliver(answers: Sequence[Answer]) -> None:
            came.extend(answers)

        await persist(lambda: process.kafka.register("gateway", deliver))
        seen = await persist(lambda: process.log.ends([TOPIC]))
        assert not await process.log.grown([TOPIC], seen, 0)
        broker.kill()
        await process.kafka.replies.send([Answer(ReplyTo("gateway", "lost"), b"{}")])
        await asyncio.sleep(0.5)
        await restart(broker)
        await append_until_taken(process, 1, [])
        async with asyncio.timeout(30):
            assert await persist(lambda: process.log.grown([TOPIC], seen, 5))
            number = 0
            while not any(answer.reply_to.correlation_id.startswith("n") for answer in came):
                reply_to = ReplyTo("gateway", f"n{number}")
                await process.kafka.replies.send([Answer(reply_to, b"{}")])
                number += 1
                await asyncio.sleep(0.05)
