"""Where much waits: a batch is decided while the one before is written, and written while that one
is published; it is published when all of that one is durable."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from shared.contracts import limits
from shared.contracts.envelope import Message
from shared.contracts.errors import PartitionsMoved, Retryable, Unavailable, WriteConflict
from shared.contracts.topics import CALLS_CHANGED, TELEPHONY_EVENTS
from shared.kernel import Decision
from shared.runtime.deciding import Turn
from shared.runtime.ports import Batch, Consumer, unpack
from shared.runtime.processor import Processor
from tests.support.clock import FakeClock
from tests.support.memory import MemoryLog, MemoryReplies, MemoryStateStore
from tests.support.tally import TallyTopology, Told, said

pytestmark = pytest.mark.asyncio


class Rig:
    """A processor of small batches, whose commit waits at two gates: to write, and to publish."""

    def __init__(self, *, records_max: int = 2, much: int = 2) -> None:
        self.records_max = records_max
        self.much = much
        self.log = MemoryLog(FakeClock(), partitions=1)
        self.store = MemoryStateStore()
        self.turns: list[Turn] = []
        self.write = asyncio.Event()
        self.publish = asyncio.Event()
        self.publish.set()
        self.write.set()
        self.start()

    def start(self) -> None:
        topology = TallyTopology()
        self.decided: list[str] = []
        self.published = 0  # batches whose publishing has begun
        tallies = topology.aggregates["tallies"]
        decide = tallies.decide

        def noted(state: Any, given: str, beside: Any) -> Decision[Any]:
            self.decided.append(given)
            return decide(state, given, beside)

        tallies.decide = noted  # type: ignore[method-assign]
        self.processor = Processor(
            topology,
            event_log=self.log,
            store=self.store,
            commit=self.commit,
            replies=MemoryReplies(),
            observe=self.turns.append,
            records_max=self.records_max,
            wait_s=0,
            much=self.much,
        )
        self.consumer = self.log.consumer("tally", TallyTopology.topics)

    async def commit(
        self, consumer: Consumer, batch: Batch, stored: Callable[[], Awaitable[None]]
    ) -> None:
        await self.write.wait()
        await self.store.save(batch.documents)
        await stored()
        self.published += 1
        await self.publish.wait()
        await consumer.publish_and_advance(batch.messages, batch.positions)

    async def say(self, number: int) -> None:
        await self.log.append([inputs(n) for n in range(1, number + 1)])

    async def turn(self) -> None:
        await self.processor.turn(self.consumer)

    async def stands(self, *, loads: int, saves: int) -> None:
        """Come to rest, and be exactly there."""
        for _ in range(20):
            await asyncio.sleep(0)
        assert (self.store.loads, self.store.saves) == (loads, saves)

    async def run_until(self, number: int) -> None:
        """Run until the last of so many inputs is told; seconds at most."""
        stopping = asyncio.Event()
        running = asyncio.ensure_future(self.processor.run(stopping))
        async with asyncio.timeout(10):
            while in_order(number)[-1] not in self.told():
                await asyncio.sleep(0.001)
        stopping.set()
        await running

    def kept(self) -> list[str]:
        """Inputs whose effects the one document keeps."""
        outbox = unpack(self.store.documents["tallies", "t:k"].outbox)
        return [msgspec.json.decode(one.message.value, type=Told).input for one in outbox]

    def told(self) -> list[tuple[str, int]]:
        """Inputs as told, each with the sequence of its telling."""
        return [
            (
                msgspec.json.decode(record.value, type=Told).input,
                int(dict(record.headers)["ce_sequence"]),
            )
            for record in self.log.all(CALLS_CHANGED)
        ]


def inputs(number: int) -> Message:
    return said(TELEPHONY_EVENTS, "t:k", f"{number}.1")


def in_order(number: int) -> list[tuple[str, int]]:
    return [(f"{n}.1", n) for n in range(1, number + 1)]


async def test_the_next_batch_is_decided_on_documents_that_are_being_written() -> None:
    rig = Rig()
    rig.write.clear()
    await rig.say(4)
    turning = asyncio.ensure_future(rig.turn())
    await rig.stands(loads=1, saves=0)
    assert rig.decided == ["1.1", "2.1", "3.1", "4.1"]
    rig.write.set()
    await turning
    await rig.turn()
    assert rig.told() == in_order(4)
    assert rig.store.documents["tallies", "t:k"].revision == 2


async def test_the_next_batch_is_written_while_one_is_published_and_published_after_it() -> None:
    rig = Rig()
    rig.publish.clear()
    await rig.say(6)
    await rig.turn()
    turning = asyncio.ensure_future(rig.turn())
    await rig.stands(loads=1, saves=2)
    assert rig.kept() == ["1.1", "2.1", "3.1", "4.1"]
    assert (rig.published, turning.done(), rig.told()) == (1, False, [])
    rig.publish.set()
    await turning
    await rig.turn()
    assert (rig.store.saves, rig.told()) == (3, in_order(6))
    assert rig.kept() == ["3.1", "4.1", "5.1", "6.1"]


async def test_the_third_batch_is_not_written_before_the_first_is_durable() -> None:
    rig = Rig()
    rig.publish.clear()
    await rig.say(8)
    await rig.turn()
    turning = asyncio.ensure_future(rig.turn())
    await rig.stands(loads=1, saves=2)
    assert not turning.done()
    rig.publish.set()
    await turning
    rig.publish.clear()
    turning = asyncio.ensure_future(rig.turn())
    await rig.stands(loads=1, saves=3)
    rig.publish.set()
    await turning
    await rig.turn()
    assert rig.told() == in_order(8)


@pytest.mark.parametrize("where", ["save", "publish"])
async def test_a_process_that_ends_while_two_are_on_their_way_has_lost_nothing(where: str) -> None:
    rig = Rig()
    rig.publish.clear()
    await rig.say(6)
    await rig.turn()
    if where == "save":
        rig.write.clear()
    turning = asyncio.ensure_future(rig.turn())
    await rig.stands(loads=1, saves=1 if where == "save" else 2)
    turning.cancel()
    with pytest.raises(asyncio.CancelledError):
        await turning
    assert len(asyncio.all_tasks()) == 1
    assert rig.told() == []
    rig.publish.set()
    rig.write.set()
    rig.start()
    await rig.run_until(6)
    assert list(dict.fromkeys(rig.told())) == in_order(6)


@pytest.mark.parametrize("applied", [False, True])
async def test_of_two_on_their_way_both_are_dropped_when_the_first_fails(applied: bool) -> None:
    rig = Rig()
    rig.publish.clear()
    await rig.say(6)
    await rig.turn()
    turning = asyncio.ensure_future(rig.turn())
    await rig.stands(loads=1, saves=2)
    rig.log.fail_next("publish", applied=applied)
    rig.publish.set()
    with pytest.raises(Unavailable):
        await turning
    assert rig.told() == (in_order(2) if applied else [])
    rig.start()
    await rig.run_until(6)
    assert list(dict.fromkeys(rig.told())) == in_order(6)


async def test_what_was_polled_behind_a_batch_whose_partitions_moved_comes_again() -> None:
    rig = Rig()
    rig.publish.clear()
    await rig.log.append([said(TELEPHONY_EVENTS, "t:j", f"{n}.1") for n in (7, 8)])
    await rig.say(6)
    await rig.turn()
    rig.log.consumer = lambda *_: rig.consumer  # type: ignore[method-assign]  # goes on
    rig.log.move_partitions()
    rig.publish.set()  # so the first batch learns of it, and what is polled then stands anew
    await rig.run_until(6)
    assert list(dict.fromkeys(rig.told())) == [("7.1", 1), ("8.1", 2), *in_order(6)]


async def test_what_is_written_is_made_durable_before_the_processor_stops() -> None:
    rig = Rig()
    rig.publish.clear()
    await rig.say(6)
    stopping = asyncio.Event()
    await rig.turn()
    rig.log.consumer = lambda *_: rig.consumer  # type: ignore[method-assign]  # goes on
    stopping.set()
    running = asyncio.ensure_future(rig.processor.run(stopping))
    await rig.stands(loads=1, saves=1)
    assert not running.done()
    rig.publish.set()
    await running
    assert rig.told() == in_order(2)


async def test_a_log_that_fails_while_the_processor_stops_is_no_failure_of_it() -> None:
    rig = Rig()
    rig.publish.clear()
    await rig.say(4)
    await rig.turn()
    stopping = asyncio.Event()
    stopping.set()
    rig.log.fail_next("publish")
    rig.publish.set()
    await rig.processor.run(stopping)
    assert rig.told() == []


async def test_documents_of_no_batch_under_way_are_read() -> None:
    rig = Rig()
    await rig.log.append([said(TELEPHONY_EVENTS, "t:j", "0.1")])
    await rig.turn()
    await rig.say(2)
    await rig.log.append([said(TELEPHONY_EVENTS, "t:j", "9.1"), inputs(3)])
    await rig.turn()
    await rig.turn()
    assert rig.store.loads == 3
    assert rig.store.documents["tallies", "t:j"].revision == 2
    assert [told for told in rig.told() if told[0] == "9.1"] == [("9.1", 2)]


async def test_a_write_of_somebody_else_between_two_batches_is_a_conflict() -> None:
    rig = Rig()
    await rig.say(4)
    await rig.turn()
    stored = rig.store.documents["tallies", "t:k"]
    theirs = msgspec.structs.replace(stored, revision=2, state=b'{"inputs":["1.1","2.1","zombie"]}')
    rig.store.documents["tallies", "t:k"] = theirs
    with pytest.raises(WriteConflict):
        await rig.turn()


async def test_what_is_on_its_way_is_not_published_again_by_the_batch_behind() -> None:
    rig = Rig()
    await rig.say(6)
    for _ in range(3):
        await rig.turn()
    assert [turn.recovered for turn in rig.turns] == [0, 0, 0]
    assert rig.told() == in_order(6)


@pytest.mark.parametrize("applied", [False, True])
@pytest.mark.parametrize("where", ["save", "publish", "advance"])
async def test_with_a_batch_that_fails_goes_what_was_decided_behind_it(
    where: str, applied: bool
) -> None:
    rig = Rig()
    await rig.say(6)
    (rig.store if where == "save" else rig.log).fail_next(where, applied=applied)
    await rig.run_until(6)
    assert list(dict.fromkeys(rig.told())) == in_order(6)
    assert [told for told in rig.told() if told[1] > 2] == in_order(6)[2:]


async def test_a_batch_is_durable_though_the_next_one_can_not_be_decided() -> None:
    rig = Rig()
    rig.write.clear()
    await rig.say(2)
    await rig.log.append([said(TELEPHONY_EVENTS, "t:j", "9.1")])
    plain = rig.store.load

    async def load(collection: str, keys: list[str], *, outboxes: bool) -> object:
        if keys == ["t:j"]:
            raise Unavailable("the store")
        return await plain(collection, keys, outboxes=outboxes)

    rig.store.load = load  # type: ignore[method-assign, assignment]
    turning = asyncio.ensure_future(rig.turn())
    await rig.stands(loads=1, saves=0)
    rig.write.set()
    with pytest.raises(Unavailable):
        await turning
    assert rig.told() == in_order(2)
    assert [turn.records for turn in rig.turns] == [2]


@pytest.mark.parametrize("error", [PartitionsMoved("moved"), Unavailable("the log")])
async def test_a_batch_is_durable_though_nothing_can_be_polled_behind_it(error: Retryable) -> None:
    rig = Rig()
    await rig.say(4)
    original = rig.consumer.poll
    polls = 0

    async def second_fails(*, records_max: int, wait_s: float) -> object:
        nonlocal polls
        polls += 1
        if polls == 2:
            raise error
        return await original(records_max=records_max, wait_s=wait_s)

    rig.consumer.poll = second_fails  # type: ignore[method-assign, assignment]
    with pytest.raises(type(error), match=str(error)):
        await rig.turn()
    assert rig.told() == in_order(2)
    rig.start()
    await rig.run_until(4)
    assert rig.told() == in_order(4)


async def test_nothing_is_published_of_a_batch_whose_partitions_moved_while_it_was_written() -> (
    None
):
    rig = Rig()
    rig.write.clear()
    await rig.say(4)
    turning = asyncio.ensure_future(rig.turn())
    await rig.stands(loads=1, saves=0)
    rig.log.move_partitions()
    rig.write.set()
    with pytest.raises(PartitionsMoved):
        await turning
    rig.start()
    await rig.run_until(4)
    assert list(dict.fromkeys(rig.told())) == in_order(4)


async def test_a_small_batch_is_made_durable_by_itself() -> None:
    rig = Rig()
    await rig.say(3)
    await rig.turn()
    await rig.log.append([inputs(4)])
    await rig.turn()
    assert rig.told() == in_order(3)
    assert rig.store.loads == 1
    await rig.turn()
    assert rig.store.loads == 2
    assert rig.told() == in_order(4)


@pytest.mark.parametrize("where", [None, "save", "publish"])
async def test_what_a_full_outbox_has_left_over_is_decided_ahead_in_its_order(
    where: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "EFFECTS_PER_DOCUMENT_MAX", 2)
    rig = Rig(records_max=5, much=1)
    await rig.say(8)
    if where is not None:
        (rig.store if where == "save" else rig.log).fail_next(where)
    await rig.run_until(8)
    assert rig.told() == in_order(8)


async def test_told_to_go_at_once_it_leaves_nothing_running() -> None:
    rig = Rig()
    rig.write.clear()
    await rig.say(4)
    turning = asyncio.ensure_future(rig.turn())
    await rig.stands(loads=1, saves=0)
    turning.cancel()
    with pytest.raises(asyncio.CancelledError):
        await turning
    assert len(asyncio.all_tasks()) == 1
    rig.start()
    rig.write.set()
    for _ in range(2):
        await rig.turn()
    assert rig.told() == in_order(4)
