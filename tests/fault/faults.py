"""The faults, one table, and how each is played: one round is one fault, injected and recovered.

A round ends when calls on every partition go from ring to verdict again, and every process says
that it is ready.
"""

import asyncio
import re
import signal
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Final

from tests.fault.network import Network
from tests.fault.orders import BATCH, GATEWAY, HISTORY, TIMERS, Action, Desk, Order
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


@dataclass(frozen=True)
class Fault:
    """One row.

    Attributes:
        kind: for the count of what was done.
        name: for whoever looks for the reason of a failure.
        weight: how soon it is drawn; what takes long has little.
    """

    kind: str
    name: str
    play: Play
    weight: float = 1.0


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


def _table() -> list[Fault]:
    rows: list[Fault] = []
    for role in ("callstate", "worker"):
        points = BATCH + (TIMERS if role == "callstate" else HISTORY)
        for point in points:
            rows += [
                Fault("killed at a point", f"{role}: {point}", ordered(role, point, "kill"), 3),
                Fault(
                    "stopped at a point, beyond its session",
                    f"{role}: {point}",
                    ordered(role, point, "stop", LONG_S),
                    0.4,
                ),
                Fault(
                    "stopped at a point, within its session",
                    f"{role}: {point}",
                    ordered(role, point, "stop", SHORT_S),
                    0.5,
                ),
            ]
        rows += [
            Fault("blocked", f"{role}: {point}", ordered(role, point, "block", LONG_S), 0.3)
            for point in ("saved", "published")
        ]
        rows += [
            Fault("no answer, and done", f"{role}: {point}", ordered(role, point, "fail"), 2)
            for point in (
                "polled",
                "half saved",
                "saved",
                "half published",
                "published",
                "advanced",
            )
        ]
        rows += [
            Fault("write lands late", f"{role}: {s} s", ordered(role, "saving", "late", s), 1)
            for s in LATE_S
        ]
        rows += [
            Fault("killed in a rebalance", f"{role}: {point}", in_rebalance(role, point, "kill"), 1)
            for point in ("revoking", "assigned")
        ]
        rows += [
            Fault(
                "stopped in a rebalance",
                f"{role}: {point}",
                in_rebalance(role, point, "stop", LONG_S),
                0.3,
            )
            for point in ("revoking", "assigned")
        ]
        rows += [
            Fault("both killed", role, at_any_moment(role, count=2), 1),
            Fault("joins and leaves", role, joined(role), 2),
        ]
    rows += [
        Fault("killed at a point", f"gateway: {point}", ordered("gateway", point, "kill"), 3)
        for point in GATEWAY
    ]
    rows += [
        Fault("no answer, and done", "gateway: asked", ordered("gateway", "asked", "fail"), 2),
        Fault("joins and leaves", "gateway", joined("gateway"), 1),
        *(
            Fault("network", f"{to}: {fault}, {s} s", network(to, fault, s), weight)
            for to in ("broker", "mongod")
            for fault, s, weight in (
                ("cut", 0.0, 2),
                ("answers lost", 0.3, 2),
                ("answers lost", GIVEN_UP_S, 0.6),
                ("requests late", 0.3, 2),
                ("requests late", GIVEN_UP_S, 0.6),
            )
        ),
        Fault("storm", f"of {STORM_S} s", storm(STORM_S), 0.5),
        Fault("left behind", "callstate", left_behind("callstate"), 0.5),
        Fault("left behind", "worker", left_behind("worker"), 0.5),
        Fault("broker killed", "at any moment", broker_killed(), 1),
        Fault("broker frozen", f"{FROZEN_S} s", part_frozen("broker", FROZEN_S), 0.4),
        Fault("mongod killed", "at any moment", mongod_killed(), 1),
        Fault("mongod frozen", f"{FROZEN_S} s", part_frozen("mongod", FROZEN_S), 0.4),
    ]
    for role in ("gateway", "callstate", "worker"):
        rows += [
            Fault("killed", role, at_any_moment(role), 3),
            Fault("frozen within its session", role, frozen(role, SHORT_S), 1),
            Fault("frozen beyond its session", role, frozen(role, LONG_S), 0.4),
            Fault("told to stop, and started", role, restarted(role), 2),
        ]
    return rows + _pairs()


def _pairs() -> list[Fault]:
    both = {
        "callstate and worker killed, both having written": (
            ordered("callstate", "saved", "kill"),
            ordered("worker", "saved", "kill"),
        ),
        "worker killed, mongod too": (ordered("worker", "half saved", "kill"), mongod_killed()),
        "callstate killed, broker too": (at_any_moment("callstate"), broker_killed()),
        "gateway killed, worker having published": (
            ordered("gateway", "asked", "kill"),
            ordered("worker", "published", "kill"),
        ),
        "callstate and worker zombies": (
            ordered("callstate", "saving", "stop", LONG_S),
            ordered("worker", "saving", "stop", LONG_S),
        ),
        "three workers come and go": (joined("worker"),) * 3,
        "three callstates come and go": (joined("callstate"),) * 3,
        "late write and a rebalance": (
            ordered("worker", "saving", "late", 1.0),
            joined("worker"),
        ),
    }
    return [Fault("several at once", name, together(*plays), 0.8) for name, plays in both.items()]


TABLE: Final = tuple(_table())
ALWAYS: Final = (
    "broker killed",
    "mongod killed",
    "frozen beyond its session",
    "stopped at a point, beyond its session",
    "joins and leaves",
    "network",
    "several at once",
)
"""Kinds that even a short run has at least once."""


def draw(random: Random, rounds: int, only: str = "") -> list[Fault]:
    """So many rows, none twice before all have come; what takes long tends to come late.

    Args:
        only: a regular expression that kind and name must match.
    """
    table = [row for row in TABLE if re.search(only, f"{row.kind}: {row.name}")]
    drawn: list[Fault] = []
    while len(drawn) < rounds:
        deck = sorted(table, key=lambda row: -(random.random() ** (1 / row.weight)))
        if not drawn and not only:
            first = [next(row for row in deck if row.kind == kind) for kind in ALWAYS]
            deck = first + [row for row in deck if row not in first]
        drawn += deck
    drawn = drawn[:rounds]
    random.shuffle(drawn)
    return drawn
