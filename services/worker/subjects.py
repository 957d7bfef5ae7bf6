"""The rules of subjects. Whatever decides a status stands in this file.

Theory of operation
-------------------
A subject (a customer, a record, an enrolment) has one status, which the newest request replaces. A
request comes from a client of a dialect, or from a disposition that has just become final: then it
names the call, and nothing is asked but that it be set. Every status has a revision; the one taken
away has one too, so that whoever counts them misses none.

A subject is *known* once it was named (`subject.named`), once it has had a status, or while a call
is about it. The last is not kept: it is read from the calls with each batch, as is whether such a
call still goes on. Neither is looked at where the request's policy does not ask.

For each request exactly one row fits, by what is asked and where the subject stands.

A verdict is kept under its idempotency key, refusals too. The same key with the same body is
answered from there, before anything is decided; with another body it is a conflict, which is
neither kept nor told. A disposition's own request has a key made of the disposition: told twice
after a crash, it is decided once.

A status with a callback schedules it, unless the call has done so that the status comes from. It
waits for its time while it is the newest; a timer told of that time twice, late, early, or when
another status has taken its place does nothing.

Times of a subject's decisions never go back, as those of a call don't.
"""

from typing import Final

from msgspec.structs import replace

from services.worker.kept import Kept, keep
from services.worker.subject_model import (
    Asked,
    Beside,
    CallbackTimed,
    Given,
    Place,
    Row,
    SubjectState,
    TimerRow,
    callback,
)
from shared.contracts import limits
from shared.contracts.callbacks import CALLBACK_DUE, CALLBACK_SCHEDULED
from shared.contracts.instants import to_wire, to_wire_or_none
from shared.contracts.subjects import (
    MESSAGE_SEND,
    STATUS_CHANGED,
    STATUS_REFUSED,
    MessageCommand,
    NamingRequest,
    PreviousStatus,
    Status,
    StatusOutcome,
    StatusRequest,
    StatusTold,
    StatusVerdict,
    ids_of,
    read_subject,
)
from shared.contracts.topics import DISPOSITION_EVENTS, SWITCH_COMMANDS
from shared.kernel import Decision, Publish

CONFLICT: Final = "idempotency_conflict"
_NOBODY: Final = Beside()

# fmt: off
TABLE: Final = (
    Row("set", "status", (Place.BLANK,), StatusOutcome.SET, STATUS_CHANGED),
    Row("replaced", "status", (Place.GIVEN,), StatusOutcome.REPLACED, STATUS_CHANGED),
    Row("cleared", "clear", (Place.GIVEN,), StatusOutcome.CLEARED, STATUS_CHANGED),
    Row("nothing_to_clear", "clear", (Place.BLANK,), StatusOutcome.CLEARED),
    Row("unknown_status", "status", (Place.UNKNOWN,), StatusOutcome.REFUSED, STATUS_REFUSED,
        "unknown_subject"),
    Row("unknown_clear", "clear", (Place.UNKNOWN,), StatusOutcome.REFUSED, STATUS_REFUSED,
        "unknown_subject"),
    Row("handled_status", "status", (Place.HANDLED,), StatusOutcome.REFUSED, STATUS_REFUSED,
        "subject_in_call"),
    Row("handled_clear", "clear", (Place.HANDLED,), StatusOutcome.REFUSED, STATUS_REFUSED,
        "subject_in_call"),
    Row("first_status", "name", (Place.BLANK,), StatusOutcome.NAMED, STATUS_CHANGED),
    Row("named", "name", (Place.GIVEN,), StatusOutcome.NAMED),
)
TIMER: Final = TimerRow("callback_due", "with this very callback, awaited", CALLBACK_DUE)
# fmt: on

_BY_PLACE: Final = {(row.given, place): row for row in TABLE for place in row.subject}


