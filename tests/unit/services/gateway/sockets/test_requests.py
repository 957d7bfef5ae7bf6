"""Requests on a socket: answered as the routes answer them, whatever way a retry comes."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final
from urllib.parse import quote

import pytest
import pytest_asyncio
from msgspec.structs import replace
from yarl import URL

from services.gateway.push.sse import end_streams
from services.gateway.sockets import conversation, route
from services.gateway.sockets.route import ROUTES
from shared.contracts.envelope import Message
from shared.contracts.limits import SOCKET_ASKS_MAX
from shared.contracts.tenants import Code
from shared.contracts.topics import DISPOSITION_EVENTS, DISPOSITION_REQUESTS
from shared.runtime.tenants import TenantBook
from tests.support.centre import Centre
from tests.support.socket_client import SocketClient
from tests.unit.services.gateway.floor import NATIVE
from tests.unit.services.gateway.sockets.place import KEY, TENANT, Place, opened

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]

SALE: Final = {"agent_id": "agent-1", "code": "Sale"}
MORE: Final = {"agent_id": "agent-1", "seconds": 30}
OF: Final = {
    "dispose": ("disposition", "disposition"),
    "extend_wrap_up": ("extension", "wrap-up-extension"),
}


@pytest_asyncio.fixture
async def centre(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Centre]:
    monkeypatch.setattr(route, "CLOSE_S", 0.1)
    made = Centre([TENANT], (), ROUTES)
    made.app.on_shutdown.append(end_streams)
    await made.start()
    for call in ("c1", "c2"):
        await made.tell("demo", call, "call.agent_joined", agent_id="agent-1")
    await made.tell("demo", "c2", "call.disconnected")
    yield made
    await made.stop()


async def connect(centre: Centre, key: str = KEY, **hello: Any) -> SocketClient:
    client = SocketClient(await centre.client.ws_connect("/v1/socket"))
    await client.hello(key, **hello)
    return client


async def by_socket(
    client: SocketClient, kind: str, call: Any, body: Any, key: Any = None
) -> dict[str, Any]:
    asked = {"type": kind, "id": "1", "call_id": call, OF[kind][0]: body}
    await client.socket.send_json(asked if key is None else asked | {"idempotency_key": key})
    return await client.answer("1")


async def by_http(
    centre: Centre, kind: str, call: str, body: Any, key: str | None = None, bearer: str = KEY
) -> dict[str, Any]:
    """What the route answers, as a socket would say it."""
    headers = {"Authorization": bearer, "Content-Type": "application/json"} | (
        {} if key is None else {"Idempotency-Key": key}
    )
    path = f"/v1/calls/{call}/{OF[kind][1]}"
    async with centre.client.post(
        URL(path, encoded=True), data=json.dumps(body), headers=headers
    ) as response:
        said = {"type": "answer", "id": "1", "status": response.status}
        said["body"] = await response.json(content_type=None)
        if "Retry-After" in response.headers:
            said["retry_after_s"] = int(response.headers["Retry-After"])
        return said


@pytest.mark.parametrize(
    ("kind", "call", "body", "key", "status"),
    [
        ("dispose", "c1", SALE, "k", 200),
        ("dispose", "c2", SALE | {"comment": "é", "release_after": True}, "k", 200),
        ("dispose", "nobody", SALE, "k", 404),
        ("dispose", "c1", SALE | {"agent_id": "agent-2"}, "k", 409),
        ("dispose", "c1", SALE | {"code": "Nonsense"}, None, 422),
        ("dispose", "c1", {"agent_id": "agent-1", "code": "Callback"}, None, 422),
        ("dispose", "c1", SALE | {"callback_at": "tomorrow"}, None, 422),
        ("dispose", "c1", SALE | {"nonsense": 1}, None, 422),
        ("dispose", "c1", None, None, 422),
        ("dispose", "c1", [], None, 422),
        ("dispose", "c1", {}, None, 422),
        ("dispose", "c1", SALE, "x" * 256, 422),
        ("dispose", "c1", SALE, "", 422),
        ("dispose", "a" * 129, SALE, None, 404),
        ("dispose", "a b", SALE | {"agent_id": 7}, "k", 404),
        ("extend_wrap_up", "c2", MORE, "k", 200),
        ("extend_wrap_up", "c1", MORE, None, 409),
        ("extend_wrap_up", "nobody", MORE, None, 404),
        ("extend_wrap_up", "c2", MORE | {"seconds": 3_601}, None, 422),
        ("extend_wrap_up", "c2", MORE | {"agent_id": "agent-2"}, None, 409),
    ],
)
async def test_the_answer_is_that_of_the_route(
    centre: Centre, kind: str, call: str, body: Any, key: str | None, status: int
) -> None:
    client = await connect(centre)
    told = await by_socket(client, kind, call, body, key)
    assert told["status"] == status, told
    routed = await by_http(centre, kind, quote(call), body, key)
    if kind == "extend_wrap_up" and status == 200:
        assert routed["body"].pop("outcome") == "repeated"
        assert told["body"].pop("outcome") == "extended"
    assert told == routed
    again = await by_socket(client, kind, call, body, key)
    if kind == "extend_wrap_up" and status == 200:
        again["body"].pop("outcome")
    assert again == routed


@pytest.mark.parametrize(
    ("message", "status", "code"),
    [
        ({"type": "nonsense"}, 400, "bad_request"),
        ({"type": ["dispose"]}, 400, "bad_request"),
        ({"type": None}, 400, "bad_request"),
        ({}, 400, "bad_request"),
        ({"type": "hello"}, 400, "bad_request"),
        ({"type": "dispose"}, 422, "validation"),
        ({"type": "dispose", "call_id": "c1"}, 422, "validation"),
        ({"type": "dispose", "call_id": 7, "disposition": SALE}, 404, "not_found"),
        ({"type": "dispose", "call_id": None, "disposition": SALE}, 404, "not_found"),
        ({"type": "dispose", "call_id": "c1", "extension": MORE}, 422, "validation"),
        (
            {"type": "dispose", "call_id": "c1", "disposition": SALE, "idempotency_key": 7},
            422,
            "validation",
        ),
        ({"type": "dispose", "call_id": "c1", "disposition": SALE, "x": 1}, 422, "validation"),
    ],
)
async def test_what_has_an_id_is_answered_and_the_socket_stays(
    centre: Centre, message: dict[str, Any], status: int, code: str
) -> None:
    client = await connect(centre)
    await client.socket.send_json(message | {"id": "é"})
    answer = await client.answer("é")
    assert (answer["status"], answer["body"]["code"]) == (status, code)
    assert (await by_socket(client, "dispose", "c1", SALE))["status"] == 200


async def test_a_fault_of_ours_is_an_answer_too(
    centre: Centre, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await connect(centre)
    monkeypatch.setattr(centre.desk, "dispose", None)
    answer = await by_socket(client, "dispose", "c1", SALE)
    assert (answer["status"], answer["body"]["code"]) == (500, "internal")


async def test_a_token_asks_for_its_agent_alone(centre: Centre) -> None:
    body = {"agent_id": "agent-2"}
    given = await centre.client.post("/v1/toolbar-tokens", json=body, headers=NATIVE)
    token = f"Bearer {(await given.json())['token']}"
    client = await connect(centre, token)
    for kind, said in (("dispose", SALE), ("extend_wrap_up", MORE)):
        told = await by_socket(client, kind, "c2", said)
        assert told["status"] == 403
        assert told == await by_http(centre, kind, "c2", said, bearer=token)


async def test_a_key_that_only_reads_is_answered_so(centre: Centre) -> None:
    client = await connect(centre, "Bearer demo-switch-key")
    told = await by_socket(client, "dispose", "c1", SALE)
    assert (told["status"], told["body"]["code"]) == (403, "forbidden")


async def test_changed_codes_and_revoked_keys_count_from_the_next_message_on(
    centre: Centre,
) -> None:
    client = await connect(centre)
    new = replace(TENANT, codes=(*TENANT.codes, Code(code="New")))
    centre.desk.tenants = TenantBook([new])  # type: ignore[misc]
    answer = await by_socket(client, "dispose", "c1", SALE | {"code": "New"})
    assert answer["status"] == 200, answer
    centre.desk.tenants = TenantBook([replace(TENANT, credentials=())])  # type: ignore[misc]
    assert (await by_socket(client, "dispose", "c1", SALE))["status"] == 401


async def test_the_client_hears_of_what_it_has_done(centre: Centre) -> None:
    client = await connect(centre, topics=DISPOSITION_EVENTS)
    await client.dispose("a", "c1", **SALE)
    answer = await client.answer("a")
    event = await client.event()
    assert event["event"]["type"] == "disposition.queued"
    assert event["event"]["data"]["request_id"] == answer["body"]["request_id"]


class Gate:
    """What the gateway appends is written, and not known to be until it is let through."""

    def __init__(self, centre: Centre, monkeypatch: pytest.MonkeyPatch) -> None:
        self.through = asyncio.Event()
        self.asked = asyncio.Event()
        append = centre.log.append

        async def gated(messages: Sequence[Message]) -> None:
            await append(messages)
            self.asked.set()
            await self.through.wait()

        monkeypatch.setattr(centre.log, "append", gated)


async def test_a_retry_after_the_socket_has_died_has_one_outcome(
    centre: Centre, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await connect(centre)
    gate = Gate(centre, monkeypatch)
    await client.dispose("a", "c2", "k", **SALE)
    await gate.asked.wait()
    assert client.socket._response.connection is not None
    transport = client.socket._response.connection.transport
    assert transport is not None
    transport.abort()
    monkeypatch.undo()
    again = await connect(centre)
    answer = await by_socket(again, "dispose", "c2", SALE, "k")
    assert answer["body"]["outcome"] == "saved"
    assert answer == await by_http(centre, "dispose", "c2", SALE, "k")
    gate.through.set()
    assert centre.asked() == 3
    assert len(centre.log.all(DISPOSITION_EVENTS)) == 1


async def test_a_request_whose_socket_has_died_is_carried_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with opened(Place()) as place:
        client, _ = await place.follow()
        begun, through = asyncio.Event(), asyncio.Event()
        append = place.floor.log.append

        async def waits(messages: Sequence[Message]) -> None:
            begun.set()
            await through.wait()
            await append(messages)

        monkeypatch.setattr(place.floor.log, "append", waits)
        await client.dispose("a", "call-1", **SALE)
        await begun.wait()
        await client.socket.close()
        await place.empty()
        for _ in range(100):
            await asyncio.sleep(0)
        through.set()
        async with asyncio.timeout(10):
            while not place.floor.told(DISPOSITION_REQUESTS):
                await asyncio.sleep(0.001)


async def test_answers_under_way_are_sent_when_the_gateway_stops(
    centre: Centre, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await connect(centre)
    gate = Gate(centre, monkeypatch)
    await client.dispose("a", "c2", **SALE)
    await gate.asked.wait()
    stopping = asyncio.create_task(centre.client.app.shutdown())
    for _ in range(10):
        await asyncio.sleep(0)
    gate.through.set()
    assert (await client.answer("a"))["status"] == 200
    assert (await client.closed()).code == 1001
    await stopping


async def test_an_answer_that_takes_too_long_does_not_keep_the_gateway(
    centre: Centre, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversation, "DRAIN_S", 0.01)
    client = await connect(centre)
    gate = Gate(centre, monkeypatch)
    await client.dispose("a", "c2", **SALE)
    await gate.asked.wait()
    await centre.client.app.shutdown()
    assert (await client.closed()).code == 1001
    assert [message["type"] for message in client.kept] == []
    gate.through.set()


async def test_answers_come_as_they_are_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(Place()) as place:
        client, _ = await place.follow()
        through = asyncio.Event()
        append = place.floor.log.append
        asked: list[Sequence[Message]] = []

        async def first_waits(messages: Sequence[Message]) -> None:
            asked.append(messages)
            if len(asked) == 1:
                await through.wait()
            await append(messages)

        monkeypatch.setattr(place.floor.log, "append", first_waits)
        for id_ in ("first", "second"):
            await client.dispose(id_, f"call-{id_}", **SALE)
        second = await client.next()
        through.set()
        first = await client.next()
        assert [second["id"], first["id"]] == ["second", "first"]
        assert {second["status"], first["status"]} == {200}
        assert first["body"]["call_id"] == "call-first"


async def test_so_many_are_under_way_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(Place()) as place:
        client, _ = await place.follow()
        through = asyncio.Event()
        append = place.floor.log.append

        async def waits(messages: Sequence[Message]) -> None:
            await through.wait()
            await append(messages)

        monkeypatch.setattr(place.floor.log, "append", waits)
        for number in range(SOCKET_ASKS_MAX + 1):
            await client.dispose(str(number), f"call-{number}", **SALE)
        refused = await client.next()
        assert refused["id"] == str(SOCKET_ASKS_MAX)
        assert (refused["status"], refused["retry_after_s"]) == (429, 1)
        assert refused["body"]["code"] == "too_many_requests"
        through.set()
        for number in range(SOCKET_ASKS_MAX):
            assert (await client.answer(str(number)))["status"] == 200
        await client.dispose("more", "call-x", **SALE)
        assert (await client.answer("more"))["status"] == 200
