"""What `Commit` promises: one transaction or several steps, the same to the processor."""

from collections.abc import Sequence

import pytest

from shared.contracts.envelope import Message
from shared.contracts.errors import Unavailable, WriteConflict
from shared.runtime.commit import SeparateCommit
from shared.runtime.ports import (
    Batch,
    Document,
    Effect,
    Index,
    TopicPartition,
    pack,
    part,
    unpack,
)
from tests.conformance.adapters import COMMITS, Parts, Profile
from tests.support.memory import MemoryLog, MemoryStateStore

pytestmark = pytest.mark.asyncio
PROFILES = COMMITS

IN = "telephony.events"
OUT = "calls.changed"
FIRST = TopicPartition(IN, 0)


def changed(key: str = "demo:call-1", revision: int = 1) -> Document:
    return Document(
        collection="calls",
        key=key,
        revision=revision,
        state=b"{}",
        watermarks={IN: revision},
        sequences={OUT: revision},
        index=Index(created_ms=1),
    )


def told(number: int = 1) -> Message:
    return Message(OUT, "demo:call-1", (), b"%d" % number)


async def nobody_waits() -> None:
    return


async def standing(parts: Parts) -> tuple[dict[str, int], list[bytes], int]:
    """What is durable: revisions by key, messages in order, the position."""
    keys = ["demo:call-1", "demo:call-2"]
    documents = await parts.store.load("calls", keys)
    place = TopicPartition(OUT, parts.log.partition("demo:call-1"))
    messages = [record.value for record in await parts.log.read(place, 0, 100)]
    positions = await parts.log.positions("callstate", [IN])
    return {key: d.revision for key, d in documents.items()}, messages, positions[FIRST]


async def commit(parts: Parts, batch: Batch) -> None:
    consumer = parts.log.consumer("callstate", [IN])
    try:
        await parts.commit(consumer, batch, nobody_waits)
    finally:
        await consumer.close()  # a group of two would share the partitions


async def test_a_batch_is_durable_in_all_its_parts(profile: Profile) -> None:
    batch = Batch(
        (changed("demo:call-1"), changed("demo:call-2")),
        tuple(told(number) for number in range(5)),
        {FIRST: 3},
    )
    expected = (
        {"demo:call-1": 1, "demo:call-2": 1},
        [b"%d" % number for number in range(5)],
        3,
    )
    async with profile.open() as parts:
        await commit(parts, batch)
        assert await standing(parts) == expected
    async with profile.open() as parts:
        assert await standing(parts) == expected


async def test_batches_follow_one_another(profile: Profile) -> None:
    async with profile.open() as parts:
        for turn in range(1, 6):
            await commit(parts, Batch((changed(revision=turn),), (told(turn),), {FIRST: turn}))
        assert await standing(parts) == ({"demo:call-1": 5}, [b"1", b"2", b"3", b"4", b"5"], 5)


@pytest.mark.parametrize(
    ("batch", "expected"),
    [
        (Batch((), (), {}), ({}, [], 0)),
        (Batch((), (), {FIRST: 9}), ({}, [], 9)),
        (Batch((), (told(7),), {FIRST: 9}), ({}, [b"7"], 9)),
        (Batch((changed(),), (), {FIRST: 9}), ({"demo:call-1": 1}, [], 9)),
    ],
)
async def test_any_part_of_a_batch_may_be_empty(
    profile: Profile, batch: Batch, expected: tuple[dict[str, int], Sequence[bytes], int]
) -> None:
    async with profile.open() as parts:
        await commit(parts, batch)
        assert await standing(parts) == expected


async def test_the_answer_is_given_once_and_after_the_documents(profile: Profile) -> None:
    async with profile.open() as parts:
        seen: list[bool] = []

        async def answer() -> None:
            seen.append("demo:call-1" in await parts.store.load("calls", ["demo:call-1"]))

        consumer = parts.log.consumer("callstate", [IN])
        await parts.commit(consumer, Batch((changed(),), (told(),), {FIRST: 1}), answer)
        assert seen == [True]


async def test_a_conflict_answers_nobody_and_tells_nothing(profile: Profile) -> None:
    async with profile.open() as parts:
        await commit(parts, Batch((changed(),), (told(1),), {FIRST: 1}))
        answered: list[str] = []

        async def answer() -> None:
            answered.append("too soon")

        consumer = parts.log.consumer("callstate", [IN])
        with pytest.raises(WriteConflict):
            await parts.commit(consumer, Batch((changed(),), (told(2),), {FIRST: 2}), answer)
        assert answered == []
        assert await standing(parts) == ({"demo:call-1": 1}, [b"1"], 1)


async def test_after_a_conflict_the_offsets_have_no_gap(profile: Profile) -> None:
    async with profile.open() as parts:
        await commit(parts, Batch((changed(),), (told(1),), {FIRST: 1}))
        with pytest.raises(WriteConflict):
            await commit(parts, Batch((changed(),), (told(2),), {FIRST: 2}))
        await commit(parts, Batch((changed(revision=2),), (told(3),), {FIRST: 2}))
        place = TopicPartition(OUT, parts.log.partition("demo:call-1"))
        records = await parts.log.read(place, 0, 10)
        assert [(record.offset, record.value) for record in records] == [(0, b"1"), (1, b"3")]


@pytest.mark.parametrize(
    ("where", "applied", "expected"),
    [
        ("save", False, ({}, [], 0)),
        ("save", True, ({"demo:call-1": 1}, [], 0)),
        ("publish", False, ({"demo:call-1": 1}, [], 0)),
        ("publish", True, ({"demo:call-1": 1}, [b"1"], 0)),
        ("advance", False, ({"demo:call-1": 1}, [b"1"], 0)),
        ("advance", True, ({"demo:call-1": 1}, [b"1"], 1)),
    ],
)
async def test_a_failing_step_never_leaves_positions_without_the_rest(
    where: str, applied: bool, expected: tuple[dict[str, int], list[bytes], int]
) -> None:
    log, store = MemoryLog(), MemoryStateStore()
    (store if where == "save" else log).fail_next(where, applied=applied)
    consumer = log.consumer("callstate", [IN])
    batch = Batch((changed(),), (told(),), {FIRST: 1})
    answered: list[str] = []

    async def answer() -> None:
        answered.append("as soon as the documents stand")

    with pytest.raises(Unavailable):
        await SeparateCommit(store)(consumer, batch, answer)
    assert len(answered) == (0 if where == "save" else 1)
    documents = {key: document.revision for (_, key), document in store.documents.items()}
    messages = [record.value for record in log.all(OUT)]
    assert (documents, messages, log.committed.get(("callstate", FIRST), 0)) == expected


async def test_one_transaction_stores_no_outbox(profile: Profile) -> None:
    effect = Effect((IN, 0, 0), told())
    document = Document(
        collection="calls",
        key="demo:call-1",
        revision=1,
        state=b"{}",
        watermarks={IN: 0},
        sequences={OUT: 1},
        index=Index(created_ms=1),
        outbox=pack(part((effect,))),
    )
    async with profile.open() as parts:
        await commit(parts, Batch((document,), (told(),), {FIRST: 1}))
        stored = (await parts.store.load("calls", ["demo:call-1"]))["demo:call-1"]
        kept = isinstance(parts.commit, SeparateCommit)
        assert unpack(stored.outbox) == ((effect,) if kept else ())
