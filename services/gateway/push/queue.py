"""What the hub hands to one client, bounded; and the two ways in which it ends."""

import asyncio
import contextlib
from collections import deque
from typing import Final

from services.gateway.push.told import Told
from shared.contracts.errors import AftercallError
from shared.contracts.limits import STREAM_QUEUE_MAX


class TooSlow(AftercallError):
    """The queue was full when the next event came. The client resumes by its position."""


class Closing(AftercallError):
    """The gateway stops."""


async def until(event: asyncio.Event, wait_s: float) -> None:
    """Wait for the event, no longer than `wait_s`."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(wait_s):
            await event.wait()


class LiveQueue:
    """The hub's end is `offer` and `close`; the client's is `take`."""

    def __init__(self, tenant: str, topics: frozenset[str], agent: str | None = None) -> None:
        self.tenant: Final = tenant
        self.agent: Final = agent  # who alone it is about; None: everybody
        self.topics: Final = topics
        self._queued: deque[Told] = deque()
        self._stirred = asyncio.Event()
        self._ended: AftercallError | None = None

    def offer(self, told: Told) -> bool:
        """Queue it. False: there is no room, and nothing may be offered any more."""
        self._stirred.set()
        if len(self._queued) >= STREAM_QUEUE_MAX:
            self._ended = self._ended or TooSlow("the client reads too slowly")
            return False
        self._queued.append(told)
        return True

    def close(self) -> None:
        """Let the client end by itself."""
        self._ended = self._ended or Closing("the gateway stops")
        self._stirred.set()

    @property
    def closed(self) -> bool:
        """Whether nothing more will be offered."""
        return self._ended is not None

    async def take(self, events_max: int, wait_s: float) -> list[Told]:
        """The next events: at once if there are any, else within `wait_s`, else none.

        Raises:
            TooSlow, Closing: once everything queued has been taken.
        """
        if not self._queued and self._ended is None:
            self._stirred.clear()
            await until(self._stirred, wait_s)
        if not self._queued and self._ended is not None:
            raise self._ended
        return [self._queued.popleft() for _ in range(min(events_max, len(self._queued)))]
