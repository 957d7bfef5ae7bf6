"""What a record about a subject says to history and reports. Pure.

A change of status is a line of its subject's history, which names the call it comes from; and a
line of that call's history. Reports count a subject by its newest status, unless that comes from a
call: there it is counted already, as the disposition that it is.
"""

from typing import Final, Literal

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from services.worker.lines import STATUS_RANK, Line, an_entry
from services.worker.subject_topology import read_status_request
from shared.contracts.callbacks import CALLBACK_DUE
from shared.contracts.envelope import Event, Record
from shared.contracts.errors import Poison
from shared.contracts.instants import from_wire, to_wire
from shared.contracts.subjects import (
    STATUS_CHANGED,
    PreviousStatus,
    StatusOutcome,
    StatusRequest,
    StatusTold,
)
from shared.runtime.history import NOT_COUNTED, Entry, OutcomeRow

ORIGIN: Final = "status"

_told_decoder: Final = msgspec.json.Decoder(StatusTold)


class StatusEntryBody(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line about a subject, as the API shows it; `call_id`: where the status comes from."""

    at: str
    kind: Literal["timer", "request", "verdict"]
    type: str
    rule: str
    subject: str
    call_id: str | None = None
    agent_id: str | None = None
    request_id: str | None = None
    dialect: str | None = None
    outcome: StatusOutcome | None = None
    problem: str | None = None
    code: str | None = None
    revision: int | None = None
    previous: PreviousStatus | None = None
    callback_at: str | None = None
    user_id: str | None = None
    decided_at: str | None = None


class StatusOutcomeBody(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The newest status of a subject that no call has given it, as the API shows it.

    Attributes:
        code: None of a callback that was asked for with no status.
        user_id: whom the subject is assigned to, of one to call back.
    """

    subject: str
    code: str | None = None
    decided_at: str
    revision: int
    origin: str = ORIGIN
    request_id: str | None = None
    previous: PreviousStatus | None = None
    customer_id: str | None = None
    campaign_id: str | None = None
    project_id: str | None = None
    record_id: str | None = None
    subtenant_id: str | None = None
    user_id: str | None = None


def of_request(record: Record, event: Event) -> Line:
    """The line of a request.

    Raises:
        Poison: it is none.
    """
    request = read_status_request(event)
    origin = request.origin if isinstance(request, StatusRequest) else None
    body = StatusEntryBody(
        at=to_wire(record.timestamp_ms),
        kind="request",
        type=event.type,
        rule="admitted",
        subject=request.subject,
        call_id=None if origin is None else origin.call_id,
        agent_id=None if origin is None else origin.agent_id,
        request_id=request.request_id,
        dialect=request.dialect,
        code=request.status,
    )
    return Line(an_entry(record, event, body, record.offset))


def of_status(record: Record, event: Event) -> Line:
    """The lines of what the worker tells of a subject.

    Raises:
        Poison: it is not what we write there.
        msgspec.DecodeError, ValueError: it can't be read.
    """
    told = _told_decoder.decode(event.data)
    if (told.tenant, told.subject) != (event.tenant, event.subject):
        raise Poison("bad_data", "it tells of another subject than its envelope")
    body = StatusEntryBody(
        at=told.decided_at,
        kind="timer" if event.type == CALLBACK_DUE else "verdict",
        type=event.type,
        rule=told.rule,
        subject=told.subject,
        call_id=told.call_id,
        agent_id=told.agent_id,
        request_id=told.request_id,
        dialect=told.dialect,
        outcome=told.outcome,
        problem=told.problem,
        code=told.code,
        revision=told.revision,
        previous=told.previous,
        callback_at=told.callback_at,
        user_id=told.user_id,
        decided_at=told.decided_at,
    )
    entry = an_entry(record, event, body, event.sequence or 0)
    outcome = _outcome(told) if event.type == STATUS_CHANGED else None
    return Line(entry, outcome, _also(entry, told))


def _also(entry: Entry, told: StatusTold) -> Entry | None:
    """The line in the history of the call; that one is asked for by the call's own requests."""
    if told.call_id is None:
        return None
    return replace(
        entry, id=f"{entry.id}@call", call_id=told.call_id, rank=STATUS_RANK, request_id=None
    )


def _outcome(told: StatusTold) -> OutcomeRow | None:
    """What reports count from now on; None where that does not change."""
    if told.revision is None:
        raise Poison("bad_data", "a change of status without its revision")
    if told.call_id is not None and not _own_before(told, told.revision):
        return None  # nothing was counted or called back, and nothing is
    code = told.code if told.call_id is None and told.code is not None else NOT_COUNTED
    callback_ms = _callback_ms(told)
    body = StatusOutcomeBody(
        subject=told.subject,
        code=code if callback_ms is None else told.code,
        decided_at=told.decided_at,
        revision=told.revision,
        request_id=told.request_id,
        previous=told.previous,
        customer_id=told.customer_id,
        campaign_id=told.campaign_id,
        project_id=told.project_id,
        record_id=told.record_id,
        subtenant_id=told.subtenant_id,
        user_id=None if callback_ms is None else told.user_id,
    )
    return OutcomeRow(
        tenant=told.tenant,
        call_id=told.subject,
        agent_id="",
        revision=told.revision,
        code=code,
        origin=ORIGIN,
        decided_ms=from_wire(told.decided_at),
        campaign_id=told.campaign_id,
        project_id=told.project_id,
        body=msgspec.json.encode(body),
        callback_ms=callback_ms,
    )


def _own_before(told: StatusTold, revision: int) -> bool:
    """Whether there is a row of what was before: a status of its own, or that one was taken away.

    The latter is not told of as what was before, and may have asked for a callback.
    """
    if told.previous is None:
        return revision > 1
    return told.previous.call_id is None


def _callback_ms(told: StatusTold) -> int | None:
    """When to call back; what a call has scheduled is the call's."""
    if told.callback_at is None or told.call_id is not None:
        return None
    return from_wire(told.callback_at)
