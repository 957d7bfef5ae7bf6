"""The two routes against a whole centre: what is published, retries, tokens over HTTP."""

import asyncio
import gzip
import io
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from services.gateway.dialects.ozonetel import Ozonetel, tokens
from shared.contracts.dispositions import DispositionRequest, Policy
from shared.contracts.envelope import from_record
from shared.contracts.instants import from_wire
from shared.contracts.tenants import Credential, Tenant
from shared.contracts.topics import DISPOSITION_REQUESTS
from tests.support.centre import Centre, demo_tenant, running_centre

DIALECTS = (Ozonetel(),)
SET = {
    "userName": "demo",
    "action": "Set",
    "agentID": "agent-1",
    "did": "9140",
    "ucid": "901",
    "disposition": "Sale",
}
QUEUED = {"status": "Success", "message": "Disposition Queued Successfully"}
INVALID_TOKEN = {"status": "false", "message": "Invalid Token", "data": None}

Answer = tuple[int, Any]


async def generate(centre: Centre, api_key: str = "demo-key") -> str:
    path, headers = "/ca_apis/CAToken/generateToken", {"apiKey": api_key}
    response = await centre.client.post(path, headers=headers, json={"userName": "demo"})
    token: str = (await response.json())["token"]
    return token


async def post(centre: Centre, token: str, body: Any = None, **headers: str) -> Answer:
    sent = {"Authorization": f"Bearer {token}"}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    path = "/ca_apis/DispositionAPIV2"
    response = await centre.client.post(path, headers=sent, json=body or SET)
    return response.status, await response.json()


async def ring_and_answer(centre: Centre) -> None:
    await centre.tell("demo", "901", "call.started", direction="inbound", did="9140")
    await centre.tell("demo", "901", "call.agent_joined", agent_id="agent-1")


def published(centre: Centre) -> list[DispositionRequest]:
    records = centre.log.all(DISPOSITION_REQUESTS)
    return [msgspec.json.decode(from_record(one).data, type=DispositionRequest) for one in records]


@pytest.mark.asyncio
@pytest.mark.parametrize("late", [False, True])
async def test_what_is_published(*, late: bool) -> None:
    tenant = replace(demo_tenant(), ozonetel_late=late, time_zone="Asia/Kolkata")
    async with running_centre(tenant, dialects=DIALECTS) as centre:
        await ring_and_answer(centre)
        body = SET | {
            "disposition": "Callback",
            "callBackTime": "2026-12-01 09:30",
            "comments": " call again ",
            "pauseReason": "Lunch",
            "autoRelease": "true",
        }
        assert await post(centre, await generate(centre), body) == (200, QUEUED)
        (request,) = published(centre)
        assert request == DispositionRequest(
            request_id=request.request_id,
            idempotency_key=request.request_id,
            body_hash=request.body_hash,
            call_id="901",
            agent_id="agent-1",
            code="Callback",
            key="DispositionCode",
            dialect="ozonetel",
            policy=Policy(correct=False, late=late),
            comment="call again",
            callback_ms=from_wire("2026-12-01T04:00:00Z"),
            pause_after=True,
            pause_reason="Lunch",
            release_after=True,
        )


@pytest.mark.asyncio
async def test_a_retry_with_the_same_key_gets_the_first_answer_again() -> None:
    async with running_centre(demo_tenant(), dialects=DIALECTS) as centre:
        await ring_and_answer(centre)
        token = await generate(centre)
        assert await post(centre, token, Idempotency_Key="k-1") == (200, QUEUED)
        await centre.tell("demo", "901", "call.disconnected", by="caller")
        assert await post(centre, token, Idempotency_Key="k-1") == (200, QUEUED)
        status, body = await post(
            centre, token, SET | {"disposition": "Referred"}, Idempotency_Key="k-1"
        )
        assert (status, body["status"]) == (422, "Fail")
        assert len({request.request_id for request in published(centre)}) == 1


@pytest.mark.asyncio
async def test_a_token_outlives_the_gateway_and_opens_every_other() -> None:
    async with running_centre(demo_tenant(), dialects=DIALECTS) as first:
        token = await generate(first)
        async with running_centre(demo_tenant(), dialects=DIALECTS) as second:
            assert await post(second, token) == (200, INVALID_TOKEN)
            second.store.documents |= first.store.documents
            status, body = await post(second, token)
            assert (status, body["details"]) == (200, "Invalid ucid [901] or did [9140]")


