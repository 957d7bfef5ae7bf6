"""CometD's three transports at `/api/v2/notifications`, as HTTP sees them."""

import asyncio
import json
import re
from hashlib import sha256
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest
from aiohttp import ClientWebSocketResponse, WSCloseCode, WSMsgType, WSServerHandshakeError
from aiohttp.test_utils import TestClient, TestServer

from services.gateway.__main__ import DIALECTS
from services.gateway.app import build_app
from services.gateway.dialects.genesys.notifications import serve_notifications
from services.gateway.push.bayeux import sessions, websocket
from services.gateway.push.bayeux.session import Owner
from services.gateway.push.bayeux.sessions import Places
from shared.adapters.tenants_file import FileTenantDirectory
from shared.contracts import limits
from tests.support.centre import Centre, demo_tenant
from tests.unit.services.gateway.dialects.genesys.listening import (
    CONNECT,
    HANDSHAKE,
    URL,
    answer,
    basic,
    centre_of,
    dispose,
    listen,
    post,
    served,
    talk,
)

pytestmark = pytest.mark.asyncio

SUBSCRIBE = {"channel": "/meta/subscribe", "subscription": "/v2/me/calls"}
PATHS = (URL, f"{URL}/", f"{URL}/handshake")


async def script(centre: Centre, **query: str) -> tuple[int, str, str]:
    """Status, content type and text of a callback-polling request."""
    response = await centre.client.get(f"{URL}?{urlencode(query)}", headers=basic())
    if response.status == 200:
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    return response.status, response.headers["Content-Type"], await response.text()


def called(text: str, name: str = "jsonpcallback") -> Any:
    """What the function would be called with."""
    assert text.startswith(f"/**/{name}("), text
    assert text.endswith(");")
    return json.loads(text.removeprefix(f"/**/{name}(").removesuffix(");"))


def give_password(centre: Centre, password: str) -> None:
    """Another one for agent-1."""
    tenant = demo_tenant()
    digest = sha256(password.encode()).hexdigest()
    ada = msgspec.structs.replace(tenant.agents[0], password_sha256=digest)
    tenant = msgspec.structs.replace(tenant, agents=(ada, *tenant.agents[1:]))
    centre.desk.__dict__["tenants"] = FileTenantDirectory([tenant])


class Socket:
    """A client over a websocket."""

    def __init__(self, centre: Centre, socket: ClientWebSocketResponse) -> None:
        self.centre = centre
        self.socket = socket
        self.client_id = ""

    async def send(self, *sent: dict[str, Any]) -> None:
        await self.socket.send_json([one | {"clientId": self.client_id} for one in sent])

    async def ask(self, *sent: dict[str, Any]) -> Any:
        await self.send(*sent)
        return await self.socket.receive_json(timeout=5)

    async def end(self) -> int | None:
        """The code it is closed with; nothing else comes before."""
        frame = await self.socket.receive(timeout=5)
        assert frame.type in (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED), frame
        return self.socket.close_code


async def connect(centre: Centre, agent: str = "agent-1", **headers: str) -> Socket:
    """A socket that has shaken hands and subscribed."""
    opened = Socket(centre, await open_socket(centre, agent, **headers))
    (reply,) = await opened.ask(HANDSHAKE)
    opened.client_id = reply["clientId"]
    (reply,) = await opened.ask(SUBSCRIBE)
    assert reply["successful"]
    return opened


async def open_socket(
    centre: Centre, agent: str = "agent-1", **headers: str
) -> ClientWebSocketResponse:
    return await centre.client.ws_connect(URL, headers=basic(agent) | headers)


