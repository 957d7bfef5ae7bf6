"""Deadlines that have passed become records, so that the rules decide on them in their turn.

The truth of a timer is the deadline in the stored document. This only looks for the ones that have
passed and says so on the topic that decides on the document; the rules check that the deadline is
still waited for. So a sweep may repeat itself, run twice, or be down for a day: nothing is lost,
and nothing fires twice.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Iterable
from datetime import UTC
from typing import Final

import structlog
from apscheduler.events import EVENT_JOB_ERROR, JobExecutionEvent
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.interval import IntervalTrigger
from msgspec import Struct

from shared.contracts.envelope import Event, Message, to_message
from shared.contracts.errors import Unavailable
from shared.runtime.lifecycle import until_stopped
from shared.runtime.ports import Clock, Document, EventLog, StateStore, TopicPartition
from shared.runtime.processor import Processor

SOURCE: Final = "/aftercall/timers"
SWEEP_S: Final = 1
PAGE_MAX: Final = 1_000  # 20,000 deadlines due at a restart go out in pages, each one durable
SENT_AGAIN_MS: Final = 30_000  # time for the rules to work off what they were sent
SENT_MAX: Final = 100_000  # waiting to be decided; beyond it the rest waits for a later sweep
SCHEDULER: Final = "apscheduler"  # as it names its loggers

Owns = Callable[[str], bool]
"""Asked with the key of a document."""

log = structlog.get_logger()


class Timers(Struct, frozen=True):
    """The deadlines of one collection.

    Attributes:
        topic: where those that have passed are told.
        due: the deadlines of a document that have passed by this time, as the events they are; the
            same deadline is always the same event.
    """

    collection: str
    topic: str
    due: Callable[[Document, int], Iterable[Event]]


class TimerSweep:
    """Finds the deadlines that have passed and publishes one record for each.

    Args:
        owns: whether a document is this process's to look after; with several processes each
            sweeps its own. It is asked anew in each sweep, for shares move.
    """

    def __init__(
        self,
        timers: Timers,
        store: StateStore,
        log: EventLog,
        clock: Clock,
        owns: Owns = lambda _: True,
    ) -> None:
        self._timers = timers
        self._owns = owns
        self._store = store
        self._log = log
        self._clock = clock
        self._sent: OrderedDict[tuple[str, str], int] = OrderedDict()  # key, event id -> when

    def start(self, scheduler: AsyncIOScheduler) -> None:
        """Sweep every second. A late sweep still runs, several late ones run once, never two."""
        scheduler.add_job(
            self.sweep,
            IntervalTrigger(seconds=SWEEP_S, timezone=UTC),
            id=f"timers of {self._timers.collection}",
            misfire_grace_time=None,
            coalesce=True,
            max_instances=1,
        )

    async def sweep(self) -> int:
        """Publish every deadline due by now that was not published in the last 30 s.

        Returns:
            How many it published. A log or store not to be had is logged; the next sweep tries
            again.
        """
        now_ms = self._clock.now_ms()
        self._forget(now_ms)
        try:
            return await self._sweep(now_ms)
        except Unavailable as error:
            log.warning("timer_sweep_failed", collection=self._timers.collection, error=repr(error))
            return 0
        except asyncio.CancelledError:
            return 0  # the service stops: the scheduler would call it a failure, and nobody waits

    async def _sweep(self, now_ms: int) -> int:
        published = 0
        after = (-1, "")
        while len(self._sent) < SENT_MAX:
            page = await self._store.due(
                self._timers.collection, now_ms, after=after, limit=PAGE_MAX
            )
            published += await self._publish(page, now_ms)
            if len(page) < PAGE_MAX:
                break
            last = page[-1]
            after = (last.index.due_ms or 0, last.key)
        return published

    async def _publish(self, page: list[Document], now_ms: int) -> int:
        messages: dict[tuple[str, str], Message] = {}
        for document in page:
            if not self._owns(document.key):
                continue
            for event in self._timers.due(document, now_ms):
                name = (document.key, event.id)
                if name not in self._sent:
                    messages[name] = to_message(event, self._timers.topic, document.key)
        if messages:
            await self._log.append(list(messages.values()))
            self._sent.update(dict.fromkeys(messages, now_ms))
        return len(messages)

    def _forget(self, now_ms: int) -> None:
        """Whatever is still due long after it was published may have been lost on its way."""
        while self._sent:
            name, sent_ms = next(iter(self._sent.items()))
            if 0 <= now_ms - sent_ms < SENT_AGAIN_MS:  # a clock set back forgets, too
                break
            del self._sent[name]


async def run_sweeps(sweeps: Iterable[TimerSweep], stopping: asyncio.Event) -> None:
    """Sweep once a second until told to stop.

    Raises:
        Exception: whatever a sweep raised; the scheduler by itself would only log it.
    """
    broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def tell(event: JobExecutionEvent) -> None:
        if not broken.done():
            broken.set_exception(event.exception)

    # Once a second it would say that a sweep still waits for the store; the sweep says so itself.
    logging.getLogger(SCHEDULER).setLevel(logging.ERROR)
    scheduler = AsyncIOScheduler(timezone="UTC")
    scheduler.add_listener(tell, EVENT_JOB_ERROR)
    for sweep in sweeps:
        sweep.start(scheduler)
    scheduler.start()
    try:
        await until_stopped(lambda: broken)(stopping)
    finally:
        scheduler.shutdown(wait=False)


def share_of(processor: Processor, event_log: EventLog, topic: str) -> Owns:
    """Whether the processor works on a key's partition of the topic that decides on it."""

    def owns(key: str) -> bool:
        place = TopicPartition(topic, event_log.partition(key))
        return processor.owned is not None and place in processor.owned

    return owns
