"""The parts of callstate that run beside its processor."""

import asyncio

import pytest

from services.callstate import timers
from services.callstate.__main__ import run_timers
from shared.contracts.errors import Unavailable
from shared.runtime.commit import SeparateCommit
from shared.runtime.profile import Profile
from tests.support.clock import FakeClock
from tests.support.memory import MemoryHistoryStore, MemoryLog, MemoryReplies, MemoryStateStore

pytestmark = pytest.mark.asyncio


async def nothing_to_prune(_: int) -> int:
    return 0


async def nothing_to_close() -> None:
    return


def profile(store: MemoryStateStore) -> Profile:
    return Profile(
        clock=FakeClock(),
        log=MemoryLog(),
        store=store,
        history=MemoryHistoryStore(),
        commit=SeparateCommit(store),
        replies=MemoryReplies(),
        register=lambda *_: None,
        prune=nothing_to_prune,
        close=nothing_to_close,
    )


@pytest.fixture(autouse=True)
def restless(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timers, "SWEEP_S", 0.001)


async def test_timers_that_break_are_told_and_not_only_logged() -> None:
    store = MemoryStateStore()
    store.fail_next("due", error=ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        await asyncio.wait_for(run_timers(profile(store), asyncio.Event()), 5)


async def test_timers_outlive_a_store_that_is_not_to_be_had() -> None:
    store, stopping = MemoryStateStore(), asyncio.Event()
    for _ in range(3):
        store.fail_next("due", error=Unavailable("disk full"))
    running = asyncio.ensure_future(run_timers(profile(store), stopping))
    while store.faults.left("due"):
        await asyncio.sleep(0.001)
    stopping.set()
    await asyncio.wait_for(running, 5)
