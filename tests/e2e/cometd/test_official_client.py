"""The official CometD client against the product as a process: an agent's calls, as they move."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

import aiohttp
import pytest
import pytest_asyncio

from tests.fault.network import Network
from tests.support.cometd_clients import CometdClients, Message, node
from tests.support.line import Line
from tests.support.parts import or_skipped
from tests.support.ports import free_port
from tests.support.product import ClusterProduct, Product

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio]

CALLS: Final = "/v2/me/calls"
PATH: Final = "/api/v2/notifications"
WRAP_UP_S: Final = 1
TRANSPORTS: Final = ("long-polling", "websocket")
WHOLE: Final = [
    ("StateChange", "Ringing"),
    ("StateChange", "Established"),
    ("StateChange", "Held"),
    ("StateChange", "Established"),
    ("AttachedDataChanged", "Established"),
    ("StateChange", "Released"),
    ("StateChange", "Completed"),
]


class Centre(Line):
    """The product, a switch, agents' toolbars and their CometD clients."""

    def __init__(
        self, product: Product, http: aiohttp.ClientSession, clients: CometdClients
    ) -> None:
        super().__init__(product, http)
        self.clients = clients

    async def ring(self, call: str, agent: str = "agent-1") -> None:
        data = {"direction": "inbound", "from": "+49301234567", "did": "15000", "agent_id": agent}
        await self.tell(call, "call.started", **data)

    async def talk(self, call: str, agent: str = "agent-1") -> None:
        await self.ring(call, agent)
        await self.tell(call, "call.agent_joined", agent_id=agent)

    async def set_disposition(
        self, call: str, agent: str = "agent-1", code: str = "Referred"
    ) -> None:
        """As the vendor's page does it."""
        url = f"{self.product.url}/api/v2/me/calls/{call}"
        body = {"operationName": "SetCallDisposition", "disposition": code}
        async with self.http.post(url, json=body, headers=basic(agent)) as answer:
            assert await answer.json() == {"statusCode": 0}

    async def open(
        self,
        name: str,
        transport: str,
        *,
        agent: str = "agent-1",
        port: int | None = None,
        acks: bool = False,
    ) -> None:
        """A client that has shaken hands and subscribed."""
        url = f"http://{agent}:demo@127.0.0.1:{port or self.product.port}{PATH}"
        reply = await self.clients.do("open", name, url=url, transport=transport, acks=acks)
        assert reply["successful"], reply
        assert set(TRANSPORTS) < set(reply["supportedConnectionTypes"])
        await self.subscribe(name)

    async def subscribe(self, name: str) -> None:
        reply = await self.clients.do("subscribe", name, channel=CALLS)
        assert reply["successful"], reply

    async def told(self, name: str, count: int) -> list[Message]:
        """The first so many messages, once they are there."""
        await self.clients.until(lambda: len(self.clients.told[name]) >= count)
        return self.clients.told[name]

    async def moves(self, name: str, count: int) -> list[tuple[str, str]]:
        told = await self.told(name, count)
        return [(one["data"]["notificationType"], one["data"]["call"]["state"]) for one in told]


def basic(agent: str) -> dict[str, str]:
    return {"Authorization": aiohttp.encode_basic_auth(agent, "demo")}


@pytest.fixture(scope="module", autouse=True)
def _client() -> None:
    with or_skipped():
        node()


@pytest_asyncio.fixture
async def centre(tmp_path: Path) -> AsyncIterator[Centre]:
    async with (
        Product(tmp_path / "data", demo_wrap_up_s=WRAP_UP_S) as product,
        aiohttp.ClientSession() as http,
        CometdClients() as clients,
    ):
        yield Centre(product, http, clients)


@pytest_asyncio.fixture
async def cluster_centre(tmp_path: Path, kafka: str, mongo_url: str) -> AsyncIterator[Centre]:
    async with (
        ClusterProduct(tmp_path / "data", kafka, mongo_url, demo_wrap_up_s=WRAP_UP_S) as product,
        aiohttp.ClientSession() as http,
        CometdClients() as clients,
    ):
        yield Centre(product, http, clients)


