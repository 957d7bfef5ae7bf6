"""Waiting for a driver, never without an end.

The drivers keep deadlines themselves; what is said here is when one begins: as soon as somebody
waits, not when motor has found a thread. Behind each stands a second one, of ours, a little later.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, TypeVar

import pymongo

from shared.adapters.cluster.mongo_client import OPERATION_S
from shared.adapters.cluster.mongo_errors import told
from shared.contracts.errors import Unavailable

T = TypeVar("T")

SPARE_S: Final = 0.5  # for the driver to tell, after its own deadline


async def answered(
    doing: str, ask: Callable[[], Awaitable[T]], *, within_s: float = OPERATION_S
) -> T:
    """The answer to a question, which may be abandoned at any time.

    Args:
        doing: what is being done, for messages.
        ask: begins it; called under the deadline, which motor's operations take along.
        within_s: the deadline.

    Raises:
        Unavailable, WriteConflict, Bug: as `told` says.
    """
    with told(doing), pymongo.timeout(within_s):
        async with asyncio.timeout(within_s + SPARE_S):
            return await ask()


class Writes:
    """Writes under way. Who asked for one may be cancelled; the write itself never is.

    A write that is given up midway may land at any later time. So whoever is cancelled waits until
    its write has an outcome, as long as a write may take, and is cancelled only then.
    """

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()

    async def settled(self, doing: str, write: Coroutine[Any, Any, T]) -> T:
        """What a write gives.

        Raises:
            Unavailable, WriteConflict, Bug: as `told` says.
        """
        with pymongo.timeout(OPERATION_S):  # the task takes it along
            task = asyncio.create_task(write)
        self._running.add(task)
        task.add_done_callback(self._end)
        try:
            await asyncio.wait((task,), timeout=OPERATION_S + SPARE_S)
        except asyncio.CancelledError:
            await asyncio.wait((task,), timeout=OPERATION_S + SPARE_S)
            raise
        if not task.done():
            raise Unavailable(f"{doing}: no outcome in time")
        with told(doing):
            return task.result()

    async def all_settled(self) -> None:
        """Wait until none is under way, as long as one may take."""
        if self._running:
            await asyncio.wait(self._running, timeout=OPERATION_S + SPARE_S)

    def _end(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # seen here, also where nobody waits for it any more
