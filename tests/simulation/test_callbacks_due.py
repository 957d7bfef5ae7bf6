"""Callbacks fall due once each, whatever dies meanwhile, and however many have come due by then.

Calls and customers have callbacks; some are replaced or taken away before their time. The worker
and its sweeps crash at random points, or were down when the time came. In the end each callback
that is still waited for was told once, not before its time, and no other.
"""

from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import msgspec
import pytest
import pytest_asyncio
from msgspec import Struct
from msgspec.structs import replace

from services.worker.topology import WorkerTopology
from shared.adapters.embedded import open_embedded
from shared.contracts.calls import CallDocument
from shared.contracts.envelope import Message, Record, from_record
from shared.contracts.errors import Unavailable
from shared.contracts.instants import from_wire
from shared.contracts.topics import DISPOSITION_EVENTS
from shared.runtime.commit import SeparateCommit
from shared.runtime.ports import Document, EventLog, Index, StateStore
from shared.runtime.processor import Processor
from tests.support.clock import FakeClock
from tests.support.faults import POINTS, Crash, Fault, FaultyLog, FaultyStore
from tests.support.memory import MemoryLog, MemoryReplies, MemoryStateStore
from tests.support.sweeps import Sweeps
from tests.unit.services.worker.field import NOW_MS, a_call, a_request, part
from tests.unit.services.worker.records import requested
from tests.unit.services.worker.subject_field import FREE, wish, wished

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(300)]

SOON_MS = NOW_MS + 60_000
SENT_AGAIN_MS = 30_000
CROWD = 20_000
TURNS_MAX = 400


class _CallbackAt(Struct):
    """What is looked at of a callback that is due."""

    callback_at: str
    decided_at: str


class Parts(Struct):
    """What the worker runs on."""

    clock: FakeClock
    log: EventLog
    store: StateStore


@pytest_asyncio.fixture(params=["memory", "sqlite"])
async def parts(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Parts]:
    clock = FakeClock(NOW_MS)
    if request.param == "memory":
        yield Parts(clock, MemoryLog(clock), MemoryStateStore())
        return
    embedded = await open_embedded(tmp_path, clock)
    yield Parts(clock, embedded.log, embedded.store)
    await embedded.close()


async def calls(parts: Parts, number: int) -> list[str]:
    """So many calls, Ann of each in wrap-up; their ids."""
    ids = [f"call-{n}" for n in range(number)]
    call = a_call(part("ann", "wrap_up"))
    documents = [
        Document(
            collection="calls",
            key=f"demo:{call_id}",
            revision=1,
            state=msgspec.json.encode(CallDocument(replace(call, id=call_id))),
            watermarks={},
            sequences={},
            index=Index(created_ms=NOW_MS),
        )
        for call_id in ids
    ]
    await parts.store.save(documents)
    return ids


def ask(name: str, callback_ms: int | None, number: int = 1) -> Message:
    """A disposition of a call, or the status of a customer, with a callback or without."""
    if name.startswith("customer:"):
        status = None if callback_ms is None else "Callback"
        asked = wish(status, name, number=number, policy=FREE, callback_ms=callback_ms)
        return wished(asked, id=f"{name}-{number}")
    request = replace(a_request("Callback", number=number, callback_ms=callback_ms), call_id=name)
    return requested(request, id=f"{name}-{number}", subject=name)


async def behind(parts: Parts) -> bool:
    topology = WorkerTopology()
    ends = await parts.log.ends(topology.topics)
    positions = await parts.log.positions(topology.group, topology.topics)
    return any(positions.get(place, 0) < end for place, end in ends.items())


async def work_off(parts: Parts, random: Random, *, crashes: int = 0) -> None:
    """The worker, until it has read everything; it dies on the way, and lives again."""
    for life in range(crashes + 1):
        fault = Fault(random.choice(POINTS) if life < crashes else None)
        log = FaultyLog(parts.log, fault, random)
        store = FaultyStore(parts.store, fault)
        processor = Processor(
            WorkerTopology(),
            event_log=log,  # type: ignore[arg-type]  # what it calls
            store=store,  # type: ignore[arg-type]  # what it calls
            commit=SeparateCommit(store),  # type: ignore[arg-type]  # save
            replies=MemoryReplies(),
            wait_s=0,
            much=random.choice((1, 256)),
        )
        consumer = log.consumer(processor.group, processor.topics)
        try:
            for _ in range(TURNS_MAX):
                if not await behind(parts):
                    break
                await processor.turn(consumer)
        except Crash:
            continue
    assert not await behind(parts)


