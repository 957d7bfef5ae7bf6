"""Callstate as it runs: topic in, documents and `calls.changed` out, timers in between."""

import json

import pytest

from services.callstate.model import CallState
from services.callstate.timers import CALL_TIMERS
from services.callstate.topology import Calls, CallstateTopology
from shared.adapters.tenants_file import FileTenantDirectory
from shared.contracts.calls import Phase
from shared.contracts.envelope import Event, from_record, to_message
from shared.contracts.tenants import Tenant
from shared.runtime.commit import SeparateCommit
from shared.runtime.processor import Processor
from shared.runtime.timers import TimerSweep
from tests.support.calls import at_ms
from tests.support.clock import FakeClock
from tests.support.memory import MemoryLog, MemoryReplies, MemoryStateStore

pytestmark = pytest.mark.asyncio


class Service:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.log = MemoryLog(self.clock)
        self.store = MemoryStateStore()
        self.sweep = TimerSweep(CALL_TIMERS, self.store, self.log, self.clock)
        self.serve(Tenant(id="acme"))

    def serve(self, *tenants: Tenant) -> None:
        """Begin again with these tenants."""
        self._processor = Processor(
            CallstateTopology(FileTenantDirectory(tenants)),
            event_log=self.log,
            store=self.store,
            commit=SeparateCommit(self.store),
            replies=MemoryReplies(),
            wait_s=0.01,
        )
        self._consumer = self.log.consumer("callstate", ["telephony.events"])

    async def say(self, event_type: str, at: int, event_id: str, **data: object) -> None:
        self.clock.set(at_ms(at))
        event = Event(
            id=event_id,
            source="/switch",
            type=event_type,
            subject="call-1",
            time_ms=at_ms(at),
            tenant="acme",
            data=json.dumps(data).encode(),
        )
        await self.log.append([to_message(event, "telephony.events", "acme:call-1")])

    async def turn(self) -> None:
        await self._processor.turn(self._consumer)

    async def state(self) -> CallState:
        found = await self.store.load("calls", ["acme:call-1"])
        state: CallState = Calls().decode(found["acme:call-1"].state)
        return state


async def test_a_call_from_its_first_ring_to_its_release() -> None:
    service = Service()
    await service.say("call.started", 0, "e1", direction="inbound", agent_id="ann")
    await service.say("call.answered", 2, "e2")
    await service.say("call.answered", 3, "e2")
    await service.say("call.exploded", 4, "e3")
    await service.turn()
    await service.say("call.disconnected", 9, "e4")
    await service.turn()
    assert (await service.state()).call.phase is Phase.WRAP_UP
    service.clock.set(at_ms(39))
    assert await service.sweep.sweep() == 1
    await service.turn()
    assert (await service.state()).call.phase is Phase.RELEASED
    assert await service.sweep.sweep() == 0

    told = [from_record(record) for record in service.log.all("calls.changed")]
    changes = [json.loads(event.data) for event in told]
    assert [event.sequence for event in told] == [1, 2, 3, 4]
    assert [change["version"] for change in changes] == [1, 2, 3, 4]
    assert [change["change"]["rule"] for change in changes] == [
        "started",
        "answered",
        "disconnected",
        "wrap_up_over",
    ]
    assert len(service.log.all("telephony.events.dead")) == 1


async def test_a_call_whose_tenant_is_gone_still_ends() -> None:
    service = Service()
    await service.say("call.started", 0, "e1", direction="inbound", agent_id="ann")
    await service.say("call.answered", 2, "e2")
    await service.turn()
    service.serve()
    for second, rule in ((14_402, "silence"), (14_432, "wrap_up_over")):
        service.clock.set(at_ms(second))
        assert await service.sweep.sweep() == 1
        await service.turn()
        told = json.loads(service.log.all("calls.changed")[-1].value)
        assert told["change"]["rule"] == rule
    assert await service.sweep.sweep() == 0
    assert service.log.all("telephony.events.dead") == []
