"""The processor, step by step: what is durable when, what is answered, what is dropped."""

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from shared.contracts import limits
from shared.contracts.envelope import Record
from shared.contracts.errors import Bug, Unavailable
from shared.contracts.topics import CALLS_CHANGED, DISPOSITION_REQUESTS, TELEPHONY_EVENTS, dead
from shared.runtime import deciding
from shared.runtime.commit import SeparateCommit
from shared.runtime.dead_letters import read_letters, returning
from shared.runtime.deciding import Turn
from shared.runtime.ports import Document, Index, TopicPartition, unpack
from shared.runtime.processor import Processor
from shared.runtime.topology import Beside, Routed
from tests.support.clock import FakeClock
from tests.support.memory import MemoryLog, MemoryReplies, MemoryStateStore
from tests.support.tally import TallyTopology, Told, said

pytestmark = pytest.mark.asyncio


class Rig:
    """One processor over memory parts, turned by hand."""

    def __init__(self, topology: Any = None, *, records_max: int | None = 100) -> None:
        self.log = MemoryLog(FakeClock())
        self.store = MemoryStateStore()
        self.replies = MemoryReplies()
        self.turns: list[Turn] = []
        self.topology = topology or TallyTopology()
        self.records_max = records_max
        self.start()

    def start(self) -> None:
        """A new process over the same log and store."""
        self.processor = Processor(
            self.topology,
            event_log=self.log,
            store=self.store,
            commit=SeparateCommit(self.store),
            replies=self.replies,
            observe=self.turns.append,
            wait_s=0,
            **({} if self.records_max is None else {"records_max": self.records_max}),
        )
        self.consumer = self.log.consumer("tally", self.topology.topics)

    async def turn(self) -> None:
        await self.processor.turn(self.consumer)

    def told(self) -> list[Told]:
        return [
            msgspec.json.decode(record.value, type=Told) for record in self.log.all(CALLS_CHANGED)
        ]

    def answers(self) -> list[Told]:
        return [msgspec.json.decode(answer.body, type=Told) for answer in self.replies.sent]


async def test_a_batch_is_one_load_and_one_save() -> None:
    rig = Rig()
    for number in range(1, 7):
        await rig.log.append([said(TELEPHONY_EVENTS, f"t:k{number % 3}", f"{number}.1")])
    await rig.turn()
    assert (rig.store.loads, rig.store.saves) == (1, 1)
    assert rig.turns == [Turn("tally", 6, 3, 6, 0, 0, 0)]


@pytest.mark.parametrize("more", [0, 1])
async def test_a_batch_holds_as_many_records_as_the_limit_says(more: int) -> None:
    rig = Rig(records_max=None)
    number = limits.BATCH_RECORDS_MAX + more
    await rig.log.append([said(TELEPHONY_EVENTS, f"t:k{n % 9}", f"{n}.1") for n in range(number)])
    await rig.turn()
    assert rig.turns[-1].records == limits.BATCH_RECORDS_MAX
    await rig.turn()
    assert sum(turn.records for turn in rig.turns) == number


