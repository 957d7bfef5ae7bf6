import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest
import pytest_asyncio
from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient

from services.gateway.app import build_app
from services.gateway.desk import Desk
from services.gateway.problems import explain
from services.gateway.push import listening, sse
from services.gateway.push.hub import HUB, Hub
from services.gateway.push.position import Position
from services.gateway.push.told import DROPPED, GAP, Told
from services.gateway.route import FOUND
from shared.contracts.envelope import Event
from shared.contracts.errors import AftercallError
from shared.contracts.limits import STREAM_QUEUE_MAX
from shared.contracts.tenants import Credential, Tenant
from shared.contracts.topics import CALLS_CHANGED, DISPOSITION_EVENTS, TELEPHONY_EVENTS, TOLD
from shared.runtime.ports import TopicPartition
from shared.runtime.tenants import Found, TenantBook
from tests.support.centre import Uncancelled
from tests.support.clock import FakeClock
from tests.unit.services.gateway.floor import NATIVE, Floor
from tests.unit.services.gateway.push.followed import ForgetfulLog, tell, tell_many, tell_of

Client = TestClient[web.Request, web.Application]
START = Position(((0, 0),) * len(TOLD)).text()
KEY = Credential(id="key-1", sha256="ab" * 32)
DEMO = Found(Tenant(id="demo"), KEY)
TENANTS = web.AppKey("tenants", SimpleNamespace)


@web.middleware
async def as_the_gateway_does(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    request[FOUND] = DEMO
    try:
        return await handler(request)
    except (AftercallError, web.HTTPException) as error:
        return explain(error).response()


@pytest.fixture
def log() -> ForgetfulLog:
    return ForgetfulLog(FakeClock())


@pytest_asyncio.fixture
async def client(log: ForgetfulLog) -> AsyncIterator[Client]:
    app = web.Application(middlewares=[as_the_gateway_does])
    app[HUB] = hub = Hub(log, FakeClock())
    app.on_shutdown.append(sse.end_streams)
    (route,) = sse.ROUTES

    app[TENANTS] = desk = SimpleNamespace(
        tenants=TenantBook([Tenant(id="demo", credentials=(KEY,))])
    )

    async def handle(request: web.Request) -> web.StreamResponse:
        return await route.handler(request, cast("Desk", desk))

    app.router.add_route(route.method, route.path, handle)
    tail = asyncio.create_task(hub.run())
    async with TestClient(Uncancelled(app)) as client:
        yield client
    tail.cancel()
    await asyncio.gather(tail, return_exceptions=True)


async def block(response: ClientResponse) -> dict[str, Any]:
    """The next block of the stream: its fields, `data` parsed, a comment under `""`."""
    fields: dict[str, Any] = {}
    while line := (await response.content.readline()).decode().rstrip("\n"):
        name, _, value = line.partition(": ")
        fields[name] = json.loads(value) if name == "data" else value
    return fields


async def follow(client: Client, path: str = "/v1/stream", **headers: str) -> ClientResponse:
    """Follow, from the first block on."""
    response = await client.get(path, headers=headers)
    assert response.status == 200
    return response


@pytest.mark.asyncio
async def test_the_headers_and_a_first_id_come_at_once(client: Client) -> None:
    response = await follow(client)
    assert response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["X-Accel-Buffering"] == "no"
    assert await block(response) == {"": "following", "retry": "2000", "id": START}


@pytest.mark.asyncio
async def test_an_event_is_the_cloudevent_as_json(client: Client, log: ForgetfulLog) -> None:
    response = await follow(client)
    await block(response)
    tell(log, 1)
    place = TopicPartition(CALLS_CHANGED, log.partition("demo:call-1"))
    assert await block(response) == {
        "event": "calls.changed.test",
        "id": Position.parse(START).moved(place, 1).text(),
        "data": {
            "specversion": "1.0",
            "id": "demo-calls.changed-1",
            "source": "/test",
            "type": "calls.changed.test",
            "subject": "call-1",
            "time": "2026-11-21T14:06:40.001Z",
            "tenant": "demo",
            "sequence": 2,
            "datacontenttype": "application/json",
            "data": {"number": 1},
        },
    }


@pytest.mark.asyncio
@pytest.mark.parametrize("how", ["header", "query", "both"])
async def test_it_resumes_after_the_last_event(client: Client, log: ForgetfulLog, how: str) -> None:
    response = await follow(client)
    await block(response)
    tell_many(log, 30)
    told = [await block(response) for _ in range(20)]
    response.close()
    last = told[4]["id"]
    path = f"/v1/stream?last_event_id={last if how == 'query' else START}"
    path = "/v1/stream" if how == "header" else path
    resumed = await follow(client, path, **({} if how == "query" else {"Last-Event-ID": last}))
    assert (await block(resumed))["id"] == last
    again = [await block(resumed) for _ in range(15)]
    key = [(one["event"], one["data"]["id"]) for one in told[5:]]
    assert sorted((one["event"], one["data"]["id"]) for one in again) == sorted(key)


@pytest.mark.asyncio
async def test_only_the_topics_asked_for_come(client: Client, log: ForgetfulLog) -> None:
    response = await follow(client, f"/v1/stream?topics={DISPOSITION_EVENTS},user.events")
    await block(response)
    tell(log, 1, topic=CALLS_CHANGED)
    tell(log, 2, topic=DISPOSITION_EVENTS)
    assert (await block(response))["event"] == "disposition.events.test"


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "topics", ["", ",", "calls.changed,", TELEPHONY_EVENTS, "calls.changed,nonsense", "*"]
)
async def test_a_topic_that_is_not_told_is_refused(client: Client, topics: str) -> None:
    response = await client.get("/v1/stream", params={"topics": topics})
    assert response.status == 422
    assert (await response.json())["errors"][0]["field"] == "topics"


