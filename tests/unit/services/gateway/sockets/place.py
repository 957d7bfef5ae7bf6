"""A gateway with sockets and the stream, over a log of told events."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from aiohttp.test_utils import TestClient
from msgspec.structs import replace

from services.gateway.app import build_app
from services.gateway.push.hub import HUB, Hub
from services.gateway.push.position import Position
from services.gateway.push.sse import ROUTES as STREAM
from services.gateway.push.sse import end_streams
from services.gateway.sockets.route import ROUTES
from shared.contracts.tenants import Tenant
from shared.contracts.topics import TOLD
from tests.support.centre import Uncancelled
from tests.support.socket_client import SocketClient
from tests.unit.services.gateway.floor import DEMO, NATIVE, Floor
from tests.unit.services.gateway.push.followed import ForgetfulLog

CRM: Final = "https://crm.example"
KEY: Final = "Bearer demo-key"
TENANT: Final = replace(DEMO[0], toolbar_origins=(CRM,))
START: Final = Position(((0, 0),) * len(TOLD))


class Place:
    """See the module."""

    def __init__(self, tenant: Tenant = TENANT) -> None:
        self.floor = Floor(tenants=[tenant])
        self.told = ForgetfulLog(self.floor.clock)
        self.hub = Hub(self.told, self.floor.clock)
        app = build_app(self.floor.desk, more=(*ROUTES, *STREAM))
        app[HUB] = self.hub
        app.on_shutdown.append(end_streams)
        self.client = self.floor.client = TestClient(Uncancelled(app))

    async def connect(self, **given: Any) -> SocketClient:
        """A socket that has said nothing yet."""
        return SocketClient(await self.client.ws_connect("/v1/socket", **given))

    async def follow(self, key: str = KEY, **hello: Any) -> tuple[SocketClient, dict[str, Any]]:
        """A socket that has said hello, and what it was answered."""
        client = await self.connect()
        return client, await client.hello(key, **hello)

    async def token(self, agent: str = "agent-1") -> str:
        body = {"agent_id": agent, "ttl_s": 60}
        given = await self.client.post("/v1/toolbar-tokens", json=body, headers=NATIVE)
        return f"Bearer {(await given.json())['token']}"

    async def empty(self) -> None:
        """Until nobody has a place any more."""
        async with asyncio.timeout(10):
            while self.hub.clients:
                await asyncio.sleep(0.001)


@asynccontextmanager
async def opened(place: Place) -> AsyncIterator[Place]:
    """The place, served until the block ends."""
    tail = asyncio.create_task(place.hub.run())
    await place.client.start_server()
    try:
        yield place
    finally:
        place.hub.close()
        tail.cancel()
        await asyncio.gather(tail, return_exceptions=True)
        await place.client.close()
