"""Letters: a projection of the dead topics, by a consumer group of its own.

So that a running service can list them, show one and put it back, without reading whole topics.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

from shared.contracts.envelope import Record
from shared.contracts.topics import WITH_LETTERS
from shared.runtime.dead_letters import read_letters
from shared.runtime.letters import LetterStore
from shared.runtime.ports import EventLog
from shared.runtime.projection import POLL_WAIT_S, Pause, Projection

GROUP: Final = "letters"
RECORDS_MAX: Final = 100  # each may be as large as any record


class LetterProjection(Projection):
    """Follows the dead topics into the store of letters. What is no letter is passed over."""

    group = GROUP
    topics = WITH_LETTERS
    records_max = RECORDS_MAX

    def __init__(
        self,
        event_log: EventLog,
        store: LetterStore,
        *,
        pause: Pause = asyncio.sleep,
        wait_s: float = POLL_WAIT_S,
    ) -> None:
        super().__init__(event_log, pause=pause, wait_s=wait_s)
        self._store = store

    async def write(self, records: Sequence[Record]) -> None:
        """See `Projection`."""
        await self._store.keep(*read_letters(records))
