"""The disposition rules. Whatever decides a disposition stands in this file.

Theory of operation
-------------------
A disposition belongs to one agent on one call. While the agent talks it can only wait (*queued*);
it becomes final when that agent has left the call, by whoever sees that first. The worker never
learns of this by itself: it *reads* the call, and the call it reads may be newer than the record
it is handling. So every input runs through the same three steps:

1. **Catch up.** The rows given "call" are applied to each agent until none fits: what is queued
   for an agent who has left since is saved, what the end of wrap-up owes is settled.
2. **Decide the request**, if the input is one: exactly one row given "request" fits.
3. **Catch up again**, for a disposition saved in an overdue wrap-up ends that wrap-up.

A final disposition with a callback schedules it, and waits for its time. A timer is told of that
time by a sweep, perhaps twice, late, or when another disposition has taken this one's place: so
the row given "timer" fits only while that very callback is waited for, and never before its time.

Because of step 1 a trigger may come early, late, twice or never: a request behind it finds the
same dispositions. (One thing is passed over: an end of wrap-up from which the agent came back
before anybody looked. Nothing is owed then until the next one.)

A row fits when the agent stands where it says, all facts that it `needs` hold and none that it
`lacks`. No two rows for one input fit at once, so their order means nothing.

A verdict is kept under its idempotency key, refusals too. The same key with the same body is
answered from there, before anything is decided; with another body it is a conflict, which is
neither kept nor told.

Decisions on a call are made one after the other, and so are their times: a record of one topic that
is read behind a younger one of another is decided on at the younger one's time.
"""

from typing import Final

from msgspec.structs import replace

from services.worker.kept import Kept, keep
from services.worker.model import (
    OUTCOMES,
    CallbackTimed,
    DispositionsState,
    Fact,
    Given,
    Requested,
    Row,
    Standing,
    callback,
)
from services.worker.turn import ACTIONS, Turn
from shared.contracts import limits
from shared.contracts.callbacks import CALLBACK_DUE
from shared.contracts.calls import Call, WrapUpRules
from shared.contracts.dispositions import (
    USER_EVENT,
    DispositionRequest,
    Origin,
    Outcome,
    Policy,
    Queued,
    Verdict,
)
from shared.contracts.errors import WriteConflict
from shared.contracts.instants import to_wire
from shared.contracts.telephony import CALL_RELEASED
from shared.kernel import Decision

CONFLICT: Final = "idempotency_conflict"
_ANYWHERE: Final = (Standing.ON_CALL, Standing.WRAP_UP, Standing.RELEASED)

# fmt: off
TABLE: Final = (
    Row("queue_applied", "call", _ANYWHERE, ("queued", "left"), ("disposed",),
        "disposition.saved", Origin.QUEUE),
    Row("queue_corrects", "call", _ANYWHERE, ("queued", "left", "disposed"), (),
        "disposition.corrected", Origin.CORRECTION),
    Row("overdue_ended", "call", (Standing.WRAP_UP,),
        ("disposed", "overdue"), ("queued", "release_asked"),
        CALL_RELEASED),
    Row("timeout_code", "call", (Standing.RELEASED,),
        ("owed", "timeout_code"), ("queued", "disposed"),
        "disposition.saved", Origin.TIMEOUT),
    Row("missed", "call", (Standing.RELEASED,),
        ("owed",), ("queued", "disposed", "timeout_code"),
        "disposition.missed"),

    Row("unknown_call", "request", (Standing.NO_CALL,), (), (),
        "disposition.refused", problem="unknown_call"),
    Row("agent_not_on_call", "request", (Standing.ABSENT,), (), (),
        "disposition.refused", problem="agent_not_on_call"),
    Row("queued", "request", (Standing.ON_CALL,), (), ("queued",),
        "disposition.queued"),
    Row("queue_replaced", "request", (Standing.ON_CALL,), ("queued",), (),
        "disposition.queued"),
    Row("saved", "request", (Standing.WRAP_UP,), (), ("disposed",),
        "disposition.saved", Origin.WRAP_UP),
    Row("corrected", "request", (Standing.WRAP_UP,), ("disposed", "may_correct"), (),
        "disposition.corrected", Origin.CORRECTION),
    Row("correction_refused", "request", (Standing.WRAP_UP,), ("disposed",), ("may_correct",),
        "disposition.refused", problem="already_disposed"),
    Row("late", "request", (Standing.RELEASED,), ("may_be_late",), (),
        USER_EVENT, Origin.LATE),
    Row("late_refused", "request", (Standing.RELEASED,), (), ("may_be_late",),
        "disposition.refused", problem="already_disposed"),

    Row("callback_due", "timer", _ANYWHERE, ("awaited",), (),
        CALLBACK_DUE),
)
# fmt: on

_ROWS: Final = {
    (given, standing): [row for row in TABLE if row.given == given and standing in row.agent]
    for given in ("call", "request", "timer")
    for standing in Standing
}


def fitting(given: str, standing: Standing, facts: set[Fact]) -> list[Row]:
    """The rows that fit: one at most for the call or a timer, exactly one for a request."""
    return [
        row
        for row in _ROWS[given, standing]
        if facts.issuperset(row.needs) and facts.isdisjoint(row.lacks)
    ]


