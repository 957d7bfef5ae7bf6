"""Records of a member's partitions, fetched ahead of whoever takes them.

One request per node waits at the brokers for whatever comes next in any of the partitions. The
next one goes out with its answer, so what comes while a batch is being worked on is here when the
next is begun. (The client's own fetcher waits until all of an answer was taken; then a batch holds
what came first, and everything behind it is a turn late.)
"""

import asyncio
from collections import deque
from itertools import islice
from typing import Final

import structlog

from shared.adapters.cluster.broker import Broker, Fetched, Fetches, OutOfRange
from shared.adapters.cluster.closing import retrieve
from shared.contracts.envelope import Record
from shared.contracts.errors import Bug, Unavailable
from shared.contracts.limits import BATCH_RECORDS_MAX
from shared.runtime.ports import Positions, TopicPartition

FETCH_WAIT_S: Final = 0.1  # partitions just assigned may wait so long behind those before them
AHEAD_RECORDS_MAX: Final = 2 * BATCH_RECORDS_MAX  # beyond that nothing more is asked for
RETRY_S: Final = 0.2

log = structlog.get_logger()


class Fetching:
    """What has come. `broker` is for this alone: on its connections requests wait for records."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._places: list[TopicPartition] = []
        self._next: dict[TopicPartition, int] = {}  # to ask from: beyond markers, too
        self._here: dict[TopicPartition, deque[Record]] = {}
        self._records = 0
        self._begun = 0  # how often; answers to earlier questions are dropped
        self._error: Exception | None = None
        self._failing = False  # and it was said
        self._came = asyncio.Event()
        self._wanted = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Connect.

        Raises:
            Unavailable: no broker answered.
        """
        await self._broker.open()
        self._task = asyncio.ensure_future(self._run())

    async def close(self) -> None:
        """Never raises, never hangs."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
        await self._broker.close()

    def begin(self, offsets: Positions) -> None:
        """Drop what is here; fetch these partitions alone, each from its offset on."""
        self._begun += 1
        self._places = list(offsets)
        self._next = dict(offsets)
        self._here = {place: deque() for place in offsets}
        self._records = 0
        self._error = None
        self._came.clear()
        self._wanted.set()

    def take(self, records_max: int) -> list[Record]:
        """Up to so many of the records that are here, in order within each partition.

        Raises:
            Bug: there is something that can't be read, or nothing where it was to begin.
        """
        taken: list[Record] = []
        for place in self._places:
            waiting = self._here[place]
            if waiting:
                number = min(len(waiting), records_max - len(taken))
                taken += islice(waiting, number)
                for _ in range(number):
                    waiting.popleft()
        # Another one first each time, so that none waits for ever.
        self._places = self._places[1:] + self._places[:1]
        self._records -= len(taken)
        if not self._records:
            self._came.clear()
        self._wanted.set()
        if not taken and self._error is not None:
            raise self._error
        return taken

    async def come(self, wait_s: float) -> None:
        """Wait until something can be taken; no longer than `wait_s`."""
        if self._records or self._error is not None:
            return
        try:
            await asyncio.wait_for(self._came.wait(), wait_s)
        except TimeoutError:
            return

    def position(self, place: TopicPartition, taken: int) -> int:
        """Where the partition goes on behind what was taken of it, which ends at `taken`.

        That is beyond markers and what was aborted, where records are not.
        """
        return taken if self._here[place] else max(taken, self._next[place])

    async def _run(self) -> None:
        """One request at a time to each node, whoever leads what by then."""
        asking: dict[int, asyncio.Task[None]] = {}
        try:
            while True:
                self._wanted.clear()
                if self._records < AHEAD_RECORDS_MAX and self._error is None:
                    for node, places in self._broker.leaders(self._places).items():
                        if node not in asking:
                            asking[node] = asyncio.ensure_future(self._ask(node, places))
                wanted = asyncio.ensure_future(self._wanted.wait())
                await asyncio.wait(
                    (*asking.values(), wanted),
                    timeout=None if asking else RETRY_S,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                wanted.cancel()
                for node in [node for node, task in asking.items() if task.done()]:
                    asking.pop(node).result()
        except Exception as error:
            log.exception("fetching_ended")
            self._fail(error)
        finally:
            for task in asking.values():
                task.cancel()
                task.add_done_callback(retrieve)

    async def _ask(self, node: int, places: list[TopicPartition]) -> None:
        begun = self._begun
        offsets = {place: self._next[place] for place in places}
        try:
            found = await self._broker.fetch_once(node, offsets, wait_s=FETCH_WAIT_S)
        except Unavailable as error:
            if not self._failing:
                self._failing = True
                log.warning("records_wait", error=str(error))
            await asyncio.sleep(RETRY_S)
        except OutOfRange as error:
            if begun == self._begun:
                self._fail(
                    Bug(
                        "the group stands where the log has nothing: records were deleted unread,"
                        f" or the topic was made anew ({error})"
                    )
                )
        except Exception as error:  # noqa: BLE001 - whoever takes is told
            if begun == self._begun:
                self._fail(Bug(f"a record can't be read: {error!r}"))
        else:
            self._failing = False
            if begun == self._begun:
                self._extend(found)

    def _fail(self, error: Exception) -> None:
        self._error = error
        self._came.set()

    def _extend(self, found: Fetches) -> None:
        for place, fetched in found.items():
            self._take_up(place, fetched)
        if self._records:
            self._came.set()

    def _take_up(self, place: TopicPartition, fetched: Fetched) -> None:
        """Take what is new: two leaders may tell the same where one has followed the other."""
        first = self._next[place]
        waiting, before = self._here[place], len(self._here[place])
        waiting.extend(record for record in fetched.records if record.offset >= first)
        self._records += len(waiting) - before
        self._next[place] = max(first, fetched.next)
