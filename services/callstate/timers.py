"""The deadlines of calls, as the events that `telephony.events` is told when they have passed."""

from collections.abc import Iterator
from typing import Final

import msgspec

from services.callstate.model import COLLECTION, CallState, Deadline, due
from shared.contracts.envelope import Event
from shared.contracts.telephony import TIMER_DUE, TimerDue
from shared.contracts.topics import TELEPHONY_EVENTS
from shared.runtime.ports import Document
from shared.runtime.timers import SOURCE, Timers

_decode: Final = msgspec.json.Decoder(CallState).decode


def due_events(document: Document, now_ms: int) -> Iterator[Event]:
    """The deadlines of a stored call that have passed, earliest first."""
    state = _decode(document.state)
    for deadline in due(state, now_ms):
        yield _event(state, deadline)


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


CALL_TIMERS: Final = Timers(COLLECTION, TELEPHONY_EVENTS, due_events)
