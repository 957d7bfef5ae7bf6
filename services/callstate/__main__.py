"""The call-state service put together: processor, timers, sources."""

import asyncio
from collections.abc import Sequence
from functools import partial

from services.callstate.resync import http_snapshot, stored_calls
from services.callstate.sources import KamailioSource, Publish
from services.callstate.switches.kamailio import Switch
from services.callstate.timers import CALL_TIMERS
from services.callstate.topology import CallstateTopology
from shared.contracts.envelope import Event, to_message
from shared.contracts.ids import call_key
from shared.contracts.tenants import Source
from shared.contracts.topics import TELEPHONY_EVENTS
from shared.observability.metrics import Metrics
from shared.runtime.lifecycle import Stage, until_stopped
from shared.runtime.ports import EventLog
from shared.runtime.processor import Processor
from shared.runtime.profile import Profile
from shared.runtime.tenants import TenantDirectory
from shared.runtime.timers import TimerSweep, run_sweeps, share_of


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
    """Sweep the deadlines of the processor's share of calls until told to stop.

    Raises:
        Exception: whatever a sweep raised.
    """
    owns = share_of(calls, profile.log, TELEPHONY_EVENTS)
    sweep = TimerSweep(CALL_TIMERS, profile.store, profile.log, profile.clock, owns)
    await run_sweeps([sweep], stopping)


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
