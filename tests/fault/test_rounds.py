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

from tests.fault import checks
from tests.fault.faults import Fault, Scene, draw
from tests.fault.floor import ASKED_S, Client, Floor, Told, life
from tests.fault.stage import Stage, call_on, usual
from tests.support.cluster_product import PARTITIONS
from tests.support.parts import KafkaBroker, MongoServer

ROUNDS: Final = int(os.environ.get("AFTERCALL_TEST_ROUNDS", "25"))
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


async def play(
    scene: Scene, faults: list[Fault], rounds: Rounds, working: asyncio.Task[None]
) -> None:
    """All of them, each recovered from before the next."""
    for number, fault in enumerate(faults):
        began = time.monotonic()
        await fault.play(scene)
        injected = time.monotonic()
        async with asyncio.timeout(RECOVERED_S):
            await scene.cluster.ready()
            await a_call_on_each_partition(scene.urls, f"p{number}")
            await checks.caught_up(scene.cluster)
        rounds.note(fault, began, injected)
        assert not working.done(), working.exception()


async def test_nothing_is_lost_or_done_twice_whatever_fails(
    parts_to_break: tuple[KafkaBroker, MongoServer], tmp_path: Path
) -> None:
    random = Random(SEED)
    rounds = Rounds()
    print(f"seed {SEED}, {ROUNDS} rounds")
    async with Stage(parts_to_break, tmp_path) as stage:
        try:
            await stage.start(*usual(stage, SEED))
            gateway = stage.gateway()
            urls = [gateway.url]
            floor = Floor(stage, urls, SEED)
            scene = Scene(stage, stage.orders, random, urls)
            working = asyncio.create_task(floor.work())
            try:
                await asyncio.sleep(WARM_S)
                await play(scene, draw(random, ROUNDS, ONLY), rounds, working)
                floor.stopping = True
                async with asyncio.timeout(ENDED_S):
                    await working
            finally:
                working.cancel()
            settled_s = await checks.settled(stage)
            await checks.nothing_acknowledged_was_lost(gateway.url, floor.told, random)
            topics = await checks.published(stage)
            checks.verdicts_were_told_once(floor.told, topics)
            checks.calls_ended_once(floor.told, topics)
            await checks.the_report_counts_what_was_told(gateway.url, topics)
            used = checks.nothing_grew(list(stage.processes.values()))
            await stage.end_all()
            checks.ends_are_explained(stage.ends)
            found = await checks.verify(stage)
            assert found["clean"], checks.violations(found)
        except BaseException:
            print(*rounds.kinds(), *stage.account(), sep="\n")
            raise
    told = floor.told
    print(*rounds.kinds(), sep="\n")
    print(
        f"{len(told.calls)} calls, {len(told.verdicts)} verdicts, answers {dict(told.statuses)}, "
        f"slowest {told.slowest_s:.1f} s, settled in {settled_s:.1f} s, "
        f"{scene.unreached} points not reached, {used}"
    )
    assert scene.unreached <= max(1, ROUNDS // 20)
