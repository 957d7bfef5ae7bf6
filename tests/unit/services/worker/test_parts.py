"""The parts of the worker that run beside its processor."""

import asyncio

import pytest

from services.worker.__main__ import processor, run_callbacks
from services.worker.timers import CALL_CALLBACKS, SUBJECT_CALLBACKS
from services.worker.topology import WorkerTopology
from shared.contracts.topics import DISPOSITION_REQUESTS
from shared.observability.metrics import Metrics
from shared.runtime import timers
from shared.runtime.ports import Document, TopicPartition
from shared.runtime.timers import Timers
from tests.support.memory import MemoryLog, MemoryStateStore
from tests.support.memory_profile import memory_profile
from tests.unit.services.worker.field import NOW_MS, a_call, a_request, ask, part
from tests.unit.services.worker.subject_field import FREE, ask_for, wish

pytestmark = pytest.mark.asyncio
KEYS = ("demo:call-1", "demo:call-2", "demo:call-3", "demo:customer:77", "demo:customer:78")


@pytest.fixture(autouse=True)
def restless(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timers, "SWEEP_S", 0.001)


def document(key: str) -> Document:
    """What waits for a callback whose time has long come."""
    request = a_request(callback_ms=NOW_MS)
    decision, _ = ask(None, a_call(part("ann", "wrap_up")), request)
    whose: tuple[Timers, object] = CALL_CALLBACKS, decision.state
    if "customer" in key:
        whose = SUBJECT_CALLBACKS, ask_for(None, wish(policy=FREE, callback_ms=NOW_MS))[0].state
    collection, state = whose[0].collection, whose[1]
    aggregate = WorkerTopology().aggregates[collection]
    return Document(
        collection=collection,
        key=key,
        revision=1,
        state=aggregate.encode(state),
        watermarks={},
        sequences={},
        index=aggregate.index(state),
    )


async def test_the_callbacks_of_its_own_share_are_swept_of_calls_and_of_subjects() -> None:
    store = MemoryStateStore()
    profile = memory_profile(store=store)
    log = profile.log
    assert isinstance(log, MemoryLog)
    await store.save([document(key) for key in KEYS])
    worker = processor(profile, Metrics())
    share = {log.partition("demo:call-1"), log.partition("demo:customer:77")}
    mine = {key for key in KEYS if log.partition(key) in share}
    assert mine != set(KEYS)
    stopping = asyncio.Event()

    running = asyncio.ensure_future(run_callbacks(profile, worker, stopping))
    await asyncio.sleep(0.05)  # many sweeps, of no share yet
    assert log.all(DISPOSITION_REQUESTS) == []
    worker.owned = frozenset(TopicPartition(DISPOSITION_REQUESTS, number) for number in share)
    async with asyncio.timeout(5):
        while len(log.all(DISPOSITION_REQUESTS)) < len(mine):
            await asyncio.sleep(0.001)
    await asyncio.sleep(0.05)
    stopping.set()
    await asyncio.wait_for(running, 5)

    assert sorted(record.key for record in log.all(DISPOSITION_REQUESTS)) == sorted(mine)


async def test_a_sweep_that_breaks_is_told_and_not_only_logged() -> None:
    store = MemoryStateStore()
    profile = memory_profile(store=store)
    store.fail_next("due", error=ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        await asyncio.wait_for(
            run_callbacks(profile, processor(profile, Metrics()), asyncio.Event()), 5
        )
