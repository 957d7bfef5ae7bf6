"""Old records of the log go, so that a disk holds a week and not a lifetime; letters after longer.

Only these grow old: what was decided stands in documents, history and reports, and stays. A record
that some group has yet to read stays as well, however old. Pruning is little work done often, and
none of it matters today: a disk that refuses is asked again.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from shared.contracts.errors import Unavailable
from shared.contracts.limits import DEAD_KEPT_MS, LOG_KEPT_MS
from shared.runtime.letters import LetterStore
from shared.runtime.ports import Clock
from shared.runtime.profile import Prune

EVERY_S: Final = 60.0

log = structlog.get_logger()


async def keep(prune: Prune, clock: Clock, stopping: asyncio.Event) -> None:
    """Keep the log to its age until told to stop; the first time when everybody has begun."""

    async def step() -> int:
        now_ms = clock.now_ms()
        return await prune(now_ms - LOG_KEPT_MS, now_ms - DEAD_KEPT_MS)

    await _again("log", step, stopping)


async def keep_letters(letters: LetterStore, clock: Clock, stopping: asyncio.Event) -> None:
    """Forget letters at the age at which dead topics lose theirs, until told to stop."""
    await _again("letters", lambda: letters.expire(clock.now_ms() - DEAD_KEPT_MS), stopping)


async def _again(what: str, prune: Callable[[], Awaitable[int]], stopping: asyncio.Event) -> None:
    while not stopping.is_set():
        try:
            await asyncio.wait_for(stopping.wait(), EVERY_S)
        except TimeoutError:
            await _prune(what, prune)


async def _prune(what: str, prune: Callable[[], Awaitable[int]]) -> None:
    try:
        count = await prune()
    except Unavailable as error:
        log.warning("not_pruned", what=what, error=repr(error))
        return
    if count:
        log.info("pruned", what=what, records=count)
