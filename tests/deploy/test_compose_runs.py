"""The commands and settings of compose.yaml, run as processes over real parts.

What a container would bring is played: each service has the image's environment and its own, with
other addresses for broker, store and itself, and is well when its own health check says so.
"""

import asyncio
import os
import re
import secrets
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest
import pytest_asyncio

from tests.conformance.adapters import database_url
from tests.deploy.checkers import DEPLOY
from tests.deploy.composed import Service, image_environment, look
from tests.support.ports import free_port
from tests.support.product import AGENT, SWITCH, cloud_event

pytestmark = [pytest.mark.cluster, pytest.mark.asyncio, pytest.mark.timeout(300)]

STARTED: Final = ("gateway", "callstate", "worker", "worker")  # --scale worker=2
WELL_S: Final = 90.0


class Outside:
    """What stands for the network and the volumes of compose.yaml."""

    def __init__(self, kafka: str, mongo_url: str, folder: Path) -> None:
        self._places = {"kafka:9092": kafka}
        name = f"t{secrets.token_hex(6)}"
        self._more = {
            "AFTERCALL_HOST": "127.0.0.1",  # nobody else shall reach a test
            "AFTERCALL_TOPIC_PREFIX": f"{name}.",
            "AFTERCALL_MONGO_URL": database_url(mongo_url, name),
            "AFTERCALL_TENANTS_FILE": str(DEPLOY / "demo" / "tenants.yaml"),
        }
        self._folder = folder

    def environment(self, service: Service, port: int) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith("AFTERCALL_")}
        ours = {k: v for k, v in image_environment().items() if k != "PATH"}
        given = {k: self._places.get(v, v) for k, v in service["environment"].items()}
        assert given["AFTERCALL_MONGO_URL"].endswith("/aftercall?replicaSet=rs0")
        ports = {"AFTERCALL_PORT": str(port), "AFTERCALL_ADMIN_PORT": str(port + 1)}
        return kept | ours | given | self._more | ports

    @contextmanager
    def process(self, service: Service, port: int) -> Iterator["subprocess.Popen[bytes]"]:
        """A service as a process; gone at the end of the block."""
        command = [Path(sys.executable).with_name("aftercall"), *service["command"]]
        environment = self.environment(service, port)
        with (self._folder / f"{service['command'][0]}-{port}.log").open("wb") as log:
            process = subprocess.Popen(
                command, cwd=self._folder, env=environment, stdout=log, stderr=log
            )
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def said(self) -> str:
        """The last lines of everybody."""
        return "\n".join(log.read_text()[-1500:] for log in self._folder.glob("*.log"))


@pytest.fixture
def outside(kafka: str, mongo_url: str, tmp_path: Path) -> Outside:
    return Outside(kafka, mongo_url, tmp_path)


async def until_well(service: Service, port: int) -> None:
    async with asyncio.timeout(WELL_S):
        while await asyncio.to_thread(look, service, port + 1) != 0:
            await asyncio.sleep(0.2)


@pytest_asyncio.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def test_it_comes_up_well_works_and_goes_down_in_time(
    services: dict[str, Service], outside: Outside, http: aiohttp.ClientSession
) -> None:
    for _ in range(2):  # a second time changes nothing
        with outside.process(services["topics"], free_port()) as process:
            assert await asyncio.to_thread(process.wait, 60) == 0, outside.said()
    with ExitStack() as stack:
        ports = [free_port() for _ in STARTED]
        started = list(zip((services[name] for name in STARTED), ports, strict=True))
        processes = [stack.enter_context(outside.process(*one)) for one in started]
        for service, port in started:
            await until_well(service, port)
        assert await one_call(http, f"http://127.0.0.1:{ports[0]}") == "Sale"
        for process in processes:
            process.send_signal(signal.SIGTERM)
        grace = re.fullmatch(r"(\d+)s", services["worker"]["stop_grace_period"])
        assert grace is not None
        for process in processes:
            ended = await asyncio.to_thread(process.wait, float(grace[1]))
            assert ended == 0, outside.said()


async def one_call(http: aiohttp.ClientSession, url: str) -> Any:
    """Play a call; the code that was saved of it."""
    headers = SWITCH | {"Content-Type": "application/cloudevents+json"}
    told: list[tuple[str, dict[str, Any]]] = [
        ("call.started", {"direction": "inbound", "did": "100"}),
        ("call.agent_joined", {"agent_id": "agent-1"}),
        ("call.disconnected", {"by": "caller"}),
    ]
    for event_type, data in told:
        event = cloud_event("c1", event_type, data)
        async with http.post(f"{url}/v1/events", json=event, headers=headers) as answer:
            assert answer.status == 200, await answer.text()
    body = {"agent_id": "agent-1", "code": "Sale"}
    async with http.post(f"{url}/v1/calls/c1/disposition", json=body, headers=AGENT) as answer:
        assert answer.status == 200, await answer.text()
    async with http.get(f"{url}/v1/calls/c1", headers=AGENT) as answer:
        return (await answer.json())["agents"][0]["disposition"]["code"]