async def test_others_have_a_turn_on_the_loop_while_a_batch_is_decided(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    turns = []
    for at_once in (100, 2):
        monkeypatch.setattr(deciding, "AT_ONCE", at_once)
        rig = Rig()
        values = ["1.1", "poison", "3.1", "4.1", "5.1", "poison", "7.1"]
        await rig.log.append([said(TELEPHONY_EVENTS, "t:k", value) for value in values])
        turning = asyncio.ensure_future(rig.turn())
        turns.append(0)
        while not turning.done():
            turns[-1] += 1
            await asyncio.sleep(0)
        assert [told.input for told in rig.told()] == ["1.1", "3.1", "4.1", "5.1", "7.1"]
        assert len(rig.log.all(dead(TELEPHONY_EVENTS))) == 2
        assert (rig.store.loads, rig.store.saves) == (1, 1)
    assert turns[1] - turns[0] == 3 + 2  # between every two of seven, and of five


async def test_an_input_that_changes_nothing_writes_nothing() -> None:
    rig = Rig()
    await rig.log.append([said(TELEPHONY_EVENTS, "t:k", "1.0", reply_to="g")])
    await rig.turn()
    assert rig.store.documents == {}
    assert rig.told() == []
    assert rig.answers() == [Told("1.0", 0, 0)]


async def test_answers_leave_after_the_documents_and_before_the_effects() -> None:
    rig = Rig()
    await rig.log.append([said(TELEPHONY_EVENTS, "t:k", "1.1", reply_to="g")])
    rig.store.fail_next("save")
    with pytest.raises(Unavailable):
        await rig.turn()
    assert rig.answers() == []
    rig.start()
    rig.log.fail_next("publish")
    with pytest.raises(Unavailable):
        await rig.turn()
    assert rig.answers() == [Told("1.1", 1, 0)]
    assert rig.told() == []


async def test_a_decided_input_that_comes_again_is_answered_as_before() -> None:
    rig = Rig()
    await rig.log.append([said(TELEPHONY_EVENTS, "t:k", "1.1", reply_to="g")])
    rig.log.fail_next("advance")
    with pytest.raises(Unavailable):
        await rig.turn()
    rig.start()
    await rig.turn()
    assert rig.answers() == [Told("1.1", 1, 0), Told("1.1", 1, 0)]
    first, again = rig.log.all(CALLS_CHANGED)
    assert (first.headers, first.value) == (again.headers, again.value)
    assert rig.turns[-1].recovered == 1
    assert rig.store.documents["tallies", "t:k"].revision == 1


async def test_outbox_is_empty_of_what_is_surely_published() -> None:
    rig = Rig()
    for number in range(3):
        await rig.log.append([said(TELEPHONY_EVENTS, "t:k", f"{number}.1")])
        await rig.turn()
    outbox = unpack(rig.store.documents["tallies", "t:k"].outbox)
    assert [effect.source[2] for effect in outbox] == [2]


@pytest.mark.parametrize("at_ms", [-1, deciding.TAKEN_MS_MAX + 1, 2**63 - 1])
async def test_a_record_of_an_impossible_time_is_poison(at_ms: int) -> None:
    rig = Rig()
    rig.log.clock = FakeClock(at_ms)
    rig.log._last_ms = at_ms  # else its clock never runs backwards
    await rig.log.append([said(TELEPHONY_EVENTS, "t:k", "1.1")])
    await rig.turn()
    (letter,) = rig.log.all(dead(TELEPHONY_EVENTS))
    assert dict(letter.headers)["dead_reason"] == b"bad_time"


async def test_poison_becomes_a_dead_letter_and_holds_nobody_up() -> None:
    rig = Rig()
    await rig.log.append(
        [said(TELEPHONY_EVENTS, "t:k", "poison"), said(TELEPHONY_EVENTS, "t:k", "1.1")]
    )
    await rig.turn()
    (letter,) = rig.log.all(dead(TELEPHONY_EVENTS))
    headers = dict(letter.headers)
    assert (letter.key, letter.value) == ("t:k", b"poison")
    assert headers["dead_reason"] == b"test"
    place = f"{TELEPHONY_EVENTS}/{rig.log.partition('t:k')}/0"
    assert headers["dead_origin"] == place.encode()
    ((row,), _) = read_letters([letter])
    back, came = returning(row), said(TELEPHONY_EVENTS, "t:k", "poison")
    assert (back.topic, back.key, back.value) == (came.topic, came.key, came.value)
    assert back.headers == (*came.headers, ("dead_put_back", row.place.encode()))
    assert rig.told() == [Told("1.1", 1, 0)]


@pytest.mark.parametrize("at_once", [1, 100])
async def test_a_document_with_a_full_outbox_ends_the_batch(
    at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deciding, "AT_ONCE", at_once)
    monkeypatch.setattr(limits, "EFFECTS_PER_DOCUMENT_MAX", 3)
    rig = Rig()
    values = ["1.1", "2.1", "3.1", "4.1", "poison", "5.1"]
    await rig.log.append([said(TELEPHONY_EVENTS, "t:k", value) for value in values])
    await rig.turn()
    document = rig.store.documents["tallies", "t:k"]
    assert len(unpack(document.outbox)) == 3  # the limit itself is allowed
    assert rig.log.all(dead(TELEPHONY_EVENTS)) == []
    await rig.turn()
    assert [told.input for told in rig.told()] == ["1.1", "2.1", "3.1", "4.1", "5.1"]
    assert len(rig.log.all(dead(TELEPHONY_EVENTS))) == 1
    assert await rig.log.positions("tally", rig.topology.topics) == await rig.log.ends(
        rig.topology.topics
    )


async def run_for(rig: Rig, until: int) -> None:
    """Run the loop until so many effects stand in the log, a second at most."""
    stopping = asyncio.Event()
    running = asyncio.ensure_future(rig.processor.run(stopping))
    await until_told(rig, until)
    stopping.set()
    await running


async def until_told(rig: Rig, count: int) -> None:
    """Until so many effects stand in the log; seconds at most."""
    for _ in range(5000):
        if len(rig.told()) >= count:
            return
        await asyncio.sleep(0.001)


@pytest.mark.parametrize(
    ("where", "applied"),
    [("save", False), ("save", True), ("publish", False), ("publish", True), ("advance", True)],
)
async def test_the_loop_goes_on_after_an_unavailable_part(where: str, applied: bool) -> None:
    rig = Rig()
    part = rig.store if where == "save" else rig.log
    part.fail_next(where, applied=applied)
    await rig.log.append([said(TELEPHONY_EVENTS, "t:k", f"{n}.1") for n in range(4)])
    await run_for(rig, 4)
    sequences = [dict(record.headers)["ce_sequence"] for record in rig.log.all(CALLS_CHANGED)]
    assert list(dict.fromkeys(sequences)) == [b"1", b"2", b"3", b"4"]
    assert [told.count for told in rig.told()][-4:] == [1, 2, 3, 4]


@pytest.mark.parametrize("where", ["save", "publish"])
async def test_what_was_left_over_does_not_overtake_a_batch_that_failed(
    where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "EFFECTS_PER_DOCUMENT_MAX", 2)
    rig = Rig()
    (rig.store if where == "save" else rig.log).fail_next(where)
    await rig.log.append([said(TELEPHONY_EVENTS, "t:k", f"{n}.1") for n in range(1, 6)])
    await run_for(rig, 5)
    assert [told.input for told in rig.told()] == ["1.1", "2.1", "3.1", "4.1", "5.1"]


async def test_a_write_of_somebody_else_is_seen_and_built_upon() -> None:
    rig = Rig()
    await rig.log.append([said(TELEPHONY_EVENTS, "t:k", "1.1")])
    await run_for(rig, 1)
    stored = rig.store.documents["tallies", "t:k"]
    original = rig.store.load

    async def load_then_lose_the_race(
        collection: str, keys: list[str], *, outboxes: bool
    ) -> dict[str, Document]:
        found = await original(collection, keys, outboxes=outboxes)
        rig.store.load = original  # type: ignore[method-assign]  # once
        newer = msgspec.structs.replace(stored, revision=2, state=b'{"inputs":["1.1","zombie"]}')
        rig.store.documents["tallies", "t:k"] = newer
        return found

    rig.store.load = load_then_lose_the_race  # type: ignore[method-assign, assignment]  # once
    await rig.log.append([said(TELEPHONY_EVENTS, "t:k", "2.1")])
    rig.start()
    await run_for(rig, 2)
    assert rig.told()[-1] == Told("2.1", 3, 0)


async def test_moved_partitions_are_read_from_where_they_were_committed() -> None:
    rig = Rig()
    stopping = asyncio.Event()
    running = asyncio.ensure_future(rig.processor.run(stopping))
    for number in range(1, 4):
        await rig.log.append([said(TELEPHONY_EVENTS, "t:k", f"{number}.1")])
        await until_told(rig, number)
        rig.log.move_partitions()
    stopping.set()
    await running
    assert [told.input for told in rig.told()] == ["1.1", "2.1", "3.1"]


async def test_partitions_that_move_while_a_write_fails_lose_nothing() -> None:
    rig = Rig()
    original = rig.store.save

    async def fail_and_move(_: object) -> None:
        rig.store.save = original  # type: ignore[method-assign]  # once
        rig.log.move_partitions()
        raise Unavailable("and the partitions move")

    rig.store.save = fail_and_move  # type: ignore[method-assign, assignment]  # once
    await rig.log.append([said(TELEPHONY_EVENTS, "t:k", "1.1")])
    await run_for(rig, 1)
    assert rig.told() == [Told("1.1", 1, 0)]


class BesideTopology(TallyTopology):
    """Reads a document of the same key in collection `calls`; its state is a version number."""

    beside: Mapping[str, Beside] = {"tallies": Beside("calls")}

    def route(self, record: Record) -> Routed:
        version = 0 if record.value == b"any.1" else 2
        return msgspec.structs.replace(super().route(record), beside_version=version)

    def read_beside(self, state: bytes) -> tuple[Any, int]:
        return state, int(state)


def call_document(revision: int) -> Document:
    return Document(
        collection="calls",
        key="t:k",
        revision=revision,
        state=str(revision).encode(),
        watermarks={},
        sequences={},
        index=Index(created_ms=0),
    )


async def test_a_call_read_too_early_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(BesideTopology())
    await rig.store.save([call_document(1)])
    monkeypatch.setattr("shared.runtime.loading.STALE_READ_WAIT_S", 0)
    await rig.log.append([said(DISPOSITION_REQUESTS, "t:k", "1.1")])
    turning = asyncio.ensure_future(rig.turn())
    await asyncio.sleep(0)
    await rig.store.save([call_document(2)])
    await turning
    assert rig.told() == [Told("1.1", 1, 0)]


async def test_a_call_is_as_new_as_the_newest_of_the_batch_asks_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("shared.runtime.loading.STALE_READ_WAIT_S", 0)
    rig = Rig(BesideTopology())
    await rig.store.save([call_document(1)])
    await rig.log.append([said(DISPOSITION_REQUESTS, "t:k", value) for value in ("1.1", "any.1")])
    with pytest.raises(Bug, match="stays behind"):
        await rig.turn()


async def test_a_call_that_stays_behind_stops_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.runtime.loading.STALE_READ_WAIT_S", 0)
    rig = Rig(BesideTopology())
    await rig.log.append([said(DISPOSITION_REQUESTS, "t:k", "1.1")])
    with pytest.raises(Bug, match="stays behind"):
        await rig.processor.run(asyncio.Event())
    assert await rig.log.positions("tally", [DISPOSITION_REQUESTS]) == dict.fromkeys(
        await rig.log.ends([DISPOSITION_REQUESTS]), 0
    )


async def test_a_bug_in_a_rule_stops_the_loop_before_the_position_moves() -> None:
    rig = Rig()
    await rig.log.append([said(TELEPHONY_EVENTS, "t:k", "1.1")])

    def broken(*_: object) -> None:
        raise ZeroDivisionError

    rig.topology.aggregates["tallies"].decide = broken  # type: ignore[method-assign]  # a bug
    with pytest.raises(ZeroDivisionError):
        await rig.processor.run(asyncio.Event())
    assert set((await rig.log.positions("tally", rig.topology.topics)).values()) == {0}


async def test_what_a_foreign_partitioner_has_put_elsewhere_is_moved_home_as_it_came() -> None:
    rig = Rig()
    message = said(TELEPHONY_EVENTS, "t:k", "1.1")
    home = rig.log.partition("t:k")
    elsewhere = TopicPartition(TELEPHONY_EVENTS, (home + 1) % rig.log.partitions)
    rig.log.records[elsewhere].append(
        Record(TELEPHONY_EVENTS, elsewhere.partition, 0, 1, "t:k", message.headers, message.value)
    )
    await rig.turn()
    assert rig.told() == []
    assert rig.log.committed["tally", elsewhere] == 1
    await rig.turn()
    assert len(rig.told()) == 1
    (moved,) = rig.log.records[TopicPartition(TELEPHONY_EVENTS, home)]
    assert (moved.key, moved.headers, moved.value) == ("t:k", message.headers, message.value)
    assert [turn.moved for turn in rig.turns] == [1, 0]


class Looking(TallyTopology):
    """Inputs that end in `look` only look at what is beside."""

    def route(self, record: Record) -> Routed:
        routed = super().route(record)
        return msgspec.structs.replace(routed, look=routed.input.endswith("look"))


async def test_a_second_look_is_none_until_something_was_decided() -> None:
    rig = Rig(Looking())
    inputs = ["1look", "2look", "3.1", "4look", "5look", "6.1"]
    await rig.log.append([said(TELEPHONY_EVENTS, "t:k", text) for text in inputs])
    await rig.turn()
    assert [told.input for told in rig.told()] == ["1look", "3.1", "4look", "6.1"]
    await rig.log.append([said(TELEPHONY_EVENTS, "t:k", "7look")])  # anew in each batch
    await rig.turn()
    assert rig.told()[-1].input == "7look"
