"""The suite notices a system that is broken: that it finds nothing is worth something.

Each scene is a crash, or a zombie, at one named point of callstate. Played with the product it
leaves nothing to be found; played with a mutant, `aftercall verify` says what is broken.
"""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import pytest

from shared.contracts.envelope import Event
from tests.fault import checks, progress
from tests.fault.network import DistantBroker
from tests.fault.orders import Action, Order
from tests.fault.plays import until
from tests.fault.stage import Stage
from tests.fault.switch import Switch, life
from tests.support.cluster_product import ServiceProcess
from tests.support.parts import MongoServer

CALLS: Final = [f"m{number}" for number in range(8)]
CAUGHT_UP_S: Final = 60.0

pytestmark = [
    pytest.mark.fault,
    pytest.mark.cluster,
    pytest.mark.asyncio,
    pytest.mark.timeout(240),
]


class Scene:
    """Callstate alone, of one mutant."""

    def __init__(self, stage: Stage, switch: Switch, mutant: str) -> None:
        self.stage = stage
        self.mutant = mutant
        self._switch = switch

    async def start(self, name: str) -> ServiceProcess:
        """One more callstate."""
        process = self.stage.add(name, "callstate", instance=name, test_mutant=self.mutant)
        await self.stage.start(process)
        return process

    async def write(self, kind: str) -> None:
        """Events of one kind, of every call."""
        await self._switch.write([one for one in self._lives() if one.id.endswith(kind)])

    def _lives(self) -> list[Event]:
        return [one for call in CALLS for one in life(call, "agent-1")]

    async def at(self, process: ServiceProcess, point: str, action: Action) -> None:
        """See to it that the next batch is cut there, and write one."""
        orders = self.stage.orders
        process.excused = lambda: action == "kill" and orders.obeyed(process.name)
        orders.give(process.name, Order(point, action))
        await self.write("answered")
        assert await until(lambda: orders.obeyed(process.name)), f"{point} was not reached"

    async def caught_up(self) -> None:
        async with asyncio.timeout(CAUGHT_UP_S):
            await progress.caught_up(self.stage, "callstate")


async def killed_before_the_write(scene: Scene) -> None:
    """What was polled is nowhere yet."""
    first = await scene.start("first")
    await scene.write("started")
    await scene.caught_up()
    await scene.at(first, "saving", "kill")


async def killed_before_publishing(scene: Scene) -> None:
    """The documents stand, and nobody was told."""
    first = await scene.start("first")
    await scene.write("started")
    await scene.caught_up()
    await scene.at(first, "publishing", "kill")


async def a_zombie_writes(scene: Scene) -> None:
    """It sleeps on what it is about to write; another does that and more; then it wakes."""
    first = await scene.start("first")
    await scene.write("started")
    await scene.caught_up()
    await scene.at(first, "saving", "stop")
    await scene.start("second")
    await scene.write("disconnected")
    await scene.caught_up()
    first.send(signal.SIGCONT)


Play = Callable[[Scene], Awaitable[None]]

TABLE: Final[tuple[tuple[Play, str, str], ...]] = (
    (killed_before_the_write, "positions before documents", "calls refold"),
    (killed_before_publishing, "stored effects not published", "sequences"),
    (a_zombie_writes, "no compare-and-set", "calls refold"),
)


@pytest.mark.parametrize(
    ("play", "mutant", "found"),
    [row for play, mutant, found in TABLE for row in ((play, "", ""), (play, mutant, found))],
    ids=lambda value: getattr(value, "__name__", value) or "the product",
)
async def test_what_is_broken_is_found_and_nothing_else_is(
    parts_to_break: tuple[DistantBroker, MongoServer],
    tmp_path: Path,
    play: Play,
    mutant: str,
    found: str,
) -> None:
    async with Stage(parts_to_break, tmp_path) as stage:
        try:
            async with Switch(stage) as switch:
                scene = Scene(stage, switch, mutant)
                await play(scene)
                await stage.ready()
                await scene.write("disconnected")
                await scene.caught_up()
            await stage.end_all()
            violated = checks.violations(await checks.verify(stage, "--as-it-stands"))
            assert found in violated if found else not violated, violated
        except BaseException:
            print(*stage.account(), sep="\n")
            raise
