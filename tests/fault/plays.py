"""How each kind of fault is played."""

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Final

from tests.fault.network import Network
from tests.fault.orders import Action, Desk, Order
from tests.support.cluster_product import Cluster, ServiceProcess

SESSION_S: Final = 4.0  # of a group's member, under test; see process.py
SHORT_S: Final = 1.0
LONG_S: Final = SESSION_S + 2.0  # frozen for so long a process is a zombie when it goes on
FROZEN_S: Final = 8.0
GIVEN_UP_S: Final = 7.0  # by then whoever asked the broker asks again
REACHED_S: Final = 30.0
STORM_S: Final = 10.0
KILLED: Final = 0.4  # of what a storm does; the rest is stopped, or goes on
LATE_S: Final = (0.02, 0.2, 1.5)
LOOK_S: Final = 0.02


@dataclass
class Scene:
    """What a fault is played on."""

    cluster: Cluster
    orders: Desk
    networks: Mapping[str, Network]
    random: Random
    urls: list[str]
    unreached: int = 0

    def any_of(self, role: str) -> ServiceProcess:
        return self.random.choice(self.cluster.of_role(role))


Play = Callable[[Scene], Awaitable[None]]


def ordered(
    role: str, point: str, action: Action, seconds: float = 0.0, *, nth_max: int = 4
) -> Play:
    """A process does this to itself at this point of its work, this time or one of the next."""

    async def play(scene: Scene) -> None:
        process = scene.any_of(role)
        order = Order(point, action, scene.random.randint(1, nth_max), seconds)
        life = process.lives
        process.excused = lambda: action == "kill" and scene.orders.obeyed(process.name)
        scene.orders.give(process.name, order)
        try:
            if not await until(lambda: scene.orders.obeyed(process.name)) and (
                scene.orders.withdraw(process.name)
            ):
                scene.unreached += 1
                return
            if action == "kill":
                assert await until(lambda: process.lives > life), f"{process.name} lives on"
            if action == "stop":
                await asyncio.sleep(seconds)
        finally:
            process.send(signal.SIGCONT)

    return play


async def until(reached: Callable[[], bool]) -> bool:
    """Wait for it; False if it does not come in time."""
    deadline = time.monotonic() + REACHED_S
    while not reached():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(LOOK_S)
    return True


def at_any_moment(role: str, *, count: int = 1) -> Play:
    """kill -9, of this many at the same time."""

    async def play(scene: Scene) -> None:
        await asyncio.sleep(scene.random.uniform(0, 0.5))
        processes = scene.cluster.of_role(role)
        for process in scene.random.sample(processes, min(count, len(processes))):
            scene.cluster.kill(process)

    return play


def frozen(role: str, seconds: float) -> Play:
    """SIGSTOP, later SIGCONT."""

    async def play(scene: Scene) -> None:
        process = scene.any_of(role)
        process.send(signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds)
        finally:
            process.send(signal.SIGCONT)

    return play


def joined(role: str) -> Play:
    """One more comes, works, and goes."""

    async def play(scene: Scene) -> None:
        cluster = scene.cluster
        process = cluster.add(f"{role}-extra-{len(cluster.processes)}", role)
        await cluster.start(process)
        if role == "gateway":
            scene.urls.append(process.url)
        await asyncio.sleep(scene.random.uniform(0.1, 1.0))
        if role == "gateway":
            scene.urls.remove(process.url)
        end = await cluster.stop(process)
        assert end.code == 0, f"{end.process} was told to stop, and ended with {end.code}"

    return play


def restarted(role: str) -> Play:
    """SIGTERM, and started again."""

    async def play(scene: Scene) -> None:
        process = scene.any_of(role)
        end = await scene.cluster.stop(process)
        assert end.code == 0, f"{end.process} was told to stop, and ended with {end.code}"
        process.spawn()

    return play


def in_rebalance(role: str, point: str, action: Action, seconds: float = 0.0) -> Play:
    """At this point of a rebalance, which another member brings about."""
    obey = ordered(role, point, action, seconds, nth_max=1)

    async def play(scene: Scene) -> None:
        await asyncio.gather(obey(scene), joined(role)(scene))

    return play


def together(*plays: Play) -> Play:
    """All at the same time."""

    async def play(scene: Scene) -> None:
        await asyncio.gather(*(one(scene) for one in plays))

    return play


def mongod_killed() -> Play:
    """kill -9, and started again."""

    async def play(scene: Scene) -> None:
        scene.cluster.mongod.kill()
        await asyncio.sleep(scene.random.uniform(0, 1))
        await scene.cluster.back(scene.cluster.mongod)

    return play


def broker_killed() -> Play:
    """kill -9, and started again."""

    async def play(scene: Scene) -> None:
        scene.cluster.broker.kill()
        await asyncio.sleep(scene.random.uniform(0, 1))
        await scene.cluster.back(scene.cluster.broker)

    return play


def part_frozen(name: str, seconds: float) -> Play:
    """SIGSTOP, later SIGCONT."""

    async def play(scene: Scene) -> None:
        part = scene.cluster.mongod if name == "mongod" else scene.cluster.broker
        part.freeze()
        try:
            await asyncio.sleep(seconds)
        finally:
            part.thaw()

    return play


def network(to: str, fault: str, seconds: float = 0.0) -> Play:
    """Some processes are far from the broker, some from mongod; see stage.py and network.py."""

    async def play(scene: Scene) -> None:
        between = scene.networks[to]
        if fault == "cut":
            await between.cut()
        elif fault == "answers lost":
            await between.lose_answers(seconds)
        else:
            await between.hold_back(seconds)

    return play


def storm(seconds: float) -> Play:
    """kill -9, SIGSTOP and SIGCONT of anybody, faster than anybody can recover."""

    async def play(scene: Scene) -> None:
        until_s = time.monotonic() + seconds
        services = [one for one in scene.cluster.processes.values() if one.wanted]
        try:
            while time.monotonic() < until_s:
                process = scene.random.choice(services)
                if scene.random.random() < KILLED:
                    scene.cluster.kill(process)
                else:
                    process.send(scene.random.choice((signal.SIGSTOP, signal.SIGCONT)))
                await asyncio.sleep(scene.random.uniform(0.05, 1.5))
        finally:
            for process in services:
                process.send(signal.SIGCONT)

    return play


def left_behind(role: str) -> Play:
    """All of a role sleep while work piles up, then one dies half-way through it."""
    obey = ordered(role, "half saved", "kill", nth_max=1)

    async def play(scene: Scene) -> None:
        processes = scene.cluster.of_role(role)
        for process in processes:
            process.send(signal.SIGSTOP)
        await asyncio.sleep(LONG_S)
        for process in processes:
            process.send(signal.SIGCONT)
        await obey(scene)

    return play
