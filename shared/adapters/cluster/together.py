"""Small appends of many callers, sent as one batch for each partition.

A partition has one batch on its way; what is appended meanwhile gathers, and is the next. So
batches grow with the load and with the way to the broker. Its client would not have more of a
partition on the way anyhow, and of many who wait there for their turn it fails some. Who appended
is told when all of its own records are acknowledged, whatever becomes of the others'.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from shared.contracts.envelope import Message
from shared.contracts.errors import Unavailable

Place = tuple[str, int]  # topic, partition
Send = Callable[[Place, Sequence[Message]], Awaitable[None]]


class _Append:
    """One caller's records; `left`: how many partitions have not acknowledged theirs."""

    __slots__ = ("done", "left")

    def __init__(self, left: int) -> None:
        self.left = left
        self.done: Final = asyncio.get_running_loop().create_future()

    def acknowledge(self) -> None:
        self.left -= 1
        if not self.left and not self.done.done():
            self.done.set_result(None)

    def fail(self, error: Exception) -> None:
        if not self.done.done():
            self.done.set_exception(error)

    def expire(self) -> None:
        said = "no acknowledgement in time: whether the log has the records is unknown"
        self.fail(Unavailable(said))


_Gathered = list[tuple[_Append, list[Message]]]
"""What waits for one partition, and for whom."""


class Together:
    """Callers of one event loop.

    Args:
        place_of: where a record belongs.
        send: sends a partition's records in order; returns when they are acknowledged, or raises.
        within_s: how long a caller waits at most, for its turn and for the acknowledgement.
    """

    def __init__(
        self, place_of: Callable[[Message], Place], send: Send, *, within_s: float
    ) -> None:
        self._place_of = place_of
        self._send = send
        self._within_s = within_s
        self._waiting: dict[Place, _Gathered] = {}
        self._sending: dict[Place, asyncio.Task[None]] = {}

    async def append(self, messages: Sequence[Message]) -> None:
        """Return once all are acknowledged. What nobody waits for any more is not sent.

        Raises:
            Unavailable: its time is over.
            Exception: what `send` raised before that.
        """
        by_place: defaultdict[Place, list[Message]] = defaultdict(list)
        for message in messages:
            by_place[self._place_of(message)].append(message)
        if not by_place:
            return
        append = _Append(len(by_place))
        for place, some in by_place.items():
            self._waiting.setdefault(place, []).append((append, some))
            if place not in self._sending:
                self._sending[place] = asyncio.ensure_future(self._run(place))
        timer = asyncio.get_running_loop().call_later(self._within_s, append.expire)
        try:
            await append.done
        finally:
            timer.cancel()

    async def _run(self, place: Place) -> None:
        """Send what has gathered, until nothing has."""
        gathered: _Gathered = []
        try:
            while place in self._waiting:
                gathered = [pair for pair in self._waiting.pop(place) if not pair[0].done.done()]
                messages = [message for _, some in gathered for message in some]
                try:
                    if messages:
                        await self._send(place, messages)
                except Exception as error:  # noqa: BLE001 - every caller is told
                    for append, _ in gathered:
                        append.fail(error)
                else:
                    for append, _ in gathered:
                        append.acknowledge()
                gathered = []  # told; what they have elsewhere may still be on its way
        finally:
            del self._sending[place]
            for append, _ in (*gathered, *self._waiting.pop(place, ())):
                append.fail(Unavailable("cut off: whether the log has them is unknown"))
