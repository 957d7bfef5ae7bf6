"""One tail of the told topics for all clients of this gateway.

The hub reads each record once and offers it to the live queues of its tenant; it waits for
nobody, and while nobody is live it reads nothing and only keeps up with the log's end. While there
are no clients at all it does not even follow the log. How a client gets from its own position to
the hub's is told in `follower`.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

import structlog
from aiohttp import web

from services.gateway.push.position import Position
from services.gateway.push.queue import LiveQueue, until
from services.gateway.push.tail import after, read_round
from services.gateway.push.told import Told, gap, tell
from shared.contracts.envelope import Record
from shared.contracts.errors import Unavailable
from shared.contracts.limits import STREAM_CLIENTS_MAX
from shared.contracts.topics import TOLD
from shared.runtime.ports import Clock, EventLog

_GROWTH_WAIT_S: Final = 1.0
_RETRY_S: Final = 1.0
_READY_WAIT_S: Final = 5.0

_logger: Final = structlog.get_logger()


class NoPlace(Unavailable):
    """As many follow as may."""


class Hub:
    """See the module. `run` is one task for the life of the gateway."""

    def __init__(self, log: EventLog, clock: Clock) -> None:
        self.log: Final = log
        self.clock: Final = clock
        # Not known while nobody follows, nor before the log has answered who has come first.
        self._position: Position | None = None
        self._wanted = asyncio.Event()
        self._moved = asyncio.Event()  # set once, then replaced, at each move
        self._clients: set[LiveQueue] = set()
        # By tenant, and within it by the agent it is about; None: everybody.
        self._live: dict[str, dict[str | None, list[LiveQueue]]] = {}
        self._closed = False
        self._closing = asyncio.Event()

    async def run(self) -> None:
        """Follow the log until cancelled; a log that does not answer is asked again."""
        try:
            while not self._closed:
                try:
                    await self._turn()
                except Unavailable as error:
                    _logger.warning("stream_log_unavailable", error=str(error))
                    await asyncio.sleep(_RETRY_S)
        finally:
            self.close()

    def close(self) -> None:
        """Turn new clients away, and let each of those here end by itself."""
        self._closed = True
        self._closing.set()
        for queue in self._clients:
            queue.close()
        self._wanted.set()
        self._move()

    @property
    def position(self) -> Position:
        """Up to where records have been offered.

        Raises:
            Unavailable: the log has not answered yet, or there are no clients.
        """
        if self._position is None:
            raise Unavailable("the log has not answered yet")
        return self._position

    @property
    def clients(self) -> int:
        """How many follow, live or not yet."""
        return len(self._clients)

    async def ready(self) -> None:
        """Wait for the first answer of the log, within reason; for clients. See `position`."""
        if self._position is None and not self._closed:
            await until(self._moved, _READY_WAIT_S)

    async def closing(self) -> None:
        """Wait until the gateway stops."""
        await self._closing.wait()

    async def moved(self, wait_s: float) -> None:
        """Wait until the hub has moved or closed, no longer than `wait_s`."""
        await until(self._moved, wait_s)

    def enter(self, queue: LiveQueue) -> None:
        """Take a place among the clients, to be given back by `leave`.

        Raises:
            NoPlace: there is none.
            Unavailable: the gateway stops.
        """
        if self._closed:
            raise Unavailable("the gateway stops")
        if len(self._clients) >= STREAM_CLIENTS_MAX:
            raise NoPlace("no more clients can follow the stream")
        self._clients.add(queue)
        self._wanted.set()

    def join(self, queue: LiveQueue) -> Position:
        """Offer everything from the returned position on."""
        self._live.setdefault(queue.tenant, {}).setdefault(queue.agent, []).append(queue)
        return self.position

    def leave(self, queue: LiveQueue) -> None:
        """Give the place back."""
        self._retire(queue)
        self._clients.discard(queue)

    def _retire(self, queue: LiveQueue) -> None:
        of_tenant = self._live.get(queue.tenant, {})
        live = of_tenant.get(queue.agent, [])
        if queue in live:
            live.remove(queue)
        if not live:
            of_tenant.pop(queue.agent, None)
        if not of_tenant:
            self._live.pop(queue.tenant, None)

    def _move(self) -> None:
        self._moved.set()
        self._moved = asyncio.Event()

    async def _turn(self) -> None:
        if not self._clients:
            self._position = None
            self._wanted.clear()
            await self._wanted.wait()
            return
        if self._position is None:
            self._position = Position.of(await self.log.ends(TOLD))
            self._move()
        if not await self.log.grown(TOLD, dict(self._position.places()), _GROWTH_WAIT_S):
            return
        ends = Position.of(await self.log.ends(TOLD))
        if self._live:
            await self._hand_out(self._position, ends)
        else:
            self._position = ends  # no await since the look at _live: nobody can have joined
        self._move()

    async def _hand_out(self, position: Position, ends: Position) -> None:
        reading = await read_round(self.log, position, ends, TOLD)
        position = reading.start
        if reading.lost:
            self._offer_gap(position)
        for record in reading.records:
            position = after(position, record)
            self._offer(record, position)
        self._position = position  # no await since the first offer: joining sees before or after

    def _offer_gap(self, start: Position) -> None:
        for tenant in tuple(self._live):
            told = gap(tenant, self.position, start, self.clock.now_ms())
            self._offer_to([one for live in self._live[tenant].values() for one in live], told)

    def _offer(self, record: Record, position: Position) -> None:
        live = self._live.get(record.key.partition(":")[0])
        if live is None:
            return
        queues = [queue for queue in live.get(None, ()) if record.topic in queue.topics]
        some_for_agents = len(live) > (None in live)
        told = tell(record, position) if queues or some_for_agents else None
        if told is None:
            return
        if some_for_agents:
            about = (queue for agent in told.agents for queue in live.get(agent, ()))
            queues += [queue for queue in about if record.topic in queue.topics]
        self._offer_to(queues, told)

    def _offer_to(self, queues: Sequence[LiveQueue], told: Told) -> None:
        for queue in queues:
            if not queue.offer(told):
                self._retire(queue)


HUB: Final = web.AppKey("hub", Hub)
