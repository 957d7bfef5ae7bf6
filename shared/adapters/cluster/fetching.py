"""Records of a member's partitions, fetched ahead of whoever takes them.

One request per node waits at the brokers for whatever comes next in any of the partitions. Its
answer is what came first; so before that is taken, one more request gathers what has come since.
(The client's own fetcher does not: with it, all but the first record of a turn is a turn late.)
"""

import asyncio
import contextlib
from collections import deque
from functools import partial
from itertools import islice
from typing import Final

import structlog

from shared.adapters.cluster.broker import Broker, Fetched, Fetches, OutOfRange
from shared.contracts.envelope import Record
from shared.contracts.errors import Bug, Unavailable
from shared.contracts.limits import BATCH_RECORDS_MAX
from shared.runtime.ports import Positions, TopicPartition

FETCH_WAIT_S: Final = 0.1  # partitions just assigned may wait so long behind those before them
MUCH: Final = 256  # records here: there are more where these come from
GATHER_S: Final = 0.1  # as long as may be waited for what has come since
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
        self._asking: dict[int, asyncio.Task[None]] = {}  # by node
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
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self._came.wait()

    def position(self, place: TopicPartition, taken: int) -> int:
        """Where the partition goes on behind what was taken of it, which ends at `taken`.

        That is beyond markers and what was aborted, where records are not.
        """
        return taken if self._here[place] else max(taken, self._next[place])

    async def gather(self) -> None:
        """Fetch what has come since, too, where something is here but not much.

        While it waits to be taken nothing more is asked for: else each record that comes would be
        an answer of its own, and each answer has its price.
        """
        if 0 < self._records < MUCH and self._error is None:
            asked = self._ask_idle(wait_s=0)
            if asked:
                await asyncio.wait(asked, timeout=GATHER_S)

    async def _run(self) -> None:
        """Ask whenever nothing is here, or so much that somebody works off a backlog."""
        try:
            while True:
                self._wanted.clear()
                few = 0 < self._records < MUCH
                if not few and self._records < AHEAD_RECORDS_MAX and self._error is None:
                    self._ask_idle(FETCH_WAIT_S)
                with contextlib.suppress(TimeoutError):  # then there may be leaders by now
                    async with asyncio.timeout(None if self._asking else RETRY_S):
                        await self._wanted.wait()  # `wait_for` may swallow that it is cancelled
        except Exception as error:
            log.exception("fetching_ended")
            self._fail(error)
        finally:
            for task in self._asking.values():
                task.cancel()

    def _ask_idle(self, wait_s: float) -> list[asyncio.Task[None]]:
        """Ask every node that is not being asked, whoever leads what by now."""
        asked = []
        for node, places in self._broker.leaders(self._places).items():
            if node not in self._asking:
                task = asyncio.ensure_future(self._ask(node, places, wait_s))
                task.add_done_callback(partial(self._answered, node))
                self._asking[node] = task
                asked.append(task)
        return asked

    def _answered(self, node: int, _: asyncio.Task[None]) -> None:
        del self._asking[node]
        self._wanted.set()

    async def _ask(self, node: int, places: list[TopicPartition], wait_s: float) -> None:
        begun = self._begun
        offsets = {place: self._next[place] for place in places}
        try:
            found = await self._broker.fetch_once(node, offsets, wait_s=wait_s)
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
