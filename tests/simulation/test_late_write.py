"""A write that lands after its writer was given up, and after a change was taken without it.

The worker reads two topics. A request was decided on, and its write is on its way for long; whoever
works on the partition next takes the change of the call first, with nothing queued to apply. Then
the write lands, and the request comes again: it is applied already, and the change will not come.
"""

import asyncio
from collections.abc import Awaitable, Callable

import msgspec
import pytest

from services.worker.topology import WorkerTopology
from shared.contracts.calls import Call, CallDocument
from shared.contracts.errors import Unavailable
from shared.contracts.topics import CALLS_CHANGED, DISPOSITION_EVENTS, DISPOSITION_REQUESTS
from shared.runtime.commit import SeparateCommit
from shared.runtime.ports import Batch, Commit, Consumer, Document, Index
from shared.runtime.processor import Processor
from tests.support.clock import FakeClock
from tests.support.memory import MemoryLog, MemoryReplies, MemoryStateStore
from tests.unit.services.worker.field import NOW_MS, a_call, a_request, part
from tests.unit.services.worker.records import changed, requested

pytestmark = pytest.mark.asyncio
KEY = "demo:call-1"


class Stalls:
    """`Commit` whose write is on its way for long."""

    def __init__(self) -> None:
        self.late: list[Document] = []

    async def __call__(
        self,
        consumer: Consumer,  # noqa: ARG002 - the port's own signature
        batch: Batch,
        stored: Callable[[], Awaitable[None]],  # noqa: ARG002 - same
    ) -> None:
        self.late += batch.documents
        raise Unavailable("no answer in time, and still on its way")


class Night:
    """One call in a log of one partition; the change of the call is polled before the request."""

    def __init__(self) -> None:
        self.log = MemoryLog(FakeClock(NOW_MS), partitions=1)
        self.store = MemoryStateStore()
        self.topology = WorkerTopology()
        self.topology.topics = (CALLS_CHANGED, DISPOSITION_REQUESTS)

    def worker(self, commit: Commit) -> tuple[Processor, Consumer]:
        processor = Processor(
            self.topology,
            event_log=self.log,
            store=self.store,
            commit=commit,
            replies=MemoryReplies(),
            records_max=1,
            wait_s=0,
        )
        return processor, self.log.consumer("worker", self.topology.topics)

    async def keep(self, call: Call) -> None:
        document = Document(
            collection="calls",
            key=KEY,
            revision=call.version,
            state=msgspec.json.encode(CallDocument(call=call)),
            watermarks={},
            sequences={},
            index=Index(created_ms=0),
        )
        await self.store.save([document])

    async def run_to_the_end(self, processor: Processor) -> None:
        """What was decided ahead on a document that is another by now is decided anew."""
        stopping, topics = asyncio.Event(), self.topology.topics
        running = asyncio.ensure_future(processor.run(stopping))
        async with asyncio.timeout(10):
            while await self.log.positions("worker", topics) != await self.log.ends(topics):
                await asyncio.sleep(0.001)
        stopping.set()
        await running

    def told(self) -> list[bytes]:
        """Types of what is told, each once: what is recovered is told again."""
        headers = [dict(record.headers) for record in self.log.all(DISPOSITION_EVENTS)]
        return list({found["ce_id"]: found["ce_type"] for found in headers}.values())


@pytest.mark.parametrize("lands", ["before", "after"])
async def test_what_was_queued_is_applied_whenever_its_write_lands(lands: str) -> None:
    night = Night()
    await night.keep(a_call(part("ann", "active"), version=1))
    await night.log.append([requested(a_request())])
    stalls = Stalls()
    first, consumer = night.worker(stalls)
    with pytest.raises(Unavailable):
        await first.turn(consumer)
    gone = a_call(part("ann", "wrap_up"), version=2)
    await night.keep(gone)
    await night.log.append([changed(gone)])

    second, consumer = night.worker(SeparateCommit(night.store))
    if lands == "before":
        await night.store.save(stalls.late)
    await second.turn(consumer)
    if lands == "after":
        await night.store.save(stalls.late)
    await night.run_to_the_end(second)

    assert night.told() == [b"disposition.queued", b"disposition.saved"]
    stored = night.store.documents["dispositions", KEY]
    assert stored.watermarks[DISPOSITION_REQUESTS] == 0
