"""The loop of a projection: what it reads of topics it writes as rows, by a group of its own.

Nothing is decided here. Rows are written by the id of the record they were read from, so after a
crash the same records write the same rows, and the whole can be rebuilt from the topics.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from typing import ClassVar, Final

import structlog

from shared.contracts.envelope import Record
from shared.contracts.errors import PartitionsMoved, Retryable
from shared.runtime.ports import Consumer, EventLog, TopicPartition

POLL_WAIT_S: Final = 0.5
GATHER_S: Final = 0.05  # then more comes with the next batch; without, batches of one took the
# worker a third of its time, and whoever reads what was just told waits for that long at most
BACKOFF_S: Final = (0.05, 0.1, 0.2, 0.5, 1.0)

Pause = Callable[[float], Awaitable[None]]

log = structlog.get_logger()


class Projection(ABC):
    """Follows topics. Each says what it is, and writes.

    Attributes:
        group: whose positions it moves.
        topics: what it reads.
        records_max: of one batch.
        turns: grows with every turn, also with those that fail.
        owned: the partitions it works on; None while that is not known.
    """

    group: ClassVar[str]
    topics: ClassVar[tuple[str, ...]]
    records_max: ClassVar[int]

    def __init__(self, event_log: EventLog, *, pause: Pause, wait_s: float) -> None:
        self.turns = 0
        self.owned: frozenset[TopicPartition] | None = None
        self._event_log = event_log
        self._pause = pause
        self._wait_s = wait_s

    @abstractmethod
    async def write(self, records: Sequence[Record]) -> None:
        """Write what these records say, durably.

        Raises:
            Retryable: whether it was written is unknown.
        """

    async def run(self) -> None:
        """Follow until cancelled. What the log or the store refuses is tried again."""
        consumer = self._event_log.consumer(self.group, self.topics)
        failures = 0
        try:
            while True:
                try:
                    came = await self.turn(consumer)
                    failures = 0
                    await asyncio.sleep(GATHER_S if came else 0)
                except Retryable as error:
                    self.turns += 1
                    log.warning("projection_behind", group=self.group, error=repr(error))
                    await self._pause(BACKOFF_S[min(failures, len(BACKOFF_S) - 1)])
                    failures += 1
                    await self._rewind(consumer, error)
        finally:
            await consumer.close()

    async def turn(self, consumer: Consumer) -> bool:
        """One batch: poll, write, advance; whether there was any.

        Raises:
            Retryable: whether the rows were written is unknown; write them again.
        """
        if self.owned is None:
            self.owned = frozenset(await consumer.committed())
        records = await consumer.poll(records_max=self.records_max, wait_s=self._wait_s)
        self.turns += 1
        if not records:
            return False
        await self.write(records)
        positions = {TopicPartition(r.topic, r.partition): r.offset + 1 for r in records}
        await consumer.publish_and_advance((), positions)
        return True

    async def _rewind(self, consumer: Consumer, error: Retryable) -> None:
        """Back to the committed positions, where an assignment has not done so already."""
        if not isinstance(error, PartitionsMoved):
            try:
                await consumer.rewind()
            except Retryable as again:
                log.warning("rewind_failed", group=self.group, error=repr(again))
            else:
                return
        self.owned = None  # the share has moved, or may have
