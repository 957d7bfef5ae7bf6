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


class _Gathered:
    """What waits for one partition, and for whom."""

    __slots__ = ("appends", "messages")

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.appends: list[_Append] = []


class Together:
    """Callers of one event loop.

    Args:
        place_of: where a record belongs.
        send: sends a partition's records in order; returns when they are acknowledged, or raises.
    """

    def __init__(self, place_of: Callable[[Message], Place], send: Send) -> None:
        self._place_of = place_of
        self._send = send
        self._waiting: dict[Place, _Gathered] = {}
        self._sending: dict[Place, asyncio.Task[None]] = {}

    async def append(self, messages: Sequence[Message]) -> None:
        """Return once all are acknowledged; raises what `send` raised before that."""
        by_place: defaultdict[Place, list[Message]] = defaultdict(list)
        for message in messages:
            by_place[self._place_of(message)].append(message)
        if not by_place:
            return
        append = _Append(len(by_place))
        for place, some in by_place.items():
            waiting = self._waiting.get(place)
            if waiting is None:
                waiting = self._waiting[place] = _Gathered()
            waiting.messages += some
            waiting.appends.append(append)
            if place not in self._sending:
                self._sending[place] = asyncio.ensure_future(self._run(place))
        await append.done

    async def _run(self, place: Place) -> None:
        """Send what has gathered, until nothing has."""
        gathered: _Gathered | None = None
        try:
            while (gathered := self._waiting.pop(place, None)) is not None:
                try:
                    await self._send(place, gathered.messages)
                except Exception as error:  # noqa: BLE001 - every caller is told
                    for append in gathered.appends:
                        append.fail(error)
                else:
                    for append in gathered.appends:
                        append.acknowledge()
        finally:
            del self._sending[place]
            for cut_off in (gathered, self._waiting.pop(place, None)):
                for append in () if cut_off is None else cut_off.appends:
                    append.fail(Unavailable("cut off: whether the log has them is unknown"))
