"""A toolbar token at the door: what it opens, what of it is shown, and to whose pages."""

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from services.gateway.app import TABLE, build_app
from services.gateway.openapi import template
from shared.contracts.calls import AgentOnCall, Call, Phase
from shared.contracts.dispositions import AgentDispositions, DispositionsDocument, Queued
from shared.runtime.history import Entry
from tests.support.clock import START_MS
from tests.unit.services.gateway.floor import (
    ADMIN,
    DEMO,
    NATIVE,
    SWITCH,
    Floor,
    open_floor,
    problem,
)

pytestmark = pytest.mark.asyncio

CRM = "https://crm.example"
EVIL = "https://evil.example"
TENANT = msgspec.structs.replace(DEMO[0], toolbar_origins=(CRM,))
OPEN_TO_TOKENS = {
    ("GET", "/v1/calls"),
    ("GET", "/v1/calls/{call_id}"),
    ("GET", "/v1/codes"),
    ("GET", "/v1/requests/{request_id}"),
    ("POST", "/v1/calls/{call_id}/disposition"),
    ("POST", "/v1/calls/{call_id}/wrap-up-extension"),
}


def call(call_id: str, *agents: str) -> Call:
    return Call(
        tenant="demo",
        id=call_id,
        version=3,
        phase=Phase.ACTIVE,
        created_ms=START_MS,
        agents=tuple(AgentOnCall(agent_id=agent, phase=Phase.ACTIVE) for agent in agents),
    )


def queued(*agents: str) -> DispositionsDocument:
    said = Queued(
        code="Sale", key="k", request_id="req-1", queued_ms=START_MS, comment="private word"
    )
    return DispositionsDocument(
        agents=tuple(AgentDispositions(agent_id=agent, queued=said) for agent in agents)
    )


@pytest_asyncio.fixture
async def floor() -> AsyncIterator[Floor]:
    async with open_floor(tenants=[TENANT]) as opened:
        await opened.put_call(call("shared", "agent-1", "agent-2"), queued("agent-1", "agent-2"))
        await opened.put_call(call("theirs", "agent-2"), queued("agent-2"))
        yield opened


async def token(floor: Floor, agent: str = "agent-1", **body: Any) -> dict[str, str]:
    body = {"agent_id": agent, **body}
    response = await floor.client.post("/v1/toolbar-tokens", json=body, headers=NATIVE)
    assert response.status == 200, await response.text()
    assert response.headers["Cache-Control"] == "no-store"
    given = await response.json()
    assert given["agent_id"] == agent
    return {"Authorization": f"Bearer {given['token']}"}


async def test_it_opens_the_toolbars_routes_and_no_other(floor: Floor) -> None:
    key = await token(floor)
    opened = set()
    for route in build_app(floor.desk)[TABLE]:
        if route.scope is None:
            continue
        path = template(route.path).format(call_id="x", request_id="x", kind="customer", id="7")
        response = await floor.client.request(route.method, path, headers=key)
        if response.status != 403:
            opened.add((route.method, route.path))
            continue
        assert (await response.json())["detail"] == "a toolbar token does not open this"
    assert opened == OPEN_TO_TOKENS


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"agent_id": "agent-1", "ttl_s": 1}, 200),
        ({"agent_id": "agent-1", "ttl_s": 3600}, 200),
        ({"agent_id": "agent-1", "ttl_s": 3601}, 422),
        ({"agent_id": "agent-1", "ttl_s": 0}, 422),
        ({"agent_id": "agent-1", "scope": "admin"}, 422),
        ({"agent_id": "nobody"}, 422),
        ({}, 422),
    ],
)
async def test_what_is_asked_for_is_checked(
    floor: Floor, body: dict[str, Any], status: int
) -> None:
    response = await floor.client.post("/v1/toolbar-tokens", json=body, headers=NATIVE)
    assert response.status == status


