"""One customer's call, on which all five vendors' clients act, and on whose outcome all agree."""

import asyncio
import json
from typing import Any, Final

import aiohttp
import pytest

from tests.e2e.test_admin import verify
from tests.e2e.test_product import Centre, centre
from tests.support.product import AGENT

__all__ = ["centre"]  # the fixture, on both profiles

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio]

CALL: Final = "five-1"
CUSTOMER: Final = "87d8e330-2878-4742-a86f-dbbb3bf522ac"
CAMPAIGN: Final = "13f8bf6d-dc27-4a04-bffe-6e5b13c19ddf"
ABOUT: Final = {
    "customer_id": CUSTOMER,
    "campaign_id": CAMPAIGN,
    "project_id": "17",
    "record_id": "4711",
}
CARE_CYCLE: Final = {"x-api-key": "cc_demo_key"}
ZIPTEAMS: Final = {
    "x-api-key": "demo-key",
    "x-api-secret": "demo-secret",
    "x-tenant-id": "demo",
    "x-subtenant-id": "main",
}
GENESYS: Final = {"Authorization": aiohttp.encode_basic_auth("agent-1", "demo")}
VCC_LIVE: Final = {"Authorization": aiohttp.encode_basic_auth("demo", "demo-key")}


class Clients:
    """The five, each as its vendor's page has it; the answer of each is checked by its own word."""

    def __init__(self, centre: Centre) -> None:
        self._centre = centre

    async def ozonetel(self, code: str) -> Any:
        given = {"userName": "demo"}
        token = await self._ask(
            "POST", "/ca_apis/CAToken/generateToken", {"apiKey": "demo-key"}, given
        )
        headers = {"Authorization": f"Bearer {token['token']}"}
        asked = given | {"action": "Set", "agentID": "agent-1", "ucid": CALL, "did": "100"}
        body = asked | {"disposition": code}
        return await self._ask("POST", "/ca_apis/DispositionAPIV2", headers, body)

    async def genesys(self, code: str) -> Any:
        body = {"operationName": "SetCallDisposition", "disposition": code}
        return await self._ask("POST", f"/api/v2/me/calls/{CALL}", GENESYS, body)

    async def vcc_live(self, code_id: int) -> Any:
        element = {"numberid": 4711, "dispositionid": code_id, "userid": 2}
        path = "/v2/projects/17/records/dispositions"
        return await self._ask("PUT", path, VCC_LIVE, {"elements": [element]})

    async def vcc_live_record(self) -> Any:
        found = await self._ask("GET", "/v2/projects/17/records/4711", VCC_LIVE)
        return found["response"]

    async def care_cycle(self, status: str) -> Any:
        body = {"customerId": CUSTOMER, "campaignId": CAMPAIGN, "status": status}
        return await self._ask("PATCH", "/v2/customers/campaign-status", CARE_CYCLE, body)

    async def zipteams(self, status: str) -> Any:
        body = {"customer_id": CUSTOMER, "disposition_status": status}
        path = "/api/v1/partner/ingest/disposition-status"
        return await self._ask("PUT", path, ZIPTEAMS, body)

    async def _ask(
        self, method: str, path: str, headers: dict[str, str], body: object = None
    ) -> Any:
        url = self._centre.product.url + path
        async with self._centre.http.request(method, url, headers=headers, json=body) as answer:
            text = await answer.text()
            assert answer.status == 200, f"{path}: {text}"
            return json.loads(text)


async def reached(centre: Centre, path: str, code: str) -> Any:
    """The subject, once it has this status; seconds at most."""
    async with asyncio.timeout(10):
        while True:
            found = await centre.get(f"/v1/subjects/{path}")
            if found.get("status", {}).get("code") == code:
                return found
            await asyncio.sleep(0.05)