async def whole_call(centre: Centre, call: str) -> None:
    """Through every state; disposed while it goes on, in wrap-up, and after."""
    await centre.ring(call)
    await centre.tell(call, "call.agent_joined", agent_id="agent-1")
    await centre.tell(call, "call.held", agent_id="agent-1")
    await centre.tell(call, "call.retrieved", agent_id="agent-1")
    await centre.set_disposition(call)
    await centre.tell(call, "call.disconnected", by="caller")
    await centre.set_disposition(call, code="Sale")


@pytest.mark.parametrize("acks", [False, True], ids=["plain", "acks"])
@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_whole_call(centre: Centre, transport: str, acks: bool) -> None:
    await centre.open("ada", transport, acks=acks)
    await whole_call(centre, "c-1")
    assert await centre.moves("ada", len(WHOLE)) == WHOLE
    await centre.set_disposition("c-1", code="Interested")
    await centre.talk("c-2")
    told = await centre.moves("ada", len(WHOLE) + 2)
    assert told == [*WHOLE, *WHOLE[:2]], "nothing of the first call after its release"
    assert [one["data"]["call"]["id"] for one in centre.clients.told["ada"]] == [
        *["c-1"] * len(WHOLE),
        *["c-2"] * 2,
    ]
    reply = await centre.clients.do("disconnect", "ada")
    assert reply["successful"]
    await centre.tell("c-2", "call.held", agent_id="agent-1")
    await centre.open("again", transport)
    await centre.tell("c-2", "call.retrieved", agent_id="agent-1")
    assert await centre.moves("again", 1) == [("StateChange", "Established")]
    assert len(centre.clients.told["ada"]) == len(WHOLE) + 2


@pytest.mark.cluster
async def test_a_whole_call_on_the_cluster(cluster_centre: Centre) -> None:
    await cluster_centre.open("ada", "long-polling", acks=True)
    await cluster_centre.open("again", "websocket")
    for number in range(1, 6):
        await whole_call(cluster_centre, f"c-{number}")
    for name in ("ada", "again"):
        await cluster_centre.told(name, 5 * len(WHOLE))
        for number in range(1, 6):
            moves = [
                (one["data"]["notificationType"], one["data"]["call"]["state"])
                for one in cluster_centre.clients.told[name]
                if one["data"]["call"]["id"] == f"c-{number}"
            ]
            assert moves == WHOLE


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_the_resource_of_the_page(centre: Centre, transport: str) -> None:
    await centre.talk("c-1")
    await centre.open("ada", transport)
    await centre.dispose("c-1", "agent-1", "Sale")
    await centre.set_disposition("c-1")
    first, second = await centre.told("ada", 2)
    assert first["data"]["call"]["userData"] == {"DispositionCode": "Sale"}
    assert second["channel"] == CALLS
    call = second["data"].pop("call")
    assert second["data"] == {
        "notificationType": "AttachedDataChanged",
        "phoneNumber": "15000",
        "messageType": "CallStateChangeMessage",
    }
    async with centre.http.get(
        f"{centre.product.url}/api/v2/me/calls", headers=basic("agent-1")
    ) as answer:
        (shown,) = (await answer.json())["calls"]
    assert call.pop("duration").isdigit()
    del shown["duration"]
    assert call == shown
    assert call["userData"] == {"DispositionCode": "Referred"}


async def test_two_agents_hear_of_their_own_calls(centre: Centre) -> None:
    await centre.open("ada", "long-polling")
    await centre.open("bela", "websocket", agent="agent-2")
    await centre.talk("of-bela", "agent-2")
    await centre.talk("of-ada")
    await centre.set_disposition("of-bela", "agent-2")
    await centre.set_disposition("of-ada")
    moves = [*WHOLE[:2], ("AttachedDataChanged", "Established")]
    assert await centre.moves("ada", 3) == await centre.moves("bela", 3) == moves
    for name in ("ada", "bela"):
        calls = {one["data"]["call"]["id"] for one in centre.clients.told[name]}
        assert calls == {f"of-{name}"}


