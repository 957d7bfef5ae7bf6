"""How often a credential may ask, and how often its tenant: moving windows, by `limits`.

What the vendors' pages document (CareCycle and Zipteams a minute, Ozonetel's tokens an hour) is
counted in the store, for all gateways: so few requests can afford a write each. All else is counted
in this process, where several gateways run each for itself, and costs nothing where no limit is
set, and so are limits too high for that. While the store is away this process counts everything.
"""

import asyncio
import math
from functools import cache
from typing import Final, Literal

import structlog
from limits import RateLimitItem, RateLimitItemPerHour, RateLimitItemPerMinute
from limits.aio.strategies import MovingWindowRateLimiter

from services.gateway.hits import OwnHits, StoredHits
from shared.contracts.errors import AftercallError, Retryable
from shared.contracts.tenants import Tenant
from shared.runtime.ports import Clock, StateStore

Counted = Literal[
    "native",
    "events",
    "genesys",
    "ozonetel",
    "ozonetel_tokens",
    "vcc_live",
    "carecycle",
    "zipteams",
]
"""What is counted by itself; the fields of `Rates` in the tenants file."""

SHARED: Final[frozenset[Counted]] = frozenset({"carecycle", "zipteams", "ozonetel_tokens"})
SHARED_MAX: Final = 1_200  # of a window in the store, which is written anew with each hit
AN_HOUR: Final[frozenset[Counted]] = frozenset({"ozonetel_tokens"})  # the others a minute
COUNT_S: Final = 1.0  # a store that takes longer to count is away
AWAY_S: Final = 5.0  # and is not asked again for so long

log: Final = structlog.get_logger()

Bound = tuple[RateLimitItem, tuple[str, ...]]
"""A limit, and what names its window."""


class TooMany(AftercallError):
    """More than `most`; not before `retry_after_s` seconds have passed."""

    def __init__(self, most: int, retry_after_s: int) -> None:
        super().__init__(f"more than {most} requests: again in {retry_after_s} s")
        self.most: Final = most
        self.retry_after_s: Final = retry_after_s


class RateDesk:
    """Counts for one gateway. Callers of one event loop."""

    def __init__(
        self, clock: Clock, store: StateStore, *, count_s: float = COUNT_S, away_s: float = AWAY_S
    ) -> None:
        self._clock = clock
        self._own = MovingWindowRateLimiter(OwnHits(clock))
        self._shared = MovingWindowRateLimiter(StoredHits(clock, store))
        self._count_s = count_s
        self._away_s = away_s
        self._away_until = -math.inf
        self._counting: set[asyncio.Task[None]] = set()

    async def count(self, what: Counted, tenant: Tenant, who: str) -> None:
        """Count one request.

        Args:
            what: the route's dialect.
            tenant: whose credential it is; its own limits count.
            who: the credential's id, or the account's name.

        Raises:
            TooMany: of the credential or of its tenant it is one too many.
        """
        bounds = _bounds(what, tenant, who)
        if not bounds:
            return
        if _is_shared(what, bounds) and self._has_store():
            try:
                await self._count_shared(bounds)
            except (Retryable, TimeoutError) as error:
                self._away_until = _loop_s() + self._away_s
                log.warning("rates_counted_here", error=repr(error))
            else:
                return
        await self._count(self._own, bounds)

    def _has_store(self) -> bool:
        return _loop_s() >= self._away_until

    async def _count_shared(self, bounds: list[Bound]) -> None:
        """In the store. Who gives up waiting leaves the write alone, for it has an outcome."""
        counting = asyncio.create_task(self._count(self._shared, bounds))
        self._counting.add(counting)
        counting.add_done_callback(self._counted)
        done, _ = await asyncio.wait((counting,), timeout=self._count_s)
        if not done:
            raise TimeoutError(f"not counted in {self._count_s:.0f} s")
        counting.result()

    def _counted(self, counting: "asyncio.Task[None]") -> None:
        self._counting.discard(counting)
        if not counting.cancelled():
            counting.exception()  # seen here, also where nobody waits for it any more

    async def _count(self, limiter: MovingWindowRateLimiter, bounds: list[Bound]) -> None:
        if len(bounds) > 1:  # what the one refuses must not cost a turn of the other
            for limit, name in bounds:
                if not await limiter.test(limit, *name):
                    raise TooMany(limit.amount, await self._wait_s(limiter, bounds))
        for limit, name in bounds:
            if not await limiter.hit(limit, *name):
                raise TooMany(limit.amount, await self._wait_s(limiter, bounds))

    async def _wait_s(self, limiter: MovingWindowRateLimiter, bounds: list[Bound]) -> int:
        """Until all of them have room, in whole seconds."""
        now_s = self._clock.now_ms() / 1000
        waits = [1.0]
        for limit, name in bounds:
            window = await limiter.get_window_stats(limit, *name)
            if window.remaining < 1:
                waits.append(round(window.reset_time - now_s, 3))
        return math.ceil(max(waits))


def _bounds(what: Counted, tenant: Tenant, who: str) -> list[Bound]:
    """The limits that are set: the credential's, then the tenant's."""
    rates = tenant.rate_limits
    of_credential: int | None = getattr(rates.credential, what)
    of_tenant: int | None = getattr(rates.tenant, what)
    found: list[Bound] = []
    if of_credential is not None:
        found.append((_limit(what, of_credential, tenant.id), ("credential", who)))
    if of_tenant is not None:
        found.append((_limit(what, of_tenant, tenant.id), ("tenant",)))
    return found


def _is_shared(what: Counted, bounds: list[Bound]) -> bool:
    return what in SHARED and all(limit.amount <= SHARED_MAX for limit, _ in bounds)


def _loop_s() -> float:
    return asyncio.get_running_loop().time()


@cache
def _limit(what: Counted, most: int, tenant_id: str) -> RateLimitItem:
    """Windows of a tenant begin with its id, as all keys do."""
    of = RateLimitItemPerHour if what in AN_HOUR else RateLimitItemPerMinute
    return of(most, namespace=f"{tenant_id}:{what}")
