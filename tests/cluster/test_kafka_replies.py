"""Answers over a real broker: to their address, to no other, at once."""

import asyncio
from collections.abc import Sequence

import pytest

from shared.adapters.cluster import replies as replies_module
from shared.adapters.cluster.replies import KafkaReplies
from shared.contracts.envelope import ReplyTo
from shared.contracts.errors import Unavailable
from shared.runtime.ports import Answer
from tests.cluster.kafka_parts import PATIENCE_S, Place, Process

pytestmark = [pytest.mark.asyncio, pytest.mark.cluster]


class Inbox:
    """What was delivered to one address."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self._came = asyncio.Event()

    def deliver(self, answers: Sequence[Answer]) -> None:
        self.answers += answers
        self._came.set()

    async def holds(self, count: int) -> list[Answer]:
        async with asyncio.timeout(PATIENCE_S):
            while len(self.answers) < count:
                self._came.clear()
                await self._came.wait()
        return self.answers


def answer(address: str, number: int) -> Answer:
    return Answer(ReplyTo(address, f"c-{number}"), b'{"n":%d}' % number)


def twins(process: Process) -> tuple[str, str]:
    """Two addresses of one partition."""
    wanted = process.log.partition("gateway-0")
    other = next(n for n in range(1, 100) if process.log.partition(f"gateway-{n}") == wanted)
    return "gateway-0", f"gateway-{other}"


async def test_an_answer_comes_whole_to_its_address_and_to_no_other(place: Place) -> None:
    async with place.opened() as gateway, place.opened() as worker:
        ours, theirs = twins(gateway)
        inbox, other = Inbox(), Inbox()
        await gateway.kafka.register(ours, inbox.deliver)
        await gateway.kafka.register(theirs, other.deliver)
        await worker.kafka.replies.send([answer(theirs, 1), answer(ours, 2), answer("gone", 3)])
        assert await inbox.holds(1) == [answer(ours, 2)]
        assert await other.holds(1) == [answer(theirs, 1)]


async def test_nothing_sent_after_registering_is_missed_and_nothing_before_is_told(
    place: Place,
) -> None:
    async with place.opened() as gateway, place.opened() as worker:
        await worker.kafka.replies.send([answer("gateway", 0)])
        async with asyncio.timeout(PATIENCE_S):
            while not any((await worker.log.ends(["gateway.replies"])).values()):
                await asyncio.sleep(0.01)
        inbox = Inbox()
        await gateway.kafka.register("gateway", inbox.deliver)
        for number in range(1, 50):
            await worker.kafka.replies.send([answer("gateway", number)])
        assert await inbox.holds(49) == [answer("gateway", number) for number in range(1, 50)]


async def test_an_inbox_that_fails_does_not_end_the_deliveries(place: Place) -> None:
    async with place.opened() as process:
        inbox = Inbox()

        def deliver(answers: Sequence[Answer]) -> None:
            inbox.deliver(answers)
            if len(inbox.answers) == 1:
                raise ValueError("a bug of the gateway")

        await process.kafka.register("gateway", deliver)
        await process.kafka.replies.send([answer("gateway", 1)])
        await inbox.holds(1)
        await process.kafka.replies.send([answer("gateway", 2)])
        assert await inbox.holds(2) == [answer("gateway", 1), answer("gateway", 2)]


async def test_sending_waits_for_nothing(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the log out of reach: handed over, counted as lost beyond the bound, never raised."""
    monkeypatch.setattr(replies_module, "ANSWERS_WAITING_MAX", 10)
    async with place.opened() as process:
        sender = process.kafka.replies
        assert isinstance(sender, KafkaReplies)
        answering = asyncio.Event()

        async def publish(_: object) -> None:
            await answering.wait()
            raise Unavailable("the log does not answer")

        monkeypatch.setattr(sender._publisher, "publish", publish)
        async with asyncio.timeout(5):
            await sender.send([answer("gateway", 0)])
            await sender.send([answer("gateway", n) for n in range(8)])
            assert sender.lost == 0
            await sender.send([answer("gateway", n) for n in range(3)])
            assert sender.lost == 3
            answering.set()
            while sender.lost < 3 + 1 + 8:
                await asyncio.sleep(0)