@pytest.mark.asyncio
async def test_a_key_taken_away_takes_its_token_with_it() -> None:
    async with running_centre(demo_tenant(), dialects=DIALECTS) as before:
        token = await generate(before)
        keys = tuple(one for one in demo_tenant().credentials if one.kind != "ozonetel")
        without = replace(demo_tenant(), credentials=keys)
        async with running_centre(without, dialects=DIALECTS) as after:
            after.store.documents |= before.store.documents
            assert await post(after, token) == (200, INVALID_TOKEN)


@pytest.mark.asyncio
async def test_the_eleventh_token_of_an_hour() -> None:
    async with running_centre(demo_tenant(), dialects=DIALECTS) as centre:
        given = [await generate(centre) for _ in range(10)]
        path, headers = "/ca_apis/CAToken/generateToken", {"apiKey": "demo-key"}
        response = await centre.client.post(path, headers=headers, json={"userName": "demo"})
        assert (response.status, response.headers["Retry-After"]) == (429, "3600")
        assert await response.json() == {
            "status": "false",
            "message": "Only 10 tokens can be generated in an hour",
            "data": None,
        }
        assert (await post(centre, given[-1]))[1] != INVALID_TOKEN
        centre.clock.advance(3_600_000)
        assert await generate(centre)


@pytest.mark.asyncio
async def test_two_tenants_with_the_same_user_name_and_call() -> None:
    key = Credential(
        id="oz",
        kind="ozonetel",
        name="demo",
        scopes=("disposition:write", "read"),
        sha256="5f9f0ea1ab0ca0c7d6ba0f2d5a4d1bbe6ec7a7ac2f9a6f6c7c0f3f8ddb6b7f35",
    )
    other = Tenant(id="other", credentials=(key,), codes=demo_tenant().codes)
    async with running_centre(demo_tenant(), other, dialects=DIALECTS) as centre:
        await centre.tell("other", "901", "call.started", direction="inbound", did="9140")
        token = await generate(centre)
        status, body = await post(centre, token)
        assert (status, body["details"]) == (200, "Invalid ucid [901] or did [9140]")
        assert published(centre) == []


@pytest.mark.asyncio
async def test_one_tenant_s_basic_auth_leaves_the_others_alone() -> None:
    key = next(one for one in demo_tenant().credentials if one.kind == "ozonetel")
    twin = replace(key, sha256="00" * 32)
    other = Tenant(id="other", credentials=(twin,), ozonetel_auth="basic")
    async with running_centre(demo_tenant(), other, dialects=DIALECTS) as centre:
        response = await centre.client.post("/ca_apis/DispositionAPIV2", json=SET)
        assert (await response.json())["message"] == "Token Should Not be Null or Empty."
        response = await centre.client.post(
            "/ca_apis/DispositionAPIV2", json={}, headers={"apiKey": "x"}
        )
        assert (await response.json())["message"] == "Username Should Not be Null or Empty."
        assert (await post(centre, await generate(centre)))[1]["details"].startswith("Invalid ucid")


@pytest.mark.asyncio
async def test_a_token_account_s_key_does_not_open_it_as_basic_auth() -> None:
    key = next(one for one in demo_tenant().credentials if one.kind == "ozonetel")
    basic = Tenant(
        id="other",
        credentials=(replace(key, name="other", sha256="00" * 32),),
        ozonetel_auth="basic",
    )
    async with running_centre(demo_tenant(), basic, dialects=DIALECTS) as centre:
        seeming = tokens.Owner("other", "other")
        token = await tokens.issue(centre.store, seeming, centre.clock.now_ms())
        status, body = await post(centre, token, SET, apiKey="demo-key")
        assert (status, body["message"]) == (200, "Invalid userName or apiKey")


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("scopes", "action", "status"),
    [
        (("read",), "get", 200),
        (("read",), "set", 403),
        (("disposition:write",), "get", 403),
        (("disposition:write",), "set", 200),
        ((), "get", 403),
    ],
)
async def test_a_key_does_what_it_is_for(scopes: tuple[str, ...], action: str, status: int) -> None:
    keys = tuple(replace(one, scopes=scopes) for one in demo_tenant().credentials)
    tenant = replace(demo_tenant(), credentials=keys)
    async with running_centre(tenant, dialects=DIALECTS) as centre:
        got, body = await post(centre, await generate(centre), SET | {"action": action})
        assert got == status
        assert status == 200 or body["status"] == "Fail"


