"""The call-state service put together: processor, timers, sources."""

import asyncio
import logging
from collections.abc import Sequence
from functools import partial
from typing import Final

from apscheduler.events import EVENT_JOB_ERROR, JobExecutionEvent
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from services.callstate.resync import http_snapshot, stored_calls
from services.callstate.sources import KamailioSource, Publish
from services.callstate.switches.kamailio import Switch
from services.callstate.timers import Owns, TimerSweep
from services.callstate.topology import CallstateTopology
from shared.contracts.envelope import Event, to_message
from shared.contracts.ids import call_key
from shared.contracts.tenants import Source
from shared.contracts.topics import TELEPHONY_EVENTS
from shared.observability.metrics import Metrics
from shared.runtime.lifecycle import Stage, until_stopped
from shared.runtime.ports import EventLog, TopicPartition
from shared.runtime.processor import Processor
from shared.runtime.profile import Profile
from shared.runtime.tenants import TenantDirectory

SCHEDULER: Final = "apscheduler"  # as it names its loggers


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


async def run_timers(profile: Profile, calls: Processor, stopping: asyncio.Event) -> None:
    """Sweep the deadlines of the processor's share once a second until told to stop.

    Raises:
        Exception: whatever a sweep raised; the scheduler by itself would only log it.
    """
    broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def tell(event: JobExecutionEvent) -> None:
        if not broken.done():
            broken.set_exception(event.exception)

    # Once a second it would say that a sweep still waits for the store; the sweep says so itself.
    logging.getLogger(SCHEDULER).setLevel(logging.ERROR)
    scheduler = AsyncIOScheduler(timezone="UTC")
    scheduler.add_listener(tell, EVENT_JOB_ERROR)
    TimerSweep(profile.store, profile.log, profile.clock, _share(profile, calls)).start(scheduler)
    scheduler.start()
    try:
        await until_stopped(lambda: broken)(stopping)
    finally:
        scheduler.shutdown(wait=False)


def _share(profile: Profile, calls: Processor) -> Owns:
    """Whether the processor works on a call's partition."""

    def owns(key: str) -> bool:
        place = TopicPartition(TELEPHONY_EVENTS, profile.log.partition(key))
        return calls.owned is not None and place in calls.owned

    return owns


def sources(profile: Profile, tenants: TenantDirectory) -> Stage:
    """One part for each switch that a tenant names."""
    publish = partial(_publish, profile.log)
    return {
        f"switch {tenant.id}/{source.name}": until_stopped(
            _follow(profile, Switch(tenant=tenant.id, name=source.name), source, publish).run
        )
        for tenant in tenants.all()
        for source in tenant.sources
    }


def _follow(profile: Profile, switch: Switch, source: Source, publish: Publish) -> KamailioSource:
    return KamailioSource(
        host=source.host,
        port=source.port,
        switch=switch,
        publish=publish,
        clock=profile.clock,
        snapshot=None if source.dialogs is None else http_snapshot(source.dialogs),
        open_calls=stored_calls(profile.store, switch),
    )


async def _publish(event_log: EventLog, events: Sequence[Event]) -> None:
    await event_log.append(
        [to_message(e, TELEPHONY_EVENTS, call_key(e.tenant, e.subject)) for e in events]
    )
