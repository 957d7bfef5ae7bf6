"""The newest records of the topics that somebody follows, kept in memory as they are written.

One request per node waits at the brokers for whatever comes next, on connections of its own. It
begins with the first who asks, and goes on until the end.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Final

import structlog

from shared.adapters.cluster.broker import Broker, Fetched, Fetches, OutOfRange
from shared.adapters.cluster.closing import retrieve
from shared.adapters.cluster.names import Names
from shared.adapters.tails import Tails
from shared.contracts.errors import Unavailable
from shared.runtime.ports import Positions, TopicPartition

FETCH_WAIT_S: Final = 0.25  # a topic that is newly followed waits so long behind idle ones
RETRY_S: Final = 0.5

log = structlog.get_logger()


class Following:
    """Feeds `tails`. `broker` is for this alone."""

    def __init__(self, broker: Broker, names: Names) -> None:
        self.tails = Tails({})
        self._broker = broker
        self._names = names
        self._topics: set[str] = set()
        self._places: list[TopicPartition] = []
        self._next: dict[TopicPartition, int] = {}  # to ask from: beyond markers, too
        self._starting = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    async def follow(self, topics: Sequence[str]) -> None:
        """Keep the newest records of these topics from now on, if that is not so already.

        Raises:
            Unavailable: where they end now can't be told.
        """
        if self._topics.issuperset(topics):
            return
        async with self._starting:
            added = [topic for topic in topics if topic not in self._topics]
            if self._task is None:
                await self._broker.open()
                self._task = asyncio.ensure_future(self._run())
            self._begin(await self._broker.ends(self._names.places(added)))
            self._topics.update(added)
            self._places += self._names.places(added)

    async def close(self) -> None:
        """Never raises, never hangs."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
        await self._broker.close()

    def _begin(self, ends: Positions) -> None:
        self.tails.begin(ends)
        self._next |= ends

    async def _run(self) -> None:
        """One request at a time to each node, whoever leads what by then."""
        asking: dict[int, asyncio.Task[Fetches]] = {}
        try:
            while True:
                # Another one first each time: an answer has room for so much, in this order.
                self._places = self._places[1:] + self._places[:1]
                for node, places in self._broker.leaders(self._places).items():
                    if node not in asking:
                        offsets = {place: self._next[place] for place in places}
                        request = self._broker.fetch_from(node, offsets, wait_s=FETCH_WAIT_S)
                        asking[node] = asyncio.ensure_future(request)
                if not asking:
                    await asyncio.sleep(RETRY_S)
                    continue
                await asyncio.wait(asking.values(), return_when=asyncio.FIRST_COMPLETED)
                for node in [node for node, answer in asking.items() if answer.done()]:
                    await self._take(asking.pop(node))
        finally:
            for answer in asking.values():
                answer.cancel()
                answer.add_done_callback(retrieve)

    async def _take(self, answered: "asyncio.Task[Fetches]") -> None:
        try:
            found = answered.result()
        except Unavailable as error:
            log.warning("tail_waits", error=str(error))
            await asyncio.sleep(RETRY_S)
        except OutOfRange as error:
            with contextlib.suppress(Unavailable):  # then it is found again
                self._begin(await self._broker.ends([error.place]))
        except Exception:
            log.exception("tail_stands_still")  # until the record is gone; reads go to the log
            await asyncio.sleep(RETRY_S)
        else:
            for place, fetched in found.items():
                self._extend(place, fetched)

    def _extend(self, place: TopicPartition, fetched: Fetched) -> None:
        """Take what is new: two leaders may tell the same where one has followed the other."""
        first = self._next[place]
        self.tails.extend([record for record in fetched.records if record.offset >= first])
        self._next[place] = max(first, fetched.next)
