"""The times of callbacks, as the records that `disposition.requests` is told when they are here."""

from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from services.worker.model import DispositionsState, callbacks
from services.worker.subject_model import SubjectState, callback
from services.worker.subject_topology import COLLECTION as SUBJECTS
from services.worker.topology import COLLECTION
from shared.contracts.callbacks import CALLBACK_TIMER_DUE, CallbackTimer
from shared.contracts.envelope import Event
from shared.contracts.ids import split_key
from shared.contracts.topics import DISPOSITION_REQUESTS
from shared.runtime.ports import Document
from shared.runtime.timers import SOURCE, Timers

_decode: Final = msgspec.json.Decoder(DispositionsState).decode
_decode_subject: Final = msgspec.json.Decoder(SubjectState).decode


def due_on_call(document: Document, now_ms: int) -> Iterator[Event]:
    """The callbacks of a call's dispositions whose time has come."""
    return _due(document.key, callbacks(_decode(document.state)), now_ms)


def due_of_subject(document: Document, now_ms: int) -> Iterator[Event]:
    """The callback of a subject, if its time has come."""
    timer = callback(_decode_subject(document.state))
    return _due(document.key, () if timer is None else (timer,), now_ms)


def _due(key: str, timers: Iterable[CallbackTimer], now_ms: int) -> Iterator[Event]:
    for timer in timers:
        if timer.deadline_ms <= now_ms:
            yield _event(key, timer)


def _event(key: str, timer: CallbackTimer) -> Event:
    """The same callback is always the same event; it happened when it was due.

    Call or subject stand in its source, for source and id name one event among all.
    """
    tenant, subject = split_key(key)
    return Event(
        id=f"timer:callback:{timer.agent_id or ''}:{timer.revision}:{timer.deadline_ms}",
        source=f"{SOURCE}/{tenant}/{subject}",
        type=CALLBACK_TIMER_DUE,
        subject=subject,
        time_ms=timer.deadline_ms,
        tenant=tenant,
        data=msgspec.json.encode(timer),
    )


CALL_CALLBACKS: Final = Timers(COLLECTION, DISPOSITION_REQUESTS, due_on_call)
SUBJECT_CALLBACKS: Final = Timers(SUBJECTS, DISPOSITION_REQUESTS, due_of_subject)
