"""What stands in no row of the golden files: keys, tenants, pages, and what is stored."""

from collections.abc import AsyncIterator, Mapping
from hashlib import sha256
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio
from msgspec.structs import replace

from services.gateway.dialects.carecycle import CareCycle
from services.gateway.dialects.carecycle.dialect import enrolment_id
from services.gateway.dialects.carecycle.fields import LISTED_MAX, STATUSES
from services.gateway.status_admission import NamingAsked
from shared.contracts.subjects import Subject
from shared.contracts.tenants import Credential
from tests.support.centre import Centre, demo_tenant, running_centre

pytestmark = pytest.mark.asyncio

CUSTOMER = "87d8e330-2878-4742-a86f-dbbb3bf522ac"
CAMPAIGN = "13f8bf6d-dc27-4a04-bffe-6e5b13c19ddf"
KEY = {"x-api-key": "cc_demo_key"}
PATH = "/v2/customers/campaign-status"


def credential(secret: str, *scopes: str) -> Credential:
    digest = sha256(secret.encode()).hexdigest()
    return Credential(id=secret, sha256=digest, kind="carecycle", scopes=scopes)


DEMO = demo_tenant()
DEMO = replace(
    DEMO,
    credentials=(*DEMO.credentials, credential("cc_reader", "read"), credential("cc_none")),
)
NORTH = replace(
    DEMO, id="north", agents=(), credentials=(credential("cc_north", "read", "disposition:write"),)
)


@pytest_asyncio.fixture
async def centre() -> AsyncIterator[Centre]:
    async with running_centre(DEMO, NORTH, dialects=(CareCycle(),)) as centre:
        yield centre


async def call(centre: Centre, customer: str = CUSTOMER) -> None:
    about = {"customer_id": customer, "campaign_id": CAMPAIGN, "agent_id": "agent-1"}
    await centre.tell("demo", f"call-{customer}", "call.started", direction="inbound", **about)


async def patch(
    centre: Centre, status: str = "completed", headers: Mapping[str, str] = KEY, **more: Any
) -> tuple[int, Any]:
    body = {"customerId": CUSTOMER, "campaignId": CAMPAIGN, "status": status} | more
    response = await centre.client.patch(PATH, json=body, headers=headers)
    return response.status, await response.json()


async def page(centre: Centre, query: str = "", key: str = "cc_demo_key") -> tuple[int, Any]:
    headers = {"x-api-key": key}
    response = await centre.client.get(f"/v2/customers{query}", headers=headers)
    return response.status, await response.json()


async def test_an_enrolment_has_one_id_for_ever_and_shares_it_with_none(centre: Centre) -> None:
    await call(centre)
    answers = [(await patch(centre, status))[1] for status in ("completed", "failed")]
    assert answers[0]["customerCampaignId"] == answers[1]["customerCampaignId"]
    assert UUID(answers[0]["customerCampaignId"]).version == 5
    others = [
        enrolment_id(tenant, Subject("enrolment", customer, campaign))
        for tenant in (DEMO, NORTH)
        for customer in ("a", "b", "a:b")
        for campaign in ("a", "b", "a:b")
    ]
    assert len(set(others)) == len(others)


async def test_the_status_before_is_named_however_it_came(centre: Centre) -> None:
    await call(centre)
    told = [(await patch(centre, status))[1] for status in ("completed", "failed", "failed")]
    assert [(one["previousStatus"], one["newStatus"]) for one in told] == [
        ("pending", "completed"),
        ("completed", "failed"),
        ("failed", "failed"),
    ]


async def test_a_retry_is_answered_as_it_was_and_another_body_is_refused(centre: Centre) -> None:
    await call(centre)
    key = KEY | {"Idempotency-Key": "k-1"}
    first = await patch(centre, headers=key)
    assert (await patch(centre, "failed"))[1]["previousStatus"] == "completed"
    assert await patch(centre, headers=key) == first
    status, body = await patch(centre, "failed", headers=key)
    assert (status, body["code"]) == (422, "VALIDATION_ERROR")
    assert body["errors"][0]["path"] == ["Idempotency-Key"]


async def test_a_key_opens_what_it_is_for(centre: Centre) -> None:
    await call(centre)
    for key in ("cc_reader", "cc_none"):
        status, body = await patch(centre, headers={"x-api-key": key})
        assert (status, body["code"]) == (403, "FORBIDDEN")
    assert (await page(centre, key="cc_none"))[0] == 403
    assert (await page(centre, key="cc_reader"))[0] == 200
    assert centre.asked() == 0


async def test_two_keys_are_none(centre: Centre) -> None:
    headers = [("x-api-key", "cc_demo_key"), ("x-api-key", "cc_north")]
    response = await centre.client.patch(PATH, json={}, headers=headers)
    assert (response.status, (await response.json())["code"]) == (401, "UNAUTHORIZED")


async def test_another_tenant_s_customer_is_like_one_that_there_is_not(centre: Centre) -> None:
    await call(centre)
    unknown = await patch(centre, headers={"x-api-key": "cc_north"}, customerId=CAMPAIGN)
    assert await patch(centre, headers={"x-api-key": "cc_north"}) == unknown
    assert unknown[0] == 404
    await patch(centre)
    assert (await page(centre, key="cc_north"))[1]["data"] == []


async def test_pages_show_every_customer_once_newest_first(centre: Centre) -> None:
    for n in range(5):
        naming = NamingAsked(subject=Subject("customer", f"c{n}"), dialect="test")
        await centre.desk.subjects.ask(DEMO, naming)
        centre.clock.advance(1)
    hidden = NamingAsked(subject=Subject("customer", "c1", "s2"), dialect="test")
    await centre.desk.subjects.ask(DEMO, hidden)  # of another subtenant
    shown = []
    for number in range(1, 4):
        status, body = await page(centre, f"?page={number}&size=2")
        assert (status, body["hasMore"]) == (200, number < 3)
        shown += [row["id"] for row in body["data"]]
    assert shown == ["c4", "c3", "c2", "c1", "c0"]


@pytest.mark.parametrize(
    ("number", "status"), [(LISTED_MAX // 100, 200), (LISTED_MAX // 100 + 1, 422)]
)
async def test_the_list_goes_so_far_and_no_further(
    centre: Centre, number: int, status: int
) -> None:
    assert (await page(centre, f"?page={number}&size=100"))[0] == status


@pytest.mark.parametrize("status", STATUSES)
async def test_a_status_that_is_not_terminal_is_asked_of_nobody(
    centre: Centre, status: str
) -> None:
    await call(centre)
    answered, _ = await patch(centre, status)
    terminal = status in ("completed", "failed")
    assert (answered, centre.asked()) == ((200, 1) if terminal else (400, 0))
