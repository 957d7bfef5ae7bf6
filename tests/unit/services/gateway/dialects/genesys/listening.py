"""An agent's CometD client by plain requests, against a whole centre."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from aiohttp import ClientResponse, encode_basic_auth

from services.gateway.dialects.genesys import Genesys
from services.gateway.dialects.genesys.notifications import NOTIFICATIONS, Notifications
from shared.contracts.tenants import Tenant
from tests.support.centre import Centre, demo_tenant, running_centre

URL: Final = "/api/v2/notifications"
CALLS: Final = "/v2/me/calls"
HANDSHAKE: Final = {
    "channel": "/meta/handshake",
    "version": "1.0",
    "supportedConnectionTypes": ["long-polling"],
}
CONNECT: Final = {"channel": "/meta/connect", "connectionType": "long-polling"}
PASSWORD: Final = "demo"
NOW: Final = {"advice": {"timeout": 0}}


def basic(agent: str = "agent-1", password: str = PASSWORD) -> dict[str, str]:
    return {"Authorization": encode_basic_auth(agent, password)}


@asynccontextmanager
async def centre_of(*tenants: Tenant) -> AsyncIterator[Centre]:
    """A centre that speaks the dialect."""
    async with running_centre(*(tenants or (demo_tenant(),)), dialects=(Genesys(),)) as centre:
        yield centre


def served(centre: Centre) -> Notifications:
    """The server behind the routes."""
    app = centre.client.app
    assert app is not None
    return app[NOTIFICATIONS]


class Listener:
    """One client id of an agent of the demo tenant."""

    def __init__(self, centre: Centre, agent: str, password: str, client_id: str) -> None:
        self.centre = centre
        self.agent = agent
        self.headers = basic(agent, password)
        self.client_id = client_id
        self._got: list[Any] = []
        self._asked = 0

    async def post(self, *sent: dict[str, Any], path: str = URL) -> Any:
        """Messages of this client in one body; the whole answer."""
        body = [one | {"clientId": self.client_id} for one in sent]
        return await answer(await post(self.centre, body, self.headers, path))

    async def subscribe(self, channel: Any = CALLS) -> Any:
        (reply,) = await self.post({"channel": "/meta/subscribe", "subscription": channel})
        return reply

    async def told(self, count: int) -> list[Any]:
        """The next so many event messages."""
        while len(self._got) < count:
            *events, reply = await self.post(CONNECT | {"advice": {"timeout": 5000}})
            assert reply["successful"], reply
            assert events, "nothing in time"
            self._got += events
        taken, self._got = self._got[:count], self._got[count:]
        return taken

    async def states(self, count: int) -> list[tuple[str, str]]:
        """The kind and the state of the next so many."""
        return [
            (one["data"]["notificationType"], one["data"]["call"]["state"])
            for one in await self.told(count)
        ]

    async def nothing(self) -> None:
        """Nothing more is told: what comes next is of a call that begins only now."""
        await self.centre.desk.settling.calls()
        self._asked += 1
        call = f"next-{self.client_id}-{self._asked}"
        agent = {"agent_id": self.agent}
        await self.centre.tell("demo", call, "call.agent_joined", **agent)
        (told,) = await self.told(1)
        assert told["data"]["call"]["id"] == call, told
        assert self._got == []
        await self.centre.tell("demo", call, "call.agent_left", **agent, reason="transfer")
        await self.centre.tell("demo", call, "call.released", **agent)
        assert await self.states(2) == [("StateChange", "Released"), ("StateChange", "Completed")]

    async def hears_nothing(self) -> None:
        """Not of a call that begins now, either."""
        await self.centre.tell("demo", "unheard", "call.agent_joined", agent_id=self.agent)
        (reply,) = await self.post(CONNECT | {"advice": {"timeout": 200}})
        assert reply["successful"]
        assert self._got == []


async def post(
    centre: Centre, body: Any, headers: dict[str, str], path: str = URL
) -> ClientResponse:
    text = body if isinstance(body, str) else json.dumps(body)
    sent = {"Content-Type": "application/json"} | headers
    return await centre.client.post(path, data=text.encode(), headers=sent)


async def answer(response: ClientResponse) -> Any:
    assert response.status == 200, await response.text()
    assert response.content_type == "application/json"
    return await response.json()


async def listen(
    centre: Centre, agent: str = "agent-1", password: str = PASSWORD, *, on: str | None = CALLS
) -> Listener:
    """A client that has shaken hands and subscribed."""
    (reply,) = await answer(await post(centre, HANDSHAKE, basic(agent, password)))
    listener = Listener(centre, agent, password, reply["clientId"])
    if on is not None:
        assert (await listener.subscribe(on))["successful"]
    return listener


async def talk(
    centre: Centre, call: str = "c-1", agents: Sequence[str] = ("agent-1",), tenant: str = "demo"
) -> None:
    """A call that goes on."""
    data = {"direction": "inbound", "from": "+49301234567", "to": "15001", "did": "15000"}
    await centre.tell(tenant, call, "call.started", **data)
    for agent in agents:
        await centre.tell(tenant, call, "call.agent_joined", agent_id=agent)


async def dispose(centre: Centre, call: str = "c-1", agent: str = "agent-1") -> None:
    """As the page does it."""
    body = {"operationName": "SetCallDisposition", "disposition": "Referred"}
    path = f"/api/v2/me/calls/{call}"
    response = await centre.client.post(path, json=body, headers=basic(agent))
    assert response.status == 200, await response.text()
