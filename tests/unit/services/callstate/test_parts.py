"""The parts of callstate that run beside its processor."""

import asyncio
from typing import NoReturn

import pytest

from services.callstate.__main__ import processor, run_timers
from shared.adapters.tenants_file import FileTenantDirectory
from shared.contracts.errors import Unavailable
from shared.observability.metrics import Metrics
from shared.runtime import timers
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


async def test_of_a_sweep_that_waits_for_the_store_nothing_is_said_beside_its_own_line(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    parts, stopping, asked = Parts(), asyncio.Event(), asyncio.Event()
    ended = asyncio.Event()

    async def wait(*_: object, **__: object) -> NoReturn:
        asked.set()
        await ended.wait()
        raise Unavailable("no primary")

    monkeypatch.setattr(parts.store, "due", wait)
    running = asyncio.ensure_future(run_timers(parts.profile, parts.calls, stopping))
    await asked.wait()
    await asyncio.sleep(0.05)  # the schedule comes round many times
    ended.set()
    stopping.set()
    await asyncio.wait_for(running, 5)
    assert [record for record in caplog.records if record.name.startswith("apscheduler")] == []
