"""One life of a group's member: from joining to leaving, with every assignment in between.

The client runs the group in the background and calls back; what such a callback raises it only
logs. So callbacks do no more than take note and wait, and whoever polls acts on it.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

import aiokafka
import aiokafka.errors as kafka_errors
from aiokafka.coordinator.assignors.range import RangePartitionAssignor

from shared.adapters.cluster.broker import Broker
from shared.adapters.cluster.closing import end_consumer, seen
from shared.adapters.cluster.fetching import Fetching
from shared.adapters.cluster.names import Names
from shared.contracts.envelope import Record
from shared.contracts.errors import Bug, PartitionsMoved, Unavailable
from shared.runtime.ports import TopicPartition

SESSION_S: Final = 6.0
HEARTBEAT_S: Final = 1.5
REBALANCE_S: Final = 10.0
REQUEST_S: Final = 15.0  # the broker answers a member that joins only when all others have
POLL_EVERY_S_MAX: Final = 60.0
BACKOFF_S: Final = 0.05
METADATA_AGE_S: Final = 30.0

NAME_LOST_MAX: Final = 4
NAME_LOST_WITHIN_S: Final = 60.0


class ClientFailed(Exception):
    """The client can't go on, or says so: it is to be ended, and another one to be made."""


class Membership(aiokafka.ConsumerRebalanceListener):  # type: ignore[misc] # ships no types
    """One of the client's consumers.

    Attributes:
        generation: how many assignments there were; 0 before the first.
        leaving: partitions are about to be taken back, when the running batch is finished.
        moving: they were taken back, and none given yet.
        consumer: the client's own.
    """

    def __init__(
        self,
        bootstrap: str,
        names: Names,
        group: str,
        topics: Sequence[str],
        instance: str | None,
        finish: Callable[[], Awaitable[None]],
    ) -> None:
        self.generation = 0
        self.leaving = False
        self.moving = True
        self._changed = asyncio.Event()
        self._ending: asyncio.Task[None] | None = None
        self._names = names
        self._finish = finish
        self._instance = instance
        self._fetching = Fetching(Broker(bootstrap, names))
        self._member_ids: deque[tuple[str, float]] = deque(maxlen=NAME_LOST_MAX + 1)
        self.consumer = aiokafka.AIOKafkaConsumer(
            bootstrap_servers=bootstrap,
            client_id="aftercall",
            group_id=names.group(group),
            group_instance_id=None if instance is None else f"{group}-{instance}",
            enable_auto_commit=False,
            auto_offset_reset="none",
            isolation_level="read_committed",
            partition_assignment_strategy=(RangePartitionAssignor,),  # same numbers together
            session_timeout_ms=int(SESSION_S * 1000),
            heartbeat_interval_ms=int(HEARTBEAT_S * 1000),
            rebalance_timeout_ms=int(REBALANCE_S * 1000),
            max_poll_interval_ms=int(POLL_EVERY_S_MAX * 1000),
            request_timeout_ms=int(REQUEST_S * 1000),
            retry_backoff_ms=int(BACKOFF_S * 1000),
            metadata_max_age_ms=int(METADATA_AGE_S * 1000),
        )
        self.consumer.subscribe([names.topic(topic) for topic in topics], listener=self)

    async def start(self) -> None:
        """Join; returns with the first assignment."""
        await self._fetching.open()
        await self.consumer.start()
        coordinator = self.consumer._coordinator  # noqa: SLF001
        coordinator._do_commit_offsets = seen(coordinator._do_commit_offsets)  # noqa: SLF001

    async def end(self) -> None:
        """Leave the group, unless the place is kept by name. Never raises, never hangs.

        Who is cut short may call again, and waits for the same end.
        """
        if self._ending is None:
            self._ending = asyncio.ensure_future(self._end())
        await asyncio.wait({self._ending})

    async def _end(self) -> None:
        await asyncio.gather(end_consumer(self.consumer), self._fetching.close())

    async def on_partitions_revoked(self, revoked: Any) -> None:  # noqa: ARG002
        """The client holds the group's next assignment back until this returns."""
        self.leaving = True
        await self._finish()
        self.leaving = False
        self.moving = True

    async def on_partitions_assigned(self, assigned: Any) -> None:  # noqa: ARG002
        """Only take note; see the module."""
        self.generation += 1
        self.moving = False
        self._member_ids.append((self.consumer._coordinator.member_id, time.monotonic()))  # noqa: SLF001
        self._changed.set()

    async def settled(self, within_s: float) -> bool:
        """Wait until there is an assignment; False when there is none in time."""
        self._say_alive()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + within_s
        while self.moving:
            self._changed.clear()
            try:
                await asyncio.wait_for(self._changed.wait(), deadline - loop.time())
            except TimeoutError:
                return False
        return True

    def _say_alive(self) -> None:
        """Whoever waits for an assignment does not fetch, and is alive nevertheless.

        The client takes a consumer that has not fetched for `POLL_EVERY_S_MAX` for one that
        stands still, and joins the group again only after a fetch: without this each would wait
        for the other, after every broker that was away for longer.
        """
        with self.consumer._subscription.fetch_context():  # noqa: SLF001
            pass

    def places(self) -> list[TopicPartition]:
        """What is assigned now."""
        return [self._names.ours(place) for place in self.consumer.assignment()]

    def check(self, topics: Sequence[str]) -> None:
        """See that one may go on under this assignment.

        Raises:
            Bug: the topics have changed, or somebody else bears our name.
        """
        for topic in topics:
            found = self.consumer.partitions_for_topic(self._names.topic(topic))
            if found and len(found) != self._names.partitions:
                raise Bug(f"{topic} has {len(found)} partitions, not {self._names.partitions}")
        if self._instance is not None and self._name_was_lost():
            raise Bug(f"another process of this group is called {self._instance}, too")

    def _name_was_lost(self) -> bool:
        """A member whose name is taken is given a new id each time it takes the name back."""
        if len(self._member_ids) <= NAME_LOST_MAX:
            return False
        ids = {member_id for member_id, _ in self._member_ids}
        lasted_s = self._member_ids[-1][1] - self._member_ids[0][1]
        return len(ids) > NAME_LOST_MAX and lasted_s < NAME_LOST_WITHIN_S

    def seek(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Drop what was fetched, and go on from there."""
        self._fetching.begin(offsets)
        for place, offset in offsets.items():  # the client itself is to know where, and to rest
            self.consumer.seek(self._names.theirs(place), offset)
            self.consumer.pause(self._names.theirs(place))

    def position(self, place: TopicPartition, taken: int) -> int:
        """See `Fetching.position`."""
        return self._fetching.position(place, taken)

    async def get(self, records_max: int, wait_s: float) -> list[Record]:
        """Records of all partitions, each partition's in order; none after `wait_s`.

        Raises:
            Bug: there is something that can't be read, or nothing where the group stands.
            ClientFailed: see there.
        """
        try:
            self.consumer._coordinator.check_errors()  # noqa: SLF001 - the background tells nobody
        except kafka_errors.KafkaError as error:
            raise ClientFailed(repr(error)) from error
        await self._fetching.gather()
        found = self._fetching.take(records_max)
        if not found and wait_s > 0:
            await self._fetching.come(wait_s)
            found = self._fetching.take(records_max)
        return found

    async def commit(self, positions: Mapping[TopicPartition, int]) -> None:
        """Make durable; fenced by the group.

        Raises:
            PartitionsMoved: the group has refused.
            Unavailable: the group did not answer.
        """
        if self.consumer._coordinator.generation < 0:  # noqa: SLF001
            # The client would commit as nobody, and while the group is empty that is let through.
            raise PartitionsMoved("the group has forgotten this member")
        given = {self._names.theirs(place): position for place, position in positions.items()}
        try:
            await self.consumer.commit(given)
        except (kafka_errors.CommitFailedError, kafka_errors.IllegalStateError) as error:
            raise PartitionsMoved("the group was assigned anew") from error
        except kafka_errors.KafkaError as error:
            raise Unavailable(f"the positions were not taken: {error!r}") from error