def decide(
    state: SubjectState | None, given: Given, beside: Beside | None
) -> Decision[SubjectState | None]:
    """Decide one request on one subject, or that the time of its callback is here.

    Args:
        state: the document; None before its first write.
        given: the request, or the timer; holds `now_ms`.
        beside: what the calls say; None where the request's policy asks for nothing of it.

    Returns:
        For a request the answer is a `StatusVerdict`; the very same state when nothing changed.
    """
    if isinstance(given, CallbackTimed):
        return _meet(state, given)
    kept = recall(state, given)
    if kept is not None:
        return Decision(state, (), kept)
    before = state or SubjectState(subject=given.request.subject, created_ms=given.now_ms)
    given = replace(given, now_ms=max(given.now_ms, before.decided_ms))
    row = _row(before, given.request, beside or _NOBODY)
    after = _after(before, given, row)
    effects = tuple(_effects(after, given, row))
    verdict = _verdict(after, given, row)
    return Decision(_keep(after, given, verdict), effects, verdict)


def recall(state: SubjectState | None, given: Asked) -> StatusVerdict | None:
    """The answer already given under this idempotency key, or that the key conflicts."""
    request = given.request
    kept = None if state is None else state.verdicts.get(request.idempotency_key)
    if kept is None:
        return None
    if kept.body_hash == request.body_hash:
        return kept.verdict
    return StatusVerdict(
        request_id=request.request_id,
        outcome=StatusOutcome.REFUSED,
        subject=request.subject,
        status=request.status,
        decided_at=to_wire(given.now_ms),
        rule=CONFLICT,
        problem=CONFLICT,
    )


def _meet(state: SubjectState | None, given: CallbackTimed) -> Decision[SubjectState | None]:
    """Tell of the callback, if it is still waited for and its time has come."""
    if state is None or state.status is None or callback(state) != given.timer:
        return Decision(state)
    now_ms = max(given.now_ms, state.decided_ms)
    if now_ms < given.timer.deadline_ms:
        return Decision(state)
    told = _told_due(given, state.status, now_ms)
    after = replace(state, decided_ms=now_ms, called_back=state.status.revision)
    return Decision(after, (Publish(DISPOSITION_EVENTS, TIMER.told, told),))


def _told_due(given: CallbackTimed, status: Status, now_ms: int) -> StatusTold:
    return StatusTold(
        tenant=given.tenant,
        subject=given.subject,
        rule=TIMER.rule,
        decided_at=to_wire(now_ms),
        dialect=status.dialect,
        outcome=None,
        code=status.code,
        request_id=status.request_id,
        revision=status.revision,
        previous=None,
        callback_at=to_wire_or_none(status.callback_ms),
        user_id=status.user_id,
        **ids_of(read_subject(given.subject)),
    )


def asks_beside(request: StatusRequest | NamingRequest) -> bool:
    """Whether the answer depends on what the calls say."""
    if isinstance(request, NamingRequest):
        return False
    return request.policy.must_exist or request.policy.avoid_in_call


def _row(state: SubjectState, request: StatusRequest | NamingRequest, beside: Beside) -> Row:
    """The one row that fits."""
    blank = state.status is None or state.status.code is None
    place = Place.BLANK if blank else Place.GIVEN
    if isinstance(request, NamingRequest):
        # One that brings no status leaves what is there, as it would where there is one.
        return _BY_PLACE["name", place if request.status is not None else Place.GIVEN]
    if request.policy.must_exist and not (state.known or beside.named):
        place = Place.UNKNOWN
    elif request.policy.avoid_in_call and beside.handled:
        place = Place.HANDLED
    return _BY_PLACE["clear" if request.status is None else "status", place]


def _after(state: SubjectState, given: Asked, row: Row) -> SubjectState:
    request = given.request
    state = replace(state, decided_ms=given.now_ms)
    if isinstance(request, NamingRequest):
        state = replace(state, known=True, data=_added(state.data, request.data))
    if row.told != STATUS_CHANGED:
        return state
    former = state.status
    status = Status(
        code=request.status,
        revision=1 if former is None else former.revision + 1,
        decided_ms=given.now_ms,
        request_id=request.request_id,
        dialect=request.dialect,
    )
    if isinstance(request, StatusRequest):
        status = replace(
            status,
            comment=request.comment,
            callback_ms=request.callback_ms,
            user_id=request.user_id,
            origin=request.origin,
        )
    return replace(state, known=True, status=status, earlier=_earlier(state.earlier, former))


