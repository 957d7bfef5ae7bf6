"""One client's way through the told topics, from a position of its own into the live stream.

A follower that is behind reads by itself, straight from the log and in chunks, until it is near the
hub. Then it joins the live ones, reads the rest up to the place where it joined, and takes from its
queue. So it gets every record of its tenant and topics once, in order within a partition, and
never more than a chunk or a queue of them is held for it.
"""

from collections.abc import Iterable
from typing import Final

from services.gateway.push.hub import Hub
from services.gateway.push.position import Position
from services.gateway.push.queue import LiveQueue
from services.gateway.push.tail import after, read_round
from services.gateway.push.told import Told, gap, tell
from shared.contracts.limits import STREAM_QUEUE_MAX
from shared.contracts.topics import TOLD

# Near enough to join: the rest fits the queue twice, should the hub meanwhile move as far again.
JOIN_DISTANCE_MAX: Final = STREAM_QUEUE_MAX // 2


class Follower:
    """Made by `follow`. `take` from one task; `leave` at the end.

    Attributes:
        position: everything before it was taken, or was not for this follower.
    """

    def __init__(self, hub: Hub, queue: LiveQueue, position: Position, first: list[Told]) -> None:
        self.position = position
        self._hub = hub
        self._queue = queue
        self._first = first
        self._joined: Position | None = None
        self._caught_up = False

    async def take(self, *, events_max: int, wait_s: float) -> list[Told]:
        """The next events: at once if there are any, else within `wait_s`, else none.

        While it catches up it may give none sooner, and more than `events_max`.

        Raises:
            TooSlow, Closing: once everything queued has been taken.
            Unavailable: the log did not answer.
        """
        if not self._caught_up:
            missed = await self._catch_up(wait_s)
            if missed or not self._caught_up:
                return missed
        taken = await self._queue.take(events_max, wait_s)
        # An empty queue says that nothing before the hub was for this follower.
        self.position = taken[-1].position if taken else self._hub.position
        return taken

    def leave(self) -> None:
        """Give the place to somebody else."""
        self._hub.leave(self._queue)

    async def _catch_up(self, wait_s: float) -> list[Told]:
        """One round towards the hub."""
        if self._queue.closed and self._joined is None:
            await self._queue.take(1, 0)  # raises: the gateway stops
        hub, topics = self._hub.position, self._queue.topics
        if hub.behind(self.position, topics):
            await self._hub.moved(wait_s)  # it was given out by a gateway that was ahead of this
            return []
        self.position = self.position.skipping(hub, topics)
        if self._joined is None and self.position.distance(hub, topics) <= JOIN_DISTANCE_MAX:
            self._joined = self._hub.join(self._queue)
        missed, self._first = self._first, []
        target = self._joined or hub
        missed += await self._read_towards(target)
        self._caught_up = self._joined is not None and not self.position.behind(target, topics)
        return missed

    async def _read_towards(self, target: Position) -> list[Told]:
        before = self.position
        reading = await read_round(self._hub.log, before, target, self._queue.topics)
        told: list[Told] = []
        self.position = reading.start
        if reading.lost:
            told.append(gap(self._queue.tenant, before, self.position, self._hub.clock.now_ms()))
        for record in reading.records:
            self.position = after(self.position, record)
            if record.key.partition(":")[0] == self._queue.tenant:
                event = tell(record, self.position)
                told += [event] if event is not None and self._is_for_it(event) else []
        return told

    def _is_for_it(self, event: Told) -> bool:
        return self._queue.agent is None or self._queue.agent in event.agents


async def follow(
    hub: Hub,
    tenant: str,
    topics: Iterable[str] = TOLD,
    since: Position | None = None,
    *,
    agent: str | None = None,
) -> Follower:
    """A follower from now on, or since a position of an earlier one with the same topics.

    With `agent` it is given what is about this agent alone.

    A position further than the log's end is of a log that is gone: a gap comes first.

    Raises:
        ValueError: the position names other partitions than the log has.
        Unavailable: too many follow already, or the log does not answer.
    """
    queue = LiveQueue(tenant, frozenset(topics), agent)
    hub.enter(queue)  # first, for the hub stands nowhere while it has no clients
    try:
        await hub.ready()
        start = hub.position if since is None else await _start(hub, since)
    except BaseException:
        hub.leave(queue)
        raise
    first = (
        [] if since is None or since == start else [gap(tenant, since, start, hub.clock.now_ms())]
    )
    return Follower(hub, queue, start, first)


async def _start(hub: Hub, since: Position) -> Position:
    """The position, within the log as it is now."""
    ends = Position.of(await hub.log.ends(TOLD))
    if not since.fits(ends):
        raise ValueError("the position is not of this log")
    return since.within(ends)
