"""History and reports: a projection of the public topics, by a consumer group of its own.

Nothing is decided here. Rows are upserted by the id of the record they were read from, so after a
crash the same records write the same rows, and the whole can be rebuilt from the topics.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import structlog

from services.worker.entries import READERS, read
from services.worker.lines import Line
from shared.contracts.envelope import Record
from shared.contracts.errors import PartitionsMoved, Poison, Retryable
from shared.runtime.history import HistoryStore
from shared.runtime.ports import Consumer, EventLog, TopicPartition

GROUP: Final = "history"
RECORDS_MAX: Final = 2_000
POLL_WAIT_S: Final = 0.5
GATHER_S: Final = 0.05  # then more comes with the next batch; without, batches of one took the
# worker a third of its time, and whoever reads what was just told waits for that long at most
BACKOFF_S: Final = (0.05, 0.1, 0.2, 0.5, 1.0)

log = structlog.get_logger()


class HistoryProjection:
    """Follows the public topics into the history store.

    Attributes:
        skipped: how many records could not be read, since the start.
        turns: grows with every turn, also with those that fail.
        owned: the partitions it works on; None while that is not known.
    """

    group = GROUP
    topics = tuple(READERS)

    def __init__(
        self,
        event_log: EventLog,
        store: HistoryStore,
        *,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
        wait_s: float = POLL_WAIT_S,
    ) -> None:
        self.skipped = 0
        self.turns = 0
        self.owned: frozenset[TopicPartition] | None = None
        self._event_log = event_log
        self._store = store
        self._pause = pause
        self._wait_s = wait_s

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
                    log.warning("history_behind", error=repr(error))
                    await self._pause(BACKOFF_S[min(failures, len(BACKOFF_S) - 1)])
                    failures += 1
                    await self._rewind(consumer, error)
        finally:
            await consumer.close()

    async def turn(self, consumer: Consumer) -> bool:
        """One batch: poll, upsert, advance; whether there was any.

        Raises:
            Retryable: whether the rows were written is unknown; write them again.
        """
        if self.owned is None:
            self.owned = frozenset(await consumer.committed())
        records = await consumer.poll(records_max=RECORDS_MAX, wait_s=self._wait_s)
        self.turns += 1
        if not records:
            return False
        lines = self._read(records)
        outcomes = [line.outcome for line in lines if line.outcome is not None]
        await self._store.upsert([entry for line in lines for entry in line.entries], outcomes)
        positions = {TopicPartition(r.topic, r.partition): r.offset + 1 for r in records}
        await consumer.publish_and_advance((), positions)
        return True

    async def _rewind(self, consumer: Consumer, error: Retryable) -> None:
        """Back to the committed positions, where an assignment has not done so already."""
        if not isinstance(error, PartitionsMoved):
            try:
                await consumer.rewind()
            except Retryable as again:
                log.warning("rewind_failed", group=GROUP, error=repr(again))
            else:
                return
        self.owned = None  # the share has moved, or may have

    def _read(self, records: Sequence[Record]) -> list[Line]:
        """The lines of what can be read. The rest is no loss: whoever owns a topic judges it."""
        lines: list[Line] = []
        for record in records:
            try:
                lines.append(read(record))
            except Poison as poison:
                self.skipped += 1
                log.warning(
                    "history_skipped",
                    topic=record.topic,
                    partition=record.partition,
                    offset=record.offset,
                    reason=poison.reason,
                )
        return lines