@pytest.mark.parametrize("path", PATHS)
async def test_long_polling_at_every_path_that_clients_use(path: str) -> None:
    async with centre_of() as centre:
        response = await post(centre, HANDSHAKE, basic(), path)
        (reply,) = await answer(response)
        assert reply["successful"]
        assert response.headers["Cache-Control"] == "no-store"
        assert response.headers["Cross-Origin-Resource-Policy"] == "same-origin"
        response = await post(centre, [HANDSHAKE], basic() | {"X-Support-CSRFP": "true"}, path)
        assert (await answer(response))[0]["successful"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_nobody_gets_in_without_a_password(path: str, method: str) -> None:
    query = urlencode({"message": json.dumps(HANDSHAKE)})
    async with centre_of() as centre:
        for headers in ({}, basic("agent-1", "wrong"), {"Authorization": "Bearer demo-key"}):
            response = await centre.client.request(
                method, f"{path}?{query}", json=HANDSHAKE, headers=headers
            )
            assert (response.status, (await response.json())["statusCode"]) == (401, 20)
            assert response.headers["WWW-Authenticate"].startswith("Basic ")
        with pytest.raises(WSServerHandshakeError, match="401"):
            await centre.client.ws_connect(path)


async def test_another_agents_client_id_is_unknown() -> None:
    async with centre_of() as centre:
        ada, bela = await listen(centre), await listen(centre, "agent-2")
        mine, bela.client_id = bela.client_id, ada.client_id
        (reply,) = await bela.post(CONNECT)
        assert (reply["successful"], reply["error"]) == (False, "402::Unknown client")
        bela.client_id = mine
        await talk(centre)
        assert await ada.states(1) == [("StateChange", "Established")]
        await bela.nothing()


async def test_a_password_that_has_changed_is_another_credential() -> None:
    async with centre_of() as centre:
        ada = await listen(centre)
        give_password(centre, "new")
        response = await post(centre, CONNECT | {"clientId": ada.client_id}, basic())
        assert response.status == 401
        ada.headers = basic("agent-1", "new")
        (reply,) = await ada.post(CONNECT)
        assert reply["error"] == "402::Unknown client"


CROSS_SITE = [
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://127.0.0.1:1"},
    {"Origin": "http://[::1"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": ""},
]


@pytest.mark.parametrize("headers", CROSS_SITE)
async def test_pages_of_another_site_are_not_served(headers: dict[str, str]) -> None:
    async with centre_of() as centre:
        query = urlencode({"message": json.dumps(HANDSHAKE)})
        for response in (
            await post(centre, HANDSHAKE, basic() | headers),
            await centre.client.get(f"{URL}?{query}", headers=basic() | headers),
        ):
            assert (response.status, (await response.json())["statusCode"]) == (403, 3)
        with pytest.raises(WSServerHandshakeError, match="403"):
            await open_socket(centre, **headers)
        assert len(served(centre).bayeux.sessions) == 0


@pytest.mark.parametrize("site", ["same-origin", "none"])
async def test_pages_of_our_own_are(site: str) -> None:
    async with centre_of() as centre:
        here = f"http://127.0.0.1:{centre.client.port}"
        for headers in ({"Origin": here, "Sec-Fetch-Site": site}, {"Origin": here.upper()}):
            assert (await post(centre, HANDSHAKE, basic() | headers)).status == 200
            await (await open_socket(centre, **headers)).close()


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        ("{", "application/json", 400),
        ("[]", "application/json", 400),
        ("7", "application/json", 400),
        ("[{}]", "application/json", 400),
        ('{"channel":"/a","channel":"/b"}', "application/json", 400),
        ("[" * 100 + "]" * 100, "application/json", 400),
        ("message=%5B%5D", "application/x-www-form-urlencoded", 415),
        (json.dumps(HANDSHAKE), "text/plain", 415),
    ],
)
async def test_bodies_that_are_refused(body: str, content_type: str, status: int) -> None:
    async with centre_of() as centre:
        response = await post(centre, body, basic() | {"Content-Type": content_type})
        assert (response.status, (await response.json())["statusCode"]) == (status, 10)


async def test_a_body_of_so_many_bytes_and_no_more() -> None:
    async with centre_of() as centre:
        body = json.dumps(HANDSHAKE).ljust(limits.BAYEUX_BODY_BYTES_MAX)
        assert (await answer(await post(centre, body, basic())))[0]["successful"]
        response = await post(centre, body + " ", basic())
        assert (response.status, (await response.json())["statusCode"]) == (413, 10)


