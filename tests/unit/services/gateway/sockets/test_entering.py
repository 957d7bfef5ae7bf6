"""Who is let in on `GET /v1/socket`, and who is told why not."""

from typing import Any

import pytest
from aiohttp import WSServerHandshakeError
from msgspec.structs import replace

from services.gateway.sockets import conversation
from services.gateway.sockets.route import PROTOCOL
from shared.contracts.tenants import RateLimits, Rates
from tests.support.socket_client import Closed
from tests.unit.services.gateway.floor import NATIVE, problem
from tests.unit.services.gateway.push.followed import tell
from tests.unit.services.gateway.sockets.place import CRM, KEY, START, TENANT, Place, opened

pytestmark = pytest.mark.asyncio


async def test_ready_tells_where_the_client_stands_and_the_gateways_time(place: Place) -> None:
    _, ready = await place.follow()
    start = START.text()
    assert ready == {"type": "ready", "id": start, "time": "2026-11-21T14:06:40.000Z"}


async def test_the_credential_may_come_with_the_upgrade(place: Place) -> None:
    client = await place.connect(headers=NATIVE)
    assert (await client.hello())["type"] == "ready"


@pytest.mark.parametrize(
    ("path", "headers", "refused"),
    [
        ("/v1/socket", {"Authorization": "Bearer nobody"}, (401, "unauthorized")),
        ("/v1/socket", {"Authorization": "Bearer atb_x.y"}, (401, "unauthorized")),
        ("/v1/socket?authorization=Bearer+demo-key", {}, (422, "validation")),
        ("/v1/socket?last_event_id=x", {}, (422, "validation")),
        ("/v1/socket", {"Sec-WebSocket-Protocol": "graphql-ws"}, (400, "bad_request")),
        ("/v1/socket", {"Sec-WebSocket-Protocol": "aftercall.v2, x"}, (400, "bad_request")),
        ("/v1/socket", {"Upgrade": "h2c"}, (400, "bad_request")),
        ("/v1/socket", {"Sec-WebSocket-Version": "12"}, (400, "bad_request")),
        ("/v1/socket", {"Sec-WebSocket-Key": "short"}, (400, "bad_request")),
        ("/v1/socket", {"Sec-WebSocket-Key": "\udcff"}, (400, "bad_request")),
    ],
)
async def test_what_http_can_refuse_it_does(
    place: Place, path: str, headers: dict[str, str], refused: tuple[int, str]
) -> None:
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    }
    assert await problem(await place.client.get(path, headers=upgrade | headers)) == refused


async def test_it_is_no_page_and_has_no_head(place: Place) -> None:
    assert await problem(await place.client.get("/v1/socket")) == (400, "bad_request")
    assert (await place.client.head("/v1/socket")).status == 405


@pytest.mark.parametrize("offered", [[PROTOCOL], ["other", PROTOCOL], [PROTOCOL, "other"]])
async def test_the_subprotocol_is_taken_where_it_is_offered(
    place: Place, offered: list[str]
) -> None:
    client = await place.connect(protocols=offered)
    assert client.socket.protocol == PROTOCOL
    assert (await place.connect()).socket.protocol is None
    with pytest.raises(WSServerHandshakeError):
        await place.connect(protocols=["other"])


async def test_nothing_is_compressed(place: Place) -> None:
    client = await place.connect(compress=15)
    assert client.socket.compress == 0


NO_READER = replace(
    TENANT,
    credentials=tuple(
        replace(credential, scopes=frozenset({"disposition:write"}))
        for credential in TENANT.credentials
    ),
)
HELLO = {"type": "hello", "authorization": KEY}