async def statuses(centre: Centre, number: int) -> dict[str, list[tuple[int, str]]]:
    """What the topic tells, as long as so many statuses have not changed: by subject, in order."""
    url = f"{centre.product.url}/v1/stream?topics=disposition.events"
    told: dict[str, list[tuple[int, str]]] = {}
    async with centre.http.get(url, headers=AGENT) as answer:
        async for raw in answer.content:
            event: dict[str, Any] = json.loads(raw[5:]) if raw.startswith(b"data:") else {}
            if event.get("type") == "status.changed":
                one = (int(event["sequence"]), event["data"]["code"])
                told.setdefault(event["subject"], []).append(one)
            if sum(map(len, told.values())) == number:
                break
    return told


async def counted(centre: Centre) -> dict[str, int]:
    """The report, once every status set here has reached it; seconds at most."""
    rows = (await centre.get("/v1/reports/dispositions?group_by=code"))["rows"]
    return {row["code"]: row["count"] for row in rows}


async def test_all_five_act_on_one_customers_call_and_agree(centre: Centre) -> None:
    clients = Clients(centre)
    listening = asyncio.ensure_future(statuses(centre, 6))
    await centre.tell(CALL, "call.started", direction="inbound", did="100", **ABOUT)
    await centre.tell(CALL, "call.agent_joined", agent_id="agent-1")

    queued = await clients.ozonetel("Interested")
    assert queued == {"status": "Success", "message": "Disposition Queued Successfully"}
    assert await clients.genesys("Sale") == {
        "statusCode": 0
    }  # while on the call the last one holds
    assert (await centre.agent(CALL))["queued"]["code"] == "Sale"
    await centre.tell(CALL, "call.disconnected", by="caller")
    await centre.tell(CALL, "call.released")
    too_late = await clients.ozonetel("Interested")
    assert too_late == {"details": "This call is already Disposed.", "status": "Fail"}

    for path in (
        f"customer/{CUSTOMER}",
        "record/4711?within=17",
        f"enrolment/{CUSTOMER}?within={CAMPAIGN}",
    ):
        found = await reached(centre, path, "Sale")
        assert (found["status"]["call_id"], found["calls"]) == (CALL, [CALL])
    record = await clients.vcc_live_record()
    assert (record["disposition"], record["act_status"]) == ("Sale", 1)

    assert (await clients.vcc_live(3))["response"] == {"0": True}
    assert (await clients.vcc_live_record())["disposition"] == "NotInterested"
    changed = await clients.care_cycle("completed")
    assert (changed["previousStatus"], changed["newStatus"]) == ("Sale", "completed")
    assert await clients.zipteams("interested") == {"success": True}

    agent = await centre.agent(CALL)
    assert (agent["disposition"]["code"], agent["disposition"]["origin"]) == ("Sale", "queue")
    customer = await reached(centre, f"customer/{CUSTOMER}", "interested")
    assert [status["code"] for status in customer["earlier"]] == ["Sale"]
    assert await counted(centre) == {"Sale": 1, "NotInterested": 1, "completed": 1, "interested": 1}
    told = [entry["type"] for entry in (await centre.get(f"/v1/calls/{CALL}/history"))["entries"]]
    assert told.count("disposition.queued") == 2
    assert told.count("disposition.saved") == 1
    assert told.count("status.changed") == 3  # of the customer, the record and the enrolment
    lines = (await centre.get(f"/v1/subjects/customer/{CUSTOMER}/history"))["entries"]
    changes = [line for line in lines if line["type"] == "status.changed"]
    assert [line["code"] for line in changes] == ["Sale", "interested"]
    assert await asyncio.wait_for(listening, 10) == {
        f"customer:{CUSTOMER}": [(1, "Sale"), (2, "interested")],
        "record:17/4711": [(1, "Sale"), (2, "NotInterested")],
        f"enrolment:{CAMPAIGN}/{CUSTOMER}": [(1, "Sale"), (2, "completed")],
    }
    verify(centre.product)