@pytest.mark.asyncio
@pytest.mark.parametrize("position", ["12", "v1.0-0.0-0.0-0", "v1.0.0.0.0", START + "-0"])
async def test_a_position_that_is_not_ours_is_refused(client: Client, position: str) -> None:
    response = await client.get("/v1/stream", headers={"Last-Event-ID": position})
    assert response.status == 400
    assert (await response.json())["code"] == "bad_request"


@pytest.mark.asyncio
async def test_a_misspelt_parameter_is_refused(client: Client) -> None:
    assert (await client.get("/v1/stream?topic=calls.changed")).status == 422


@pytest.mark.asyncio
async def test_one_client_too_many_is_told_to_come_back(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.gateway.push.hub.STREAM_CLIENTS_MAX", 1)
    first = await follow(client)
    await block(first)
    response = await client.get("/v1/stream")
    assert response.status == 503
    assert response.headers["Retry-After"] == "1"


@pytest.mark.asyncio
async def test_a_gap_comes_first_and_moves_the_client_on(client: Client, log: ForgetfulLog) -> None:
    tell(log, 1)
    tell(log, 6)
    place = TopicPartition(CALLS_CHANGED, log.partition("demo:call-1"))
    log.oldest[place] = 1
    response = await follow(client, **{"Last-Event-ID": START})
    await block(response)
    gap = await block(response)
    moved = Position.parse(START).moved(place, 1).text()
    assert (gap["event"], gap["id"]) == (GAP, moved)
    assert gap["data"]["data"] == {"from": START, "to": moved}
    assert (await block(response))["data"]["id"] == "demo-calls.changed-6"


@pytest.mark.asyncio
async def test_silence_is_broken_by_a_heartbeat_with_the_position(
    client: Client, log: ForgetfulLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "HEARTBEAT_S", 0.01)
    response = await follow(client)
    await block(response)
    tell(log, 1, tenant="other")
    heartbeat = await block(response)
    while heartbeat.get("id") == START:
        heartbeat = await block(response)
    assert heartbeat == {"": "heartbeat", "id": client.app[HUB].position.text()}


@pytest.mark.asyncio
async def test_a_slow_reader_hears_why_it_ends(client: Client, log: ForgetfulLog) -> None:
    response = await follow(client)
    await block(response)
    await asyncio.sleep(0)
    tell(log, 0)
    await block(response)  # it is live
    (queue,) = client.app[HUB]._clients
    tell_many(log, 1)
    told = await block(response)
    event = Event(id="1", source="/t", type="t", subject="s", time_ms=0, tenant="demo", data=b"{}")
    while queue.offer(Told(CALLS_CHANGED, event, Position.parse(START))):
        pass  # in one go: the client has no chance to read
    last = await block(response)
    count = 0
    while last["event"] != DROPPED:
        count, last = count + 1, await block(response)
    assert count == STREAM_QUEUE_MAX
    assert "id" not in last
    assert told["id"] != ""
    assert await response.content.read() == b""


@pytest.mark.asyncio
async def test_a_place_is_free_again_when_its_client_leaves(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "HEARTBEAT_S", 0.01)
    response = await follow(client)
    await block(response)
    assert client.app[HUB].clients == 1
    response.close()
    while client.app[HUB].clients:
        await asyncio.sleep(0.001)


@pytest.mark.asyncio
async def test_a_stream_ends_once_its_key_is_revoked(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "LOOK_S", 0.01)
    response = await follow(client)
    await block(response)
    client.app[TENANTS].tenants = TenantBook([Tenant(id="demo")])
    assert await asyncio.wait_for(response.content.read(), 5) == b""
    while client.app[HUB].clients:
        await asyncio.sleep(0.001)


@pytest.mark.asyncio
async def test_streams_end_when_the_gateway_stops(client: Client) -> None:
    response = await follow(client)
    await block(response)
    await client.app.shutdown()
    assert await asyncio.wait_for(response.content.read(), 5) == b": closing\n\n"


@pytest.mark.asyncio
async def test_a_log_that_fails_ends_the_stream_for_the_client_to_resume(
    client: Client, log: ForgetfulLog
) -> None:
    tell(log, 1)
    log.fail_next("read")
    response = await follow(client, **{"Last-Event-ID": START})
    assert (await block(response))["id"] == START
    assert await response.content.read() == b": the log does not answer\n\n"


@pytest.mark.asyncio
async def test_a_client_that_leaves_gives_its_place_back(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "LOOK_S", 0.01)
    hub = client.app[HUB]
    response = await follow(client)
    assert hub.clients == 1
    response.close()
    async with asyncio.timeout(5):
        while hub.clients:
            await asyncio.sleep(0)


@pytest.mark.asyncio
async def test_a_stream_ends_when_its_token_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "LOOK_S", 0.01)
    floor = Floor()
    hub = Hub(floor.log, floor.clock)
    app = build_app(floor.desk, more=sse.ROUTES)
    app[HUB] = hub
    tail = asyncio.create_task(hub.run())
    async with TestClient(Uncancelled(app)) as client:
        body = {"agent_id": "agent-1", "ttl_s": 60}
        given = await client.post("/v1/toolbar-tokens", json=body, headers=NATIVE)
        key = {"Authorization": f"Bearer {(await given.json())['token']}"}
        response = await client.get("/v1/stream", headers=key)
        assert (response.status, response.headers["Vary"]) == (200, "Origin")
        await block(response)
        tell_of(floor.log, 1, topic=CALLS_CHANGED, tenant="demo", data={"agent_id": "agent-2"})
        tell_of(floor.log, 2, topic=CALLS_CHANGED, tenant="demo", data={"agent_id": "agent-1"})
        assert (await block(response))["data"]["id"] == "2"
        floor.clock.advance(60_000)
        async with asyncio.timeout(5):
            assert await response.content.read() == b""
        hub.close()
    tail.cancel()
    await asyncio.gather(tail, return_exceptions=True)
