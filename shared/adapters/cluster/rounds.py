"""Questions that many ask at the same time, asked once for all of them.

An answer must be as new as the question, so nobody joins a round that has begun: whoever comes
while one is under way waits for the next, together with all the others who do.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from shared.adapters.cluster.closing import retrieve

Key = TypeVar("Key")
Value = TypeVar("Value")


class Rounds(Generic[Key, Value]):
    """One question per key. Callers of one event loop."""

    def __init__(self, ask: Callable[[Key], Awaitable[Value]]) -> None:
        self._ask = ask
        self._running: dict[Key, asyncio.Task[Value]] = {}
        self._next: dict[Key, asyncio.Task[Value]] = {}

    async def get(self, key: Key) -> Value:
        """The answer of a round that begins after this call; raises what the round raised."""
        task = self._next.get(key)
        if task is None:
            task = asyncio.ensure_future(self._round(key, self._running.get(key)))
            task.add_done_callback(retrieve)
            self._next[key] = task
        return await asyncio.shield(task)

    async def _round(self, key: Key, before: "asyncio.Task[Value] | None") -> Value:
        if before is not None:
            await asyncio.wait({before})
        task = self._running[key] = self._next.pop(key)  # from here on nobody joins it
        try:
            return await self._ask(key)
        finally:
            if self._running.get(key) is task:
                del self._running[key]