@pytest.mark.asyncio
async def test_refused_rows_publish_nothing_however_many_come_at_once() -> None:
    async with running_centre(demo_tenant(), dialects=DIALECTS) as centre:
        token = await generate(centre)
        answers = await asyncio.gather(
            *(post(centre, token, SET | {"ucid": f"none-{n}"}) for n in range(20))
        )
        assert {body["status"] for _, body in answers} == {"Fail"}
        assert published(centre) == []


HOSTILE_HEADERS: list[dict[str, str]] = [
    {"Authorization": "Bearer \udcff\udcfe"},
    {"Authorization": "Bearer " + "x" * 5000},
    {"Authorization": "Bearer oz_....."},
    {"Authorization": "bearer"},
    {"Authorization": "é é"},
    {"apiKey": "é"},
]


@pytest.mark.asyncio
@pytest.mark.parametrize("headers", HOSTILE_HEADERS)
async def test_headers_that_hold_no_credential(headers: dict[str, str]) -> None:
    async with running_centre(demo_tenant(), dialects=DIALECTS) as centre:
        for path in ("/ca_apis/DispositionAPIV2", "/ca_apis/CAToken/generateToken"):
            response = await centre.client.post(path, headers=headers, json=SET)
            assert response.status == 200
            assert (await response.json())["status"] == "false"


@pytest.mark.asyncio
async def test_two_authorization_headers_are_none() -> None:
    async with running_centre(demo_tenant(), dialects=DIALECTS) as centre:
        token = await generate(centre)
        twice = [("Authorization", f"Bearer {token}"), ("Authorization", "Bearer x")]
        response = await centre.client.post("/ca_apis/DispositionAPIV2", headers=twice, json=SET)
        assert (await response.json())["message"] == "Token Should Not be Null or Empty."


JSON = {"Content-Type": "application/json"}
HOSTILE_BODIES: list[tuple[bytes, dict[str, str], int]] = [
    (b"x" * (1024 * 1024 + 1), JSON, 413),
    (b"not gzip", JSON | {"Content-Encoding": "gzip"}, 400),
    (gzip.compress(b"0" * (2 * 1024 * 1024)), JSON | {"Content-Encoding": "gzip"}, 413),
    (b'{"userName": "\xff"}', JSON, 400),
    (b'{"userName": "demo", "n": 1e400}', JSON, 400),
    (b'{"userName": "demo", "n": NaN}', JSON, 400),
    (b'{"userName": "demo", "n": 9223372036854775808}', JSON, 400),
    (b'{"userName": "demo", "n": ' + b"9" * 5000 + b"}", JSON, 400),
    (b'{"userName": "demo\\u0000"}', JSON, 400),
    (b'{"userName": "\\ud800"}', JSON, 400),
    (b"\xef\xbb\xbf{}", JSON, 400),
    (b"[" * 1500 + b"]" * 1500, JSON, 400),
    (b"null", JSON, 400),
    (b"{}", {"Content-Type": "text/plain"}, 415),
    (b"{}", {"Content-Type": ""}, 415),
]


@pytest.mark.asyncio
@pytest.mark.parametrize(("body", "headers", "status"), HOSTILE_BODIES)
async def test_bodies_that_can_not_be_read(
    body: bytes, headers: dict[str, str], status: int
) -> None:
    async with running_centre(demo_tenant(), dialects=DIALECTS) as centre:
        known = {"Authorization": f"Bearer {await generate(centre)}", "apiKey": "demo-key"}
        for path in ("/ca_apis/DispositionAPIV2", "/ca_apis/CAToken/generateToken"):
            response = await centre.client.post(
                path,
                headers=headers | known | {"Connection": "close"},
                data=io.BytesIO(body),
            )
            assert response.status == status
            assert response.content_type == "application/json"
            assert sorted(await response.json()) == ["message", "status"]


@pytest.mark.asyncio
async def test_two_keys_of_one_request_are_refused() -> None:
    async with running_centre(demo_tenant(), dialects=DIALECTS) as centre:
        await ring_and_answer(centre)
        bearer = ("Authorization", f"Bearer {await generate(centre)}")
        keys = [("Idempotency-Key", "k-1"), ("Idempotency-Key", "k-2")]
        response = await centre.client.post(
            "/ca_apis/DispositionAPIV2", json=SET, headers=[bearer, *keys]
        )
        assert (response.status, (await response.json())["status"]) == (422, "Fail")
        assert published(centre) == []
