"""A limit set for a tenant holds on every route that asks for a credential, in its own shape."""

import json
from base64 import b64encode
from typing import Any, Final

import pytest
from msgspec.structs import replace

from services.gateway.dialects.carecycle import CareCycle
from services.gateway.dialects.genesys import Genesys
from services.gateway.dialects.ozonetel import Ozonetel
from services.gateway.dialects.vcc_live import VccLive
from services.gateway.dialects.zipteams import Zipteams
from shared.contracts.tenants import RateLimits, Rates
from tests.support.centre import Centre, demo_tenant, running_centre

pytestmark = pytest.mark.asyncio

SPOKEN: Final = (Ozonetel(), Genesys(), CareCycle(), Zipteams(), VccLive())
NATIVE: Final = {"Authorization": "Bearer demo-key"}
SWITCH: Final = {"Authorization": "Bearer demo-switch-key"}
PARTNER: Final = {
    "x-api-key": "demo-key",
    "x-api-secret": "demo-secret",
    "x-tenant-id": "demo",
    "x-subtenant-id": "main",
}
PROJECT: Final = "/v2/projects/17/records"
INGEST: Final = "/api/v1/partner/ingest"
ASKED: Final = {"userName": "demo", "action": "get"}


def basic(name: str, secret: str) -> dict[str, str]:
    return {"Authorization": f"Basic {b64encode(f'{name}:{secret}'.encode()).decode()}"}


AGENT: Final = basic("agent-1", "demo")
ACCOUNT: Final = basic("demo", "demo-key")
SALE: Final = {"elements": [{"numberid": str(n), "dispositionid": 1} for n in range(3)]}
STATUS: Final = {"customer_id": "c", "disposition_status": "x"}

# What is counted, a request, and what it is told that asks too often.
ROWS: Final[dict[str, tuple[str, str, str, dict[str, str], Any, Any]]] = {
    "native read": ("native", "GET", "/v1/codes", NATIVE, None, "too_many_requests"),
    "native disposition": (
        "native",
        "POST",
        "/v1/calls/c/disposition",
        NATIVE,
        {"agent_id": "agent-1", "code": "Sale"},
        "too_many_requests",
    ),
    "a switch": ("events", "POST", "/v1/events", SWITCH, None, "too_many_requests"),
    "genesys": ("genesys", "GET", "/api/v2/me", AGENT, None, 4),
    "genesys calls": ("genesys", "GET", "/api/v2/me/calls", AGENT, None, 4),
    "genesys operation": ("genesys", "POST", "/api/v2/me/calls/c", AGENT, {}, 4),
    "vcc live batch": ("vcc_live", "PUT", f"{PROJECT}/dispositions", ACCOUNT, SALE, "error."),
    "vcc live one": ("vcc_live", "POST", f"{PROJECT}/1/dispositions", ACCOUNT, {}, "error."),
    "vcc live record": ("vcc_live", "GET", f"{PROJECT}/1", ACCOUNT, None, "error."),
    "carecycle list": (
        "carecycle",
        "GET",
        "/v2/customers",
        {"x-api-key": "cc_demo_key"},
        None,
        "RATE_LIMIT_EXCEEDED",
    ),
    "zipteams": (
        "zipteams",
        "PUT",
        f"{INGEST}/disposition-status",
        PARTNER,
        STATUS,
        "Rate limit exceeded. Try again in 60 seconds.",
    ),
}


@pytest.mark.parametrize("whole", [False, True], ids=["credential", "tenant"])
@pytest.mark.parametrize("row", ROWS)
async def test_one_request_too_many(row: str, whole: bool) -> None:
    what, method, path, headers, body, expected = ROWS[row]
    rates = Rates(**{what: 2})
    limits = RateLimits(tenant=rates) if whole else RateLimits(credential=rates)
    tenant = replace(demo_tenant(), rate_limits=limits)
    async with running_centre(tenant, dialects=SPOKEN) as centre:

        async def ask() -> tuple[int, str | None, Any]:
            response = await centre.client.request(method, path, headers=headers, json=body)
            told = json.loads(await response.read())
            return response.status, response.headers.get("Retry-After"), told

        for _ in range(2):
            assert (await ask())[0] not in (429, 500, 503)
        before = centre.asked()
        status, wait, told = await ask()
        assert (status, wait) == (429, "60")
        assert_says(told, expected)
        assert centre.asked() == before
        centre.clock.advance(60_000)
        assert (await ask())[0] not in (429, 500, 503)


def assert_says(told: dict[str, Any], expected: Any) -> None:
    """In the dialect's own shape."""
    match expected:
        case int():
            assert told["statusCode"] == expected
        case "error.":
            (error,) = told["errors"]
            assert error["errormessage"].startswith("error.too_many_requests: ")
        case _:
            assert expected in (told.get("code"), told.get("message"))


async def test_ozonetel_counts_tokens_and_requests_apart() -> None:
    limits = RateLimits(credential=Rates(ozonetel=2, ozonetel_tokens=3))
    tenant = replace(demo_tenant(), rate_limits=limits)
    async with running_centre(tenant, dialects=SPOKEN) as centre:
        token = [await generate(centre) for _ in range(3)][-1]["token"]
        asked = [await dispose(centre, token) for _ in range(3)]
        assert [status for status, _, _ in asked] == [200, 200, 429]
        assert asked[-1][1] == "60"
        assert asked[-1][2]["status"] == "Fail"
        told = await generate(centre)
        assert told["message"] == "Only 3 tokens can be generated in an hour"
        centre.clock.advance(60_000)
        assert (await dispose(centre, token))[0] == 200


async def generate(centre: Centre) -> Any:
    path, key = "/ca_apis/CAToken/generateToken", {"apiKey": "demo-key"}
    response = await centre.client.post(path, headers=key, json={"userName": "demo"})
    return await response.json()


async def dispose(centre: Centre, token: str) -> tuple[int, str | None, Any]:
    headers = {"Authorization": f"Bearer {token}"}
    path = "/ca_apis/DispositionAPIV2"
    response = await centre.client.post(path, headers=headers, json=ASKED)
    return response.status, response.headers.get("Retry-After"), await response.json()


async def test_dialects_are_counted_apart() -> None:
    limits = RateLimits(tenant=Rates(native=1, genesys=1))
    tenant = replace(demo_tenant(), rate_limits=limits)
    async with running_centre(tenant, dialects=SPOKEN) as centre:
        asked = [("/v1/codes", NATIVE), ("/api/v2/me", AGENT)] * 2
        statuses = [(await centre.client.get(path, headers=h)).status for path, h in asked]
        assert statuses == [200, 200, 429, 429]


async def test_who_has_no_credential_takes_nobody_s_turn() -> None:
    limits = RateLimits(credential=Rates(native=1), tenant=Rates(native=1))
    tenant = replace(demo_tenant(), rate_limits=limits)
    async with running_centre(tenant, dialects=SPOKEN) as centre:
        for _ in range(3):
            wrong = {"Authorization": "Bearer demo-kez"}
            assert (await centre.client.get("/v1/codes", headers=wrong)).status == 401
        assert (await centre.client.get("/v1/codes", headers=NATIVE)).status == 200
