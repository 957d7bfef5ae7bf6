"""When requests were counted: two storages for the moving windows of `limits`, on our own clock.

`limits` has storages of its own: the one in memory starts a task for each hit, the one on MongoDB
opens a client of its own, and both read the system's clock. Here one is this process's memory; the
other is a document for each window in the store, which all gateways share. Each keeps as many hits
as a window's limit at most, so the number of windows bounds it.
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec
from limits.aio.storage import MovingWindowSupport, Storage
from msgspec import Struct
from typing_extensions import override

from shared.contracts.errors import AftercallError, Retryable, Unavailable, WriteConflict
from shared.runtime.ports import Clock, Document, Index, StateStore

COLLECTION: Final = "rates"
_TRIES_MAX: Final = 8  # gateways that count for the same window at the same moment


class Windows(Storage, MovingWindowSupport):
    """What `limits` asks of a storage beside its moving windows; nothing here asks it."""

    STORAGE_SCHEME = None

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock

    @property
    @override
    def base_exceptions(self) -> type[Exception]:
        return AftercallError

    @override
    async def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        raise NotImplementedError  # of a window that stands

    @override
    async def get(self, key: str) -> int:
        raise NotImplementedError

    @override
    async def get_expiry(self, key: str) -> float:
        raise NotImplementedError

    @override
    async def check(self) -> bool:
        return True

    @override
    async def reset(self) -> int | None:
        raise NotImplementedError

    @override
    async def clear(self, key: str) -> None:
        raise NotImplementedError


class OwnHits(Windows):
    """In this process's memory. Nothing here waits: what is tested still holds when it is hit."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self._hits: defaultdict[str, deque[int]] = defaultdict(deque)

    @override
    async def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        now_ms = self._clock.now_ms()
        hits = self._counting(key, expiry, now_ms)
        if len(hits) + amount > limit:
            return False
        hits.extend([now_ms] * amount)
        return True

    @override
    async def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:
        now_ms = self._clock.now_ms()
        hits = self._counting(key, expiry, now_ms)
        return (hits[0] if hits else now_ms) / 1000, len(hits)

    def _counting(self, key: str, expiry: int, now_ms: int) -> deque[int]:
        hits = self._hits[key]
        while hits and hits[0] <= now_ms - expiry * 1000:
            hits.popleft()
        return hits


class Hits(Struct, frozen=True):
    """A window's document: when it was hit."""

    hit_ms: tuple[int, ...]


@dataclass(slots=True)
class _Ask:
    """Somebody who wants hits counted: `admitted` once that is decided, `failed` if it can't be."""

    limit: int
    expiry_ms: int
    amount: int
    admitted: bool | None = None
    failed: Retryable | None = None


@dataclass(slots=True)
class _Window:
    """What this gateway knows of a window: as it was when it last wrote or read it.

    A hit never leaves its window early, so a window that was full is full until the first is old
    enough, whatever others have written since: a refusal needs no store.
    """

    revision: int = 0
    hit_ms: tuple[int, ...] = ()
    asking: list[_Ask] = field(default_factory=list)
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


class StoredHits(Windows):
    """In the store, for all gateways: one write for each hit, or for as many as wait meanwhile.

    Raises:
        Unavailable: the store did not answer; the hit may have been counted.
    """

    def __init__(self, clock: Clock, store: StateStore) -> None:
        super().__init__(clock)
        self._store = store
        self._windows: defaultdict[str, _Window] = defaultdict(_Window)

    @override
    async def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        window, ask = self._windows[key], _Ask(limit, expiry * 1000, amount)
        window.asking.append(ask)
        async with window.turn:
            if window.asking:  # else whoever had the turn before has decided this, too
                await self._decide_all(key, window)
        if ask.failed is not None:
            raise ask.failed
        return bool(ask.admitted)

    @override
    async def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:
        now_ms = self._clock.now_ms()
        hit_ms = _counting(self._windows[key].hit_ms, expiry * 1000, now_ms)
        return min(hit_ms, default=now_ms) / 1000, len(hit_ms)

    async def _decide_all(self, key: str, window: _Window) -> None:
        """Decide all who ask, with one write; nobody asks any more when this returns."""
        asking, window.asking = window.asking, []
        try:
            await self._decide(asking, key, window)
        except Retryable as error:
            for ask in asking:
                ask.failed = error

    async def _decide(self, asking: Sequence[_Ask], key: str, window: _Window) -> None:
        for _ in range(_TRIES_MAX):
            now_ms = self._clock.now_ms()
            hit_ms, admitted = _admit(asking, window.hit_ms, now_ms)
            try:
                if any(admitted):
                    await self._store.save([_document(key, window.revision + 1, hit_ms, now_ms)])
                    window.revision, window.hit_ms = window.revision + 1, hit_ms
            except WriteConflict:
                await self._read(key, window)
                continue
            for ask, is_admitted in zip(asking, admitted, strict=True):
                ask.admitted = is_admitted
            return
        raise Unavailable("a rate's window changes too quickly")

    async def _read(self, key: str, window: _Window) -> None:
        stored = (await self._store.load(COLLECTION, [key])).get(key)
        if stored is not None:
            window.revision, window.hit_ms = stored.revision, _decoder.decode(stored.state).hit_ms


_decoder: Final = msgspec.json.Decoder(Hits)


def _admit(
    asking: Iterable[_Ask], hit_ms: tuple[int, ...], now_ms: int
) -> tuple[tuple[int, ...], list[bool]]:
    """The hits as they are after these, and which of these are among them."""
    admitted = []
    for ask in asking:
        hit_ms = _counting(hit_ms, ask.expiry_ms, now_ms)
        admitted.append(len(hit_ms) + ask.amount <= ask.limit)
        if admitted[-1]:
            hit_ms += (now_ms,) * ask.amount
    return hit_ms, admitted


def _counting(hit_ms: tuple[int, ...], expiry_ms: int, now_ms: int) -> tuple[int, ...]:
    """Those not yet so old; not in order, where gateways' clocks differ."""
    return tuple(at for at in hit_ms if at > now_ms - expiry_ms)


def _document(key: str, revision: int, hit_ms: tuple[int, ...], now_ms: int) -> Document:
    return Document(
        collection=COLLECTION,
        key=key,
        revision=revision,
        state=msgspec.json.encode(Hits(hit_ms)),
        watermarks={},
        sequences={},
        index=Index(created_ms=now_ms),
    )
