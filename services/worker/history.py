"""History and reports: a projection of the public topics, by a consumer group of its own."""

import asyncio
from collections.abc import Sequence
from typing import Final

import structlog

from services.worker.entries import READERS, read
from services.worker.lines import Line
from shared.contracts.envelope import Record
from shared.contracts.errors import Poison
from shared.runtime.history import HistoryStore
from shared.runtime.ports import EventLog
from shared.runtime.projection import POLL_WAIT_S, Pause, Projection

GROUP: Final = "history"
RECORDS_MAX: Final = 2_000

log = structlog.get_logger()


class HistoryProjection(Projection):
    """Follows the public topics into the history store.

    Attributes:
        skipped: how many records could not be read, since the start.
    """

    group = GROUP
    topics = tuple(READERS)
    records_max = RECORDS_MAX

    def __init__(
        self,
        event_log: EventLog,
        store: HistoryStore,
        *,
        pause: Pause = asyncio.sleep,
        wait_s: float = POLL_WAIT_S,
    ) -> None:
        super().__init__(event_log, pause=pause, wait_s=wait_s)
        self.skipped = 0
        self._store = store

    async def write(self, records: Sequence[Record]) -> None:
        """See `Projection`; upserts the lines of the records, and the outcomes in them."""
        lines = self._read(records)
        outcomes = [line.outcome for line in lines if line.outcome is not None]
        await self._store.upsert([entry for line in lines for entry in line.entries], outcomes)

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
