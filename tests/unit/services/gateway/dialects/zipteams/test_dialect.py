"""What stands in no row of the golden files: headers sent twice, subtenants, limits, calls."""

import io
import json
from collections.abc import AsyncIterator, Mapping
from copy import deepcopy
from hashlib import sha256
from typing import Any

import pytest
import pytest_asyncio
from msgspec.structs import replace

from services.gateway.dialects.zipteams import Zipteams
from services.gateway.dialects.zipteams.batch import CUSTOM_VALUE
from services.gateway.subject_desk import SubjectView
from shared.contracts import limits
from shared.contracts.calls import Call, Phase
from shared.contracts.instants import from_wire
from shared.contracts.subjects import Subject
from shared.contracts.tenants import Credential, RateLimits, Rates, Tenant
from shared.contracts.topics import DISPOSITION_EVENTS, TELEPHONY_EVENTS
from tests.support.centre import Centre, demo_tenant, running_centre

pytestmark = pytest.mark.asyncio

KEY = {
    "x-api-key": "demo-key",
    "x-api-secret": "demo-secret",
    "x-tenant-id": "demo",
    "x-subtenant-id": "main",
}
SECOND = KEY | {"x-subtenant-id": "second"}
NORTHERN = KEY | {"x-api-key": "north-key", "x-tenant-id": "north"}
STATUS = "/api/v1/partner/ingest/disposition-status"
BATCH = "/api/v1/partner/ingest/batch-call"
MAIN = Subject("customer", "c1")
OF_SECOND = Subject("customer", "c1", "second")


def credential(name: str, *scopes: str) -> Credential:
    digest = sha256(b"demo-secret").hexdigest()
    return Credential(id=name, sha256=digest, kind="zipteams", name=name, scopes=scopes)


DEMO = demo_tenant()
DEMO = replace(
    DEMO,
    subtenant_ids=("main", "second"),
    credentials=(*DEMO.credentials, credential("reader", "read")),
)
NORTH = replace(
    DEMO, id="north", agents=(), credentials=(credential("north-key", "disposition:write"),)
)


@pytest_asyncio.fixture
async def centre() -> AsyncIterator[Centre]:
    async with running_centre(DEMO, NORTH, dialects=(Zipteams(),)) as centre:
        yield centre


async def put(
    centre: Centre, status: str | None = "interested", headers: Mapping[str, str] = KEY
) -> tuple[int, Any]:
    body = {"customer_id": "c1", "disposition_status": status}
    response = await centre.client.put(STATUS, json=body, headers=headers)
    return response.status, await response.json()


def recorded(call_id: str = "r1", customer: str = "c1", **about: Any) -> dict[str, Any]:
    return {
        "call": {
            "id": call_id,
            "recording_url": "https://example.com/r1.mp3",
            "start_time": "2023-01-01T10:00:00Z",
            "end_time": "2023-01-01T10:30:00Z",
            "contact_number": "+1234567890",
        },
        "agent": {"id": "agent-1", "name": "Ada Private"},
        "customer": {"id": customer, **about},
    }


async def ingest(
    centre: Centre, *calls: dict[str, Any], headers: Mapping[str, str] = KEY
) -> tuple[int, Any]:
    response = await centre.client.post(BATCH, json={"data": list(calls)}, headers=headers)
    return response.status, await response.json()


async def read(centre: Centre, subject: Subject = MAIN, tenant: Tenant = DEMO) -> SubjectView:
    view = await centre.desk.subjects.read(tenant, subject)
    assert view is not None
    return view


async def status_of(centre: Centre, subject: Subject = MAIN) -> str | None:
    status = (await read(centre, subject)).document.status
    return None if status is None else status.code


async def call_of(centre: Centre, call_id: str = "r1") -> Call:
    view = await centre.desk.call(DEMO, call_id)
    assert view is not None
    return view.call


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x-api-key", "demo-key"),
        ("x-api-key", "reader"),
        ("x-api-secret", "demo-secret"),
        ("x-api-secret", "other"),
        ("x-tenant-id", "north"),
        ("x-subtenant-id", "second"),
        ("x-sub-tenant-id", "second"),
    ],
)
@pytest.mark.parametrize("path", [STATUS, BATCH])
async def test_a_second_header_opens_nothing(
    centre: Centre, path: str, name: str, value: str
) -> None:
    assert (await ingest(centre, recorded()))[0] == 200
    asked, told = centre.asked(), len(centre.log.all(TELEPHONY_EVENTS))
    headers = [*KEY.items(), (name, value)]
    method = "PUT" if path == STATUS else "POST"
    body = {"customer_id": "c1", "data": [recorded("r2")]}
    response = await centre.client.request(method, path, json=body, headers=headers)
    assert response.status == 403
    assert await response.json() == {"success": False, "message": "Forbidden"}
    assert (centre.asked(), len(centre.log.all(TELEPHONY_EVENTS))) == (asked, told)


