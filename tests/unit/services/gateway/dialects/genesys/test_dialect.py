"""The routes against a whole centre: what is published, retries, whose calls are shown."""

import io
from typing import Any

import msgspec
import pytest
from aiohttp import encode_basic_auth
from msgspec.structs import replace

from services.gateway.dialects.genesys import Genesys
from shared.contracts.dispositions import DispositionRequest, Policy
from shared.contracts.envelope import from_record
from shared.contracts.tenants import Tenant
from shared.contracts.topics import DISPOSITION_REQUESTS, USER_EVENTS
from tests.support.centre import Centre, demo_tenant, running_centre

DIALECTS = (Genesys(),)
AGENT_1 = {"Authorization": encode_basic_auth("agent-1", "demo")}
AGENT_2 = {"Authorization": encode_basic_auth("agent-2", "demo")}
SET = {"operationName": "SetCallDisposition", "disposition": "Referred"}
DONE = (200, {"statusCode": 0})


async def post(centre: Centre, body: Any = None, call_id: str = "c-1", **headers: str) -> Any:
    sent = AGENT_1 | {name.replace("_", "-"): value for name, value in headers.items()}
    path = f"/api/v2/me/calls/{call_id}"
    response = await centre.client.post(path, headers=sent, json=body or SET)
    return response.status, await response.json()


async def calls(centre: Centre, agent: dict[str, str] = AGENT_1) -> list[dict[str, Any]]:
    response = await centre.client.get("/api/v2/me/calls", headers=agent)
    body = await response.json()
    assert (response.status, body["statusCode"]) == (200, 0)
    shown: list[dict[str, Any]] = body["calls"]
    return shown


async def connect(centre: Centre, call_id: str = "c-1", *agents: str, tenant: str = "demo") -> None:
    await centre.tell(tenant, call_id, "call.started", direction="inbound")
    for agent_id in agents or ("agent-1",):
        await centre.tell(tenant, call_id, "call.agent_joined", agent_id=agent_id)


@pytest.mark.asyncio
async def test_what_is_published() -> None:
    async with running_centre(demo_tenant(), dialects=DIALECTS) as centre:
        await connect(centre)
        body = SET | {"dispositionKey": "Outcome", "agent_id": "agent-2", "policy": {}}
        assert await post(centre, body) == DONE
        (record,) = centre.log.all(DISPOSITION_REQUESTS)
        request = msgspec.json.decode(from_record(record).data, type=DispositionRequest)
        assert request == DispositionRequest(
            request_id=request.request_id,
            idempotency_key=request.request_id,
            body_hash=request.body_hash,
            call_id="c-1",
            agent_id="agent-1",
            code="Referred",
            key="Outcome",
            dialect="genesys",
            policy=Policy(correct=True, late=True, tell_in_wrap_up=True),
        )
        assert (await calls(centre))[0]["userData"] == {"Outcome": "Referred"}


@pytest.mark.asyncio
async def test_released_in_their_sense_goes_to_reporting() -> None:
    async with running_centre(demo_tenant(), dialects=DIALECTS) as centre:
        await connect(centre)
        assert await post(centre) == DONE
        assert centre.log.all(USER_EVENTS) == []
        await connect(centre, "c-2")
        await centre.tell("demo", "c-2", "call.disconnected")
        assert await post(centre, call_id="c-2") == DONE
        assert len(centre.log.all(USER_EVENTS)) == 1
        await centre.tell("demo", "c-2", "call.released")
        assert await post(centre, SET | {"disposition": "Sale"}, call_id="c-2") == DONE
        assert len(centre.log.all(USER_EVENTS)) == 2


@pytest.mark.asyncio
async def test_a_retry_with_the_same_key() -> None:
    async with running_centre(demo_tenant(), dialects=DIALECTS) as centre:
        await connect(centre)
        assert await post(centre, Idempotency_Key="k-1") == DONE
        assert await post(centre, Idempotency_Key="k-1") == DONE
        status, body = await post(centre, SET | {"disposition": "Sale"}, Idempotency_Key="k-1")
        assert (status, body["statusCode"]) == (400, 10)
        assert (await calls(centre))[0]["userData"] == {"DispositionCode": "Referred"}
        status, body = await post(centre, Idempotency_Key="x" * 256)
        assert (status, body["statusCode"]) == (400, 10)


