"""The rules of a call: what each event means for it, as one table.

A call has no phase of its own. It has facts (answered, disconnected) and agents, and each agent
moves ringing -> active -> wrap_up -> released, forward only. The call's phase follows: not
disconnected, it is `ringing` until somebody answers or speaks, then `active`; disconnected, it is
`wrap_up` while any agent is, else `released`.

An event is decided by how matters stand when it comes: the stage of the call and the standing of
the agent whom it names. These, the event's type and at times a condition choose a row of `TABLE`:
the first that fits. The row names the rule, for the history, and the move that makes the new call.

Switches lose, repeat and reorder events. Three ideas keep every order from ending differently, or
never:

* What happened when is the event's own time. An agent who joins after having left begins a new
  segment, active again; what is told late of an earlier one fills in times and moves nothing.
* An agent told of when the conversation is over gets a wrap-up from now on (`late_agent`), even
  where that opens a released call once more (`reopened`): a disposition is owed, nothing is lost.
* How long something may last counts from receipt, on our own clock, whatever the switch's says:
  silence while the call goes on, each agent's wrap-up after. One or the other is always armed
  until the call is released, so every call ends, whatever the switch has kept to itself.

Every event but a duplicate (and a timer no longer armed) raises `version` by one and is told once
on `calls.changed`, also where it moves nothing: sequence there equals version, and the history
shows all. It is pure: the same state and input give the same bytes, today and on replay.
"""

from dataclasses import dataclass
from typing import Any, Final, Literal

from msgspec.structs import replace

from services.callstate import moves
from services.callstate.model import (
    CallInput,
    CallState,
    fingerprint,
    is_armed,
    new_call,
    phase_of,
    remember,
)
from services.callstate.moves import Condition, Move
from services.callstate.standing import Case, Stage, Standing, stand
from shared.contracts.calls import Call, Change, EventOutcome, Phase, tell
from shared.contracts.instants import to_wire
from shared.contracts.telephony import TimerDue
from shared.contracts.topics import CALLS_CHANGED
from shared.kernel import Decision, Publish


@dataclass(frozen=True, slots=True)
class Row:
    """When an event of one of these types meets one of these stages and standings, and `when`."""

    types: tuple[str, ...]
    stages: tuple[Stage, ...]
    standings: tuple[Standing, ...]
    rule: str
    move: Move
    when: Condition | None = None


STARTED = ("call.started",)
ANSWERED = ("call.answered",)
JOINED = ("call.agent_joined",)
SPEAKS = ("call.answered", "call.agent_joined")
LEFT = ("call.agent_left",)
HELD = ("call.held",)
RETRIEVED = ("call.retrieved",)
HOLD = ("call.held", "call.retrieved")
ATTACHED = ("call.data_attached",)
DISCONNECTED = ("call.disconnected",)
EXTENDED = ("call.wrap_up_extended",)
RELEASED = ("call.released",)
TIMER = ("call.timer_due",)

UNKNOWN, ONGOING, WRAPPING_UP, OVER = ((stage,) for stage in Stage)
ENDED = WRAPPING_UP + OVER
UNENDED = UNKNOWN + ONGOING
KNOWN = ONGOING + ENDED
ANY = UNKNOWN + KNOWN

NOBODY, NEW, NO_ROOM, RINGING, ACTIVE, IN_WRAP_UP, DONE, UNANSWERED = ((who,) for who in Standing)
GONE = IN_WRAP_UP + DONE + UNANSWERED
STRANGER = NEW + NO_ROOM
UNSPOKEN = NEW + UNANSWERED

