"""The call-state service put together: processor, timers, sources."""

import asyncio
from collections.abc import Sequence

from apscheduler.schedulers.asyncio import AsyncIOScheduler

from services.callstate.timers import TimerSweep
from services.callstate.topology import CallstateTopology
from shared.contracts.envelope import Event, to_message
from shared.contracts.ids import call_key
from shared.contracts.topics import TELEPHONY_EVENTS
from shared.observability.metrics import Metrics
from shared.runtime.lifecycle import Stage
from shared.runtime.ports import EventLog
from shared.runtime.processor import Processor
from shared.runtime.profile import Profile
from shared.runtime.tenants import TenantDirectory


def processor(profile: Profile, tenants: TenantDirectory, metrics: Metrics) -> Processor:
    """The processor of `telephony.events`."""
    return Processor(
        CallstateTopology(tenants),
        event_log=profile.log,
        store=profile.store,
        commit=profile.commit,
        replies=profile.replies,
        observe=metrics.turn,
    )


async def run_timers(profile: Profile, stopping: asyncio.Event) -> None:
    """Sweep deadlines once a second until told to stop."""
    scheduler = AsyncIOScheduler(timezone="UTC")
    TimerSweep(profile.store, profile.log, profile.clock).start(scheduler)
    scheduler.start()
    try:
        await stopping.wait()
    finally:
        scheduler.shutdown(wait=False)


async def publish(log: EventLog, events: Sequence[Event]) -> None:
    """Append a source's events, durably."""
    await log.append(
        [to_message(e, TELEPHONY_EVENTS, call_key(e.tenant, e.subject)) for e in events]
    )


def sources(profile: Profile, tenants: TenantDirectory) -> Stage:
    """One part for each source that a tenant names."""
    return {}