async def test_a_key_opens_what_it_is_for(centre: Centre) -> None:
    for headers in (KEY | {"x-api-key": "reader"}, NORTHERN | {"x-tenant-id": "demo"}):
        assert await put(centre, headers=headers) == (
            403,
            {"success": False, "message": "Forbidden"},
        )


async def test_another_tenant_s_customer_is_like_one_that_there_is_not(centre: Centre) -> None:
    await ingest(centre, recorded())
    unknown = (404, {"success": False, "message": "Customer not found"})
    assert await put(centre, headers=NORTHERN) == unknown
    assert (await put(centre))[0] == 200
    assert await put(centre, headers=NORTHERN) == unknown


async def test_the_same_id_in_two_subtenants_is_two_customers(centre: Centre) -> None:
    await ingest(centre, recorded())
    assert (await put(centre, "no", SECOND))[0] == 404
    await ingest(centre, recorded("r2"), headers=SECOND)
    assert (await put(centre, "here"))[0] == 200
    assert (await put(centre, "there", SECOND))[0] == 200
    assert await status_of(centre, MAIN) == "here"
    assert await status_of(centre, OF_SECOND) == "there"
    assert (await put(centre, None, SECOND))[0] == 200
    assert (await status_of(centre, MAIN), await status_of(centre, OF_SECOND)) == ("here", None)
    assert [call.id for call in (await read(centre, MAIN)).calls] == ["r1"]


async def test_a_status_is_taken_away_and_stays_in_the_history(centre: Centre) -> None:
    await ingest(centre, recorded(disposition_status="first"))
    for status in ("second", "", None):
        assert (await put(centre, status))[0] == 200
    document = (await read(centre)).document
    assert document.status is not None
    assert document.status.code is None
    assert [status.code for status in document.earlier] == ["first", "second"]


async def test_a_retry_is_answered_as_it_was_and_another_body_is_refused(centre: Centre) -> None:
    await ingest(centre, recorded())
    key = KEY | {"Idempotency-Key": "k-1"}
    first = await put(centre, "one", key)
    await put(centre, "two")
    assert await put(centre, "one", key) == first
    assert await status_of(centre) == "two"
    status, body = await put(centre, "three", key)
    assert (status, body["message"]) == (422, "Validation failed")
    assert body["errors"][0]["field"] == "Idempotency-Key"


async def test_an_ingested_call_is_there_released_at_its_own_times(centre: Centre) -> None:
    custom = [{"internal_name": "plan", "value": "blue"}]
    about = {"name": "Jane Private", "disposition_status": "interested"}
    await ingest(centre, recorded(**about) | {"custom_fields": custom})
    call = await call_of(centre)
    assert (call.phase, call.customer_id, call.to) == (Phase.RELEASED, "c1", "+1234567890")
    assert call.started_ms == from_wire("2023-01-01T10:00:00Z")
    assert call.disconnected_ms == from_wire("2023-01-01T10:30:00Z")
    assert (call.user_data["agent_id"], call.user_data["custom_fields"]) == ("agent-1", custom)
    view = await read(centre)
    assert view.document.data == {"name": "Jane Private"}
    assert await status_of(centre) == "interested"
    told = [message.headers for message in centre.log.all(DISPOSITION_EVENTS)]
    assert "missed" not in str(told)
    assert "Private" not in str(centre.log.all(TELEPHONY_EVENTS))


async def test_a_call_of_another_subtenant_is_not_about_the_first_one_s_customer(
    centre: Centre,
) -> None:
    await ingest(centre, recorded(), headers=SECOND)
    call = await call_of(centre)
    assert (call.customer_id, call.user_data["customer_id"]) == (None, "c1")
    assert await centre.desk.subjects.read(DEMO, MAIN) is None


async def test_a_call_ingested_again_brings_no_status_back(centre: Centre) -> None:
    call = recorded(disposition_status="interested")
    await ingest(centre, call)
    await put(centre, None)
    centre.clock.advance(limits.IDEMPOTENCY_KEPT_MS + 1)
    assert (await ingest(centre, call))[0] == 200
    assert await status_of(centre) is None