# fmt: off
TABLE: Final = (
    Row(STARTED, UNKNOWN, NOBODY, "started", moves.fill_in),
    Row(STARTED, UNKNOWN, NEW, "started", moves.ring),
    Row(STARTED, ONGOING, NEW, "answered_before", moves.take_answer, moves.answered_before),
    Row(STARTED, ONGOING, NEW, "rings", moves.ring),
    Row(STARTED, WRAPPING_UP, NEW, "late_agent", moves.ring_late, moves.dialled),
    Row(STARTED, OVER, NEW, "reopened", moves.ring_late, moves.dialled),
    Row(STARTED, ENDED, NEW, "rang_out", moves.ring_out),
    Row(STARTED, KNOWN, NOBODY + RINGING + ACTIVE + GONE, "started_late", moves.fill_in),

    Row(ANSWERED, UNENDED, NOBODY, "answered", moves.fill_in),
    Row(ANSWERED, UNENDED, NEW + RINGING, "answered", moves.join),
    Row(ANSWERED, ENDED, NOBODY, "late", moves.fill_in),
    Row(JOINED, UNENDED, NEW + RINGING, "joined", moves.join),
    Row(SPEAKS, ONGOING, ACTIVE, "already_active", moves.note_join),
    Row(SPEAKS, ONGOING, GONE, "came_back", moves.join, moves.came_back),
    Row(SPEAKS, ONGOING, GONE, "late", moves.note_join),
    Row(SPEAKS, WRAPPING_UP, UNSPOKEN, "late_agent", moves.join_late),
    Row(SPEAKS, OVER, UNSPOKEN, "reopened", moves.join_late),
    Row(SPEAKS, ENDED, IN_WRAP_UP + DONE, "late", moves.note_join),

    Row(LEFT, ONGOING, ACTIVE, "late", moves.record, moves.of_earlier_segment),
    Row(LEFT, UNENDED, NEW + RINGING + ACTIVE, "hung_up", moves.leave, moves.hung_up),
    Row(LEFT, UNENDED, NEW + RINGING + ACTIVE, "transferred", moves.leave, moves.transferred),
    Row(LEFT, UNENDED, NEW + RINGING + ACTIVE, "left", moves.leave),
    Row(LEFT, ONGOING, GONE, "late", moves.note_leave),
    Row(LEFT, WRAPPING_UP, UNSPOKEN, "late_agent", moves.leave),
    Row(LEFT, OVER, UNSPOKEN, "reopened", moves.leave),
    Row(LEFT, ENDED, IN_WRAP_UP + DONE, "late", moves.note_leave),

    Row(STARTED + SPEAKS + LEFT, KNOWN, NO_ROOM, "too_many_agents", moves.record),

    Row(HOLD, ONGOING, NOBODY, "late", moves.record, moves.call_hold_is_old),
    Row(HELD, UNENDED, NOBODY, "held", moves.hold_call),
    Row(RETRIEVED, UNENDED, NOBODY, "retrieved", moves.hold_call),
    Row(HOLD, ONGOING, RINGING + ACTIVE, "late", moves.record, moves.agent_hold_is_old),
    Row(HELD, ONGOING, RINGING + ACTIVE, "held", moves.hold_agent),
    Row(RETRIEVED, ONGOING, RINGING + ACTIVE, "retrieved", moves.hold_agent),
    Row(HOLD, ONGOING, GONE, "late", moves.record),
    Row(HOLD, ENDED, NOBODY + GONE, "late", moves.record),
    Row(HOLD, ANY, STRANGER, "agent_not_on_call", moves.record),

    Row(ATTACHED, ANY, NOBODY, "user_data_full", moves.record, moves.too_much),
    Row(ATTACHED, ANY, NOBODY, "data_attached", moves.attach),

    Row(DISCONNECTED, UNENDED, NOBODY, "disconnected", moves.disconnect),
    Row(DISCONNECTED, ENDED, NOBODY, "already_disconnected", moves.record),

    Row(EXTENDED, KNOWN, IN_WRAP_UP, "extended_overdue", moves.extend, moves.overdue),
    Row(EXTENDED, KNOWN, IN_WRAP_UP, "extended", moves.extend),
    Row(EXTENDED, KNOWN, RINGING + ACTIVE + DONE + UNANSWERED, "not_in_wrap_up", moves.record),
    Row(EXTENDED, ANY, STRANGER, "agent_not_on_call", moves.record),

    Row(RELEASED, KNOWN, ACTIVE + IN_WRAP_UP, "late", moves.record, moves.of_segment_before),
    Row(RELEASED, KNOWN, IN_WRAP_UP, "released", moves.release),
    Row(RELEASED, ONGOING, RINGING, "released_ringing", moves.release),
    Row(RELEASED, ONGOING, ACTIVE, "released_on_call", moves.release),
    Row(RELEASED, KNOWN, DONE + UNANSWERED, "already_released", moves.record),
    Row(RELEASED, ANY, STRANGER, "agent_not_on_call", moves.record),
    Row(RELEASED, UNENDED, NOBODY, "released_unended", moves.end),
    Row(RELEASED, WRAPPING_UP, NOBODY, "released", moves.release_all),
    Row(RELEASED, OVER, NOBODY, "already_released", moves.record),

    Row(TIMER, KNOWN, IN_WRAP_UP, "wrap_up_limit", moves.release, moves.at_limit),
    Row(TIMER, KNOWN, IN_WRAP_UP, "overdue", moves.run_over, moves.mandatory),
    Row(TIMER, KNOWN, IN_WRAP_UP, "wrap_up_over", moves.release),
    Row(TIMER, ONGOING, NOBODY, "silence", moves.fall_silent),
)
# fmt: on