async def test_a_body_of_so_many_messages_and_no_more() -> None:
    async with centre_of() as centre:
        ada = await listen(centre)
        most = [{"channel": "/a"}] * limits.BAYEUX_MESSAGES_MAX
        assert len(await ada.post(*most)) == limits.BAYEUX_MESSAGES_MAX
        response = await post(centre, [*most, {"channel": "/a"}], basic())
        assert response.status == 400


@pytest.mark.parametrize(
    "name", ["cb", "jQuery.cb_1", "$", "_cometd_jsonp_0", "c" * limits.BAYEUX_CALLBACK_CHARS_MAX]
)
async def test_callback_polling_calls_the_function(name: str) -> None:
    async with centre_of() as centre:
        status, content_type, text = await script(
            centre, message=json.dumps([HANDSHAKE]), jsonp=name
        )
        assert (status, content_type) == (200, "text/javascript; charset=utf-8")
        (reply,) = called(text, name)
        assert reply["successful"]


async def test_callback_polling_from_handshake_to_notification() -> None:
    async with centre_of() as centre:
        (reply,) = called((await script(centre, message=json.dumps(HANDSHAKE)))[2])
        mine = {"clientId": reply["clientId"]}
        (reply,) = called((await script(centre, message=json.dumps(SUBSCRIBE | mine)))[2])
        assert reply["successful"]
        await talk(centre)
        await centre.tell(
            "demo", "c-1", "call.data_attached", user_data={"note": "a\u2028b\u2029</script>"}
        )
        events: list[Any] = []
        while len(events) < 2:
            held = CONNECT | mine | {"connectionType": "callback-polling"}
            status, _, text = await script(centre, message=json.dumps(held))
            assert status == 200
            assert "\u2028" not in text
            assert "\u2029" not in text
            *some, reply = called(text)
            assert reply["successful"]
            events += some
        assert events[1]["data"]["call"]["userData"] == {"note": "a\u2028b\u2029</script>"}


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"jsonp": "cb"},
        {"message": "{"},
        {"message": ""},
        {"message": "[]"},
        {"message": json.dumps(HANDSHAKE), "jsonp": ""},
        {"message": json.dumps(HANDSHAKE), "jsonp": "alert(1)"},
        {"message": json.dumps(HANDSHAKE), "jsonp": "a b"},
        {"message": json.dumps(HANDSHAKE), "jsonp": "a;b"},
        {"message": json.dumps(HANDSHAKE), "jsonp": "a."},
        {"message": json.dumps(HANDSHAKE), "jsonp": ".a"},
        {"message": json.dumps(HANDSHAKE), "jsonp": "1a"},
        {"message": json.dumps(HANDSHAKE), "jsonp": "a\n"},
        {"message": json.dumps(HANDSHAKE), "jsonp": "é"},
        {"message": json.dumps(HANDSHAKE), "jsonp": "<script>"},
        {
            "message": json.dumps(HANDSHAKE),
            "jsonp": "c" * (limits.BAYEUX_CALLBACK_CHARS_MAX + 1),
        },
    ],
)
async def test_scripts_that_are_refused(query: dict[str, str]) -> None:
    async with centre_of() as centre:
        status, content_type, text = await script(centre, **query)
        assert (status, content_type) == (400, "application/json"), text
        assert json.loads(text)["statusCode"] == 10


async def test_a_parameter_that_stands_twice_is_refused() -> None:
    async with centre_of() as centre:
        query = urlencode([("message", json.dumps(HANDSHAKE)), ("jsonp", "a"), ("jsonp", "b")])
        response = await centre.client.get(f"{URL}?{query}", headers=basic())
        assert response.status == 400


async def test_a_websocket_from_handshake_to_notification() -> None:
    async with centre_of() as centre:
        ada = await connect(centre)
        await ada.send(CONNECT | {"connectionType": "websocket", "id": "1"})
        (reply,) = await ada.ask(SUBSCRIBE | {"id": "2"})
        assert reply["id"] == "2", "a connect that is held holds up nothing else"
        await talk(centre)
        *_, reply = await ada.socket.receive_json(timeout=5)
        assert (reply["id"], reply["successful"]) == ("1", True)
        await dispose(centre)
        told, reply = await ada.ask(CONNECT | {"connectionType": "websocket", "id": "3"})
        assert told["data"]["notificationType"] == "AttachedDataChanged"
        assert reply["id"] == "3"