@pytest.mark.asyncio
async def test_each_agent_sees_the_calls_and_the_disposition_of_its_own() -> None:
    async with running_centre(demo_tenant(), dialects=DIALECTS) as centre:
        await connect(centre, "c-1", "agent-1", "agent-2")
        await centre.tell("demo", "c-1", "call.agent_left", agent_id="agent-1", reason="transfer")
        centre.clock.advance(1000)
        await connect(centre, "c-2", "agent-1")
        assert await post(centre) == DONE
        mine, theirs = await calls(centre), await calls(centre, AGENT_2)
        assert [(one["id"], one["state"]) for one in mine] == [
            ("c-2", "Established"),
            ("c-1", "Released"),
        ]
        assert [one["userData"] for one in mine] == [{}, {"DispositionCode": "Referred"}]
        assert [(one["id"], one["state"]) for one in theirs] == [("c-1", "Established")]
        assert theirs[0]["userData"] == {}
        await centre.tell("demo", "c-1", "call.released", agent_id="agent-1")
        assert [one["id"] for one in await calls(centre)] == ["c-2"]


@pytest.mark.asyncio
async def test_the_tenant_comes_from_the_password() -> None:
    agents = tuple(replace(one, password_sha256="ab" * 32) for one in demo_tenant().agents)
    other = Tenant(id="other", agents=agents, codes=demo_tenant().codes)
    async with running_centre(demo_tenant(), other, dialects=DIALECTS) as centre:
        await connect(centre, "c-1", tenant="other")
        status, body = await post(centre, X_Tenant="other")
        assert (status, body["statusCode"]) == (404, 6)
        assert await calls(centre) == []


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "authorization",
    [
        "Bearer YWdlbnQtMTpkZW1v",
        "Basic",
        "Basic é",
        "Basic ?",
        "Basic \udcff",
        "Basic /w==",
        "Basic " + "QQ==" * 500,
        "x",
    ],
)
async def test_headers_that_hold_no_credential(authorization: str) -> None:
    async with running_centre(demo_tenant(), dialects=DIALECTS) as centre:
        headers = {"Authorization": authorization}
        response = await centre.client.get("/api/v2/me", headers=headers)
        assert (response.status, (await response.json())["statusCode"]) == (401, 20)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("host", "shown"),
    [
        ("centre.example", "http://centre.example/"),
        ("[::1]:8080", "http://[::1]:8080/"),
        ("x:99999999", "http://localhost/"),
        ('x"><script>', "http://localhost/"),
        ("[::1", "http://localhost/"),
        ("é", "http://localhost/"),
        ("", "http://localhost/"),
    ],
)
async def test_no_host_that_is_none_gets_into_an_answer(host: str, shown: str) -> None:
    async with running_centre(demo_tenant(), dialects=DIALECTS) as centre:
        response = await centre.client.get("/api/v2/me", headers=AGENT_1 | {"Host": host})
        assert response.status == 200
        assert (await response.json())["user"]["uri"] == f"{shown}api/v2/users/agent-1"


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("body", "status"),
    [(b"x" * (1024 * 1024 + 1), 413), (b"\xff", 400), (b"null", 400), (b'{"a":1,"a":2}', 400)],
)
async def test_bodies_that_can_not_be_read(body: bytes, status: int) -> None:
    async with running_centre(demo_tenant(), dialects=DIALECTS) as centre:
        response = await centre.client.post(
            "/api/v2/me/devices/d-1",
            headers=AGENT_1 | {"Content-Type": "application/json"},
            data=io.BytesIO(body),
        )
        assert (response.status, (await response.json())["statusCode"]) == (status, 10)
        assert centre.asked() == 0


@pytest.mark.asyncio
async def test_two_keys_of_one_request_are_refused() -> None:
    async with running_centre(demo_tenant(), dialects=DIALECTS) as centre:
        await connect(centre)
        keys = [("Idempotency-Key", "k-1"), ("Idempotency-Key", "k-2")]
        response = await centre.client.post(
            "/api/v2/me/calls/c-1", json=SET, headers=[*AGENT_1.items(), *keys]
        )
        assert (response.status, (await response.json())["statusCode"]) == (400, 10)
        assert centre.log.all(DISPOSITION_REQUESTS) == []