_ROWS: Final = {
    place: tuple(
        row
        for row in TABLE
        if place[0] in row.types and place[1] in row.stages and place[2] in row.standings
    )
    for place in {
        (event_type, stage, standing)
        for row in TABLE
        for event_type in row.types
        for stage in row.stages
        for standing in row.standings
    }
}


def decide(state: CallState | None, given: CallInput) -> Decision[CallState | None]:
    """The call after this event, and the change to tell; the same object where it has none.

    Answers with an `EventOutcome`. The state is None only as long as the call is unknown.
    """
    mark = fingerprint(given)
    if isinstance(given.data, TimerDue):
        if state is None or not is_armed(state, given.data):
            return Decision(state, answer=_outcome(state, given, "ignored", "stale_timer"))
    elif state is not None and mark in state.seen:
        return Decision(state, answer=_outcome(state, given, "duplicate", "duplicate"))
    case, row = look_up(state, given)
    call = _settled(row.move(case, given.data), given)
    after = _state(state, call, given, mark)
    told = tell(call, _change(state, case, row, call))
    outcome = _outcome(after, given, "ignored" if row.move is moves.record else "applied", row.rule)
    return Decision(after, (Publish(CALLS_CHANGED, "call.changed", told),), outcome)


def recall(state: CallState | None, given: CallInput) -> EventOutcome | None:
    """The answer to an event already in the state, as far as the state still knows."""
    if state is None or fingerprint(given) not in state.seen:
        return None
    return _outcome(state, given, "applied", "recalled")


def look_up(state: CallState | None, given: CallInput) -> tuple[Case, Row]:
    """How matters stand, and the row that decides it: the first that fits."""
    case = stand(new_call(given) if state is None else state.call, given)
    rows = iter(_ROWS[given.type, case.stage, case.standing])
    row = next(rows)
    while row.when is not None and not row.when(case, given.data):
        row = next(rows)
    return case, row


def _settled(call: Call, given: CallInput) -> Call:
    """The call with what follows from its facts: version, phase, and since when released."""
    phase = phase_of(call)
    released_ms = given.now_ms if call.released_ms is None else call.released_ms
    return replace(
        call,
        version=call.version + 1,
        phase=phase,
        released_ms=released_ms if phase is Phase.RELEASED else None,
    )


def _state(before: CallState | None, call: Call, given: CallInput, mark: str) -> CallState:
    if before is None:
        return CallState(
            call=call, last_ms=given.now_ms, silence_s=given.silence_s, seen=remember((), mark)
        )
    if isinstance(given.data, TimerDue):
        return replace(before, call=call)
    last_ms = max(before.last_ms, given.now_ms)
    return replace(before, call=call, last_ms=last_ms, seen=remember(before.seen, mark))


def _change(before: CallState | None, case: Case, row: Row, call: Call) -> Change:
    given = case.given
    return Change(
        kind="timer" if isinstance(given.data, TimerDue) else "event",
        type=given.type,
        rule=row.rule,
        event_id=given.event_id,
        at=to_wire(given.now_ms),
        time=to_wire(given.time_ms),
        agent_id=case.agent.agent_id or None,
        user_data_keys=_news({} if before is None else before.call.user_data, call.user_data),
    )


def _news(known: dict[str, Any], user_data: dict[str, Any]) -> tuple[str, ...]:
    """The keys that are new or have another value now."""
    if user_data is known or not user_data:
        return ()
    return tuple(key for key, value in user_data.items() if key not in known or known[key] != value)


def _outcome(
    state: CallState | None,
    given: CallInput,
    outcome: Literal["applied", "duplicate", "ignored"],
    rule: str,
) -> EventOutcome:
    return EventOutcome(
        event_id=given.event_id,
        call_id=given.call_id,
        outcome=outcome,
        rule=rule,
        version=0 if state is None else state.call.version,
        phase=None if state is None else state.call.phase,
    )
