"""The parts of callstate that run beside its processor."""

import asyncio

import pytest

from services.callstate import timers
from services.callstate.__main__ import processor, run_timers
from shared.adapters.tenants_file import FileTenantDirectory
from shared.contracts.errors import Unavailable
from shared.observability.metrics import Metrics
from tests.support.centre import demo_tenant
from tests.support.memory import MemoryStateStore
from tests.support.memory_profile import memory_profile

pytestmark = pytest.mark.asyncio


class Parts:
    """What the timers are given; nothing of callstate runs."""

    def __init__(self) -> None:
        self.store = MemoryStateStore()
        self.profile = memory_profile(store=self.store)
        directory = FileTenantDirectory([demo_tenant()])
        self.calls = processor(self.profile, directory, Metrics())


@pytest.fixture(autouse=True)
def restless(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timers, "SWEEP_S", 0.001)


async def test_timers_that_break_are_told_and_not_only_logged() -> None:
    parts = Parts()
    parts.store.fail_next("due", error=ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        await asyncio.wait_for(run_timers(parts.profile, parts.calls, asyncio.Event()), 5)


async def test_timers_outlive_a_store_that_is_not_to_be_had() -> None:
    parts, stopping = Parts(), asyncio.Event()
    for _ in range(3):
        parts.store.fail_next("due", error=Unavailable("disk full"))
    running = asyncio.ensure_future(run_timers(parts.profile, parts.calls, stopping))
    while parts.store.faults.left("due"):
        await asyncio.sleep(0.001)
    stopping.set()
    await asyncio.wait_for(running, 5)
