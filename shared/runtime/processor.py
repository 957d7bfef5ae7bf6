"""The processor: one loop over the partitions it owns, from records to durable decisions.

    poll ─▶ route ─▶ load ─▶ recover ─▶ fold ─▶ write ─▶ answer ─▶ publish ─▶ advance
             │                                  └──────────── Commit ────────────┘
             └─▶ dead letter

Invariant: a position moves past a record only when all that follows from it stands in the log.
So whatever dies, wherever: the record comes again, its document is loaded again, and either the
document does not know it yet (it is decided now, for the first time) or it does (watermark), and
then its effects stand in the outbox and are published before anything newer. See README.md.

Where much waits, the next batch is decided while one is written, on the documents of that one, and
is written while that one is published. It is published only when all of the one before is durable;
until then its documents keep the effects of both.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from shared.contracts import limits
from shared.contracts.envelope import Record
from shared.contracts.errors import PartitionsMoved, Retryable
from shared.runtime.deciding import Decided, Deciding, Turn
from shared.runtime.ports import (
    Commit,
    Consumer,
    EventLog,
    Replies,
    StateStore,
    TopicPartition,
)
from shared.runtime.topology import Topology

MUCH: Final = 256  # records in a batch: so many come only where more stand behind them
BACKOFF_S: Final = (0.05, 0.1, 0.2, 0.5, 1.0)

log = structlog.get_logger()


def ignore_turn(_: Turn) -> None:
    """Measure nothing."""


class Processor(Deciding):
    """Runs one topology. One per process and group; more speed is more processes.

    Args:
        records_max: of one batch.
        wait_s: how long a poll waits for the first record.
        much: the next batch is decided ahead behind one of so many records.
    """

    def __init__(
        self,
        topology: Topology,
        *,
        event_log: EventLog,
        store: StateStore,
        commit: Commit,
        replies: Replies,
        observe: Callable[[Turn], None] = ignore_turn,
        records_max: int = limits.BATCH_RECORDS_MAX,
        wait_s: float = 0.5,
        much: int = MUCH,
    ) -> None:
        super().__init__(topology, event_log, store)
        self.group = topology.group
        self.topics = topology.topics
        self._commit = commit
        self._replies = replies
        self._observe = observe
        self._records_max = records_max
        self._wait_s = wait_s
        self._much = much
        self._left: Sequence[Record] = ()  # polled, left over from a batch that was cut short
        self._ahead: Decided | None = None  # behind what is written; nothing of it is
        self._landing: asyncio.Task[None] | None = None  # written, and not all durable; before that
        self.owned: frozenset[TopicPartition] | None = None  # what it works on, where known
        self.turns = 0  # progress of the loop: a watchdog sees it stand still

    async def run(self, stopping: asyncio.Event) -> None:
        """Process until told to stop; the running batch is finished first.

        Raises:
            Bug, or anything that is no `Retryable`: the loop never skips what it can't explain.
        """
        consumer = self._event_log.consumer(self.group, self.topics)
        failures = 0
        try:
            while not stopping.is_set():
                try:
                    await self.turn(consumer)
                    failures = 0
                except Retryable as error:
                    self.turns += 1
                    pause_s = BACKOFF_S[min(failures, len(BACKOFF_S) - 1)]
                    failures += 1
                    log.warning("batch_dropped", group=self.group, error=repr(error))
                    await self._forget(consumer, error)
                    await asyncio.sleep(pause_s)
            await self._land()
        finally:
            await consumer.close()

    async def _land(self) -> None:
        """See what is written made durable."""
        landing, self._landing = self._landing, None
        try:
            if landing is not None:
                await landing
        except Retryable as error:
            log.warning("batch_dropped", group=self.group, error=repr(error))

    async def _forget(self, consumer: Consumer, error: Retryable) -> None:
        """Drop everything in memory: positions and documents are read again.

        Who polls while a batch is published may have been given records after the partitions had
        moved, which only the batch was told: so also then the consumer has to go back.
        """
        self._taken = None
        self._left = ()
        self._ahead = None
        if isinstance(error, PartitionsMoved):
            self.owned = None
        try:
            await consumer.rewind()
        except Retryable as again:
            log.warning("rewind_failed", group=self.group, error=repr(again))

    async def turn(self, consumer: Consumer) -> None:
        """One batch, from poll to advance; from what was decided ahead, if there is such.

        Where the next one is decided, this one may be written and not yet published in the end.

        Raises:
            Retryable: nothing of the batch may be assumed; forget it and read again.
        """
        if self._taken is None:
            self._taken = await consumer.committed()
            self.owned = frozenset(self._taken)
        self._durable = self._taken
        decided, self._ahead = self._ahead, None
        if decided is None:
            records = self._left or await consumer.poll(
                records_max=self._records_max, wait_s=self._wait_s
            )
            self._left = ()
            self.turns += 1
            if not records:
                return
            decided = await self._decide(records)
            self._left = decided.left
        self._taken = self._taken | decided.batch.positions
        await self._make_durable(consumer, decided)

    async def _make_durable(self, consumer: Consumer, decided: Decided) -> None:
        """Commit the batch, behind the one before; where much waits, decide the next meanwhile."""
        before, self._landing = self._landing, None
        written = asyncio.Event()

        async def stored() -> None:
            if decided.answers:
                await self._replies.send(decided.answers)
            if before is not None:
                await before
            written.set()

        async def commit() -> None:
            try:
                await self._commit(consumer, decided.batch, stored)
            finally:
                written.set()
            self.turns += 1
            self._observe(decided.turn)

        if before is None and decided.turn.records < self._much:
            await commit()
            return
        committing = asyncio.ensure_future(commit())
        row = (committing,) if before is None else (before, committing)
        try:
            deciding = await self._decided_behind(consumer, decided)
            await written.wait()
            if deciding is not None or self._ahead is None or committing.done():
                await _ended(row, deciding)
            else:
                self._landing = committing
        except BaseException:
            for task in row:
                task.cancel()
            await asyncio.wait(row)
            raise

    async def _decided_behind(self, consumer: Consumer, decided: Decided) -> Exception | None:
        """Decide what waits, if much does, on what is being written; the failure, if it fails."""
        if decided.turn.records < self._much:
            return None
        await asyncio.sleep(0)  # let the write begin
        self._underway = decided.written
        try:
            following = self._left or await consumer.poll(records_max=self._records_max, wait_s=0)
            if following:
                self._ahead = await self._decide(following)
                self._left = self._ahead.left
        except Exception as error:  # noqa: BLE001 - the caller raises it
            return error
        finally:
            self._underway = {}
        return None


async def _ended(row: Sequence[asyncio.Task[None]], after: Exception | None) -> None:
    """All to their end, for a batch half made durable is nobody's. The first failure counts."""
    ends = await asyncio.gather(*row, return_exceptions=True)
    for end in (*ends, after):
        if end is not None:
            raise end