@pytest.mark.parametrize("key", [SWITCH, ADMIN])
async def test_a_key_that_may_not_dispose_gives_none(floor: Floor, key: dict[str, str]) -> None:
    body = {"agent_id": "agent-1"}
    response = await floor.client.post("/v1/toolbar-tokens", json=body, headers=key)
    assert await problem(response) == (403, "forbidden")


async def test_a_token_gives_no_token(floor: Floor) -> None:
    response = await floor.client.post(
        "/v1/toolbar-tokens", json={"agent_id": "agent-1"}, headers=await token(floor)
    )
    assert await problem(response) == (403, "forbidden")


async def test_it_ends_by_the_gateways_clock(floor: Floor) -> None:
    key = await token(floor, ttl_s=60)
    floor.clock.advance(59_999)
    assert (await floor.client.get("/v1/codes", headers=key)).status == 200
    floor.clock.advance(1)
    response = await floor.client.get("/v1/codes", headers=key)
    assert await problem(response) == (401, "unauthorized")
    assert (await response.json())["detail"] == "the toolbar token has expired"


async def test_every_gateway_takes_it_until_its_key_is_revoked(floor: Floor) -> None:
    key = await token(floor)
    async with open_floor(tenants=[TENANT]) as another:
        assert (await another.client.get("/v1/codes", headers=key)).status == 200
    revoked = msgspec.structs.replace(TENANT, credentials=TENANT.credentials[1:])
    async with open_floor(tenants=[revoked]) as another:
        response = await another.client.get("/v1/codes", headers=key)
        assert await problem(response) == (401, "unauthorized")


@pytest.mark.parametrize("scheme", ["Basic {}", "{}", "Bearer {}x", "Bearer x{}", "Bearer {} {}"])
async def test_what_only_looks_like_one_is_refused(floor: Floor, scheme: str) -> None:
    bare = (await token(floor))["Authorization"].removeprefix("Bearer ")
    headers = {"Authorization": scheme.format(bare, bare)}
    response = await floor.client.get("/v1/codes", headers=headers)
    assert await problem(response) == (401, "unauthorized")


async def test_two_credentials_are_none(floor: Floor) -> None:
    mine = ("Authorization", (await token(floor))["Authorization"])
    key = ("Authorization", NATIVE["Authorization"])
    for headers in ([mine, key], [key, mine], [mine, mine]):
        response = await floor.client.get("/v1/codes", headers=headers)
        assert await problem(response) == (401, "unauthorized")


async def test_calls_are_the_agents_own_and_show_what_it_said_alone(floor: Floor) -> None:
    key = await token(floor)
    for path in ("/v1/calls", "/v1/calls?agent_id=agent-1"):
        (only,) = (await (await floor.client.get(path, headers=key)).json())["calls"]
        assert only["id"] == "shared"
        own, other = only["agents"]
        assert own["queued"]["comment"] == "private word"
        assert other == {"agent_id": "agent-2", "phase": "active"}
    response = await floor.client.get("/v1/calls?agent_id=agent-2", headers=key)
    assert await problem(response) == (403, "forbidden")
    shown = await (await floor.client.get("/v1/calls/shared", headers=key)).json()
    assert "queued" not in shown["agents"][1]
    by_key = await (await floor.client.get("/v1/calls/shared", headers=NATIVE)).json()
    assert "queued" in by_key["agents"][1]


async def test_anothers_call_is_as_one_that_is_not_there(floor: Floor) -> None:
    key = await token(floor)
    theirs = await floor.client.get("/v1/calls/theirs", headers=key)
    missing = await floor.client.get("/v1/calls/missing", headers=key)
    assert await theirs.json() == await missing.json()
    assert await problem(theirs) == (404, "unknown_call")


async def test_it_disposes_as_its_agent_alone(floor: Floor) -> None:
    key, path = await token(floor), "/v1/calls/shared/disposition"
    body = {"agent_id": "agent-2", "code": "Sale"}
    response = await floor.client.post(path, json=body, headers=key)
    assert await problem(response) == (403, "forbidden")
    assert floor.nothing_written
    body["agent_id"] = "agent-1"
    response = await floor.client.post(path, json=body, headers=key)
    assert (await response.json())["outcome"] == "saved"


