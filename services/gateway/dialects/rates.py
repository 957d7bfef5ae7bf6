"""How often a credential may ask, for the dialects whose vendors say so.

A window that moves, by `limits`, over times of our own clock. Counted in this process: where
several gateways run, each counts for itself.
"""

import math
from collections import defaultdict, deque
from typing import Final

from limits import RateLimitItemPerMinute
from limits.aio.storage import MovingWindowSupport, Storage
from limits.aio.strategies import MovingWindowRateLimiter
from typing_extensions import override

from shared.runtime.tenants import Found


class TooMany(Exception):
    """Not before `retry_after_s` seconds have passed."""

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(f"rate limit: again in {retry_after_s} s")
        self.retry_after_s: Final = retry_after_s


class Rate:
    """So many requests a minute for each credential."""

    def __init__(self, per_minute: int) -> None:
        self._limit = RateLimitItemPerMinute(per_minute)
        self._hits = _Hits()
        self._limiter = MovingWindowRateLimiter(self._hits)

    async def count(self, found: Found, now_ms: int) -> None:
        """Count one request of this credential.

        Raises:
            TooMany: it is one too many, and does not count.
        """
        name = (found.tenant.id, found.credential.id)
        self._hits.now_s = now_ms / 1000
        if await self._limiter.hit(self._limit, *name):
            return
        window = await self._limiter.get_window_stats(self._limit, *name)
        raise TooMany(max(1, math.ceil(window.reset_time - now_ms / 1000)))


class _Hits(Storage, MovingWindowSupport):
    """When each key was hit, oldest first; as many as its limit at most, so its keys bound it.

    `limits` has such a storage, which starts a task for each hit and reads a clock of its own.
    """

    STORAGE_SCHEME = None

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0
        self._hits: defaultdict[str, deque[float]] = defaultdict(deque)

    @override
    async def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        hits = self._counting(key, expiry)
        if len(hits) + amount > limit:
            return False
        hits.extend([self.now_s] * amount)
        return True

    @override
    async def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:
        hits = self._counting(key, expiry)
        return (hits[0] if hits else self.now_s), len(hits)

    def _counting(self, key: str, expiry: int) -> deque[float]:
        hits = self._hits[key]
        while hits and hits[0] <= self.now_s - expiry:
            hits.popleft()
        return hits

    @property
    @override
    def base_exceptions(self) -> type[Exception]:
        return ValueError

    @override
    async def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        raise NotImplementedError  # of a window that stands

    @override
    async def get(self, key: str) -> int:
        return len(self._hits[key])

    @override
    async def get_expiry(self, key: str) -> float:
        raise NotImplementedError

    @override
    async def check(self) -> bool:
        return True

    @override
    async def reset(self) -> int | None:
        count = len(self._hits)
        self._hits.clear()
        return count

    @override
    async def clear(self, key: str) -> None:
        self._hits.pop(key, None)
