"""Real SIP calls through a real Kamailio, and what a source makes of them."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from services.callstate.resync import http_snapshot
from services.callstate.sources import KamailioSource, Pace
from services.callstate.switches.kamailio import Switch
from shared.adapters.clock import SystemClock
from shared.contracts.envelope import Event
from shared.contracts.telephony import decode_data
from tests.support.kamailio import Cable, CallFloor, Kamailio
from tests.support.ports import HOST
from tests.support.told import Told

pytestmark = [pytest.mark.sip, pytest.mark.asyncio]

KAM = Switch(tenant="demo")
PACE = Pace(retry_min=0.02, retry_max=0.1, settle=0.1)


@asynccontextmanager
async def listening(kamailio: Kamailio, told: Told, *, port: int = 0) -> AsyncIterator[Any]:
    source = KamailioSource(
        host=HOST,
        port=port or kamailio.evapi_port,
        switch=KAM,
        publish=told.publish,
        clock=SystemClock(),
        snapshot=http_snapshot(kamailio.dialogs_url),
        pace=PACE,
    )
    running = asyncio.ensure_future(source.run())
    try:
        async with asyncio.timeout(10):
            while not source.counts["resynced"]:
                await asyncio.sleep(0.01)
        yield source
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


def steps(events: list[Event]) -> list[tuple[str, dict[str, Any]]]:
    return [(event.type, json.loads(event.data)) for event in events]


def sip_call_id(events: list[Event], call_id: str | None = None) -> str:
    for event in events:
        if event.type == "call.started" and call_id in (None, event.subject):
            told: str = json.loads(event.data)["user_data"]["sip_call_id"]
            return told
    raise AssertionError("no call has started")


AGENT = {"agent_id": "agent-7"}


async def test_a_call_with_hold_is_told_step_by_step(kamailio: Kamailio, floor: CallFloor) -> None:
    told = Told()
    async with listening(kamailio, told):
        agent = await floor.agents()
        caller = floor.call("caller_holds")
        await caller.done()
        await agent.done()
        events = await told.until_types("call.disconnected")
    started, *rest = steps(events)
    assert started[0] == "call.started"
    call_id = sip_call_id(events)
    assert started[1] == {
        "direction": "inbound",
        "from": "caller",
        "to": "agent-7",
        "did": "agent-7",
        "agent_id": "agent-7",
        "user_data": {"sip_call_id": call_id},
    }
    assert rest == [
        ("call.answered", AGENT),
        ("call.agent_joined", AGENT),
        ("call.held", {}),
        ("call.retrieved", {}),
        ("call.disconnected", {"by": "caller", "cause": "hangup"}),
    ]
    assert {event.subject for event in events} == {KAM.call_id(call_id)}
    times = [event.time_ms for event in events]
    assert times == sorted(times)
    assert times[-1] - times[0] >= 250, "three pauses of 100 ms lie in between"


async def test_an_agent_holds_and_hangs_up(kamailio: Kamailio, floor: CallFloor) -> None:
    told = Told()
    async with listening(kamailio, told):
        agent = await floor.agents("agent_holds")
        caller = floor.call("caller_held")
        await agent.done()
        await caller.done()
        events = await told.until_types("call.disconnected")
    assert steps(events)[3:] == [
        ("call.held", AGENT),
        ("call.retrieved", AGENT),
        ("call.disconnected", {"by": "agent", "cause": "hangup"}),
    ]


@pytest.mark.parametrize(
    ("agent_does", "caller_does", "end"),
    [
        ("agent_hangs_up", "caller_waits", {"by": "agent", "cause": "hangup"}),
        ("agent_busy", "caller_refused", {"by": "agent", "cause": "busy"}),
        ("agent_rings", "caller_gives_up", {"by": "caller", "cause": "cancelled"}),
    ],
)
async def test_how_calls_end(
    kamailio: Kamailio, floor: CallFloor, agent_does: str, caller_does: str, end: dict[str, str]
) -> None:
    told = Told()
    async with listening(kamailio, told):
        agent = await floor.agents(agent_does)
        caller = floor.call(caller_does)
        await caller.done()
        await agent.done()
        events = await told.until_types("call.disconnected")
    answered = agent_does == "agent_hangs_up"
    assert [event.type for event in events] == [
        "call.started",
        *(["call.answered", "call.agent_joined"] if answered else []),
        "call.disconnected",
    ]
    assert json.loads(events[-1].data) == end


async def test_nobody_answers(tmp_path: Path) -> None:
    quick = Kamailio(tmp_path, ring_ms=1000).start()
    floor = CallFloor(tmp_path, quick)
    told = Told()
    try:
        async with listening(quick, told):
            await floor.agents("agent_rings")
            floor.call("caller_gives_up", talk_ms=20_000)
            events = await told.until_types("call.disconnected")
        assert json.loads(events[-1].data) == {"cause": "no_answer"}  # by the system
    finally:
        floor.end()
        quick.stop()


async def test_two_calls_at_once_are_told_apart(kamailio: Kamailio, floor: CallFloor) -> None:
    told = Told()
    async with listening(kamailio, told):
        await floor.agents(calls=2)
        one, other = floor.call(agent="agent-7"), floor.call(agent="agent-8")
        joined = await told.until_types("call.agent_joined", "call.agent_joined")
        by_agent = {
            json.loads(event.data)["agent_id"]: event.subject
            for event in joined
            if event.type == "call.agent_joined"
        }
        await floor.hang_up(other, sip_call_id(joined, by_agent["agent-8"]))
        await told.until_types("call.disconnected")
        await floor.hang_up(one, sip_call_id(joined, by_agent["agent-7"]))
        events = await told.until_types("call.disconnected", "call.disconnected")
        await one.done()
        await other.done()
    ended = [event.subject for event in events if event.type == "call.disconnected"]
    assert ended == [by_agent["agent-8"], by_agent["agent-7"]]
    assert len(events) == len({event.id for event in events}) == 8


async def test_a_call_id_of_odd_characters_goes_through(
    kamailio: Kamailio, floor: CallFloor
) -> None:
    told = Told()
    odd = "%u-%p{\"}\\'<x>@%s"
    async with listening(kamailio, told):
        await floor.agents()
        caller = floor.call(more=["-cid_str", odd])
        started = await told.until_types("call.agent_joined")
        call_id = sip_call_id(started)
        assert "{\"}\\'<x>@" in call_id
        await floor.hang_up(caller, call_id)
        events = await told.until_types("call.disconnected")
        await caller.done()
    assert {event.subject for event in events} == {KAM.call_id(call_id)}
    assert all(decode_data(event.type, event.data) for event in events)


async def test_a_cut_cable_hides_nothing_for_long(kamailio: Kamailio, floor: CallFloor) -> None:
    cable, told = Cable(kamailio.evapi_port), Told()
    await cable.join()
    async with listening(kamailio, told, port=cable.port) as source:
        await floor.agents(calls=3)
        ends = floor.call(agent="agent-1")
        known = await told.until_types("call.agent_joined")
        ending = known[0].subject
        stays = floor.call(agent="agent-2")
        known = await told.until_types("call.agent_joined", "call.agent_joined")
        staying = known[-1].subject
        await cable.cut()
        await floor.hang_up(ends, sip_call_id(known, ending))
        await ends.done()
        starts = floor.call(agent="agent-3")
        async with asyncio.timeout(10):
            while len(await floor.up()) < 2:
                await asyncio.sleep(0.02)
        await cable.join()
        known = await told.until_types("call.disconnected", *["call.agent_joined"] * 3)
        await until_resynced(source, 2)
        starting = ({event.subject for event in known} - {ending, staying}).pop()
        await floor.hang_up(starts, sip_call_id(known, starting))
        await floor.hang_up(stays, sip_call_id(known, staying))
        await starts.done()
        await stays.done()
        events = await told.until_types(*["call.disconnected"] * 3)
    await cable.cut()
    assert len(events) == len({event.id for event in events}) == 12, "each told, and once"
    causes = {e.subject: json.loads(e.data)["cause"] for e in events if "disc" in e.type}
    assert causes == {ending: "resync", staying: "hangup", starting: "hangup"}


async def test_a_source_that_starts_later_tells_what_the_first_one_told(
    kamailio: Kamailio, floor: CallFloor
) -> None:
    first, second = Told(), Told()
    async with listening(kamailio, first):
        await floor.agents()
        caller = floor.call()
        told = await first.until_types("call.agent_joined")
        async with listening(kamailio, second):
            again = await second.until_types("call.agent_joined")
            assert again == told, "the same events, bit by bit: duplicates"
            await floor.hang_up(caller, sip_call_id(told))
            await caller.done()
            told = await first.until_types("call.disconnected")
            assert await second.until_types("call.disconnected") == told


async def test_hold_is_recovered_too(kamailio: Kamailio, floor: CallFloor) -> None:
    first, second = Told(), Told()
    async with listening(kamailio, first):
        await floor.agents()
        caller = floor.call("caller_holds", talk_ms=1500)
        held = await first.until_types("call.held")
        async with listening(kamailio, second):
            assert await second.until_types("call.held") == held
            await caller.done()


async def test_calls_of_a_switch_that_died_are_ended(tmp_path: Path) -> None:
    mortal = Kamailio(tmp_path).start()
    floor = CallFloor(tmp_path, mortal)
    told = Told()
    try:
        async with listening(mortal, told):
            await floor.agents()
            floor.call()
            await told.until_types("call.agent_joined")
            mortal.kill()
            mortal.start()
            events = await told.until_types("call.disconnected")
        assert json.loads(events[-1].data) == {"cause": "resync"}
    finally:
        floor.end()
        mortal.stop()


async def until_resynced(source: KamailioSource, times: int) -> None:
    async with asyncio.timeout(10):
        while source.counts["resynced"] < times:
            await asyncio.sleep(0.01)