async def test_a_request_of_another_agent_is_not_there(floor: Floor) -> None:
    for agent in ("agent-1", "agent-2"):
        entry = Entry(
            id=f"topic:{agent}",
            tenant="demo",
            call_id="shared",
            at_ms=START_MS,
            rank=0,
            sequence=1,
            request_id=f"req-{agent}",
            body=msgspec.json.encode({"outcome": "queued", "agent_id": agent}),
        )
        await floor.history.upsert([entry], [])
    key = await token(floor)
    assert (await floor.client.get("/v1/requests/req-agent-1", headers=key)).status == 200
    response = await floor.client.get("/v1/requests/req-agent-2", headers=key)
    assert await problem(response) == (404, "not_found")


@pytest.mark.parametrize("path", ["/v1/codes", "/v1/calls", "/v1/calls/shared", "/v1/calls/no"])
async def test_pages_of_the_tenants_origins_read_answers_and_no_others(
    floor: Floor, path: str
) -> None:
    key = await token(floor)
    response = await floor.client.get(path, headers=key | {"Origin": CRM})
    assert response.headers["Access-Control-Allow-Origin"] == CRM
    assert response.headers["Vary"] == "Origin"
    response = await floor.client.get(path, headers=key)
    assert response.status != 403
    assert "Access-Control-Allow-Origin" not in response.headers
    assert response.headers["Vary"] == "Origin"
    response = await floor.client.get(path, headers=key | {"Origin": EVIL})
    assert await problem(response) == (403, "forbidden")
    assert "Access-Control-Allow-Origin" not in response.headers


async def test_a_page_may_read_why_its_token_is_refused(floor: Floor) -> None:
    headers = {"Authorization": "Bearer atb_x.y", "Origin": CRM}
    response = await floor.client.get("/v1/codes", headers=headers)
    assert await problem(response) == (401, "unauthorized")
    assert response.headers["Access-Control-Allow-Origin"] == CRM


async def test_a_key_in_a_page_reads_nothing(floor: Floor) -> None:
    response = await floor.client.get("/v1/codes", headers=NATIVE | {"Origin": CRM})
    assert response.status == 200
    assert "Access-Control-Allow-Origin" not in response.headers


async def test_a_page_of_the_gateway_itself_needs_no_list(floor: Floor) -> None:
    here = f"http://{floor.client.host}:{floor.client.port}"
    body = {"agent_id": "agent-1", "code": "Sale"}
    response = await floor.client.post(
        "/v1/calls/shared/disposition", json=body, headers=await token(floor) | {"Origin": here}
    )
    assert response.status == 200


async def test_a_preflight_is_answered_where_toolbars_ask(floor: Floor) -> None:
    asked = {"Origin": CRM, "Access-Control-Request-Method": "POST"}
    response = await floor.client.options("/v1/calls/x/disposition", headers=asked)
    assert response.status == 204
    assert response.headers["Access-Control-Allow-Origin"] == CRM
    assert response.headers["Access-Control-Allow-Methods"] == "POST, OPTIONS"
    assert response.headers["Vary"].startswith("Origin, ")
    response = await floor.client.options(
        "/v1/calls/x/disposition", headers=asked | {"Origin": EVIL}
    )
    assert "Access-Control-Allow-Origin" not in response.headers


async def test_every_other_route_is_shared_with_nobody(floor: Floor) -> None:
    for route in build_app(floor.desk)[TABLE]:
        if route.toolbar:
            continue
        path = template(route.path).format(call_id="x", request_id="x", kind="customer", id="7")
        for method in (route.method, "OPTIONS"):
            response = await floor.client.request(method, path, headers=NATIVE | {"Origin": CRM})
            shared = [name for name in response.headers if name.startswith("Access-Control")]
            assert shared == [], path
