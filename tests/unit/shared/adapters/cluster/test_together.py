"""Appends of one turn of the loop: sent together, told apart."""

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from shared.adapters.cluster.together import Acknowledged, Place, Together
from shared.contracts.envelope import Message
from shared.contracts.errors import Unavailable

pytestmark = pytest.mark.asyncio


class Line:
    """What is sent; each partition is acknowledged, and the rest refused, on demand."""

    def __init__(self) -> None:
        self.sent: list[dict[Place, list[bytes]]] = []
        self.acknowledged: list[Acknowledged] = []
        self.ends: list[asyncio.Future[None]] = []
        self.together = Together(lambda message: (message.topic, int(message.key)), self.send)

    async def send(
        self, by_place: Mapping[Place, Sequence[Message]], acknowledged: Acknowledged
    ) -> None:
        self.sent.append({place: [m.value for m in some] for place, some in by_place.items()})
        self.acknowledged.append(acknowledged)
        self.ends.append(asyncio.get_running_loop().create_future())
        await self.ends[-1]

    def append(self, *messages: Message) -> "asyncio.Task[None]":
        return asyncio.create_task(self.together.append(messages))


def message(partition: int, value: bytes) -> Message:
    return Message("topic", str(partition), (), value)


async def rest() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_what_comes_in_one_turn_is_one_batch_a_partition_in_the_order_it_came() -> None:
    line = Line()
    line.append(message(1, b"a"), message(2, b"b"), message(1, b"c"))
    line.append(message(1, b"d"))
    await rest()
    line.append(message(1, b"e"))
    await rest()
    assert line.sent == [
        {("topic", 1): [b"a", b"c", b"d"], ("topic", 2): [b"b"]},
        {("topic", 1): [b"e"]},
    ]


async def test_each_is_told_when_its_own_partitions_have_acknowledged() -> None:
    line = Line()
    both = line.append(message(1, b"a"), message(2, b"b"))
    first = line.append(message(1, b"c"), message(1, b"d"))
    await rest()
    line.acknowledged[0](("topic", 1))
    await rest()
    assert (first.done(), both.done()) == (True, False)
    line.acknowledged[0](("topic", 2))
    await rest()
    assert both.done()


async def test_a_failure_is_told_to_those_alone_who_still_wait() -> None:
    line = Line()
    lucky, unlucky = line.append(message(1, b"a")), line.append(message(2, b"b"))
    await rest()
    line.acknowledged[0](("topic", 1))
    line.ends[0].set_exception(Unavailable("gone"))
    await lucky
    with pytest.raises(Unavailable):
        await unlucky


async def test_who_has_gone_meanwhile_hinders_nobody() -> None:
    line = Line()
    gone, stays = line.append(message(1, b"a")), line.append(message(1, b"b"))
    late = line.append(message(2, b"c"))
    await rest()
    gone.cancel()
    late.cancel()
    await rest()
    line.acknowledged[0](("topic", 1))
    line.ends[0].set_exception(Unavailable("gone"))
    await stays
    await rest()
    assert late.cancelled()
    assert line.sent == [{("topic", 1): [b"a", b"b"], ("topic", 2): [b"c"]}]


async def test_nothing_to_append_is_no_send() -> None:
    line = Line()
    await line.append()
    await rest()
    assert line.sent == []
