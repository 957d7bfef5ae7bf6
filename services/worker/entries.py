"""What a record of the public topics says to history and reports. Pure.

Each record is one line of its call's history; one that makes a disposition final is also that
agent's newest outcome, and so is, before any other, that none was given. Ids and order come from
the record, so reading it again writes the same.
"""

from collections.abc import Callable
from typing import Final, Literal

import msgspec
from msgspec import Struct

from services.worker import subject_entries
from services.worker.checks import MALFORMED
from services.worker.lines import Line, an_entry
from services.worker.topology import read_changed, read_event, read_request, read_timer
from shared.contracts import limits
from shared.contracts.callbacks import CALLBACK_DUE, CALLBACK_TIMER_DUE
from shared.contracts.dispositions import USER_EVENT, DispositionTold, Origin, Outcome, Previous
from shared.contracts.envelope import Event, Record
from shared.contracts.errors import Poison
from shared.contracts.ids import is_subject_name
from shared.contracts.instants import from_wire, to_wire
from shared.contracts.subjects import STATUS_REQUESTED, SUBJECT_NAMED
from shared.contracts.topics import (
    CALLS_CHANGED,
    DISPOSITION_EVENTS,
    DISPOSITION_REQUESTS,
    USER_EVENTS,
)
from shared.runtime.history import MISSED, NOT_COUNTED, OutcomeRow

_FINAL: Final = ("disposition.saved", "disposition.corrected", USER_EVENT)
_MISSED: Final = "disposition.missed"

_told_decoder: Final = msgspec.json.Decoder(DispositionTold)


