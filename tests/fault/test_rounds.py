"""Round after round a fault, under load: nothing is lost, done twice, or told otherwise.

`AFTERCALL_TEST_ROUNDS` says how many, `AFTERCALL_TEST_SEED` which, and what desks and batches do;
`AFTERCALL_TEST_ONLY` (a regular expression) leaves only some kinds or points.
"""

import asyncio
import os
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final

import aiohttp
import pytest

from tests.fault import checks, progress
from tests.fault.client import ASKED_S, Client, Told
from tests.fault.faults import Fault, draw
from tests.fault.floor import Floor
from tests.fault.listener import Listener
from tests.fault.network import DistantBroker
from tests.fault.plays import Scene
from tests.fault.stage import Stage, call_on, usual
from tests.fault.switch import life
from tests.support.cluster_product import PARTITIONS
from tests.support.parts import MongoServer

ROUNDS: Final = int(os.environ.get("AFTERCALL_TEST_ROUNDS", "12"))
SEED: Final = int(os.environ.get("AFTERCALL_TEST_SEED", "1"))
ONLY: Final = os.environ.get("AFTERCALL_TEST_ONLY", "")
WARM_S: Final = 1.0
RECOVERED_S: Final = 90.0
ENDED_S: Final = 90.0

pytestmark = [
    pytest.mark.fault,
    pytest.mark.cluster,
    pytest.mark.asyncio,
    pytest.mark.timeout(300 + 60 * ROUNDS),
]


@dataclass
class Rounds:
    """What was done, for whoever reads of a failure, and of a success."""

    played: list[tuple[Fault, float, float]] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)

    def note(self, fault: Fault, began: float, injected: float) -> None:
        """A round is over: when it began and when its fault was over, of the monotonic clock."""
        now = time.monotonic()
        self.played.append((fault, injected - began, now - injected))
        number = len(self.played)
        print(
            f"{now - self.began:6.1f} s  round {number}: {fault.kind}: {fault.name}, "
            f"{injected - began:.1f} s, recovered in {now - injected:.1f} s",
            flush=True,
        )

    def kinds(self) -> Iterator[str]:
        """One line for each kind of fault: how often, and the slowest recovery."""
        slowest: dict[str, float] = {}
        for fault, _, recovered in self.played:
            slowest[fault.kind] = max(slowest.get(fault.kind, 0), recovered)
        for kind, count in sorted(Counter(fault.kind for fault, *_ in self.played).items()):
            yield f"{count:4}  {kind}, recovered in {slowest[kind]:.1f} s at most"


async def a_call_on_each_partition(urls: list[str], name: str) -> None:
    """Calls go from ring to a verdict, and to its line in the history, wherever they stand."""
    timeout = aiohttp.ClientTimeout(total=ASKED_S)
    async with aiohttp.ClientSession(timeout=timeout) as http:
        client = Client(http, urls, Told())

        async def take(call: str) -> None:
            started, answered, gone = life(call, "agent-1")
            await client.tell(started)
            await client.tell(answered)
            verdict = await client.dispose(call, "agent-1", "Sale")
            await client.tell(gone)
            await client.decided(verdict["request_id"])

        names = (call_on(partition, name) for partition in range(PARTITIONS))
        await asyncio.gather(*(take(call) for call in names))


class Night:
    """One cluster, what works on it, and what is done to it."""

    def __init__(self, stage: Stage, seed: int) -> None:
        self.stage = stage
        self.random = Random(seed)
        self.rounds = Rounds()
        self.urls = [stage.gateway().url]
        self.floor = Floor(stage, self.urls, seed)
        self.listener = Listener(self.urls)
        networks = {"broker": stage.to_broker, "mongod": stage.to_mongod}
        self.scene = Scene(stage, stage.orders, networks, self.random, self.urls)
        self.told = self.floor.told

    async def pass_by(self, faults: list[Fault]) -> None:
        """All faults, each recovered from before the next, while work goes on."""
        listening = asyncio.create_task(self.listener.listen())
        await self.listener.following()
        working = asyncio.create_task(self.floor.work())
        try:
            await asyncio.sleep(WARM_S)
            for number, fault in enumerate(faults):
                await self._round(number, fault)
                for task in (working, listening):
                    assert not task.done(), task.exception()
            self.floor.stopping = True
            async with asyncio.timeout(ENDED_S):
                await working
            settled_s = await progress.settled(self.stage)
            print(f"settled in {settled_s:.1f} s")
            await checks.the_stream_told_all(self.listener, await checks.published(self.stage))
        finally:
            working.cancel()
            listening.cancel()

    async def _round(self, number: int, fault: Fault) -> None:
        began = time.monotonic()
        await fault.play(self.scene)
        injected = time.monotonic()
        async with asyncio.timeout(RECOVERED_S):
            await self.stage.ready()
            await a_call_on_each_partition(self.urls, f"p{number}")
            await progress.caught_up(self.stage)
        self.rounds.note(fault, began, injected)

    async def hold(self) -> None:
        """What was acknowledged, what is stored and what was published: all of it agrees."""
        url, told, stage = self.urls[0], self.told, self.stage
        await checks.nothing_acknowledged_was_lost(url, told, self.random)
        topics = await checks.published(stage)
        checks.verdicts_were_told_once(told, topics)
        checks.calls_ended_once(told, topics)
        await checks.the_report_counts_what_was_told(url, topics)
        await checks.the_report_counts_misses_too(url, topics)
        await checks.the_callbacks_are_those_scheduled_last(url, topics)
        await checks.poison_was_put_aside(stage, told)
        used = checks.nothing_grew(list(stage.processes.values()))
        await stage.end_all()
        checks.ends_are_explained(stage.ends)
        found = await checks.verify(stage)
        assert found["clean"], checks.violations(found)
        print(
            f"{len(told.calls)} calls, {len(told.verdicts)} verdicts, "
            f"answers {dict(told.statuses)}, slowest {told.slowest_s:.1f} s, stream cut off "
            f"{self.listener.cut_off} times, {self.scene.unreached} points not reached, {used}"
        )
        assert self.scene.unreached <= max(1, ROUNDS // 20)


async def test_nothing_is_lost_or_done_twice_whatever_fails(
    parts_to_break: tuple[DistantBroker, MongoServer], tmp_path: Path
) -> None:
    print(f"seed {SEED}, {ROUNDS} rounds")
    async with Stage(parts_to_break, tmp_path) as stage:
        await stage.start(*usual(stage, SEED))
        night = Night(stage, SEED)
        try:
            await night.pass_by(draw(night.random, ROUNDS, ONLY))
            await night.hold()
        except BaseException:
            print(*stage.account(), sep="\n")
            raise
        finally:
            print(*night.rounds.kinds(), sep="\n")
