"""Appends that come at the same time, written as one job.

A job costs a savepoint and a statement of its own, and at each of them the writer waits for the
interpreter's lock; so what many callers append in one turn of the loop goes to the writer together.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from shared.contracts.envelope import Message
from shared.contracts.errors import Unavailable

Write = Callable[[Sequence[Message]], Awaitable[object]]

_Waiting = tuple[Sequence[Message], asyncio.Future[None]]


class Gathering:
    """Callers of one event loop at a time."""

    def __init__(self, write: Write) -> None:
        self._write = write
        self._waiting: list[_Waiting] = []
        self._writing: set[asyncio.Task[None]] = set()  # the loop itself keeps no task alive

    async def append(self, messages: Sequence[Message]) -> None:
        """Return once the messages are durable; raises what `write` raised for them."""
        loop = asyncio.get_running_loop()
        written: asyncio.Future[None] = loop.create_future()
        if not self._waiting:
            loop.call_soon(self._start)
        self._waiting.append((messages, written))
        await written

    def _start(self) -> None:
        group, self._waiting = self._waiting, []
        task = asyncio.ensure_future(self._run(group))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    async def _run(self, group: Sequence[_Waiting]) -> None:
        try:
            await self._write([message for messages, _ in group for message in messages])
        except Unavailable as error:
            for _, written in group:
                _resolve(written, error)
        except Exception as error:  # noqa: BLE001 - somebody's messages can't be written
            if len(group) == 1:
                _resolve(group[0][1], error)
            else:  # whose they are shows when each is written alone
                for waiting in group:
                    await self._run([waiting])
        else:
            for _, written in group:
                _resolve(written, None)


def _resolve(written: asyncio.Future[None], error: Exception | None) -> None:
    """A caller who has gone changes nothing: the write stands."""
    if written.done():
        return
    if error is None:
        written.set_result(None)
    else:
        written.set_exception(error)
