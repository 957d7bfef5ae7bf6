"""Waiting for answers: one future per asked record, a deadline, a bound on how many wait.

Each asked record carries this gateway's reply address and a correlation id of its own; whoever
decides it sends the answer there. An answer that comes too late finds nobody and is dropped: it
stands in the store, where `/v1/requests/{id}` finds it.
"""

import asyncio
import secrets
from collections.abc import Sequence
from itertools import count
from typing import Final

from shared.contracts import limits
from shared.contracts.envelope import ReplyTo
from shared.contracts.errors import AftercallError
from shared.runtime.ports import Answer


class Busy(AftercallError):
    """Too many wait already: nothing was written, come back in `retry_after_s`."""

    def __init__(self, retry_after_s: int = 1) -> None:
        super().__init__("too many requests are waiting for an answer")
        self.retry_after_s = retry_after_s


class Waiters:
    """Everybody who waits for an answer at this gateway. Lives on one event loop."""

    def __init__(
        self,
        address: str,
        *,
        timeout_s: float = 2.0,
        waiting_max: int = limits.WAITING_VERDICTS_MAX,
    ) -> None:
        self.address: Final = address
        self._timeout_s = timeout_s
        self._waiting_max = waiting_max
        self._waiting: dict[str, tuple[asyncio.Future[bytes | None], asyncio.TimerHandle]] = {}
        self._large: set[str] = set()  # those among them that belong to a large batch
        # An answer meant for the process that had this address before must find nobody.
        self._life = secrets.token_hex(4)
        self._numbers = count(1)

    @property
    def waiting(self) -> int:
        """How many wait now."""
        return len(self._waiting)

    def expect(self) -> "Expected":
        """Begin to wait for one answer; the deadline runs from here.

        Raises:
            Busy: too many wait already.
        """
        return self.expect_all(1)[0]

    def expect_all(self, number: int, *, waits: int = 1) -> list["Expected"]:
        """Begin to wait for so many answers, all with one deadline, `waits` times as far as usual.

        A batch may overshoot the bound once, by its own size: it would otherwise starve. A large
        one, that is waited for more than once, takes nobody's place, and is the only such.

        Raises:
            Busy: too many wait already.
        """
        large = waits > 1
        waiting = len(self._waiting) - len(self._large)
        if self._large if large else waiting >= self._waiting_max:
            raise Busy
        deadline = asyncio.get_running_loop().time() + waits * self._timeout_s
        return [Expected(self, deadline, large=large) for _ in range(number)]

    def deliver(self, answers: Sequence[Answer]) -> None:
        """Hand answers to those who wait. Must be called on this gateway's event loop."""
        for answer in answers:
            self.settle(answer.reply_to.correlation_id, answer.body)

    def enter(self, deadline: float, *, large: bool) -> tuple[str, asyncio.Future[bytes | None]]:
        """A new place among those who wait: its correlation id, and what will hold the answer."""
        loop = asyncio.get_running_loop()
        correlation_id = f"{self._life}-{next(self._numbers):x}"
        future: asyncio.Future[bytes | None] = loop.create_future()
        timer = loop.call_at(deadline, self.settle, correlation_id, None)
        self._waiting[correlation_id] = (future, timer)
        if large:
            self._large.add(correlation_id)
        return correlation_id, future

    def settle(self, correlation_id: str, body: bytes | None) -> None:
        """Whoever waits under this id waits no longer; nobody may."""
        future, timer = self._waiting.pop(correlation_id, (None, None))
        self._large.discard(correlation_id)
        if future is None or timer is None:
            return
        timer.cancel()
        if not future.done():
            future.set_result(body)


class Expected:
    """One answer that is waited for.

    Attributes:
        reply_to: what the record must carry for the answer to find its way back.
    """

    def __init__(self, waiters: Waiters, deadline: float, *, large: bool) -> None:
        self._waiters = waiters
        self._correlation_id, self._future = waiters.enter(deadline, large=large)
        self.reply_to: Final = ReplyTo(waiters.address, self._correlation_id)

    async def answer(self) -> bytes | None:
        """The answer's JSON, or None when it was not there in time."""
        return await self._future

    def forget(self) -> None:
        """Stop waiting, if that is not over already."""
        self._waiters.settle(self._correlation_id, None)