async def told(parts: Parts) -> list[Record]:
    """What consumers count: each key's records by sequence, repeats passed over."""
    found: list[Record] = []
    last: dict[str, int] = {}
    for place, end in (await parts.log.ends([DISPOSITION_EVENTS])).items():
        for record in await parts.log.read(place, 0, end) if end else []:
            sequence = from_record(record).sequence or 0
            before = last.get(record.key, 0)
            assert sequence <= before + 1
            last[record.key] = max(sequence, before)
            if sequence > before:
                found.append(record)
    return found


async def due(parts: Parts) -> list[str]:
    """Whose callbacks were told to be due, and `callback_at`: each as often as it was counted."""
    found = []
    for record in await told(parts):
        event = from_record(record)
        if event.type != "callback.due":
            continue
        data = msgspec.json.decode(record.value, type=_CallbackAt)
        assert from_wire(data.decided_at) >= from_wire(data.callback_at)
        found.append(f"{record.key} {from_wire(data.callback_at) - SOON_MS}")
    return sorted(found)


@pytest.mark.parametrize("seed", range(25))
async def test_each_that_is_waited_for_is_told_once_whatever_dies(parts: Parts, seed: int) -> None:
    random = Random(seed)
    sweeps = Sweeps(parts.store, parts.log, parts.clock)
    expected: list[str] = []
    asked: list[Message] = []
    for number, call_id in enumerate(await calls(parts, 12)):
        for name in (call_id, f"customer:{number}"):
            times = [random.choice((SOON_MS, SOON_MS + 500, None)) for _ in range(3)]
            times = times[: random.randint(1, 3)]
            asked += [ask(name, callback_ms, place) for place, callback_ms in enumerate(times)]
            if times[-1] is not None:
                expected.append(f"demo:{name} {times[-1] - SOON_MS}")
    random.shuffle(asked)
    asked.sort(key=lambda message: dict(message.headers)["ce_id"].rpartition(b"-")[2])
    while asked:
        some, asked = asked[:10], asked[10:]
        await parts.log.append(some)
        await work_off(parts, random, crashes=random.randint(0, 3))
        await sweeps.sweep()
    assert await due(parts) == []
    for _ in range(4):
        parts.clock.set(parts.clock.now_ms() + SENT_AGAIN_MS)
        if random.random() < 0.3:
            sweeps = Sweeps(parts.store, parts.log, parts.clock)  # it was restarted, too
        await sweeps.sweep()
        await work_off(parts, random, crashes=random.randint(0, 3))
    assert await due(parts) == sorted(expected)
    assert await sweeps.sweep() == 0


async def test_a_replaced_one_is_not_told_although_its_timer_is_on_the_way(parts: Parts) -> None:
    random = Random(1)
    await calls(parts, 2)
    await parts.log.append([ask("call-0", SOON_MS), ask("customer:1", SOON_MS)])
    await work_off(parts, random)
    parts.clock.set(SOON_MS)
    await parts.log.append([ask("call-0", None, 2), ask("customer:1", SOON_MS + 9, 2)])
    assert await Sweeps(parts.store, parts.log, parts.clock).sweep() == 2
    await work_off(parts, random)
    assert await due(parts) == []
    parts.clock.set(SOON_MS + 9)
    assert await Sweeps(parts.store, parts.log, parts.clock).sweep() == 1
    await work_off(parts, random)
    assert await due(parts) == ["demo:customer:1 9"]


@pytest.mark.parametrize("parts", ["sqlite"], indirect=True)
async def test_a_crowd_that_came_due_while_nothing_ran_is_told_whole(parts: Parts) -> None:
    random = Random(1)
    ids = await calls(parts, CROWD)
    await parts.log.append([ask(call_id, SOON_MS) for call_id in ids])
    await work_off(parts, random)
    parts.clock.set(SOON_MS + 24 * 3_600_000)
    sweeps = Sweeps(parts.store, parts.log, parts.clock)
    assert await sweeps.sweep() == CROWD
    assert await sweeps.sweep() == 0
    await work_off(parts, random)
    assert await due(parts) == sorted(f"demo:{call_id} 0" for call_id in ids)


async def test_a_sweep_without_its_store_is_tried_again() -> None:
    clock, store = FakeClock(NOW_MS), MemoryStateStore()
    parts = Parts(clock, MemoryLog(clock), store)
    await calls(parts, 1)
    await parts.log.append([ask("call-0", SOON_MS)])
    await work_off(parts, Random(1))
    clock.set(SOON_MS)
    sweeps = Sweeps(store, parts.log, clock)
    for _ in range(3):
        store.fail_next("due", error=Unavailable("no primary"))
    assert await sweeps.sweep() == 0
    assert await sweeps.sweep() == 1
