"""Reads at least as new as any answer given before.

An answer is sent once the decision is durable in one document; what others make of it (the
disposition of a call that has just ended, the end of a wrap-up that was asked for with a
disposition, a line of the history) follows by topic. So a read first
waits until the projections have passed the ends that the topics have now: bounded, for a slow
reader behind is no reason to refuse a read.
"""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, Final

from shared.contracts.topics import (
    CALLS_CHANGED,
    DISPOSITION_EVENTS,
    DISPOSITION_REQUESTS,
    TELEPHONY_EVENTS,
    USER_EVENTS,
)
from shared.runtime.ports import EventLog

CALLSTATE: Final = "callstate"
WORKER: Final = "worker"
HISTORY: Final = "history"
_DECIDED: Final = (CALLS_CHANGED, DISPOSITION_REQUESTS)
_PROJECTED: Final = (*_DECIDED, DISPOSITION_EVENTS, USER_EVENTS)
_PAUSE_S_MAX: Final = 0.016


class Settling:
    """Waits until those who follow the topics have caught up with now."""

    def __init__(self, log: EventLog, *, timeout_s: float = 0.25) -> None:
        self._log = log
        self._timeout_s = timeout_s

    async def calls(self) -> bool:
        """Until all is decided, and calls are what that made of them; False: not in time."""
        return await self._within(self._decided())

    async def subjects(self) -> bool:
        """Until subjects are what all of that made of them, too; False: not in time."""
        return await self._within(self._asked())

    async def history(self) -> bool:
        """Until the history shows it, too; False: not in time."""
        return await self._within(self._projected())

    async def _decided(self) -> None:
        # In this order: among the events are the releases that the worker has just asked for.
        await self._reached_by(WORKER, _DECIDED)
        await self._reached_by(CALLSTATE, (TELEPHONY_EVENTS,))

    async def _asked(self) -> None:
        # In this order: a call that has ended makes a disposition final, which asks for statuses.
        await self._decided()
        await self._reached_by(WORKER, _DECIDED)
        await self._reached_by(WORKER, (DISPOSITION_REQUESTS,))

    async def _projected(self) -> None:
        # In this order: what those two publish is ahead of nothing the history has passed.
        await self._asked()
        await self._reached_by(HISTORY, _PROJECTED)

    async def _within(self, steps: Coroutine[Any, Any, None]) -> bool:
        try:
            async with asyncio.timeout(self._timeout_s):
                await steps
        except TimeoutError:
            return False
        return True

    async def _reached_by(self, group: str, topics: Sequence[str]) -> None:
        ends = await self._log.ends(topics)
        pause_s = 0.001
        while True:
            positions = await self._log.positions(group, topics)
            if all(positions.get(place, 0) >= end for place, end in ends.items()):
                return
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _PAUSE_S_MAX)