async def test_a_client_goes_on_over_another_socket() -> None:
    async with centre_of() as centre:
        ada = await connect(centre)
        await ada.send(CONNECT)
        await ada.socket.close()
        again = Socket(centre, await open_socket(centre))
        again.client_id = ada.client_id
        await talk(centre)
        told, reply = await again.ask(CONNECT)
        assert (told["data"]["call"]["state"], reply["successful"]) == ("Established", True)


@pytest.mark.parametrize("frame", ["{", "[]", "7", "[{}]", '"\\ud800"'])
async def test_a_frame_without_messages_ends_the_socket(frame: str) -> None:
    async with centre_of() as centre:
        socket = await connect(centre)
        await socket.socket.send_str(frame)
        assert await socket.end() == WSCloseCode.INVALID_TEXT


async def test_a_binary_frame_ends_the_socket() -> None:
    async with centre_of() as centre:
        socket = await connect(centre)
        await socket.socket.send_bytes(json.dumps([HANDSHAKE]).encode())
        assert await socket.end() == WSCloseCode.UNSUPPORTED_DATA


async def test_a_frame_of_so_many_bytes_and_no_more() -> None:
    async with centre_of() as centre:
        socket = await connect(centre)
        frame = json.dumps(HANDSHAKE).ljust(limits.BAYEUX_BODY_BYTES_MAX)
        await socket.socket.send_str(frame)
        assert (await socket.socket.receive_json(timeout=5))[0]["successful"]
        await socket.socket.send_str(frame + " ")
        assert await socket.end() == WSCloseCode.MESSAGE_TOO_BIG


async def test_a_silent_socket_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket, "SILENT_S_MAX", 0.05)
    async with centre_of() as centre:
        socket = Socket(centre, await open_socket(centre))
        assert await socket.end() == WSCloseCode.OK


async def test_so_many_sockets_of_one_credential() -> None:
    async with centre_of() as centre:
        most = limits.BAYEUX_SOCKETS_PER_CREDENTIAL_MAX
        sockets = [await open_socket(centre) for _ in range(most)]
        with pytest.raises(WSServerHandshakeError, match="429"):
            await open_socket(centre)
        await open_socket(centre, "agent-2")
        await sockets[0].close()
        async with asyncio.timeout(5):
            while True:  # the place is given back a moment after the client has its answer
                try:
                    await open_socket(centre)
                except WSServerHandshakeError:
                    await asyncio.sleep(0.01)
                else:
                    break


async def test_so_many_sockets_in_all() -> None:
    places = Places(limits.BAYEUX_SOCKETS_MAX, limits.BAYEUX_SOCKETS_PER_CREDENTIAL_MAX)
    for number in range(limits.BAYEUX_SOCKETS_MAX):
        places.enter(Owner("demo", f"agent-{number}", ""))
    with pytest.raises(sessions.Full):
        places.enter(Owner("demo", "one-more", ""))


async def test_a_password_taken_away_ends_the_socket() -> None:
    async with centre_of() as centre:
        ada, bela = await connect(centre), await connect(centre, "agent-2")
        give_password(centre, "new")
        await ada.send(CONNECT)
        assert await ada.end() == WSCloseCode.POLICY_VIOLATION
        (reply,) = await bela.ask(SUBSCRIBE)
        assert reply["successful"]


@pytest.mark.slow
@pytest.mark.parametrize("gone", ["password", "agent", "tenant"])
async def test_a_held_connect_is_let_go_when_its_agent_may_listen_no_more(gone: str) -> None:
    async with centre_of() as centre:
        ada, bela = await listen(centre), await listen(centre, "agent-2")
        held = [asyncio.create_task(one.post(CONNECT)) for one in (ada, bela)]
        async with asyncio.timeout(5):
            while any(one.unattended_s is not None for one in served(centre).bayeux.sessions):
                await asyncio.sleep(0.01)
        served(centre).dismiss()
        assert len(served(centre).bayeux.sessions) == 2
        tenant = demo_tenant()
        if gone == "password":
            give_password(centre, "new")
        elif gone == "agent":
            tenant = msgspec.structs.replace(tenant, agents=tenant.agents[1:])
            centre.desk.__dict__["tenants"] = FileTenantDirectory([tenant])
        else:
            centre.desk.__dict__["tenants"] = FileTenantDirectory([])
        async with asyncio.timeout(5):
            (reply,) = await held[0]
        assert reply["error"] == "402::Unknown client"
        assert held[1].done() == (gone == "tenant")
        held[1].cancel()
        await asyncio.gather(*held, return_exceptions=True)


