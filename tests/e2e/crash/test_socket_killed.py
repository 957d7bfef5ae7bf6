"""kill -9 under toolbars on sockets: each reconnects, resumes, asks again with its keys."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any, Final

import aiohttp
import pytest
from typing_extensions import override

from tests.support.product import AGENT, SWITCH, ClusterProduct, Product, cloud_event
from tests.support.socket_client import Closed, SocketClient

KILLS: Final = int(os.environ.get("AFTERCALL_TEST_SOCKET_KILLS", "3"))
SEED: Final = int(os.environ.get("AFTERCALL_TEST_SEED", "1"))
TOOLBARS: Final = 4
CALLS: Final = 40  # of each toolbar
AT_ONCE: Final = 4
BEGINNING: Final = "v1.0-0-0-0.0-0-0-0.0-0-0-0.0-0-0-0"
TOPIC: Final = "disposition.events"
GONE: Final = (aiohttp.ClientError, ConnectionError, Closed, TimeoutError)
PROFILES: Final = ["embedded", pytest.param("cluster", marks=pytest.mark.cluster)]

pytestmark = [pytest.mark.e2e, pytest.mark.crash, pytest.mark.timeout(300), pytest.mark.asyncio]


class Toolbar:
    """One agent: disposes its calls, a few at once, and hears what is told, over every kill."""

    def __init__(self, url: str, number: int) -> None:
        self.agent = f"agent-{number + 1}"
        self.calls = [f"s{number}-{turn}" for turn in range(CALLS)]
        self.answers: dict[str, dict[str, Any]] = {}
        self.heard: list[dict[str, Any]] = []
        self.connections = 0
        self.asked = 0
        self._url = url
        self._token = ""
        self._last: str | None = BEGINNING

    async def work(self, http: aiohttp.ClientSession) -> None:
        """Until it is cancelled."""
        while True:
            try:
                await self._connected(http)
            except GONE:
                await asyncio.sleep(0.02)

    async def _connected(self, http: aiohttp.ClientSession) -> None:
        key = await self._fresh_token(http)
        async with http.ws_connect(f"{self._url}/v1/socket", protocols=["aftercall.v1"]) as socket:
            client = SocketClient(socket)
            self._last = (await client.hello(key, topics=TOPIC, last_event_id=self._last))["id"]
            self.connections += 1
            left = iter([call for call in self.calls if call not in self.answers])
            for _, call in zip(range(AT_ONCE), left, strict=False):
                await self._ask(client, call)
            while True:
                message = await client.next()
                if message["type"] != "answer":
                    self._last = message["id"]
                    self.heard += [message["event"]] if "event" in message else []
                    continue
                call = message["id"]
                if message["status"] == 200:
                    self.answers[call] = message["body"]
                    call = next(left, "")
                if call:
                    await self._ask(client, call)

    async def _ask(self, client: SocketClient, call: str) -> None:
        self.asked += 1
        await client.dispose(call, call, f"{call}-key", agent_id=self.agent, code="Sale")

    async def _fresh_token(self, http: aiohttp.ClientSession) -> str:
        body = {"agent_id": self.agent}
        url = f"{self._url}/v1/toolbar-tokens"
        async with http.post(url, json=body, headers=AGENT) as answer:
            return f"Bearer {(await answer.json())['token']}"

    def has(self, kind: str) -> set[str]:
        """The calls of which it has heard this."""
        return {event["subject"] for event in self.heard if event["type"] == kind}


class GatewayKilled(ClusterProduct):
    """Of the three processes the gateway alone is killed and started again."""

    @override
    def kill(self) -> None:
        gateway = self._processes["gateway"]
        gateway.kill()
        gateway.wait()

    @override
    async def start(self) -> None:
        if not self._processes:
            await super().start()
            return
        self._spawn("gateway")
        async with aiohttp.ClientSession() as http:
            await self._ready(http, self._processes["gateway"], self.admin_url)

    @override
    def end(self) -> None:
        super().kill()


def make(profile: str, data: Path, request: pytest.FixtureRequest) -> Product:
    if profile == "embedded":
        return Product(data, demo_wrap_up_s=600)
    kafka, mongo_url = request.getfixturevalue("kafka"), request.getfixturevalue("mongo_url")
    return GatewayKilled(data, kafka, mongo_url, demo_wrap_up_s=600)


async def tell(http: aiohttp.ClientSession, url: str, event: str, toolbar: Toolbar) -> None:
    """One event for each of its calls."""
    data = {"agent_id": toolbar.agent} if event == "call.agent_joined" else {}
    batch = [cloud_event(call, event, data) for call in toolbar.calls]
    headers = SWITCH | {"Content-Type": "application/cloudevents-batch+json"}
    async with http.post(f"{url}/v1/events", json=batch, headers=headers) as answer:
        assert answer.status == 200, await answer.text()


@asynccontextmanager
async def working(url: str, http: aiohttp.ClientSession) -> AsyncIterator[list[Toolbar]]:
    toolbars = [Toolbar(url, number) for number in range(TOOLBARS)]
    for toolbar in toolbars:
        await tell(http, url, "call.agent_joined", toolbar)
    async with asyncio.TaskGroup() as tasks:
        at_work = [tasks.create_task(toolbar.work(http)) for toolbar in toolbars]
        yield toolbars
        for task in at_work:
            task.cancel()


async def until(done: Any) -> None:
    async with asyncio.timeout(60):
        while not done():
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("profile", PROFILES)
async def test_a_toolbar_has_one_outcome_for_each_call_and_misses_no_event(
    profile: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    random = Random(SEED)
    async with (
        make(profile, tmp_path / "data", request) as product,
        aiohttp.ClientSession() as http,
        working(product.url, http) as toolbars,
    ):
        for turn in range(KILLS):
            share = (turn + random.uniform(0.2, 0.9)) * CALLS * TOOLBARS / (KILLS + 1)
            await until(lambda: sum(len(one.answers) for one in toolbars) >= share)  # noqa: B023
            product.kill()
            await product.start()
        await until(lambda: all(len(one.answers) == CALLS for one in toolbars))
        for toolbar in toolbars:
            await tell(http, product.url, "call.disconnected", toolbar)
        await until(lambda: all(len(one.has("disposition.saved")) == CALLS for one in toolbars))
        for toolbar in toolbars:
            await check(http, product.url, toolbar)
    print([(one.connections, one.asked) for one in toolbars])
    assert all(one.connections > KILLS for one in toolbars)
    assert any(one.asked > CALLS for one in toolbars), "nothing was asked twice"


async def check(http: aiohttp.ClientSession, url: str, toolbar: Toolbar) -> None:
    told: dict[str, dict[str, Any]] = {}
    for event in toolbar.heard:
        assert told.setdefault(event["id"], event) == event
    for call in toolbar.calls:
        of_call = [event for event in told.values() if event["subject"] == call]
        numbers = sorted(event["sequence"] for event in of_call)
        assert [event["type"] for event in sorted(of_call, key=lambda one: one["sequence"])] == [
            "disposition.queued",
            "disposition.saved",
        ]
        assert numbers == [1, 2]
        verdict = toolbar.answers[call]
        assert {event["data"]["request_id"] for event in of_call} == {verdict["request_id"]}
        kept = await get(http, f"{url}/v1/requests/{verdict['request_id']}")
        assert kept["outcome"] == verdict["outcome"] == "queued"
        (agent,) = (await get(http, f"{url}/v1/calls/{call}"))["agents"]
        assert agent["disposition"]["code"] == "Sale"


async def get(http: aiohttp.ClientSession, url: str) -> Any:
    async with http.get(url, headers=AGENT) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.json()
