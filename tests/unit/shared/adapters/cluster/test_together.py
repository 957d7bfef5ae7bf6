"""Small appends: sent together, told apart."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence

import pytest

from shared.adapters.cluster.together import Place, Together
from shared.contracts.envelope import Message
from shared.contracts.errors import Unavailable

pytestmark = pytest.mark.asyncio

ONE: Place = ("topic", 1)
TWO: Place = ("topic", 2)


class Line:
    """What is on its way; each batch is acknowledged, or refused, on demand."""

    def __init__(self, within_s: float = 60.0) -> None:
        self.sent: dict[Place, list[list[bytes]]] = defaultdict(list)
        self.ends: dict[Place, list[asyncio.Future[None]]] = defaultdict(list)
        self.together = Together(
            lambda message: (message.topic, int(message.key)), self.send, within_s=within_s
        )

    async def send(self, place: Place, messages: Sequence[Message]) -> None:
        self.sent[place].append([message.value for message in messages])
        end: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.ends[place].append(end)
        await end

    def append(self, *messages: Message) -> "asyncio.Task[None]":
        return asyncio.create_task(self.together.append(messages))

    async def acknowledge(self, place: Place, error: Exception | None = None) -> None:
        """The newest batch of a partition."""
        end = self.ends[place][-1]
        if error is None:
            end.set_result(None)
        else:
            end.set_exception(error)
        await rest()


def message(partition: int, value: bytes) -> Message:
    return Message("topic", str(partition), (), value)


async def rest() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_what_comes_in_one_turn_is_one_batch_a_partition_in_the_order_it_came() -> None:
    line = Line()
    _ = line.append(message(1, b"a"), message(2, b"b"), message(1, b"c"))
    _ = line.append(message(1, b"d"))
    await rest()
    assert line.sent == {ONE: [[b"a", b"c", b"d"]], TWO: [[b"b"]]}


async def test_what_comes_while_a_batch_is_on_its_way_gathers_for_the_next() -> None:
    line = Line()
    _ = line.append(message(1, b"a"))
    await rest()
    for number in range(100):
        _ = line.append(message(1, b"%d" % number))
        await rest()
    _ = line.append(message(2, b"b"))
    await rest()
    assert line.sent == {ONE: [[b"a"]], TWO: [[b"b"]]}  # and another partition does not wait
    await line.acknowledge(ONE)
    assert line.sent[ONE] == [[b"a"], [b"%d" % number for number in range(100)]]
    await line.acknowledge(ONE)
    _ = line.append(message(1, b"z"))
    await rest()
    assert line.sent[ONE][2:] == [[b"z"]]


async def test_each_is_told_when_its_own_partitions_have_acknowledged() -> None:
    line = Line()
    both = line.append(message(1, b"a"), message(2, b"b"))
    first = line.append(message(1, b"c"), message(1, b"d"))
    await rest()
    await line.acknowledge(ONE)
    assert (first.done(), both.done()) == (True, False)
    await line.acknowledge(TWO)
    assert both.done()


async def test_a_failure_is_told_to_those_alone_whose_records_it_had() -> None:
    line = Line()
    lucky, both = line.append(message(1, b"a")), line.append(message(1, b"b"), message(2, b"c"))
    await rest()
    later = line.append(message(2, b"d"))
    await rest()
    await line.acknowledge(TWO, Unavailable("gone"))
    await line.acknowledge(ONE)
    await lucky
    with pytest.raises(Unavailable):
        await both
    assert not later.done()
    await line.acknowledge(TWO)
    await later


async def test_who_has_gone_meanwhile_hinders_nobody() -> None:
    line = Line()
    gone, stays = line.append(message(1, b"a")), line.append(message(1, b"b"))
    late = line.append(message(2, b"c"))
    await rest()
    gone.cancel()
    late.cancel()
    await rest()
    await line.acknowledge(ONE)
    await line.acknowledge(TWO, Unavailable("gone"))
    await stays
    assert gone.cancelled()
    assert late.cancelled()
    assert line.sent == {ONE: [[b"a", b"b"]], TWO: [[b"c"]]}


async def test_nothing_to_append_is_no_send() -> None:
    line = Line()
    await line.append()
    await rest()
    assert line.sent == {}


async def test_a_batch_that_is_cut_off_leaves_nobody_waiting_and_bars_nobody_after() -> None:
    """The client may cancel what it was to deliver."""
    line = Line()
    first = line.append(message(1, b"a"))
    await rest()
    gathered = line.append(message(1, b"b"))
    await rest()
    line.ends[ONE][-1].cancel()
    await rest()
    for task in (first, gathered):
        assert task.done()
        assert isinstance(task.exception(), Unavailable)
    later = line.append(message(1, b"c"))
    await rest()
    await line.acknowledge(ONE)
    assert later.done()
    assert line.sent == {ONE: [[b"a"], [b"c"]]}


async def test_the_time_of_an_append_begins_with_it_and_not_with_its_turn() -> None:
    """Two rounds after one another may each take as long as one caller would wait."""
    line = Line(within_s=0.05)
    first = line.append(message(1, b"a"))
    await rest()
    waits = line.append(message(1, b"b"), message(2, b"c"))
    await asyncio.wait({first, waits}, timeout=5)
    for task in (first, waits):
        assert isinstance(task.exception(), Unavailable)
    later = line.append(message(1, b"d"))
    await line.acknowledge(ONE)
    assert line.sent[ONE] == [[b"a"], [b"d"]], "what nobody waits for is not sent"
    await line.acknowledge(ONE)
    await later


async def test_who_has_gone_before_its_turn_is_not_sent() -> None:
    line = Line()
    _ = line.append(message(1, b"a"))
    await rest()
    gone = line.append(message(1, b"b"))
    await rest()
    gone.cancel()
    await rest()
    await line.acknowledge(ONE)
    assert line.sent == {ONE: [[b"a"]]}
    again = line.append(message(1, b"c"))
    await rest()
    await line.acknowledge(ONE)
    assert again.done()
