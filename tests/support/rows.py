"""One centre for many golden rows, over the real adapters of a profile, all in one process.

The gateway's application, callstate and worker of the product, on one fake clock. Topics, database
and processors are made once; each row has a tenant of its own, so no row sees another's calls,
records, tokens or rates. A tenant's credentials open the same doors as the demo's, one row at a
time.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any, Final, cast

import msgspec
from aiohttp import DummyCookieJar
from aiohttp.test_utils import TestClient, TestServer

import services.callstate.__main__ as callstate
import services.worker.__main__ as worker
from services.gateway.__main__ import DIALECTS
from services.gateway.app import build_app
from services.gateway.desk import SOURCE, Desk
from services.gateway.dialects.genesys import serve_notifications
from services.gateway.push.hub import Hub
from services.gateway.verdicts import Waiters
from shared.adapters.tenants_file import FileTenantDirectory
from shared.contracts.envelope import Event, from_record
from shared.contracts.errors import Unavailable
from shared.contracts.tenants import Tenant
from shared.contracts.topics import DISPOSITION_REQUESTS
from shared.observability.metrics import Metrics
from shared.runtime.ports import EventLog, StateStore, TopicPartition
from shared.runtime.processor import Processor
from shared.runtime.profile import Profile
from shared.runtime.tenants import Found
from tests.support.clock import START_MS, FakeClock

VERDICT_S: Final = 10.0  # a busy machine; a row that says so waits less
NOT_IN_TIME_S: Final = 0.01


class Breakable:
    """A port whose next call of one method is not answered; all else goes through."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self._failing: str | None = None

    def fail_next(self, method: str) -> None:
        self._failing = method

    def __getattr__(self, name: str) -> Any:
        if name != self._failing:
            return getattr(self._inner, name)
        self._failing = None
        return _unanswered


async def _unanswered(*_: Any, **__: Any) -> None:
    raise Unavailable("told to fail")


class RowTenants:
    """`TenantDirectory`: doors of the row's tenant alone; those of before are known by id."""

    def __init__(self) -> None:
        self._known: dict[str, Tenant] = {}
        self._now = FileTenantDirectory(())

    def set(self, tenant: Tenant) -> None:
        self._known[tenant.id] = tenant
        self._now = FileTenantDirectory((tenant,))

    def get(self, tenant_id: str) -> Tenant | None:
        return self._known.get(tenant_id)

    def find(self, kind: str, secret: bytes, name: str | None = None) -> Found | None:
        return self._now.find(kind, secret, name)

    def stands(self, found: Found) -> bool:
        return self._now.stands(found)

    def all(self) -> tuple[Tenant, ...]:
        return self._now.all()


class RowCentre:
    """See the module. `client` speaks HTTP to the gateway; `tenant` is the row's."""

    def __init__(self, profile: Profile, clock: FakeClock) -> None:
        self.clock = clock
        self.tenants = RowTenants()
        self.waiters = Waiters("rows", timeout_s=VERDICT_S)
        self.log = Breakable(profile.log)
        self.store = Breakable(profile.store)
        self.desk = Desk(
            tenants=self.tenants,
            clock=clock,
            log=cast("EventLog", self.log),
            store=cast("StateStore", self.store),
            history=profile.history,
            waiters=self.waiters,
        )
        self.hub = Hub(profile.log, clock)
        app = build_app(self.desk, dialects=DIALECTS)
        serve_notifications(app, self.hub, self.desk)
        self.client = TestClient(TestServer(app), cookie_jar=DummyCookieJar())
        self.tenant: Tenant
        self._profile = profile
        self._running: dict[str, tuple[asyncio.Event, asyncio.Task[None]]] = {}
        self._numbers = count(1)
        self._ends: dict[TopicPartition, int] = {}

    async def start(self) -> None:
        await self._profile.register(self.waiters.address, self.waiters.deliver)
        await self.client.start_server()
        self._hub_runs = asyncio.create_task(self.hub.run())
        self._start(callstate.processor(self._profile, self.tenants, Metrics()))
        self._start_worker()

    async def stop(self) -> None:
        for group in tuple(self._running):
            await self._stop(group)
        self.hub.close()
        self._hub_runs.cancel()
        await asyncio.gather(self._hub_runs, return_exceptions=True)
        await self.client.close()

    async def begin(self, tenant: Tenant) -> None:
        """The next row: its tenant, under an id of its own, at the time at which all begin."""
        self.tenant = msgspec.structs.replace(tenant, id=f"row-{next(self._numbers)}")
        self.tenants.set(self.tenant)
        self.clock.set(START_MS)
        self._wait(VERDICT_S)
        if "worker" not in self._running:
            self._start_worker()

    async def mark(self) -> None:
        """`asked` counts from here on."""
        self._ends = await self._profile.log.ends([DISPOSITION_REQUESTS])

    async def asked(self) -> int:
        """How many requests the gateway has published for the row's tenant since `mark`."""
        found = 0
        for place, end in (await self._profile.log.ends([DISPOSITION_REQUESTS])).items():
            offset = self._ends.get(place, 0)
            while offset < end:
                records = await self._profile.log.read(place, offset, end - offset)
                events = [from_record(record) for record in records]
                found += sum(e.tenant == self.tenant.id and e.source == SOURCE for e in events)
                offset = records[-1].offset + 1
        return found

    async def tell(self, call_id: str, *story: tuple[str, dict[str, Any]]) -> None:
        """Events of a call, as its switch would tell them; applied when this returns."""
        events = [
            Event(
                id=f"event-{next(self._numbers)}",
                source="/test/switch",
                type=kind,
                subject=call_id,
                time_ms=self.clock.now_ms(),
                tenant=self.tenant.id,
                data=msgspec.json.encode(data),
            )
            for kind, data in story
        ]
        told = await self.desk.tell(self.tenant, events, wait=True)
        assert told is not None, f"{story} was not applied in time"

    async def stop_worker(self) -> None:
        """Nobody decides any more, until the next row, and nobody waits for it for long."""
        await self._stop("worker")
        self._wait(NOT_IN_TIME_S)

    def _wait(self, most_s: float) -> None:
        """For verdicts, and for reads to be as new as those."""
        self.waiters._timeout_s = self.desk.settling._timeout_s = most_s

    def _start_worker(self) -> None:
        self._start(worker.processor(self._profile, Metrics()))

    def _start(self, processor: Processor) -> None:
        stopping = asyncio.Event()
        running = asyncio.create_task(processor.run(stopping))
        self._running[processor.group] = stopping, running

    async def _stop(self, group: str) -> None:
        stopping, running = self._running.pop(group)
        stopping.set()
        await running


@asynccontextmanager
async def row_centre(profile: Profile, clock: FakeClock) -> AsyncIterator[RowCentre]:
    """A centre that runs until the block ends; the profile is closed then."""
    centre = RowCentre(profile, clock)
    try:
        await centre.start()
        yield centre
    finally:
        try:
            await centre.stop()
        finally:
            await profile.close()
