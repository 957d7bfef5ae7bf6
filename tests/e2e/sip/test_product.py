"""Real SIP calls, and the whole product as a process: what an agent says of a call, and when."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest
import pytest_asyncio
import yaml

from tests.support.kamailio import CallFloor, Kamailio, Phone, source_entry
from tests.support.product import AGENT, ROOT, Product

pytestmark = [pytest.mark.sip, pytest.mark.e2e, pytest.mark.asyncio]

WRAP_UP_S: Final = 3
DEMO: Final = ROOT / "deploy" / "demo" / "tenants.yaml"


@pytest.fixture
def product(tmp_path: Path, kamailio: Kamailio) -> Product:
    tenants = yaml.safe_load(DEMO.read_text())
    tenants["tenants"][0]["sources"] = [source_entry(kamailio)]
    path = tmp_path / "tenants.yaml"
    path.write_text(yaml.safe_dump(tenants))
    return Product(tmp_path / "data", tenants_file=path, demo_wrap_up_s=WRAP_UP_S)


class Desk:
    """The agent's desk: the native API with the demo key."""

    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self._http = http
        self._url = url

    async def get(self, path: str) -> Any:
        async with self._http.get(f"{self._url}{path}", headers=AGENT) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()

    async def dispose(self, call_id: str, code: str) -> str:
        said = {"agent_id": "agent-7", "code": code}
        path = f"{self._url}/v1/calls/{call_id}/disposition"
        async with self._http.post(path, json=said, headers=AGENT) as answer:
            assert answer.status == 200, await answer.text()
            outcome: str = (await answer.json())["outcome"]
            return outcome

    async def call_in(self, phase: str, *, other_than: tuple[str, ...] = ()) -> Any:
        """The newest call of the agent that stands in this phase and was not seen before."""
        async with asyncio.timeout(15):
            while True:
                found = await self.get(f"/v1/calls?phase={phase}&agent_id=agent-7")
                for call in found["calls"]:
                    if call["id"] not in other_than:
                        return call
                await asyncio.sleep(0.05)

    async def until(self, call_id: str, phase: str) -> Any:
        async with asyncio.timeout(15):
            while (call := await self.get(f"/v1/calls/{call_id}"))["phase"] != phase:
                await asyncio.sleep(0.05)
            return call

    async def disposition(self, call_id: str) -> Any:
        async with asyncio.timeout(15):
            while True:
                (agent,) = (await self.get(f"/v1/calls/{call_id}"))["agents"]
                if "disposition" in agent:
                    return agent["disposition"]
                await asyncio.sleep(0.05)

    async def history(self, call_id: str, *, until: str) -> list[tuple[str, str]]:
        """Kind and type of each entry, once one of this type is among them."""
        async with asyncio.timeout(15):
            while True:
                entries = (await self.get(f"/v1/calls/{call_id}/history"))["entries"]
                assert all(entry["rule"] for entry in entries)
                lines = [(entry["kind"], entry["type"]) for entry in entries]
                if until in {kind_type[1] for kind_type in lines}:
                    return lines
                await asyncio.sleep(0.05)


@pytest_asyncio.fixture
async def desk(product: Product) -> AsyncIterator[Desk]:
    async with product, aiohttp.ClientSession() as http:
        yield Desk(http, product.url)


async def hang_up(floor: CallFloor, caller: Phone, call: Any) -> None:
    await floor.hang_up(caller, call["user_data"]["sip_call_id"])


async def test_three_calls_disposed_during_after_and_late(floor: CallFloor, desk: Desk) -> None:
    await floor.agents(calls=3)

    caller = floor.call()
    first = await desk.call_in("active")
    assert await desk.dispose(first["id"], "Sale") == "queued"
    await hang_up(floor, caller, first)
    disposition = await desk.disposition(first["id"])
    assert (disposition["code"], disposition["origin"]) == ("Sale", "queue")
    assert await desk.history(first["id"], until="disposition.saved") == [
        ("event", "call.started"),
        ("event", "call.answered"),
        ("event", "call.agent_joined"),
        ("request", "disposition.requested"),
        ("verdict", "disposition.queued"),
        ("event", "call.disconnected"),
        ("verdict", "disposition.saved"),
    ]

    caller = floor.call()
    second = await desk.call_in("active")
    await hang_up(floor, caller, second)
    await desk.until(second["id"], "wrap_up")
    assert await desk.dispose(second["id"], "Interested") == "saved"
    disposition = await desk.disposition(second["id"])
    assert (disposition["code"], disposition["origin"]) == ("Interested", "wrap_up")
    assert (await desk.history(second["id"], until="disposition.saved"))[3:6] == [
        ("event", "call.disconnected"),
        ("request", "disposition.requested"),
        ("verdict", "disposition.saved"),
    ]

    caller = floor.call()
    third = await desk.call_in("active")
    await hang_up(floor, caller, third)
    await desk.until(third["id"], "released")
    assert await desk.dispose(third["id"], "NotInterested") == "user_event"
    disposition = await desk.disposition(third["id"])
    assert (disposition["code"], disposition["origin"]) == ("NotInterested", "late")
    assert (await desk.history(third["id"], until="EventUserEvent"))[3:] == [
        ("event", "call.disconnected"),
        ("timer", "call.timer_due"),
        ("verdict", "disposition.missed"),
        ("request", "disposition.requested"),
        ("verdict", "EventUserEvent"),
    ]


async def test_a_call_held_by_the_caller_is_shown_held(floor: CallFloor, desk: Desk) -> None:
    await floor.agents()
    caller = floor.call("caller_holds", talk_ms=1200)
    call = await desk.call_in("active")
    async with asyncio.timeout(10):
        while not (await desk.get(f"/v1/calls/{call['id']}")).get("held"):
            await asyncio.sleep(0.02)
    await caller.done()
    assert (await desk.history(call["id"], until="call.disconnected"))[3:] == [
        ("event", "call.held"),
        ("event", "call.retrieved"),
        ("event", "call.disconnected"),
    ]


async def test_a_call_that_ends_while_the_product_is_down(
    floor: CallFloor, desk: Desk, product: Product
) -> None:
    await floor.agents(calls=2)
    caller = floor.call()
    call = await desk.call_in("active")
    assert await desk.dispose(call["id"], "Sale") == "queued"
    product.kill()
    await hang_up(floor, caller, call)
    await caller.done()
    missed = floor.call()
    await product.start()
    disposition = await desk.disposition(call["id"])
    assert (disposition["code"], disposition["origin"]) == ("Sale", "queue")
    ended = await desk.get(f"/v1/calls/{call['id']}")
    assert (ended["by"], ended["cause"]) == ("system", "resync")
    another = await desk.call_in("active", other_than=(call["id"],))
    assert await desk.dispose(another["id"], "Interested") == "queued"
    await hang_up(floor, missed, another)
    disposition = await desk.disposition(another["id"])
    assert (disposition["code"], disposition["origin"]) == ("Interested", "queue")
    await missed.done()
