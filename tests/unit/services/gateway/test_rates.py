"""How long who asks too often has to wait; and that then the next request is taken."""

import asyncio
from typing import Any, Final

import pytest
from typing_extensions import override

from services.gateway.rates import SHARED_MAX, Counted, RateDesk, TooMany
from shared.contracts.errors import Unavailable
from shared.contracts.tenants import RateLimits, Rates, Tenant
from shared.runtime.ports import Document
from tests.support.clock import FakeClock
from tests.support.memory import MemoryStateStore

pytestmark = pytest.mark.asyncio

NATIVE: Final = "native"
CARECYCLE: Final = "carecycle"
TOKENS: Final = "ozonetel_tokens"
VENDORS: tuple[tuple[Counted, int, int], ...] = (
    (CARECYCLE, 60, 60),
    ("zipteams", 120, 60),
    (TOKENS, 10, 3600),
)

NO_WAIT: Final = -1


class Gateway:
    """The rates of one gateway, for one tenant after another."""

    def __init__(
        self, clock: FakeClock | None = None, store: MemoryStateStore | None = None, **given: Any
    ) -> None:
        self.clock = clock or FakeClock()
        self.store = store or MemoryStateStore()
        self.rates = RateDesk(self.clock, self.store, **given)

    async def ask(self, what: Counted, tenant: Tenant, who: str = "key") -> int:
        """0, or how long to wait."""
        wait_s = 0
        try:
            await self.rates.count(what, tenant, who)
        except TooMany as many:
            wait_s = many.retry_after_s or NO_WAIT
        assert wait_s != NO_WAIT, "refused, and to come back at once"
        return wait_s


def tenant(
    credential: dict[str, int] | None = None, whole: dict[str, int] | None = None, id_: str = "demo"
) -> Tenant:
    limits = RateLimits(credential=Rates(**(credential or {})), tenant=Rates(**(whole or {})))
    return Tenant(id=id_, rate_limits=limits)


EITHER = pytest.mark.parametrize("what", [NATIVE, CARECYCLE])  # in memory, and in the store


@EITHER
async def test_the_one_above_the_limit_waits_until_the_first_is_a_minute_old(what: Counted) -> None:
    gateway, of = Gateway(), tenant({what: 3})
    waits = []
    for _ in range(5):
        waits.append(await gateway.ask(what, of))
        gateway.clock.advance(10_000)
    assert waits == [0, 0, 0, 30, 20]
    gateway.clock.advance(9_999)
    assert await gateway.ask(what, of) == 1
    gateway.clock.advance(1)
    assert await gateway.ask(what, of) == 0
    gateway.clock.advance(1)
    assert await gateway.ask(what, of) == 10


@EITHER
@pytest.mark.parametrize("step_ms", [1, 700, 999, 1000, 7_001])
async def test_after_waiting_as_long_as_told_the_next_is_taken(what: Counted, step_ms: int) -> None:
    gateway, of = Gateway(), tenant({what: 4}, {what: 5})
    taken = 0
    for turn in range(60):
        who = f"key-{turn % 2}"
        wait_s = await gateway.ask(what, of, who)
        assert type(wait_s) is int
        if wait_s:
            assert 1 <= wait_s <= 60
            gateway.clock.advance(wait_s * 1000)
            assert await gateway.ask(what, of, who) == 0
        taken += 1
        gateway.clock.advance(step_ms)
    assert taken == 60


@EITHER
async def test_each_credential_of_each_tenant_has_its_own(what: Counted) -> None:
    gateway, one, other = Gateway(), tenant({what: 1}), tenant({what: 1}, id_="north")
    for of, who in ((one, "key"), (other, "key"), (one, "other")):
        assert await gateway.ask(what, of, who) == 0
        assert await gateway.ask(what, of, who) == 60


@EITHER
async def test_a_tenant_s_credentials_share_what_the_tenant_may(what: Counted) -> None:
    gateway, of = Gateway(), tenant({what: 3}, {what: 4})
    asked = [await gateway.ask(what, of, who) for who in ("a", "b", "a", "b", "c", "a")]
    assert asked == [0, 0, 0, 0, 60, 60]
    assert await gateway.ask(what, tenant({what: 3}, {what: 4}, "north"), "a") == 0


@EITHER
async def test_what_a_credential_asks_too_often_takes_nothing_of_its_tenant_s(
    what: Counted,
) -> None:
    gateway, of = Gateway(), tenant({what: 1}, {what: 3})
    assert await gateway.ask(what, of, "a") == 0
    for _ in range(5):
        assert await gateway.ask(what, of, "a") == 60
    assert [await gateway.ask(what, of, who) for who in ("b", "c", "d")] == [0, 0, 60]


@EITHER
async def test_what_the_tenant_may_not_takes_nothing_of_the_credential_s(what: Counted) -> None:
    gateway, of = Gateway(), tenant({what: 2}, {what: 1})
    assert await gateway.ask(what, of, "a") == 0
    gateway.clock.advance(30_000)
    assert [await gateway.ask(what, of, "b") for _ in range(3)] == [30] * 3
    gateway.clock.advance(30_000)
    assert await gateway.ask(what, of, "b") == 0
    assert await gateway.ask(what, of, "b") == 60


