"""A deadline for each of many waits that are all as long, with one timer for all of them.

As `asyncio.timeout`, which costs every request a timer of the loop: a tenth of all that it costs to
take an event in.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable
from typing import Any, Final, TypeVar

T = TypeVar("T")


class _Wait:
    """One task's; `task` is None when it is over."""

    __slots__ = ("cancelling", "deadline", "late", "task")

    def __init__(self, task: "asyncio.Task[Any]", deadline: float) -> None:
        self.task: asyncio.Task[Any] | None = task
        self.deadline: Final = deadline
        self.cancelling: Final = task.cancelling()
        self.late = False

    def end(self) -> None:
        if self.task is not None:
            self.late = True
            self.task.cancel()


class Patience:
    """So many seconds for each wait. Callers of one event loop."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._waits: deque[_Wait] = deque()  # the first ends first
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def within(self, awaited: Awaitable[T]) -> T:
        """What is awaited, from inside a task.

        Raises:
            TimeoutError: it was not there in time; it was cancelled.
        """
        loop = self._loop
        if loop is None:  # each look for it asks the system which process this is
            loop = self._loop = asyncio.get_running_loop()
        task = asyncio.current_task(loop)
        if task is None:
            raise RuntimeError("waits are ended by cancelling their task, and there is none")
        wait = _Wait(task, loop.time() + self._seconds)
        self._waits.append(wait)
        if self._timer is None:
            self._timer = loop.call_at(wait.deadline, self._look)
        try:
            return await awaited
        except asyncio.CancelledError:
            if wait.late and task.uncancel() <= wait.cancelling:
                raise TimeoutError from None
            raise
        finally:
            wait.task = None
            while self._waits and self._waits[0].task is None:
                self._waits.popleft()

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        now_s = loop.time()
        while self._waits and self._waits[0].deadline <= now_s:
            self._waits.popleft().end()
        self._timer = None
        if self._waits:
            self._timer = loop.call_at(self._waits[0].deadline, self._look)