async def test_a_first_status_is_no_second_one(centre: Centre) -> None:
    await ingest(centre, recorded(disposition_status="first"))
    await ingest(centre, recorded("r2", disposition_status="second"))
    assert await status_of(centre) == "first"


async def test_a_batch_does_not_end_a_call_that_a_switch_has_told_of(centre: Centre) -> None:
    await centre.tell("demo", "r1", "call.started", direction="inbound", agent_id="agent-1")
    before = await call_of(centre)
    assert (await ingest(centre, recorded(disposition_status="interested")))[0] == 200
    assert await call_of(centre) == before
    assert await status_of(centre) == "interested"


async def test_a_batch_that_could_not_be_told_is_told_by_a_retry(centre: Centre) -> None:
    asked = centre.desk.tell

    async def fail_once(*args: Any, **named: Any) -> Any:
        centre.log.fail_next("append")
        centre.desk.tell = asked  # type: ignore[method-assign]
        return await asked(*args, **named)

    centre.desk.tell = fail_once  # type: ignore[method-assign]
    call = recorded(disposition_status="interested")
    assert (await ingest(centre, call))[0] == 503
    assert await put(centre, None) == (200, {"success": True})
    assert (await ingest(centre, call))[0] == 200
    assert (await call_of(centre)).phase is Phase.RELEASED
    assert await status_of(centre) is None


@pytest.mark.parametrize(
    ("calls", "status"),
    [(limits.ZIPTEAMS_CALLS_MAX, 200), (limits.ZIPTEAMS_CALLS_MAX + 1, 422)],
)
async def test_a_batch_holds_so_many_calls_and_no_more(
    centre: Centre, calls: int, status: int
) -> None:
    answered, body = await ingest(centre, *(recorded(f"r{n}", f"c{n}") for n in range(calls)))
    assert answered == status
    assert centre.asked() == (calls if status == 200 else 0)
    if status == 422:
        assert body["errors"] == [
            {"field": "data", "message": "data must contain no more than 50 elements"}
        ]


@pytest.mark.parametrize(
    ("size", "status"),
    [(limits.ZIPTEAMS_BODY_BYTES_MAX, 200), (limits.ZIPTEAMS_BODY_BYTES_MAX + 1, 413)],
)
async def test_a_body_is_so_large_and_no_larger(centre: Centre, size: int, status: int) -> None:
    await ingest(centre, recorded())
    asked = centre.asked()
    body = json.dumps({"customer_id": "c1", "disposition_status": "x", "more": ""}).encode()
    body = body[:-2] + b"x" * (size - len(body)) + body[-2:]
    headers = KEY | {"Content-Type": "application/json"}
    response = await centre.client.put(STATUS, data=io.BytesIO(body), headers=headers)
    assert (response.status, len(body)) == (status, size)
    assert (await response.json())["success"] == (status == 200)
    assert centre.asked() - asked == (1 if status == 200 else 0)


async def test_the_largest_custom_fields_are_kept_with_all_the_rest(centre: Centre) -> None:
    longest = CUSTOM_VALUE.chars_max
    custom = [
        {"internal_name": "\x01" * 254 + str(n), "value": "\x01" * longest} for n in range(10)
    ]
    call = deepcopy(recorded()) | {"custom_fields": custom}
    call["call"]["recording_url"] = "https://example.com/".ljust(2000, "x")
    assert (await ingest(centre, call))[0] == 200
    assert (await call_of(centre)).user_data["custom_fields"] == custom


async def test_both_routes_share_one_rate_of_the_partner_s() -> None:
    rates = RateLimits(credential=Rates(zipteams=2))
    demo, north = replace(DEMO, rate_limits=rates), replace(NORTH, rate_limits=rates)
    async with running_centre(demo, north, dialects=(Zipteams(),)) as centre:
        several = [recorded(call_id) for call_id in ("r1", "r2", "r3")]
        assert (await ingest(centre, *several))[0] == 200  # once, however many calls
        assert (await put(centre))[0] == 200
        for status, body in (await put(centre), await ingest(centre, recorded())):
            assert (status, body["message"]) == (
                429,
                "Rate limit exceeded. Try again in 60 seconds.",
            )
        assert (await put(centre, headers=NORTHERN))[0] == 404
        centre.clock.advance(60_000)
        assert (await put(centre))[0] == 200
