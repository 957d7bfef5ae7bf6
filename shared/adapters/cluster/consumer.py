"""A member of a group, as the processor sees it.

What is assigned anew is taken up by whoever calls next, never in the client's callback: it reads
from the broker where the group stands, goes there, drops what was fetched before, and raises
`PartitionsMoved` once. The partitions are not given away before the running batch is finished or
its time is over; from then on nothing of that batch is made durable.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

import structlog

from shared.adapters.cluster.broker import Broker
from shared.adapters.cluster.membership import ClientFailed, Membership
from shared.adapters.cluster.names import Names
from shared.adapters.cluster.publisher import Publisher
from shared.contracts.envelope import Message, Record
from shared.contracts.errors import PartitionsMoved, Unavailable
from shared.runtime.ports import Positions, TopicPartition

JOIN_S: Final = 30.0
FIRST_S: Final = 5.0  # a caller waits so long for the first assignment
SLICE_S: Final = 0.1  # so soon an assignment is noticed while nothing comes
FINISH_S: Final = 3.0  # of the group's patience, which is for all members together
COMMIT_S: Final = 5.0
CATCH_UP_S: Final = 2.0
STUCK_S: Final = 20.0
UNASSIGNED_S: Final = 30.0
CLOSE_S: Final = 8.0
NOWHERE: Final = -1

log = structlog.get_logger()


class KafkaConsumer:
    """`Consumer` on one cluster.

    Attributes:
        rebuilt: how often the client was given up because it stood still or could not go on.
    """

    def __init__(
        self,
        bootstrap: str,
        names: Names,
        broker: Broker,
        publisher: Publisher,
        group: str,
        topics: Sequence[str],
        instance: str | None,
    ) -> None:
        self.rebuilt = 0
        self._bootstrap = bootstrap
        self._names = names
        self._broker = broker
        self._publisher = publisher
        self._group = group
        self._topics = tuple(topics)
        self._instance = instance
        self._member: Membership | None = None
        self._joining: asyncio.Task[None] | None = None
        self._stands_in = NOWHERE  # the generation whose positions were taken up
        self._has_stood = False  # somebody may hold what was given out where it stood
        self._moved = False  # and nobody was told yet
        self._next: dict[TopicPartition, int] = {}  # after the last record given out
        self._durable: dict[TopicPartition, int] = {}
        self._finished = asyncio.Event()  # nothing given out waits to be made durable
        self._finished.set()
        self._committing: asyncio.Task[None] | None = None
        self._still_since: float | None = None  # records or an assignment should come, and don't
        self._closed = False

    async def committed(self) -> dict[TopicPartition, int]:
        """See `Consumer`; waits for the first assignment."""
        if await self._standing(FIRST_S) is None:
            raise Unavailable(f"the group {self._group} has given no partitions yet")
        places = tuple(self._next)
        found = await self._broker.committed(self._group, places) if places else {}
        return {place: found.get(place, 0) for place in places}

    async def poll(self, *, records_max: int, wait_s: float) -> list[Record]:
        """See `Consumer`; waits for the first assignment.

        While the partitions are about to go, what was given out is waited for: there is no more.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait_s
        while True:
            left = max(0.0, deadline - loop.time())
            member = await self._standing(left if self._member else max(left, FIRST_S))
            if member is None or (member.leaving and not self._finished.is_set()):
                return []
            left = max(0.0, deadline - loop.time())
            found = await self._get(member, records_max, min(left, SLICE_S))
            if not self._is_current(member):
                continue  # what was found is given again, to whoever has the partitions now
            if not found and wait_s > 0 and left <= 0:
                found = await self._look_again(member, records_max)
            if found or left <= 0:
                return self._give_out(found)

    async def publish_and_advance(self, messages: Sequence[Message], positions: Positions) -> None:
        """See `Consumer`; fenced: by this object, then by the group."""
        try:
            member = await self._owning(positions) if positions else None
            if messages:
                await self._publisher.publish(messages)
            if member is not None:
                await self._advance(member, positions)
        finally:
            if all(self._durable.get(place) == n for place, n in self._next.items()):
                self._finished.set()

    async def rewind(self) -> None:
        """See `Consumer`."""
        self._finished.set()
        self._stands_in = NOWHERE
        await self._standing(0)

    async def close(self) -> None:
        """See `Consumer`."""
        self._closed = True
        self._finished.set()
        if self._joining is not None:
            self._joining.cancel()
            await asyncio.wait({self._joining}, timeout=CLOSE_S)
        if self._member is not None:
            await self._member.end()
            self._member = None  # and not before: who was cut short may try again

    # Where it stands

    async def _standing(self, wait_s: float) -> Membership | None:
        """The member, at the positions of its assignment; None while it has none.

        Raises:
            PartitionsMoved: once for each assignment but the first.
            Unavailable: it can't join now, or the positions can't be read.
        """
        self._tell_moved()
        self._publisher.check()
        if self._closed:
            raise Unavailable("the consumer is closed")
        member = self._member or await self._joined(wait_s)
        if member is None:
            return None
        if not await member.settled(wait_s):
            self._watch_stillness(member, UNASSIGNED_S, "there is no assignment")
            return None
        if self._stands_in != member.generation:
            await self._stand(member)
        self._tell_moved()
        return member if self._is_current(member) else None

    def _tell_moved(self) -> None:
        if self._moved:
            raise self._lost()

    def _lost(self) -> PartitionsMoved:
        """Everything that stood on the old assignment is told by this one error."""
        self._moved = False
        self._has_stood = False
        self._stands_in = NOWHERE
        self._finished.set()
        return PartitionsMoved(f"the partitions of {self._group} were assigned anew")

    async def _joined(self, wait_s: float) -> Membership | None:
        if self._joining is None:
            self._joining = asyncio.ensure_future(self._join())
        joining = self._joining
        await asyncio.wait({joining}, timeout=wait_s)
        if joining.done():
            self._joining = None
            error = None if joining.cancelled() else joining.exception()
            if error is not None:
                raise Unavailable(f"{self._group} can't be joined: {error!r}") from error
        return self._member

    async def _join(self) -> None:
        member = Membership(
            self._bootstrap, self._names, self._group, self._topics, self._instance, self._finish
        )
        try:
            async with asyncio.timeout(JOIN_S):
                await member.start()
        except BaseException:
            await member.end()
            raise
        self._stands_in = NOWHERE
        self._still_since = None
        self._member = member

    async def _stand(self, member: Membership) -> None:
        """Go to where the group stands; at the oldest record where it never stood."""
        generation = member.generation
        member.check(self._topics)
        places = member.places()
        committed = await self._broker.committed(self._group, places) if places else {}
        unknown = [place for place in places if place not in committed]
        starts = await self._broker.starts(unknown) if unknown else {}
        if member.generation != generation or member.moving:
            return  # and the next call begins anew
        self._next = {**starts, **committed}
        self._durable = dict(self._next)
        member.seek(self._next)
        self._stands_in = generation
        self._has_stood = True

    def _is_current(self, member: Membership) -> bool:
        return (
            not self._moved
            and self._member is member
            and not member.moving
            and self._stands_in == member.generation
        )

    async def _finish(self) -> None:
        """Called before the partitions go: let the running batch end, within reason."""
        try:
            await asyncio.wait_for(self._finished.wait(), FINISH_S)
        except TimeoutError:
            log.warning("batch_not_finished", group=self._group)
        self._moved = self._has_stood
        if self._committing is not None:
            self._committing.cancel()

    # What comes

    async def _get(self, member: Membership, records_max: int, wait_s: float) -> list[Record]:
        try:
            return await member.get(records_max, wait_s)
        except ClientFailed as error:
            self._give_up(member, str(error))
            raise Unavailable(f"the log did not answer: {error}") from error

    async def _look_again(self, member: Membership, records_max: int) -> list[Record]:
        """Nothing came; see that there is nothing, for what is there may not be fetched yet.

        Raises:
            Unavailable: the log did not answer.
        """
        loop = asyncio.get_running_loop()
        ends = await self._broker.ends(tuple(self._next)) if self._next else {}
        deadline = loop.time() + CATCH_UP_S
        while self._is_current(member):
            if all(member.position(p, self._next[p]) >= end for p, end in ends.items()):
                self._still_since = None
                await self._pass_markers(member)
                return []
            found = await self._get(member, records_max, SLICE_S)
            if found and self._is_current(member):
                return found
            if loop.time() > deadline:
                self._watch_stillness(member, STUCK_S, "records wait, and none come")
                break
        return []

    def _watch_stillness(self, member: Membership, patience_s: float, reason: str) -> None:
        now = asyncio.get_running_loop().time()
        if self._still_since is None:
            self._still_since = now
        if now > self._still_since + patience_s:
            self._give_up(member, reason)

    def _give_out(self, records: list[Record]) -> list[Record]:
        ends = {(record.topic, record.partition): record.offset + 1 for record in records}
        self._next |= {TopicPartition(*place): end for place, end in ends.items()}
        if records:
            self._still_since = None
            self._finished.clear()
        return records

    def _give_up(self, member: Membership, reason: str) -> None:
        """The client will not recover: end it, and join from the beginning."""
        if self._closed or self._member is not member:
            return
        log.warning("consumer_rebuilt", group=self._group, reason=reason)
        self.rebuilt += 1
        self._member = None
        self._moved = self._has_stood
        self._stands_in = NOWHERE
        self._still_since = None
        self._joining = asyncio.ensure_future(self._rejoin(member))

    async def _rejoin(self, member: Membership) -> None:
        await member.end()
        await self._join()

    # What becomes durable

    async def _owning(self, positions: Positions) -> Membership:
        """The member, if it still has these partitions.

        Raises:
            PartitionsMoved: it has not.
        """
        member = await self._standing(0 if self._member else FIRST_S)
        if member is None or not positions.keys() <= self._next.keys():
            raise self._lost()
        return member

    async def _advance(self, member: Membership, positions: Positions) -> None:
        """Commit, unless the partitions have moved.

        Where all was given out that there is, the position goes beyond the markers that
        transactions of others leave: they are no records, and nobody will ever be given them.
        """
        if not self._is_current(member):
            raise self._lost()
        moved = {
            place: member.position(place, position) if position == self._next[place] else position
            for place, position in positions.items()
        }
        await self._commit(member, moved)
        for place, position in moved.items():
            self._next[place] = max(self._next[place], position)
        self._durable |= moved

    async def _pass_markers(self, member: Membership) -> None:
        """The same, while no records come."""
        moved = {
            place: member.position(place, position)
            for place, position in self._next.items()
            if self._durable[place] == position < member.position(place, position)
        }
        if moved:
            await self._advance(member, {place: self._next[place] for place in moved})

    async def _commit(self, member: Membership, positions: Positions) -> None:
        committing = self._committing = asyncio.ensure_future(member.commit(positions))
        try:
            await asyncio.wait({committing}, timeout=COMMIT_S)
        finally:
            self._committing = None
            in_time = committing.done()
            committing.cancel()
        if not in_time:
            raise Unavailable(f"the positions of {self._group} were not acknowledged in time")
        try:
            committing.result()
        except (PartitionsMoved, asyncio.CancelledError) as error:  # the latter: by `_finish`
            raise self._lost() from error
