"""Checks of callbacks: each is due once, at its time, and only while it is waited for."""

from collections import defaultdict
from typing import Final

from msgspec import Struct

from services.cli.verify.result import Result
from services.cli.verify.snapshot import History, Told, place
from shared.contracts.callbacks import CALLBACK_DUE, CALLBACK_SCHEDULED
from shared.contracts.dispositions import DispositionTold, Outcome
from shared.contracts.instants import from_wire
from shared.contracts.subjects import STATUS_CHANGED, StatusTold
from shared.contracts.topics import DISPOSITION_EVENTS, USER_EVENTS

REPLACES: Final = frozenset({"disposition.saved", "disposition.corrected", STATUS_CHANGED})

CallbackTold = DispositionTold | StatusTold


class _Scheduled(Struct):
    """A callback as it was told, what its revision is, and whether its time was."""

    revision: int | None
    callback_at: str | None
    code: str | None
    due: bool = False


def callbacks(history: History) -> Result:
    """A callback is due once, not before its time, and not once something has replaced it."""
    result = Result(of="callbacks due")
    late = _late(history)
    scheduled: dict[tuple[str, str], _Scheduled | None] = {}
    gone = 0
    for told in history.first_told(DISPOSITION_EVENTS):
        data = told.data
        if not isinstance(data, DispositionTold | StatusTold):
            continue
        whose = _whose(told, data)
        if told.event.type in REPLACES:
            scheduled[whose] = None
        elif told.event.type == CALLBACK_SCHEDULED:
            scheduled[whose] = _Scheduled(data.revision, data.callback_at, data.code)
        elif told.event.type == CALLBACK_DUE:
            result.counted += 1
            _early(told, data, result)
            _not_late(told, data, late.get(whose, {}), result)
            if whose not in scheduled and _cut(history, told):
                gone += 1
            else:
                _awaited(told, data, scheduled.get(whose), result)
    result.note(gone, "skipped: scheduled so long ago that it is no longer kept")
    return result


def _whose(told: Told, data: CallbackTold) -> tuple[str, str]:
    """Of a subject nobody's: the agent there is of the call that its status comes from."""
    return told.record.key, data.agent_id if isinstance(data, DispositionTold) else ""


def _early(told: Told, data: CallbackTold, result: Result) -> None:
    if data.callback_at is None or from_wire(data.decided_at) < from_wire(data.callback_at):
        result.wrong(f"{place(told.record)} tells of a callback before its time")


def _awaited(told: Told, data: CallbackTold, scheduled: _Scheduled | None, result: Result) -> None:
    """Judge it against what was scheduled last, by the same document."""
    about = (data.revision, data.callback_at, data.code)
    if scheduled is None or about != (scheduled.revision, scheduled.callback_at, scheduled.code):
        result.wrong(f"{place(told.record)} tells of a callback that is not waited for")
    elif scheduled.due:
        result.wrong(f"{place(told.record)} tells of a callback that was told before")
    else:
        scheduled.due = True


def _not_late(told: Told, data: CallbackTold, late: dict[int, str], result: Result) -> None:
    """A late disposition is told on another topic: of one time either may have come first."""
    for revision, decided_at in late.items():
        if revision > (data.revision or 0) and decided_at < data.decided_at:
            result.wrong(f"{place(told.record)} tells of a callback that revision {revision} ended")


def _late(history: History) -> dict[tuple[str, str], dict[int, str]]:
    """Per call key and agent the revisions told as user events alone, and when."""
    found: dict[tuple[str, str], dict[int, str]] = defaultdict(dict)
    for told in history.first_told(USER_EVENTS):
        data = told.data
        if isinstance(data, DispositionTold) and data.outcome is Outcome.USER_EVENT:
            found[told.record.key, data.agent_id][data.revision or 0] = data.decided_at
    return found


def _cut(history: History, told: Told) -> bool:
    partition = history.snapshot.home(told.record.key)
    return history.since_ms(DISPOSITION_EVENTS, partition=partition) > 0
