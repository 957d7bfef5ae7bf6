"""A batch as large as it may be, through the three processes of the cluster profile."""

import asyncio
import json
import secrets
from base64 import b64encode
from collections.abc import AsyncIterator
from time import perf_counter
from typing import Any, Final

import aiohttp
import pytest
import pytest_asyncio

from services.gateway.desk import Desk
from services.gateway.status_admission import NamingAsked
from services.gateway.verdicts import Waiters
from shared.adapters.clock import SystemClock
from shared.adapters.cluster import open_cluster
from shared.adapters.tenants_file import FileTenantDirectory
from shared.contracts import limits
from shared.contracts.subjects import StatusOutcome, Subject
from tests.support.centre import demo_tenant
from tests.support.product import AGENT, ClusterProduct

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(300),
]

BATCH: Final = "/v2/projects/17/records/dispositions"
KEY: Final = {"Authorization": f"Basic {b64encode(b'demo:demo-key').decode()}"}
MOST: Final = limits.VCC_LIVE_ELEMENTS_MAX
COLOURS: Final = 100  # every hundredth record has the same
ANSWERED_S: Final = 60.0  # longer than any answer may take, whatever it says
SALE, INTERESTED, REFERRED = 1, 2, 7


class Running:
    """The three processes, and a client of theirs."""

    def __init__(self, product: ClusterProduct, http: aiohttp.ClientSession) -> None:
        self._product = product
        self._http = http

    async def put(self, elements: list[dict[str, Any]], **more: Any) -> tuple[int, dict[str, Any]]:
        url, began = f"{self._product.url}{BATCH}", perf_counter()
        async with self._http.put(url, json={"elements": elements} | more, headers=KEY) as response:
            answer = json.loads(await response.read())
        print(f"{len(elements)} elements: {response.status}, {perf_counter() - began:.1f} s")
        return response.status, answer

    async def disposition(self, number: int) -> int | None:
        """What a record has."""
        url = f"{self._product.url}/v2/projects/17/records/{number}"
        async with self._http.get(url, headers=KEY) as response:
            found: int | None = json.loads(await response.read())["response"]["act_status"]
            return found

    async def codes(self) -> int:
        """The status of a request that has nothing to do with any batch."""
        async with self._http.get(f"{self._product.url}/v1/codes", headers=AGENT) as response:
            return response.status


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(
    kafka: str, mongo_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Running]:
    product = ClusterProduct(tmp_path_factory.mktemp("batch") / "data", kafka, mongo_url)
    timeout = aiohttp.ClientTimeout(total=ANSWERED_S)
    async with product, aiohttp.ClientSession(timeout=timeout) as http:
        await name_records(product.environment())
        yield Running(product, http)
        assert await asyncio.to_thread(product.stop) == 0, product.log_path.read_text()[-2000:]


async def name_records(settings: dict[str, str]) -> None:
    """As many as a batch may change, of as many colours as there are."""
    clock, tenant = SystemClock(), demo_tenant()
    cluster = await open_cluster(
        settings["AFTERCALL_KAFKA_BOOTSTRAP"],
        settings["AFTERCALL_MONGO_URL"],
        clock,
        prefix=settings["AFTERCALL_TOPIC_PREFIX"],
    )
    try:
        waiters = Waiters(f"test-{secrets.token_hex(4)}")
        await cluster.register(waiters.address, waiters.deliver)
        desk = Desk(
            tenants=FileTenantDirectory((tenant,)),
            clock=clock,
            log=cluster.log,
            store=cluster.store,
            history=cluster.history,
            waiters=waiters,
        )
        named = [
            NamingAsked(
                subject=Subject("record", str(number), "17"),
                dialect="test",
                data={"name": f"n{number}", "colour": f"c{number % COLOURS}"},
            )
            for number in range(MOST)
        ]
        verdicts = await desk.subjects.ask_all(tenant, named)
        assert not [one for one in verdicts if one.outcome is StatusOutcome.PENDING]
    finally:
        await cluster.close()


