"""Thousands of deadlines due at a restart: each is met, once, and not before its time."""

import asyncio
import os
import time
from collections import Counter
from pathlib import Path
from typing import Final

import pytest

from shared.contracts.instants import from_wire
from shared.contracts.topics import CALLS_CHANGED, DISPOSITION_EVENTS
from tests.fault import checks, progress
from tests.fault.network import DistantBroker
from tests.fault.orders import Order
from tests.fault.stage import Stage
from tests.fault.switch import Switch, life
from tests.support.parts import MongoServer

CALLS: Final = int(os.environ.get("AFTERCALL_TEST_DEADLINES", "4000"))
WRAP_UP_S: Final = 12  # until then all calls must stand in the store
WRITTEN_AT_ONCE: Final = 500
MET_S: Final = 120.0

pytestmark = [
    pytest.mark.fault,
    pytest.mark.cluster,
    pytest.mark.asyncio,
    pytest.mark.timeout(600),
]


async def test_thousands_of_deadlines_due_at_a_restart_are_all_met_once(
    parts_to_break: tuple[DistantBroker, MongoServer], tmp_path: Path
) -> None:
    calls = [f"d{number}" for number in range(CALLS)]
    async with Stage(parts_to_break, tmp_path, demo_wrap_up_s=WRAP_UP_S) as stage:
        try:
            gateway = stage.add("gateway", "gateway")
            callstates = [stage.add(f"callstate-{n}", "callstate") for n in (1, 2)]
            await stage.start(gateway, *callstates, stage.add("worker", "worker"))
            async with Switch(stage) as switch:
                for first in range(0, CALLS, WRITTEN_AT_ONCE):
                    some = calls[first : first + WRITTEN_AT_ONCE]
                    await switch.write([one for call in some for one in life(call, "agent-1")])
            written = time.monotonic()
            await progress.caught_up(stage)
            print(f"{CALLS} calls in wrap-up {time.monotonic() - written:.1f} s after written")
            for process in callstates:
                await stage.stop(process)
            met_before = await met(stage)
            await asyncio.sleep(max(0.0, written + WRAP_UP_S - time.monotonic()))

            began = time.monotonic()
            one, other = callstates
            stage.orders.give(one.name, Order("swept", "kill"))
            one.excused = lambda: stage.orders.obeyed(one.name)
            await stage.start(one, other)
            await progress.settled(stage, within_s=MET_S)
            print(f"{CALLS - len(met_before)} due, met within {time.monotonic() - began:.1f} s")

            assert stage.orders.obeyed(one.name)
            assert set(await met(stage)) == set(calls)
            topics = await checks.published(stage)
            missed = Counter(
                one.data["call_id"]
                for one in topics[DISPOSITION_EVENTS]
                if one.type == "disposition.missed"
            )
            assert missed == Counter(calls)
            await stage.end_all()
            checks.ends_are_explained(stage.ends)
            found = await checks.verify(stage)
            assert found["clean"], checks.violations(found)
        except BaseException:
            print(*stage.account(), sep="\n")
            raise


async def met(stage: Stage) -> list[str]:
    """The calls whose deadline was met, each once, and not before its time."""
    found: list[str] = []
    for one in (await checks.published(stage))[CALLS_CHANGED]:
        change = one.data["change"]
        if change["kind"] != "timer":
            continue
        found.append(one.data["call_id"])
        deadline_ms = int(change["event_id"].rpartition(":")[2])
        assert from_wire(change["at"]) >= deadline_ms, f"{one.key} before its time"
    assert len(set(found)) == len(found), "a deadline was met twice"
    return found
