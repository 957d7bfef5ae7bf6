"""Deadlines that have passed become events, so that the rules decide on them in their turn.

The truth of a timer is the deadline in the stored call. This only looks for the ones that have
passed and says so on `telephony.events`; the rules check that the deadline is still armed. So a
sweep may repeat itself, run twice, or be down for a day: nothing is lost, and nothing fires twice.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC
from typing import Final

import msgspec
import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.interval import IntervalTrigger

from services.callstate.model import COLLECTION, CallState, Deadline, due
from shared.contracts.envelope import Event, Message, to_message
from shared.contracts.errors import Unavailable
from shared.contracts.telephony import TIMER_DUE, TimerDue
from shared.contracts.topics import TELEPHONY_EVENTS
from shared.runtime.ports import Clock, Document, EventLog, StateStore

SOURCE: Final = "/aftercall/timers"
SWEEP_S: Final = 1
PAGE_MAX: Final = 1_000  # 20,000 deadlines due at a restart go out in pages, each one durable
SENT_AGAIN_MS: Final = 30_000  # time for callstate to work off what it was sent
SENT_MAX: Final = 100_000  # waiting to be decided; beyond it the rest waits for a later sweep

Owns = Callable[[str], bool]
"""Asked with the key of a call."""

log = structlog.get_logger()

_decode: Final = msgspec.json.Decoder(CallState).decode


class TimerSweep:
    """Finds the deadlines that have passed and publishes one `call.timer_due` for each.

    Args:
        owns: whether a call is this process's to look after; with several processes each sweeps
            its own. It is asked anew in each sweep, for shares move.
    """

    def __init__(
        self, store: StateStore, log: EventLog, clock: Clock, owns: Owns = lambda _: True
    ) -> None:
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
            id="timers",
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
            log.warning("timer_sweep_failed", error=repr(error))
            return 0
        except asyncio.CancelledError:
            return 0  # the service stops: the scheduler would call it a failure, and nobody waits

    async def _sweep(self, now_ms: int) -> int:
        published = 0
        after = (-1, "")
        while len(self._sent) < SENT_MAX:
            page = await self._store.due(COLLECTION, now_ms, after=after, limit=PAGE_MAX)
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
            state = _decode(document.state)
            for deadline in due(state, now_ms):
                event = _event(state, deadline)
                name = (document.key, event.id)
                if name not in self._sent:
                    messages[name] = to_message(event, TELEPHONY_EVENTS, document.key)
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


def _event(state: CallState, deadline: Deadline) -> Event:
    """The same deadline is always the same event; it happened when it was due.

    The call stands in its source, for source and id name one event among all.
    """
    timer = TimerDue(timer=deadline.timer, deadline_ms=deadline.due_ms, agent_id=deadline.agent_id)
    return Event(
        id=f"timer:{deadline.timer}:{deadline.agent_id or ''}:{deadline.due_ms}",
        source=f"{SOURCE}/{state.call.tenant}/{state.call.id}",
        type=TIMER_DUE,
        subject=state.call.id,
        time_ms=deadline.due_ms,
        tenant=state.call.tenant,
        data=msgspec.json.encode(timer),
    )