async def test_stopping_answers_what_is_held_at_once() -> None:
    async with centre_of() as centre:
        polling = await listen(centre)
        socket = await connect(centre, "agent-2")
        held = asyncio.create_task(polling.post(CONNECT))
        await socket.send(CONNECT)
        async with asyncio.timeout(5):
            while any(one.unattended_s is not None for one in served(centre).bayeux.sessions):
                await asyncio.sleep(0.01)
        assert centre.client.app is not None
        await centre.client.app.shutdown()
        later = {"reconnect": "handshake", "interval": 1000}
        async with asyncio.timeout(2):
            (reply,) = await held
            assert (reply["successful"], reply["advice"]) == (False, later)
            (reply,) = await socket.socket.receive_json()
            assert (reply["successful"], reply["advice"]) == (False, later)
            assert await socket.end() == WSCloseCode.GOING_AWAY
        (reply,) = await answer(await post(centre, HANDSHAKE, basic()))
        assert (reply["successful"], reply["error"]) == (False, "503::The gateway stops")
        with pytest.raises(WSServerHandshakeError, match="429"):
            await open_socket(centre)


async def test_who_has_left_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "UNATTENDED_S_MAX", 0.01)
    monkeypatch.setattr("services.gateway.dialects.genesys.notifications.SWEEP_S", 0.01)
    async with centre_of() as centre:
        (reply,) = await answer(await post(centre, HANDSHAKE, basic()))
        kept = served(centre).bayeux.sessions
        async with asyncio.timeout(5):
            while len(kept):
                await asyncio.sleep(0.01)
        (reply,) = await answer(
            await post(centre, CONNECT | {"clientId": reply["clientId"]}, basic())
        )
        assert reply["error"] == "402::Unknown client"


async def test_a_handshake_names_the_client_once_by_a_cookie_that_opens_nothing() -> None:
    async with centre_of() as centre:
        first = await post(centre, HANDSHAKE, basic())
        cookie = first.headers["Set-Cookie"]
        assert re.fullmatch(
            r"BAYEUX_BROWSER=[0-9a-f]{32}; HttpOnly; Path=/; SameSite=Strict", cookie
        )
        again = await post(centre, HANDSHAKE, basic())  # the client sends it along
        assert "Set-Cookie" not in again.headers
        centre.client.session.cookie_jar.clear()
        (reply,) = await answer(first)
        connect_ = CONNECT | {"clientId": reply["clientId"], "advice": {"timeout": 0}}
        assert "Set-Cookie" not in (await post(centre, connect_, basic())).headers
        assert (await post(centre, HANDSHAKE, {"Cookie": cookie})).status == 401
        query = urlencode({"message": json.dumps([HANDSHAKE])})
        script_ = await centre.client.get(f"{URL}?{query}", headers=basic())
        assert script_.headers["Set-Cookie"].startswith("BAYEUX_BROWSER=")
        assert script_.headers["Set-Cookie"] != cookie


async def test_how_long_somebody_listened_is_no_latency() -> None:
    observed: list[str] = []
    async with centre_of() as centre:
        app = build_app(
            centre.desk,
            dialects=DIALECTS,
            observe=lambda route, _, __: observed.append(route),
        )
        serve_notifications(app, centre.hub, centre.desk)
        async with TestClient(TestServer(app)) as client:
            given = centre.client
            centre.client = client
            ada = await listen(centre)
            assert observed == [URL, URL]
            await talk(centre)
            assert await ada.states(1) == [("StateChange", "Established")]
            await (await connect(centre)).socket.close()
            await client.get("/api/v2/me", headers=basic())
            assert observed == [URL, URL, "/api/v2/me"]
            centre.client = given
