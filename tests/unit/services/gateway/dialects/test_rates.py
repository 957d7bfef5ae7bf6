import pytest

from services.gateway.dialects.rates import Rate, TooMany
from shared.contracts.tenants import Credential, Tenant
from shared.runtime.tenants import Found

pytestmark = pytest.mark.asyncio

NOW_MS = 1_795_270_000_000


def found(tenant: str = "demo", credential: str = "key") -> Found:
    return Found(Tenant(id=tenant), Credential(id=credential, sha256=""))


async def counted(rate: Rate, who: Found, now_ms: int) -> int:
    """0, or how long to wait."""
    try:
        await rate.count(who, now_ms)
    except TooMany as many:
        return many.retry_after_s
    return 0


async def test_the_one_above_the_limit_waits_until_the_first_is_a_minute_old() -> None:
    rate = Rate(3)
    waits = [await counted(rate, found(), NOW_MS + 10_000 * n) for n in range(5)]
    assert waits == [0, 0, 0, 30, 20]
    assert await counted(rate, found(), NOW_MS + 59_999) == 1
    assert await counted(rate, found(), NOW_MS + 60_000) == 0
    assert await counted(rate, found(), NOW_MS + 60_001) == 10


async def test_each_credential_of_each_tenant_has_its_own() -> None:
    rate = Rate(1)
    for who in (found(), found("other"), found("demo", "other")):
        assert await counted(rate, who, NOW_MS) == 0
        assert await counted(rate, who, NOW_MS) == 60


async def test_a_clock_that_goes_back_lets_nobody_wait_longer_than_that() -> None:
    rate = Rate(1)
    assert await counted(rate, found(), NOW_MS) == 0
    assert await counted(rate, found(), NOW_MS - 5_000) == 65
