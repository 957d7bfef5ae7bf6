"""Appends that come in one turn of the loop, sent as one batch for each partition.

Each append by itself would cost a deadline, and each record a send; together they share both. Who
appended is told when all of its own records are acknowledged, whatever becomes of the others'.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from shared.contracts.envelope import Message

Place = tuple[str, int]  # topic, partition
Acknowledged = Callable[[Place], None]
Send = Callable[[Mapping[Place, Sequence[Message]], Acknowledged], Awaitable[None]]


class _Append:
    """One caller's records; `left`: how many partitions have not acknowledged theirs."""

    __slots__ = ("done", "left", "messages")

    def __init__(self, messages: Sequence[Message]) -> None:
        self.messages = messages
        self.left = 0
        self.done: Final = asyncio.get_running_loop().create_future()

    def acknowledge(self) -> None:
        self.left -= 1
        if not self.left and not self.done.done():
            self.done.set_result(None)

    def fail(self, error: Exception) -> None:
        if not self.done.done():
            self.done.set_exception(error)


class Together:
    """Callers of one event loop.

    Args:
        place_of: where a record belongs.
        send: sends each partition's records in order and says when they are acknowledged; returns
            when all are, or raises.
    """

    def __init__(self, place_of: Callable[[Message], Place], send: Send) -> None:
        self._place_of = place_of
        self._send = send
        self._waiting: list[_Append] = []
        self._sending: set[asyncio.Task[None]] = set()  # the loop itself keeps no task alive

    async def append(self, messages: Sequence[Message]) -> None:
        """Return once all are acknowledged; raises what `send` raised before that."""
        if not messages:
            return
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._start)
        append = _Append(messages)
        self._waiting.append(append)
        await append.done

    def _start(self) -> None:
        appends, self._waiting = self._waiting, []
        task = asyncio.ensure_future(self._run(appends))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _run(self, appends: Sequence[_Append]) -> None:
        messages: defaultdict[Place, list[Message]] = defaultdict(list)
        whose: defaultdict[Place, list[_Append]] = defaultdict(list)
        for append in appends:
            places = {self._place_of(message): None for message in append.messages}
            for message in append.messages:
                messages[self._place_of(message)].append(message)
            for place in places:
                whose[place].append(append)
            append.left = len(places)

        def acknowledged(place: Place) -> None:
            for append in whose[place]:
                append.acknowledge()

        try:
            await self._send(messages, acknowledged)
        except Exception as error:  # noqa: BLE001 - every caller is told
            for append in appends:
                append.fail(error)