async def test_batches_and_what_is_refused(centre: Centre) -> None:
    await centre.open("ada", "long-polling")
    reply = await centre.clients.do("batch", "ada", channels=["/v2/me/devices", "/v2/me/*"])
    assert reply["successful"]
    reply = await centre.clients.do("publish", "ada", channel=CALLS, data={"state": "Forged"})
    assert (reply["successful"], reply["error"]) == (False, f"403:{CALLS}:Publish denied")
    reply = await centre.clients.do("subscribe", "ada", channel="/service/x")
    assert reply["error"] == "403:/service/x:Subscription denied"
    await centre.ring("c-1")
    assert await centre.moves("ada", 2) == WHOLE[:1] * 2, "by the channel, and by the pattern"


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_an_answer_lost_on_its_way_is_sent_again(centre: Centre, transport: str) -> None:
    port = free_port()
    async with Network(port, centre.product.port) as network:
        await centre.open("ada", transport, port=port, acks=True)
        await centre.talk("c-1")
        moves = WHOLE[:2]
        assert await centre.moves("ada", len(moves)) == moves
        for event, state in (("held", "Held"), ("retrieved", "Established")) * 3:
            losing = asyncio.create_task(network.lose_answers(0.5))
            await asyncio.sleep(0)
            await centre.tell("c-1", f"call.{event}", agent_id="agent-1")
            await losing
            moves = [*moves, ("StateChange", state)]
            assert await centre.moves("ada", len(moves)) == moves, "each once, in order"
            if lost_batches(centre.clients.meta["ada"]):
                break
        else:
            pytest.fail("no answer was lost, though the network did its best")
        handshakes = [one for one in centre.clients.meta["ada"] if "handshake" in one["channel"]]
        assert len(handshakes) == 1, "it is the same client"


def lost_batches(meta: list[Message]) -> set[int]:
    """The batches that the server has sent and the client has not got."""
    came = {one["ext"]["ack"] for one in meta if "connect" in one["channel"] and one["successful"]}
    return set(range(min(came), max(came))) - came


@pytest.mark.parametrize("how", ["killed", "stopped"])
@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_after_the_server_was_away_the_client_begins_anew(
    centre: Centre, transport: str, how: str
) -> None:
    await centre.open("ada", transport, acks=True)
    await centre.ring("c-1")
    assert await centre.moves("ada", 1) == WHOLE[:1]
    if how == "killed":
        centre.product.kill()
    else:
        began = asyncio.get_running_loop().time()
        assert await asyncio.to_thread(centre.product.stop) == 0
        assert asyncio.get_running_loop().time() - began < 10, "no held connect holds it up"
    await centre.product.start()
    meta = centre.clients.meta["ada"]
    await centre.clients.until(
        lambda: [one["successful"] for one in meta if "handshake" in one["channel"]].count(True) > 1
    )
    await centre.subscribe("ada")
    await centre.tell("c-1", "call.agent_joined", agent_id="agent-1")
    assert await centre.moves("ada", 2) == WHOLE[:2]


async def test_callback_polling_by_plain_http(centre: Centre) -> None:
    handshake = {
        "channel": "/meta/handshake",
        "version": "1.0",
        "supportedConnectionTypes": ["callback-polling"],
    }

    async def call(message: Message, path: str = "") -> list[Message]:
        query = urlencode({"jsonp": "told", "message": json.dumps([message])})
        url = f"{centre.product.url}{PATH}{path}?{query}"
        async with centre.http.get(url, headers=basic("agent-1")) as answer:
            text = await answer.text()
            assert answer.content_type == "text/javascript"
            assert text.startswith("/**/told([")
            return list(json.loads(text[len("/**/told(") : -len(");")]))

    (reply,) = await call(handshake, "/handshake")
    mine = {"clientId": reply["clientId"]}
    (reply,) = await call({"channel": "/meta/subscribe", "subscription": CALLS, **mine})
    assert reply["successful"]
    await centre.talk("c-1")
    await centre.set_disposition("c-1")
    connect = {"channel": "/meta/connect", "connectionType": "callback-polling", **mine}
    told: list[Message] = []
    while len(told) < 3:
        *events, reply = await call(connect, "/connect")
        assert reply["successful"]
        told += events
    assert [one["data"]["notificationType"] for one in told] == [
        "StateChange",
        "StateChange",
        "AttachedDataChanged",
    ]
    (reply,) = await call({"channel": "/meta/disconnect", **mine}, "/disconnect")
    assert reply["successful"]
    (reply,) = await call(connect, "/connect")
    assert reply["error"] == "402::Unknown client"
