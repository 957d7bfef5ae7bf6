"""What a newcomer would try in the first ten minutes, on the product as a process of its own."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from tests.support.line import Line
from tests.support.product import AGENT, ROOT, ClusterProduct, Product
from tests.support.socket_client import SocketClient

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio]


class Centre(Line):
    """A client of the product: a switch, an agent and a supervisor in one."""

    async def talk(self, call: str, agent: str = "agent-1") -> None:
        await self.tell(call, "call.started", direction="inbound", did="100")
        await self.tell(call, "call.agent_joined", agent_id=agent)

    async def agent(self, call: str) -> Any:
        return (await self.get(f"/v1/calls/{call}"))["agents"][0]

    async def phase(self, call: str, wanted: str) -> Any:
        """The call, once it is in this phase; seconds at most."""
        async with asyncio.timeout(10):
            while (found := await self.get(f"/v1/calls/{call}"))["phase"] != wanted:
                await asyncio.sleep(0.1)
        return found

    async def rules(self, call: str) -> list[tuple[str, str, str]]:
        entries = (await self.get(f"/v1/calls/{call}/history"))["entries"]
        return [(entry["kind"], entry["type"], entry["rule"]) for entry in entries]


PROFILES = ["embedded", pytest.param("cluster", marks=pytest.mark.cluster)]


def make(profile: str, data: Path, request: pytest.FixtureRequest) -> Product:
    if profile == "embedded":
        return Product(data, demo_wrap_up_s=2)
    kafka, mongo_url = request.getfixturevalue("kafka"), request.getfixturevalue("mongo_url")
    return ClusterProduct(data, kafka, mongo_url, demo_wrap_up_s=2)


@pytest_asyncio.fixture(params=PROFILES)
async def centre(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Centre]:
    async with (
        make(request.param, tmp_path / "data", request) as product,
        aiohttp.ClientSession() as http,
    ):
        yield Centre(product, http)


async def test_a_queued_code_is_saved_when_the_call_ends(centre: Centre) -> None:
    await centre.talk("c1")
    assert (await centre.dispose("c1", "agent-1", "Sale"))["outcome"] == "queued"
    assert (await centre.agent("c1"))["queued"]["code"] == "Sale"
    await centre.tell("c1", "call.disconnected", by="caller")
    agent = await centre.agent("c1")
    assert agent["disposition"]["origin"] == "queue"
    assert "queued" not in agent
    assert await centre.rules("c1") == [
        ("event", "call.started", "started"),
        ("event", "call.agent_joined", "joined"),
        ("request", "disposition.requested", "admitted"),
        ("verdict", "disposition.queued", "queued"),
        ("event", "call.disconnected", "disconnected"),
        ("verdict", "disposition.saved", "queue_applied"),
    ]


async def test_wrap_up_correction_release_and_lateness(centre: Centre) -> None:
    await centre.talk("c2")
    await centre.tell("c2", "call.disconnected")
    assert (await centre.dispose("c2", "agent-1", "Interested"))["outcome"] == "saved"
    verdict = await centre.dispose("c2", "agent-1", "Sale", release_after=True)
    assert verdict["outcome"] == "corrected"
    assert verdict["previous"]["code"] == "Interested"
    await centre.phase("c2", "released")
    assert (await centre.dispose("c2", "agent-1", "Referred"))["outcome"] == "user_event"
    assert (await centre.agent("c2"))["disposition"]["origin"] == "late"
    report = await centre.get("/v1/reports/dispositions?group_by=code,agent_id")
    assert report["rows"] == [{"code": "Referred", "agent_id": "agent-1", "count": 1}]


async def test_a_deadline_that_passes_while_it_is_down_is_met_once(centre: Centre) -> None:
    await centre.talk("c3")
    await centre.tell("c3", "call.disconnected")
    centre.product.kill()
    await asyncio.sleep(2.2)
    await centre.product.start()
    await centre.phase("c3", "released")
    await asyncio.sleep(1.5)  # another sweep finds nothing more to do
    assert (await centre.rules("c3"))[-2:] == [
        ("timer", "call.timer_due", "wrap_up_over"),
        ("verdict", "disposition.missed", "missed"),
    ]
    assert (await centre.rules("c3")).count(("timer", "call.timer_due", "wrap_up_over")) == 1


async def test_a_callback_that_comes_due_while_it_is_down_is_told_once(centre: Centre) -> None:
    soon = (datetime.now(UTC) + timedelta(seconds=3)).isoformat()
    for call in ("c6", "c7"):
        await centre.talk(call)
        await centre.dispose(call, "agent-1", "Callback", callback_at=soon)
        await centre.tell(call, "call.disconnected")
    assert (await centre.dispose("c7", "agent-1", "Sale"))["outcome"] == "corrected"
    centre.product.kill()
    await asyncio.sleep(3)
    await centre.product.start()
    due = ("timer", "callback.due", "callback_due")
    async with asyncio.timeout(10):
        while due not in await centre.rules("c6"):
            await asyncio.sleep(0.1)
    await asyncio.sleep(1.5)  # another sweep finds nothing more to do
    assert (await centre.rules("c6")).count(due) == 1
    assert due not in await centre.rules("c7")
    told = await follow(centre, 2, topics="disposition.events", of_type="callback.")
    assert [event["event"] for event in told] == ["callback.scheduled"] * 2
    told = await follow(centre, 1, topics="disposition.events", of_type="callback.due")
    assert told[0]["data"]["data"]["call_id"] == "c6"


async def test_the_stream_goes_on_where_it_stopped(centre: Centre) -> None:
    await centre.talk("c4")
    first = await follow(centre, 2)
    await centre.tell("c4", "call.held")
    centre.product.kill()
    await centre.product.start()
    await centre.tell("c4", "call.retrieved")
    again = await follow(centre, 2, last_event_id=first[-1]["id"])
    told = [event["data"]["data"]["change"]["type"] for event in again]
    assert told == ["call.held", "call.retrieved"]


BEGINNING = "v1.0-0-0-0.0-0-0-0.0-0-0-0.0-0-0-0"


async def follow(
    centre: Centre,
    count: int,
    last_event_id: str = BEGINNING,
    topics: str = "calls.changed",
    of_type: str = "",
) -> list[Any]:
    """So many events of the stream, whose types begin so, from this position on.

    What a crash has written twice is one event: it has one id.
    """
    events: list[Any] = []
    told: set[str] = set()
    headers = AGENT | {"Last-Event-ID": last_event_id}
    url = f"{centre.product.url}/v1/stream?topics={topics}"
    async with asyncio.timeout(10), centre.http.get(url, headers=headers) as answer:
        assert answer.status == 200, await answer.text()
        event: dict[str, Any] = {}
        async for raw in answer.content:
            line = raw.decode().rstrip("\n")
            name, _, value = line.partition(": ")
            if not line:
                if "data" in event and event["event"].startswith(of_type):
                    if event["data"]["id"] not in told:
                        events.append(event)
                    told.add(event["data"]["id"])
                event = {}
            elif name:
                event[name] = json.loads(value) if name == "data" else value
            if len(events) == count:
                return events
    raise AssertionError("the stream ended")


async def test_it_stops_cleanly_and_starts_again_where_it_was(centre: Centre) -> None:
    await centre.talk("c5")
    await centre.dispose("c5", "agent-1", "Sale")
    assert centre.product.stop() == 0
    await centre.product.start()
    await centre.tell("c5", "call.disconnected")
    assert (await centre.agent("c5"))["disposition"]["code"] == "Sale"
    assert centre.product.stop() == 0


async def test_who_is_connected_is_told_that_it_stops(centre: Centre) -> None:
    url = f"{centre.product.url}/v1/socket"
    async with centre.http.ws_connect(url) as greeted, centre.http.ws_connect(url) as silent:
        await SocketClient(greeted).hello(AGENT["Authorization"])
        stopping = asyncio.create_task(asyncio.to_thread(centre.product.stop))
        for socket in (greeted, silent):
            assert (await SocketClient(socket).closed()).code == 1001
        assert await stopping == 0


@pytest.mark.parametrize("centre", ["embedded"], indirect=True)
async def test_a_second_process_on_the_data_is_turned_away(centre: Centre, tmp_path: Path) -> None:
    other = Product(tmp_path / "data")
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.cli",
        "dev",
        cwd=ROOT,
        env=other.environment(),
        stderr=subprocess.PIPE,
    )
    _, told = await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode == 2
    assert b"in use by process" in told
    assert b"Traceback" not in told
    assert (await centre.get("/v1/calls"))["calls"] == []
