"""A whole centre in memory: the gateway's application, callstate and worker, on one fake clock.

Real rules, real processors, real HTTP on a free port of loopback; log and store are in memory. A
test tells a call's story as a switch would, asks as a client would, and counts what is published.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any, Final

import msgspec
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from services.callstate.topology import CallstateTopology
from services.gateway.app import build_app
from services.gateway.desk import Desk
from services.gateway.dialects.dialect import Dialect
from services.gateway.dialects.genesys import serve_notifications
from services.gateway.push.hub import HUB, Hub
from services.gateway.route import Route
from services.gateway.verdicts import Waiters
from services.worker.history import HistoryProjection
from services.worker.topology import WorkerTopology
from shared.adapters.tenants_file import FileTenantDirectory, read_tenants
from shared.contracts.envelope import Event
from shared.contracts.tenants import Tenant
from shared.contracts.topics import DISPOSITION_REQUESTS
from shared.runtime.commit import SeparateCommit
from shared.runtime.ports import Answer
from shared.runtime.processor import Processor
from tests.support.clock import FakeClock
from tests.support.memory import MemoryHistoryStore, MemoryLog, MemoryStateStore

DEMO: Final = Path(__file__).parents[2] / "deploy" / "demo" / "tenants.yaml"


class _Straight:
    """`Replies` without a broker between."""

    def __init__(self, waiters: Waiters) -> None:
        self._waiters = waiters

    async def send(self, answers: Sequence[Answer]) -> None:
        self._waiters.deliver(answers)


class Uncancelled(TestServer):
    """Handlers go on when their client leaves, as on the gateway's own listener."""

    async def _make_runner(self, **settings: Any) -> web.BaseRunner:
        return await super()._make_runner(**settings | {"handler_cancellation": False})


class Centre:
    """See the module. `client` speaks HTTP to the gateway.

    `more`: routes of the stream and the console; with any, the history is projected, too.
    """

    def __init__(
        self, tenants: Sequence[Tenant], dialects: Sequence[Dialect], more: Sequence[Route] = ()
    ) -> None:
        self.clock = FakeClock()
        self.log = MemoryLog(self.clock)
        self.store = MemoryStateStore()
        self.tenants = FileTenantDirectory(tenants)
        self.history = MemoryHistoryStore()
        self.waiters = Waiters("here", timeout_s=3.0)
        self.desk = Desk(
            tenants=self.tenants,
            clock=self.clock,
            log=self.log,
            store=self.store,
            history=self.history,
            waiters=self.waiters,
        )
        self.hub = Hub(self.log, self.clock)
        self.app = app = build_app(self.desk, dialects=dialects, more=more)
        app[HUB] = self.hub
        serve_notifications(app, self.hub, self.desk)
        self.client = TestClient(Uncancelled(app))
        self._running: dict[str, tuple[asyncio.Event, asyncio.Task[None]]] = {}
        self._told = 0
        self._projected = bool(more)

    async def start(self) -> None:
        await self.client.start_server()
        self._hub_runs = asyncio.create_task(self.hub.run())
        if self._projected:
            projection = HistoryProjection(self.log, self.history, wait_s=0.01)
            self._history_runs = asyncio.create_task(projection.run())
        for topology in (CallstateTopology(self.tenants), WorkerTopology()):
            processor = Processor(
                topology,
                event_log=self.log,
                store=self.store,
                commit=SeparateCommit(self.store),
                replies=_Straight(self.waiters),
                wait_s=0.01,
            )
            stopping = asyncio.Event()
            running = asyncio.create_task(processor.run(stopping))
            self._running[topology.group] = stopping, running

    async def stop_processor(self, group: str) -> None:
        """Stop callstate or worker; the rest of the centre goes on without it."""
        stopping, running = self._running.pop(group)
        stopping.set()
        await running

    async def stop(self) -> None:
        for group in tuple(self._running):
            await self.stop_processor(group)
        self.hub.close()
        tasks = [self._hub_runs, *([self._history_runs] if self._projected else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.client.close()

    async def tell(self, tenant_id: str, call_id: str, kind: str, **data: Any) -> None:
        """One event of a call, as its switch would tell it; applied when this returns."""
        self._told += 1
        event = Event(
            id=f"event-{self._told}",
            source="/test/switch",
            type=kind,
            subject=call_id,
            time_ms=self.clock.now_ms(),
            tenant=tenant_id,
            data=msgspec.json.encode(data),
        )
        tenant = self.tenants.get(tenant_id)
        assert tenant is not None
        told = await self.desk.tell(tenant, [event], wait=True)
        assert told is not None, f"{kind} was not applied in time"

    def asked(self) -> int:
        """How many disposition requests have been published."""
        return len(self.log.all(DISPOSITION_REQUESTS))


@cache
def demo_tenant() -> Tenant:
    """The tenant of `make run`."""
    return read_tenants(DEMO)[0]


@asynccontextmanager
async def running_centre(
    *tenants: Tenant, dialects: Sequence[Dialect] = (), more: Sequence[Route] = ()
) -> AsyncIterator[Centre]:
    """A centre that runs until the block ends."""
    centre = Centre(tenants, dialects, more)
    await centre.start()
    try:
        yield centre
    finally:
        await centre.stop()
