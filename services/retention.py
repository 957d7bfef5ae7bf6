"""Old records of the log go, so that a disk holds a week and not a lifetime.

Only the log grows old: what was decided stands in documents, history and reports, and stays. A
record that some group has yet to read stays as well, however old. Pruning is little work done
often, and none of it matters today: a disk that refuses is asked again.
"""

import asyncio
from typing import Final

import structlog

from shared.contracts.errors import Unavailable
from shared.contracts.limits import LOG_KEPT_MS
from shared.runtime.ports import Clock
from shared.runtime.profile import Prune

EVERY_S: Final = 60.0

log = structlog.get_logger()


async def keep(prune: Prune, clock: Clock, stopping: asyncio.Event) -> None:
    """Keep the log to its age until told to stop; the first time when everybody has begun."""
    while not stopping.is_set():
        try:
            await asyncio.wait_for(stopping.wait(), EVERY_S)
        except TimeoutError:
            await _prune(prune, clock.now_ms() - LOG_KEPT_MS)


async def _prune(prune: Prune, before_ms: int) -> None:
    try:
        count = await prune(before_ms)
    except Unavailable as error:
        log.warning("log_not_pruned", error=repr(error))
        return
    if count:
        log.info("log_pruned", records=count)
