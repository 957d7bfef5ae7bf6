"""The faults, one table. One round is one fault, injected and recovered from.

A round ends when calls on every partition go from ring to verdict again, every process says that it
is ready, and every group has made durable what stands in its topics.
"""

import re
from dataclasses import dataclass
from random import Random
from typing import Final

from tests.fault.orders import BATCH, GATEWAY, HISTORY, TIMERS
from tests.fault.plays import (
    FROZEN_S,
    GIVEN_UP_S,
    LATE_S,
    LONG_S,
    SHORT_S,
    STORM_S,
    Play,
    at_any_moment,
    broker_killed,
    frozen,
    in_rebalance,
    joined,
    left_behind,
    mongod_killed,
    network,
    ordered,
    part_frozen,
    restarted,
    storm,
    together,
)


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


def _table() -> list[Fault]:
    roles = ("gateway", "callstate", "worker")
    return [
        *_at_points("callstate", BATCH + TIMERS),
        *_at_points("worker", BATCH + HISTORY),
        *_in_groups("callstate"),
        *_in_groups("worker"),
        *_of_gateway(),
        *_of_parts(),
        *(fault for role in roles for fault in _at_any_moment(role)),
        *_pairs(),
    ]


def _at_points(role: str, points: tuple[str, ...]) -> list[Fault]:
    """What is ordered of a service that works through batches."""
    beyond, within = "beyond its session", "within its session"
    answered = ("polled", "half saved", "saved", "half published", "published", "advanced")
    stops = ((beyond, LONG_S, 0.4), (within, SHORT_S, 0.5))
    return [
        *(
            Fault("killed at a point", f"{role}: {point}", ordered(role, point, "kill"), 3)
            for point in points
        ),
        *(
            Fault(f"stopped at a point, {how}", f"{role}: {point}", play, weight)
            for point in points
            for how, s, weight in stops
            for play in (ordered(role, point, "stop", s),)
        ),
        *(
            Fault("blocked", f"{role}: {point}", ordered(role, point, "block", LONG_S), 0.3)
            for point in ("saved", "published")
        ),
        *(
            Fault("no answer, and done", f"{role}: {point}", ordered(role, point, "fail"), 2)
            for point in answered
        ),
        *(
            Fault("write lands late", f"{role}: {s} s", ordered(role, "saving", "late", s), 1)
            for s in LATE_S
        ),
    ]


def _in_groups(role: str) -> list[Fault]:
    """What moves the partitions of a service."""
    points = ("revoking", "assigned")
    return [
        *(
            Fault("killed in a rebalance", f"{role}: {point}", in_rebalance(role, point, "kill"), 1)
            for point in points
        ),
        *(
            Fault("stopped in a rebalance", f"{role}: {point}", play, 0.3)
            for point in points
            for play in (in_rebalance(role, point, "stop", LONG_S),)
        ),
        Fault("both killed", role, at_any_moment(role, count=2), 1),
        Fault("joins and leaves", role, joined(role), 2),
        Fault("left behind", role, left_behind(role), 0.5),
    ]


def _of_gateway() -> list[Fault]:
    return [
        *(
            Fault("killed at a point", f"gateway: {point}", ordered("gateway", point, "kill"), 3)
            for point in GATEWAY
        ),
        Fault("no answer, and done", "gateway: asked", ordered("gateway", "asked", "fail"), 2),
        Fault("joins and leaves", "gateway", joined("gateway"), 1),
    ]


def _of_parts() -> list[Fault]:
    """Broker, mongod, and the network to them."""
    faults = (
        ("cut", 0.0, 2),
        ("answers lost", 0.3, 2),
        ("answers lost", GIVEN_UP_S, 0.6),
        ("requests late", 0.3, 2),
        ("requests late", GIVEN_UP_S, 0.6),
    )
    return [
        *(
            Fault("network", f"{to}: {fault}, {s} s", network(to, fault, s), weight)
            for to in ("broker", "mongod")
            for fault, s, weight in faults
        ),
        Fault("storm", f"of {STORM_S} s", storm(STORM_S), 0.5),
        Fault("broker killed", "at any moment", broker_killed(), 1),
        Fault("broker frozen", f"{FROZEN_S} s", part_frozen("broker", FROZEN_S), 0.4),
        Fault("mongod killed", "at any moment", mongod_killed(), 1),
        Fault("mongod frozen", f"{FROZEN_S} s", part_frozen("mongod", FROZEN_S), 0.4),
    ]


def _at_any_moment(role: str) -> list[Fault]:
    return [
        Fault("killed", role, at_any_moment(role), 3),
        Fault("frozen within its session", role, frozen(role, SHORT_S), 1),
        Fault("frozen beyond its session", role, frozen(role, LONG_S), 0.4),
        Fault("told to stop, and started", role, restarted(role), 2),
    ]


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
