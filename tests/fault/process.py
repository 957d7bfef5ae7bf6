"""One service as a process of the suite: the product's own, on a profile that takes orders.

    python -m tests.fault.process callstate

Besides the product's settings it reads from the environment:
`AFTERCALL_TEST_ORDERS` (where orders are given, see `orders.py`), `AFTERCALL_TEST_CHOPPY` (a seed:
batches end anywhere), `AFTERCALL_TEST_MUTANT` (see `mutants.py`) and `AFTERCALL_TEST_SESSION_MS`
(for how long the broker waits for a member that is silent).
"""

import os
import sys
from collections.abc import Mapping, Sequence
from inspect import isawaitable
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch

import aiokafka
from aiokafka import AIOKafkaConsumer
from aiokafka.abc import ConsumerRebalanceListener

from services import processes
from services.profile import open_profile
from services.settings import Settings, read_settings
from shared.runtime.profile import Profile
from tests.fault.mutants import MUTANTS
from tests.fault.orders import Orders
from tests.fault.ports import bear, with_faults


class Watched(ConsumerRebalanceListener):  # type: ignore[misc] # ships no types
    """A rebalance listener, with a point in each callback."""

    def __init__(self, inner: Any, orders: Orders) -> None:
        self._inner = inner
        self._orders = orders

    async def on_partitions_revoked(self, revoked: Sequence[Any]) -> None:
        bear(self._orders.reach("revoking"))
        await _done(self._inner.on_partitions_revoked(revoked))

    async def on_partitions_assigned(self, assigned: Sequence[Any]) -> None:
        bear(self._orders.reach("assigned"))
        await _done(self._inner.on_partitions_assigned(assigned))


async def _done(result: Any) -> None:
    if isawaitable(result):
        await result


class WatchedConsumer(AIOKafkaConsumer):  # type: ignore[misc] # ships no types
    """aiokafka's, with points in its rebalances, and the suite's session timeout."""

    orders = Orders(None)
    session_ms: int | None = None

    def __init__(self, *topics: str, **settings: Any) -> None:
        if self.session_ms is not None and settings.get("group_id") is not None:
            settings["session_timeout_ms"] = self.session_ms
            settings["heartbeat_interval_ms"] = self.session_ms // 5
        super().__init__(*topics, **settings)

    def subscribe(self, topics: Any = (), pattern: Any = None, listener: Any = None) -> None:
        watched = None if listener is None else Watched(listener, self.orders)
        super().subscribe(topics=topics, pattern=pattern, listener=watched)


def run(role: str, environment: Mapping[str, str]) -> int:
    """Run the service as its console command does; the exit code."""
    path = environment.get("AFTERCALL_TEST_ORDERS")
    choppy = environment.get("AFTERCALL_TEST_CHOPPY")
    session_ms = environment.get("AFTERCALL_TEST_SESSION_MS")
    orders = Orders(None if path is None else Path(path))
    WatchedConsumer.orders = orders
    WatchedConsumer.session_ms = None if session_ms is None else int(session_ms)
    mutate = MUTANTS[environment.get("AFTERCALL_TEST_MUTANT", "")]
    random = None if choppy is None else Random(f"{choppy}-{os.getpid()}")

    async def opened(settings: Settings) -> Profile:
        return mutate(with_faults(await open_profile(settings), role, orders, random))

    with (
        patch.object(processes, "open_profile", opened),
        patch.object(aiokafka, "AIOKafkaConsumer", WatchedConsumer),
    ):
        return processes.run(read_settings(), [role])


if __name__ == "__main__":
    sys.exit(run(sys.argv[1], os.environ))