@pytest.mark.parametrize(
    ("first", "code", "reason"),
    [
        ("{", 4400, "bad_request"),
        ("[]", 4400, "bad_request"),
        ('"hello"', 4400, "bad_request"),
        ('{"type": "hello", "type": "hello"}', 4400, "bad_request"),
        ('{"type": NaN}', 4400, "bad_request"),
        ("[" * 20_000, 4400, "bad_request"),
        ('{"type": "dispose", "id": "1"}', 4400, "bad_request: the first message is hello"),
        ({"type": ["hello"]}, 4400, "bad_request"),
        (HELLO | {"last_event_id": "12"}, 4400, "bad_request: the position is not one of ours"),
        (HELLO | {"last_event_id": "v1.0.0.0.0"}, 4400, "bad_request"),
        (HELLO | {"last_event_id": 12}, 4422, "validation"),
        (HELLO | {"last_event_id": "v" * 8_001}, 4422, "validation"),
        (HELLO | {"topics": "telephony.events"}, 4422, "validation: topics"),
        (HELLO | {"topics": ""}, 4422, "validation: topics"),
        (HELLO | {"topic": "calls.changed"}, 4422, "validation"),
        ({"type": "hello"}, 4401, "unauthorized: send one header"),
        ({"type": "hello", "authorization": "demo-key"}, 4401, "unauthorized"),
        ({"type": "hello", "authorization": "Bearer nobody"}, 4401, "unauthorized: no such key"),
        ({"type": "hello", "authorization": "Bearer atb_x.y"}, 4401, "unauthorized"),
        ({"type": "hello", "authorization": "Bearer \u00e9\r\n"}, 4401, "unauthorized"),
        ({"type": "hello", "authorization": ["x"]}, 4422, "validation"),
    ],
)
async def test_a_hello_that_is_none_closes_it(
    place: Place, first: Any, code: int, reason: str
) -> None:
    client = await place.connect()
    if isinstance(first, str):
        await client.socket.send_str(first)
    else:
        await client.socket.send_json(first)
    closed = await client.closed()
    assert (closed.code, closed.reason.startswith(reason)) == (code, True), closed
    assert place.hub.clients == 0


async def test_a_key_that_may_not_read_is_forbidden() -> None:
    async with opened(Place(NO_READER)) as place:
        with pytest.raises(Closed) as closed:
            await place.follow()
        assert (closed.value.code, closed.value.reason) == (
            4403,
            "forbidden: the key lacks the scope read",
        )


async def test_a_credential_stands_in_one_place(place: Place) -> None:
    client = await place.connect(headers=NATIVE)
    with pytest.raises(Closed) as closed:
        await client.hello(KEY)
    assert closed.value.code == 4400


async def test_hello_has_so_long(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversation, "SOCKET_HELLO_S", 0.01)
    client = await place.connect()
    closed = await client.closed()
    assert (closed.code, closed.reason) == (
        4408,
        "too_slow: the first message is hello, within 5 s",
    )


async def test_one_client_too_many_is_told_to_come_back(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.gateway.push.hub.STREAM_CLIENTS_MAX", 1)
    async with place.client.get("/v1/stream", headers=NATIVE) as streamed:
        assert streamed.status == 200
        with pytest.raises(Closed) as closed:
            await place.follow()
    assert closed.value.code == 4429
    assert "come back in 1 s" in closed.value.reason


async def test_hello_counts_as_a_request() -> None:
    limited = replace(TENANT, rate_limits=RateLimits(credential=Rates(native=1)))
    async with opened(Place(limited)) as place:
        client, _ = await place.follow()
        with pytest.raises(Closed) as closed:
            await place.follow()
        assert closed.value.code == 4429
        assert "come back in 60 s" in closed.value.reason
        await client.dispose("1", "call-1", agent_id="agent-1", code="Sale")
        answer = await client.answer("1")
        assert (answer["status"], answer["retry_after_s"]) == (429, 60)


async def test_while_the_log_is_away_it_is_closed(place: Place) -> None:
    tell(place.told, 1)
    start = START.text()
    place.told.fail_next("read")
    client, _ = await place.follow(last_event_id=start)
    closed = await client.closed()
    assert closed.code == 4503


@pytest.mark.parametrize(
    ("origin", "by", "code"),
    [
        (None, "key", None),
        (None, "token", None),
        ("own", "key", None),
        ("own", "token", None),
        (CRM, "token", None),
        (CRM, "key", 4403),
        ("https://evil.example", "token", 4403),
        ("https://evil.example", "key", 4403),
        ("null", "token", 4403),
        ("null", "key", 4403),
    ],
)
async def test_a_page_asks_with_a_token_of_a_tenant_that_lists_it(
    place: Place, origin: str | None, by: str, code: int | None
) -> None:
    if origin == "own":
        origin = f"http://{place.client.host}:{place.client.port}"
    client = await place.connect(headers={} if origin is None else {"Origin": origin})
    key = KEY if by == "key" else await place.token()
    if code is None:
        assert (await client.hello(key))["type"] == "ready"
        return
    with pytest.raises(Closed) as closed:
        await client.hello(key)
    assert closed.value.code == code