class RestlessClock(FakeClock):
    """Each look at it takes a millisecond."""

    @override
    def now_ms(self) -> int:
        return self.advance(1)


@EITHER
@pytest.mark.parametrize("begin_ms", range(59_990, 59_994))
async def test_a_minute_that_ends_while_the_answer_is_written_is_told_as_a_second(
    what: Counted, begin_ms: int
) -> None:
    gateway, of = Gateway(RestlessClock()), tenant({what: 1})
    assert await gateway.ask(what, of) == 0
    gateway.clock.advance(begin_ms)
    waits = []
    while 0 not in waits:
        waits.append(await gateway.ask(what, of))
    assert set(waits) == {0, 1}


async def test_nothing_is_counted_where_nothing_is_said() -> None:
    gateway = Gateway()
    for _ in range(1000):
        assert await gateway.ask(NATIVE, Tenant(id="demo")) == 0
    assert gateway.store.documents == {}


async def test_the_vendors_limits_are_those_of_their_pages() -> None:
    gateway, of = Gateway(), Tenant(id="demo")
    for what, most, window_s in VENDORS:
        asked = [await gateway.ask(what, of) for _ in range(most + 1)]
        assert asked == [0] * most + [window_s]


async def test_a_clock_that_goes_back_lets_nobody_wait_longer_than_that() -> None:
    gateway, of = Gateway(), tenant({NATIVE: 1})
    assert await gateway.ask(NATIVE, of) == 0
    gateway.clock.advance(-5_000)
    assert await gateway.ask(NATIVE, of) == 65


async def test_gateways_count_together_what_the_vendors_document() -> None:
    clock, store, of = FakeClock(), MemoryStateStore(), tenant({CARECYCLE: 5}, {CARECYCLE: 7})
    gateways = [Gateway(clock, store) for _ in range(3)]
    asked = [await gateways[n % 3].ask(CARECYCLE, of) for n in range(8)]
    assert asked == [0] * 5 + [60] * 3
    assert [await gateways[n % 3].ask(CARECYCLE, of, "b") for n in range(4)] == [0, 0, 60, 60]
    clock.advance(60_000)
    assert [await gateways[n % 3].ask(CARECYCLE, of, "b") for n in range(6)] == [0] * 5 + [60]


async def test_all_at_once_at_several_gateways_are_not_one_more_than_may() -> None:
    clock, store, of = FakeClock(), MemoryStateStore(), tenant({CARECYCLE: 20})
    gateways = [Gateway(clock, store) for _ in range(3)]
    asked = await asyncio.gather(*(gateways[n % 3].ask(CARECYCLE, of) for n in range(60)))
    assert sorted(asked) == [0] * 20 + [60] * 40


async def test_a_gateway_that_starts_anew_knows_what_was_counted() -> None:
    clock, store, of = FakeClock(), MemoryStateStore(), tenant({TOKENS: 2})
    assert [await Gateway(clock, store).ask(TOKENS, of) for _ in range(3)] == [0, 0, 3600]


async def test_a_limit_too_high_for_the_store_is_counted_here() -> None:
    gateway = Gateway()
    await gateway.ask(CARECYCLE, tenant({CARECYCLE: SHARED_MAX + 1}))
    assert gateway.store.documents == {}
    await gateway.ask(CARECYCLE, tenant({CARECYCLE: SHARED_MAX}))
    assert len(gateway.store.documents) == 1


async def test_while_the_store_is_away_each_gateway_counts_for_itself() -> None:
    gateway, of = Gateway(away_s=3600), tenant({CARECYCLE: 2})
    gateway.store.fail_next("save", error=Unavailable("away"))
    assert [await gateway.ask(CARECYCLE, of) for _ in range(3)] == [0, 0, 60]
    assert gateway.store.documents == {}  # which was asked once, and not again so soon


async def test_a_store_that_is_back_is_asked_again() -> None:
    gateway, of = Gateway(away_s=0), tenant({CARECYCLE: 2})
    gateway.store.fail_next("save", error=Unavailable("away"))
    assert [await gateway.ask(CARECYCLE, of) for _ in range(4)] == [0, 0, 0, 60]
    assert len(gateway.store.documents) == 1


class SilentStore(MemoryStateStore):
    """Answers no write until it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.answers = asyncio.Event()

    @override
    async def save(self, documents: Any) -> None:
        await self.answers.wait()
        await super().save(documents)


async def test_a_store_that_is_silent_holds_nobody_back_and_its_write_has_an_outcome() -> None:
    store = SilentStore()
    gateway, of = Gateway(store=store, count_s=0.01, away_s=3600), tenant({CARECYCLE: 3})
    waits = await asyncio.gather(*(gateway.ask(CARECYCLE, of) for _ in range(4)))
    assert sorted(waits) == [0, 0, 0, 60]
    assert store.documents == {}
    store.answers.set()
    while gateway.rates._counting:
        await asyncio.sleep(0)
    (document,) = store.documents.values()
    assert isinstance(document, Document)


async def test_a_window_begins_with_its_tenant_as_all_keys_do() -> None:
    gateway = Gateway()
    await gateway.ask(CARECYCLE, tenant({CARECYCLE: 3}))
    (document,) = gateway.store.documents.values()
    assert (document.collection, document.key.split(":")[0]) == ("rates", "demo")
