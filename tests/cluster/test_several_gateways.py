"""What gateways know of each other through the store alone: tokens, and how often who has asked."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from time import perf_counter
from typing import Any, Final

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from msgspec.structs import replace

from services.gateway.app import build_app
from services.gateway.desk import Desk
from services.gateway.dialects.carecycle import CareCycle
from services.gateway.dialects.ozonetel import Ozonetel
from services.gateway.rates import RateDesk, TooMany
from services.gateway.verdicts import Waiters
from shared.adapters.cluster.mongo import MongoDriver, open_mongo
from shared.adapters.tenants_file import FileTenantDirectory
from shared.contracts.tenants import RateLimits, Rates, Tenant
from shared.runtime.ports import StateStore
from tests.conformance.adapters import database_url
from tests.support.centre import demo_tenant
from tests.support.clock import FakeClock
from tests.support.memory import MemoryHistoryStore, MemoryLog
from tests.support.parts import MongoServer, or_skipped

pytestmark = [pytest.mark.cluster, pytest.mark.asyncio]

Client = TestClient[web.Request, web.Application]
DRIVERS: Final[tuple[MongoDriver, ...]] = ("motor", "pymongo")
GATEWAYS: Final = 3
RATE: Final = 20


class Gateways:
    """Several, each with a connection of its own to one database, on one clock."""

    def __init__(self, clock: FakeClock, stores: list[StateStore], clients: list[Client]) -> None:
        self.clock = clock
        self.stores = stores
        self.clients = clients

    async def token(self, at: int) -> tuple[int, str | None, Any]:
        """Ask this gateway for a token."""
        response = await self.clients[at].post(
            "/ca_apis/CAToken/generateToken",
            headers={"apiKey": "demo-key"},
            json={"userName": "demo"},
        )
        return response.status, response.headers.get("Retry-After"), await response.json()

    async def codes(self, at: int, token: str) -> Any:
        """Ask this gateway what it needs a token for."""
        response = await self.clients[at].post(
            "/ca_apis/DispositionAPIV2",
            headers={"Authorization": f"Bearer {token}"},
            json={"userName": "demo", "action": "get"},
        )
        return (await response.json())["status"]

    async def change(self, at: int) -> tuple[int, str | None]:
        """A request to CareCycle's dialect that is refused only after it was counted."""
        response = await self.clients[at].patch(
            "/v2/customers/campaign-status",
            headers={"x-api-key": "cc_demo_key"},
            data=json.dumps({}),
        )
        return response.status, response.headers.get("Retry-After")


def tenant() -> Tenant:
    rates = Rates(carecycle=RATE, ozonetel_tokens=10)
    return replace(demo_tenant(), rate_limits=RateLimits(credential=rates))


@pytest_asyncio.fixture(params=DRIVERS)
async def gateways(request: pytest.FixtureRequest, mongo_url: str) -> AsyncIterator[Gateways]:
    clock = FakeClock()
    url = database_url(mongo_url, f"g{secrets.token_hex(6)}")
    async with AsyncExitStack() as stack:
        stores: list[StateStore] = []
        clients: list[Client] = []
        for _ in range(GATEWAYS):
            mongo = await open_mongo(url, request.param)
            stack.push_async_callback(mongo.close)
            stores.append(mongo.store)
            desk = Desk(
                tenants=FileTenantDirectory((tenant(),)),
                clock=clock,
                log=MemoryLog(clock),
                store=mongo.store,
                history=MemoryHistoryStore(),
                waiters=Waiters("here"),
            )
            app = build_app(desk, dialects=(Ozonetel(), CareCycle()))
            clients.append(await stack.enter_async_context(TestClient(TestServer(app))))
        yield Gateways(clock, stores, clients)


async def test_a_token_of_one_gateway_opens_the_others_until_another_replaces_it(
    gateways: Gateways,
) -> None:
    _, _, first = await gateways.token(0)
    assert [await gateways.codes(at, first["token"]) for at in range(GATEWAYS)] == ["Success"] * 3
    _, _, second = await gateways.token(1)
    assert [await gateways.codes(at, first["token"]) for at in range(GATEWAYS)] == ["false"] * 3
    assert [await gateways.codes(at, second["token"]) for at in range(GATEWAYS)] == ["Success"] * 3


async def test_ten_tokens_in_an_hour_wherever_they_are_asked_for(gateways: Gateways) -> None:
    given = [await gateways.token(turn % GATEWAYS) for turn in range(11)]
    assert [status for status, _, _ in given] == [200] * 10 + [429]
    assert given[-1][1] == "3600"
    gateways.clock.advance(3600 * 1000)
    assert (await gateways.token(0))[0] == 200


async def test_a_minute_s_requests_are_counted_together(gateways: Gateways) -> None:
    asked = [gateways.change(turn % GATEWAYS) for turn in range(2 * RATE)]
    answers = await asyncio.gather(*asked)
    assert [wait for status, wait in answers if status == 429] == ["60"] * RATE
    gateways.clock.advance(60_000)
    assert (await gateways.change(1))[0] != 429


@pytest.fixture
def mongod(tmp_path: Path) -> Iterator[MongoServer]:
    """One of the test's own."""
    with or_skipped():
        mongod = MongoServer(tmp_path)
    mongod.start()
    try:
        yield mongod
    finally:
        mongod.end()


async def counted(rates: RateDesk, of: Tenant, times: int) -> list[int]:
    """0 for each that was taken, else how long to wait."""
    waits = []
    for _ in range(times):
        try:
            await rates.count("carecycle", of, "key")
            waits.append(0)
        except TooMany as many:
            waits.append(many.retry_after_s)
    return waits


@pytest.mark.parametrize("driver", DRIVERS)
async def test_a_store_that_freezes_holds_back_one_request_and_counts_again_once_it_is_back(
    mongod: MongoServer, driver: MongoDriver
) -> None:
    clock, of = (
        FakeClock(),
        replace(tenant(), rate_limits=RateLimits(credential=Rates(carecycle=3))),
    )
    mongo = await open_mongo(database_url(mongod.url, "frozen"), driver)
    try:
        rates = RateDesk(clock, mongo.store, away_s=3600)
        assert await counted(rates, of, 2) == [0, 0]
        mongod.freeze()
        assert await counted(rates, of, 4) == [0, 0, 0, 60]  # as many as were it the only gateway
        assert not rates._has_store()  # asked once
        mongod.thaw()
        while rates._counting:  # the one that was given up has an outcome
            await asyncio.sleep(0.01)
        other = RateDesk(clock, mongo.store)
        assert (await counted(other, of, 2))[-1] == 60
    finally:
        mongod.thaw()
        await mongo.close()


async def test_what_a_hit_costs_is_told(gateways: Gateways) -> None:
    rates = [RateDesk(gateways.clock, store) for store in gateways.stores]
    of = replace(tenant(), id="cost", rate_limits=RateLimits(credential=Rates(zipteams=120)))
    began = perf_counter()
    for _ in range(120):
        await rates[0].count("zipteams", of, "key")
    taken = perf_counter()
    for _ in range(120):
        with pytest.raises(TooMany):
            await rates[0].count("zipteams", of, "key")
    refused = perf_counter()
    print(f"a hit {(taken - began) / 120 * 1000:.1f} ms, a refusal", end=" ")
    print(f"{(refused - taken) / 120 * 1000:.2f} ms")
    with pytest.raises(TooMany):
        await rates[1].count("zipteams", of, "key")