class EntryBody(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of a call's history, as the API shows it.

    `call_id` stands in verdicts, which are also shown by their request, away from their call.
    """

    at: str
    kind: Literal["event", "timer", "request", "verdict"]
    type: str
    rule: str
    call_id: str | None = None
    agent_id: str | None = None
    event_id: str | None = None
    time: str | None = None
    phase: str | None = None
    version: int | None = None
    user_data_keys: tuple[str, ...] = ()
    request_id: str | None = None
    dialect: str | None = None
    outcome: Outcome | None = None
    problem: str | None = None
    code: str | None = None
    key: str | None = None
    origin: Origin | None = None
    revision: int | None = None
    previous: Previous | None = None
    callback_at: str | None = None
    decided_at: str | None = None
    call_version: int | None = None


class OutcomeBody(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The newest disposition of one agent on one call, as the API shows it."""

    call_id: str
    agent_id: str
    code: str
    key: str
    origin: Origin
    decided_at: str
    revision: int
    request_id: str | None = None
    previous: Previous | None = None
    customer_id: str | None = None
    campaign_id: str | None = None
    project_id: str | None = None
    record_id: str | None = None


def read(record: Record) -> Line:
    """Read one record of the topics in `READERS`.

    Raises:
        Poison: it is not what we write there.
    """
    event = read_event(record)
    try:
        line = READERS[record.topic](record, event)
    except (*MALFORMED, ValueError, OverflowError) as error:
        raise Poison("bad_data", str(error)) from None
    _check(line)
    return line


def _check(line: Line) -> None:
    """No store has room for a number beyond 64 bits."""
    numbers = [entry.sequence for entry in line.entries]
    if line.outcome is not None:
        numbers.append(line.outcome.revision)
    if any(abs(number) > limits.INTEGER_MAX for number in numbers):
        raise Poison("bad_data", "a version or a revision does not fit 64 bits")


def _of_call(record: Record, event: Event) -> Line:
    changed = read_changed(event)
    change = changed.change
    body = EntryBody(
        at=change.at,
        kind=change.kind,
        type=change.type,
        rule=change.rule,
        agent_id=change.agent_id,
        event_id=change.event_id,
        time=change.time,
        phase=changed.phase,
        version=changed.version,
        user_data_keys=change.user_data_keys,
    )
    return Line(an_entry(record, event, body, event.sequence or changed.version))


def _of_request(record: Record, event: Event) -> Line:
    if event.type in (STATUS_REQUESTED, SUBJECT_NAMED):
        return subject_entries.of_request(record, event)
    if event.type == CALLBACK_TIMER_DUE:
        read_timer(event)
        return Line()  # what came of it is told
    request = read_request(event)
    body = EntryBody(
        at=to_wire(record.timestamp_ms),
        kind="request",
        type=event.type,
        rule="admitted",
        agent_id=request.agent_id,
        request_id=request.request_id,
        dialect=request.dialect,
        code=request.code,
        key=request.key,
    )
    return Line(an_entry(record, event, body, record.offset))


def _of_disposition(record: Record, event: Event) -> Line:
    if is_subject_name(event.subject):
        return subject_entries.of_status(record, event)
    told = _told_decoder.decode(event.data)
    if (told.tenant, told.call_id) != (event.tenant, event.subject):
        raise Poison("bad_data", "it tells of another call than its envelope")
    body = EntryBody(
        at=told.decided_at,
        kind="timer" if event.type == CALLBACK_DUE else "verdict",
        type=event.type,
        rule=told.rule,
        call_id=told.call_id,
        agent_id=told.agent_id,
        request_id=told.request_id,
        outcome=told.outcome,
        problem=told.problem,
        code=told.code,
        key=told.key,
        origin=told.origin,
        revision=told.revision,
        previous=told.previous,
        callback_at=told.callback_at,
        decided_at=told.decided_at,
        call_version=told.call_version,
    )
    return Line(an_entry(record, event, body, event.sequence or 0), _newest(told, event.type))


def _newest(told: DispositionTold, type_: str) -> OutcomeRow | None:
    """What reports count from now on; None where that does not change."""
    if type_ in _FINAL:
        return _outcome(told)
    return _miss(told) if type_ == _MISSED else None


def _miss(told: DispositionTold) -> OutcomeRow:
    """Nothing is shown of it but that it is counted; whatever the agent says later replaces it."""
    return OutcomeRow(
        tenant=told.tenant,
        call_id=told.call_id,
        agent_id=told.agent_id,
        revision=0,
        code=NOT_COUNTED,
        origin=MISSED,
        decided_ms=from_wire(told.decided_at),
        campaign_id=told.campaign_id,
        project_id=told.project_id,
        body=b"{}",
    )


def _outcome(told: DispositionTold) -> OutcomeRow:
    if told.code is None or told.key is None or told.origin is None or told.revision is None:
        raise Poison("bad_data", "a final disposition without code, key, origin or revision")
    body = OutcomeBody(
        call_id=told.call_id,
        agent_id=told.agent_id,
        code=told.code,
        key=told.key,
        origin=told.origin,
        decided_at=told.decided_at,
        revision=told.revision,
        request_id=told.request_id,
        previous=told.previous,
        customer_id=told.customer_id,
        campaign_id=told.campaign_id,
        project_id=told.project_id,
        record_id=told.record_id,
    )
    return OutcomeRow(
        tenant=told.tenant,
        call_id=told.call_id,
        agent_id=told.agent_id,
        revision=told.revision,
        code=told.code,
        origin=told.origin,
        decided_ms=from_wire(told.decided_at),
        campaign_id=told.campaign_id,
        project_id=told.project_id,
        body=msgspec.json.encode(body),
        callback_ms=_callback_ms(told),
    )


def _callback_ms(told: DispositionTold) -> int | None:
    """When to call back; a late disposition names a time, and schedules nothing."""
    if told.callback_at is None or told.origin is Origin.LATE:
        return None
    return from_wire(told.callback_at)


READERS: Final[dict[str, Callable[[Record, Event], Line]]] = {
    CALLS_CHANGED: _of_call,
    DISPOSITION_REQUESTS: _of_request,
    DISPOSITION_EVENTS: _of_disposition,
    USER_EVENTS: _of_disposition,
}
