"""The newest records of the topics that somebody follows, kept in memory as they are written.

One request per node waits at the brokers for whatever comes next, on connections of its own. It
begins with the first who asks, and ends, with all that was kept, when nobody asks any more.
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
IDLE_S: Final = 10.0  # whoever follows asks every second or so; who has not asked for this is gone
# For who keeps up: there are tens of these partitions, and a record takes some 3 kB here.
RECORDS_MAX: Final = 256
BYTES_MAX: Final = 512 * 1024

log = structlog.get_logger()


class Following:
    """Feeds `tails`. `broker` is for this alone."""

    def __init__(self, broker: Broker, names: Names) -> None:
        self.tails = _no_tails()
        self._broker = broker
        self._names = names
        self._topics: set[str] = set()
        self._places: list[TopicPartition] = []
        self._next: dict[TopicPartition, int] = {}  # to ask from: beyond markers, too
        self._starting = asyncio.Lock()
        self._asking = 0  # how many wait for more
        self._asked_s = 0.0  # when the last of them had done so
        self._wanted = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def grown(self, topics: Sequence[str], seen: Positions, wait_s: float) -> bool:
        """Keep the newest records of these topics from now on; wait until one ends beyond `seen`.

        Raises:
            Unavailable: where they end now can't be told.
        """
        self._asking += 1
        try:
            await self._follow(topics)
            return await self.tails.grown(topics, seen, wait_s)
        finally:
            self._asking -= 1
            self._asked_s = asyncio.get_running_loop().time()

    async def _follow(self, topics: Sequence[str]) -> None:
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
            self._wanted.set()

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
                self._forget_if_idle()
                # Another one first each time: an answer has room for so much, in this order.
                self._places = self._places[1:] + self._places[:1]
                for node, places in self._broker.leaders(self._places).items():
                    if node not in asking:
                        offsets = {place: self._next[place] for place in places}
                        request = self._broker.fetch_from(node, offsets, wait_s=FETCH_WAIT_S)
                        asking[node] = asyncio.ensure_future(request)
                if not asking:
                    await self._wait()
                    continue
                await asyncio.wait(asking.values(), return_when=asyncio.FIRST_COMPLETED)
                for node in [node for node, answer in asking.items() if answer.done()]:
                    await self._take(asking.pop(node))
        finally:
            for answer in asking.values():
                answer.cancel()
                answer.add_done_callback(retrieve)

    async def _wait(self) -> None:
        """For somebody who asks, or for a leader."""
        if self._places:
            await asyncio.sleep(RETRY_S)
        else:
            self._wanted.clear()
            await self._wanted.wait()

    def _forget_if_idle(self) -> None:
        if not self._places or self._asking:
            return
        if asyncio.get_running_loop().time() > self._asked_s + IDLE_S:
            self.tails = _no_tails()
            self._topics.clear()
            self._places.clear()
            self._next.clear()

    async def _take(self, answered: "asyncio.Task[Fetches]") -> None:
        try:
            found = answered.result()
        except Unavailable as error:
            log.warning("tail_waits", error=str(error))
            await asyncio.sleep(RETRY_S)
        except OutOfRange as error:
            if error.place in self._next:
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
        first = self._next.get(place)
        if first is None:  # nobody asks any more
            return
        self.tails.extend([record for record in fetched.records if record.offset >= first])
        self._next[place] = max(first, fetched.next)


def _no_tails() -> Tails:
    return Tails({}, records_max=RECORDS_MAX, bytes_max=BYTES_MAX)