async def test_ten_thousand_records_by_their_ids_each_with_a_result_of_its_own(
    running: Running,
) -> None:
    elements: list[dict[str, Any]] = [
        {"numberid": number, "dispositionid": SALE} for number in range(MOST)
    ]
    elements[7] = {"numberid": "nobody", "dispositionid": SALE}
    elements[5000] = {"numberid": 5000, "dispositionid": 999}
    elements[-1] = {"dispositionid": SALE}
    status, answer = await running.put(elements)
    assert status == 200
    assert [(error["index"], error["errormessage"]) for error in answer["errors"]] == [
        (7, "error.record_not_found"),
        (5000, "error.invalid_dispositionid"),
        (MOST - 1, "error.missing_numberid_or_search"),
    ]
    good = set(range(MOST)) - {7, 5000, MOST - 1}
    assert answer["response"] == {str(index): True for index in sorted(good)}
    shown = [await running.disposition(number) for number in (0, 7, 5000, MOST - 2, MOST - 1)]
    assert shown == [SALE, None, None, SALE, None]


async def test_ten_thousand_searches_and_one_that_finds_many(running: Running) -> None:
    elements: list[dict[str, Any]] = [
        {"search": {"name": f"n{number}"}, "dispositionid": INTERESTED}
        for number in range(MOST - MOST // COLOURS)
    ]
    elements[3] = {"search": {"name": "nobody"}, "dispositionid": INTERESTED}
    elements[4] = {"search": {"colour": "c4"}, "dispositionid": REFERRED}
    elements[5] = {"search": {"shade": "dark"}, "dispositionid": INTERESTED}
    status, answer = await running.put(elements)
    assert status == 200
    assert [(error["index"], error["errormessage"]) for error in answer["errors"]] == [
        (3, "error.record_not_found"),
        (5, "error.unknown_search_key"),
    ]
    good = set(range(len(elements))) - {3, 5}
    assert answer["response"] == {str(index): True for index in sorted(good)}
    shown = [await running.disposition(number) for number in (0, 4, 104, MOST - 1)]
    assert shown == [INTERESTED, REFERRED, INTERESTED, None]
    assert await running.disposition(MOST - MOST // COLOURS + 4) == REFERRED


async def test_one_search_that_finds_all_of_them(running: Running) -> None:
    search = [{"colour": f"c{number}"} for number in range(COLOURS)]
    status, answer = await running.put([{"search": search, "dispositionid": SALE}])
    assert (status, answer) == (200, {"errors": [], "response": {"0": True}})
    assert [await running.disposition(number) for number in (4, MOST - 1)] == [SALE, SALE]


async def test_others_are_answered_meanwhile(running: Running) -> None:
    elements = [{"numberid": number, "dispositionid": SALE} for number in range(MOST)]
    batch = asyncio.create_task(running.put(elements))
    longest = 0.0
    while not batch.done():
        began = perf_counter()
        assert await running.codes() == 200
        longest = max(longest, perf_counter() - began)
        await asyncio.sleep(0.02)
    print(f"the longest that another waited: {longest:.2f} s")
    assert (await batch)[0] == 200


async def test_one_element_more_is_too_large(running: Running) -> None:
    elements = [{"numberid": number, "dispositionid": REFERRED} for number in range(MOST + 1)]
    status, answer = await running.put(elements)
    assert status == 413
    assert str(MOST) in answer["errors"][0]["errormessage"]
    assert await running.disposition(0) == SALE


async def test_a_search_and_an_id_that_together_change_one_record_too_many_change_none(
    running: Running,
) -> None:
    search = [{"colour": f"c{number}"} for number in range(COLOURS)]
    status, answer = await running.put(
        [
            {"search": search, "dispositionid": REFERRED},
            {"numberid": 0, "dispositionid": REFERRED},
        ]
    )
    assert status == 413
    assert str(MOST) in answer["errors"][0]["errormessage"]
    assert await running.disposition(0) == SALE