def _added(data: dict[str, str], more: dict[str, str]) -> dict[str, str]:
    """What is known with what is new; beyond the limit the new is passed over."""
    added = data | more
    size = sum(len(name.encode()) + len(value.encode()) for name, value in added.items())
    return added if size <= limits.SUBJECT_DATA_BYTES_MAX else data


def _earlier(earlier: tuple[Status, ...], former: Status | None) -> tuple[Status, ...]:
    """The replaced ones, oldest first; of too many the first and the newest are kept."""
    kept = earlier if former is None else (*earlier, former)
    if len(kept) <= limits.STATUSES_KEPT_MAX:
        return kept
    return (kept[0], *kept[1 - limits.STATUSES_KEPT_MAX :])


def _effects(state: SubjectState, given: Asked, row: Row) -> list[Publish]:
    """What is told: the change or the refusal; then a callback, then messages."""
    if not row.told:
        return []
    effects = [Publish(DISPOSITION_EVENTS, row.told, _told(state, given, row))]
    request = given.request
    if row.told != STATUS_CHANGED or not isinstance(request, StatusRequest):
        return effects
    if request.callback_ms is not None and request.origin is None:  # else the call has told it
        effects.append(Publish(DISPOSITION_EVENTS, CALLBACK_SCHEDULED, _told(state, given, row)))
    if request.send_messages and request.status is not None:
        effects.append(Publish(SWITCH_COMMANDS, MESSAGE_SEND, _message(given, request.status)))
    return effects


def _told(state: SubjectState, given: Asked, row: Row) -> StatusTold:
    request = given.request
    asked = request if isinstance(request, StatusRequest) else None
    changed = row.told == STATUS_CHANGED
    origin = None if asked is None else asked.origin
    return StatusTold(
        tenant=given.tenant,
        subject=request.subject,
        rule=row.rule,
        decided_at=to_wire(given.now_ms),
        dialect=request.dialect,
        outcome=row.outcome,
        code=request.status,
        problem=row.problem,
        request_id=request.request_id,
        revision=state.status.revision if changed and state.status is not None else None,
        previous=_previous(state) if changed else None,
        callback_at=None if asked is None else to_wire_or_none(asked.callback_ms),
        user_id=None if asked is None else asked.user_id,
        call_id=None if origin is None else origin.call_id,
        agent_id=None if origin is None else origin.agent_id,
        **ids_of(read_subject(request.subject)),
    )


def _message(given: Asked, code: str) -> MessageCommand:
    return MessageCommand(
        tenant=given.tenant,
        subject=given.request.subject,
        code=code,
        request_id=given.request.request_id,
        decided_at=to_wire(given.now_ms),
        **ids_of(read_subject(given.request.subject)),
    )


def _previous(state: SubjectState) -> PreviousStatus | None:
    """The status before the newest; None where there was none, or it had been taken away."""
    former = state.earlier[-1] if state.earlier else None
    if former is None or former.code is None:
        return None
    return PreviousStatus(
        code=former.code,
        decided_at=to_wire(former.decided_ms),
        call_id=None if former.origin is None else former.origin.call_id,
    )


def _verdict(state: SubjectState, given: Asked, row: Row) -> StatusVerdict:
    request = given.request
    return StatusVerdict(
        request_id=request.request_id,
        outcome=row.outcome,
        subject=request.subject,
        status=request.status,
        decided_at=to_wire(given.now_ms),
        rule=row.rule,
        problem=row.problem,
        previous=_previous(state) if row.told == STATUS_CHANGED else None,
        revision=0 if state.status is None else state.status.revision,
    )


def _keep(state: SubjectState, given: Asked, verdict: StatusVerdict) -> SubjectState:
    """The state with this verdict, without those too old or too many."""
    request = given.request
    newest = Kept(body_hash=request.body_hash, verdict=verdict, kept_ms=given.now_ms)
    kept = keep(state.verdicts, request.idempotency_key, newest, limits.VERDICTS_PER_SUBJECT_MAX)
    return replace(state, verdicts=kept)