def decide(
    state: DispositionsState | None, given: Given, call: Call | None
) -> Decision[DispositionsState | None]:
    """Decide one input on one call's dispositions.

    Args:
        state: the document; None before its first write.
        given: the input; holds `now_ms`.
        call: as stored by callstate, not older than any change told; None when there is none.

    Returns:
        For a request the answer is a `Verdict`; the very same state when nothing changed.

    Raises:
        WriteConflict: the call read is older than one that was decided on, so somebody else has
            written in between: read both again.
    """
    if isinstance(given, Requested):
        kept = recall(state, given)
        if kept is not None:
            return Decision(state, (), kept)
    if state is not None and call is not None and call.version < state.call_version:
        raise WriteConflict(f"call {given.call_id} was read at an older version than before")
    if state is not None and given.now_ms < state.decided_ms:
        given = replace(given, now_ms=state.decided_ms)
    turn = Turn(state, given, call)
    _catch_up(turn, call, given.now_ms)
    if not isinstance(given, Requested):
        if isinstance(given, CallbackTimed):
            _meet(turn, given)
        return Decision(turn.after() if turn.told else state, turn.told)
    verdict = _answer(turn, given)
    _catch_up(turn, call, given.now_ms)
    return Decision(_keep(turn.after(), given, verdict), turn.told, verdict)


def recall(state: DispositionsState | None, given: Requested) -> Verdict | None:
    """The answer already given under this idempotency key, or that the key conflicts."""
    request = given.request
    kept = None if state is None else state.verdicts.get(request.idempotency_key)
    if kept is None:
        return None
    if kept.body_hash == request.body_hash:
        return kept.verdict
    return Verdict(
        request_id=request.request_id,
        outcome=Outcome.REFUSED,
        call_id=given.call_id,
        agent_id=request.agent_id,
        code=request.code,
        decided_at=to_wire(given.now_ms),
        rule=CONFLICT,
        problem=CONFLICT,
    )


def _keep(state: DispositionsState, given: Requested, verdict: Verdict) -> DispositionsState:
    """The state with this verdict, without those too old or too many."""
    request = given.request
    newest = Kept(body_hash=request.body_hash, verdict=verdict, kept_ms=given.now_ms)
    kept = keep(state.verdicts, request.idempotency_key, newest, limits.VERDICTS_PER_CALL_MAX)
    return replace(state, verdicts=kept)


def _catch_up(turn: Turn, call: Call | None, now_ms: int) -> None:
    """Apply the rows of the call until none fits. Each takes away a fact that it needs."""
    if call is None:
        return
    for agent_id in turn.parts:
        while rows := fitting("call", *turn.stands(agent_id)):
            choice = turn.kept(agent_id).queued or _timeout_choice(call.wrap_up, now_ms)
            ACTIONS[rows[0].told](turn, rows[0], agent_id, choice)


def _answer(turn: Turn, given: Requested) -> Verdict:
    """Apply the one row that fits the request."""
    request = given.request
    standing, facts = turn.stands(request.agent_id)
    (row,) = fitting("request", standing, facts | _allowed(request.policy))
    part = turn.parts.get(request.agent_id)
    choice = _choice(request, given.now_ms, 0 if part is None else part.segment)
    previous = ACTIONS[row.told](turn, row, request.agent_id, choice)
    return Verdict(
        request_id=request.request_id,
        outcome=OUTCOMES[row.told],
        call_id=given.call_id,
        agent_id=request.agent_id,
        code=request.code,
        decided_at=turn.effects.decided_at,
        rule=row.rule,
        problem=row.problem,
        previous=previous,
        call_version=turn.effects.call_version,
    )


def _meet(turn: Turn, given: CallbackTimed) -> None:
    """Apply the row that fits the timer, if one does."""
    timer = given.timer
    agent_id = timer.agent_id or ""
    standing, facts = turn.stands(agent_id)
    if given.now_ms >= timer.deadline_ms and callback(turn.kept(agent_id)) == timer:
        facts.add("awaited")
    for row in fitting("timer", standing, facts):
        turn.call_back(row, agent_id, timer.revision)


def _choice(request: DispositionRequest, now_ms: int, segment: int) -> Queued:
    return Queued(
        code=request.code,
        key=request.key,
        request_id=request.request_id,
        queued_ms=now_ms,
        comment=request.comment,
        callback_ms=request.callback_ms,
        pause_after=request.pause_after,
        pause_reason=request.pause_reason,
        release_after=request.release_after,
        tell_in_wrap_up=request.policy.tell_in_wrap_up,
        segment=segment,
    )


def _timeout_choice(rules: WrapUpRules, now_ms: int) -> Queued:
    code = rules.timeout_code or ""
    return Queued(code=code, key=rules.disposition_key, request_id="", queued_ms=now_ms)


def _allowed(policy: Policy) -> set[Fact]:
    allowed: dict[Fact, bool] = {"may_correct": policy.correct, "may_be_late": policy.late}
    return {fact for fact, holds in allowed.items() if holds}
