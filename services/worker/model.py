"""What the worker keeps of one call, what it is given to decide on, and the words of its table.

One document per call holds the dispositions of all its agents, for they are decided against the
same call; beside them stand the verdicts already given, so that a retry gets the same answer.
"""

from enum import StrEnum
from typing import Final, Literal, NamedTuple

from msgspec import Struct

from services.worker.kept import Kept
from shared.contracts.callbacks import CallbackTimer
from shared.contracts.dispositions import (
    USER_EVENT,
    AgentDispositions,
    DispositionRequest,
    Origin,
    Outcome,
    Verdict,
)


class DispositionsState(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The stored form; `DispositionsDocument` is what others read of it.

    Attributes:
        created_ms: of the first write.
        call_version: of the call that the last write was decided on; 0 without a call.
        verdicts: by idempotency key, in the order they were given.
        release_asked: agent to the segment whose wrap-up the worker has asked to end.
        decided_ms: of the newest decision.
    """

    created_ms: int
    decided_ms: int = 0
    call_version: int = 0
    agents: tuple[AgentDispositions, ...] = ()
    verdicts: dict[str, Kept[Verdict]] = {}
    release_asked: dict[str, int] = {}


class Requested(Struct, frozen=True, kw_only=True):
    """Somebody asks for a disposition."""

    tenant: str
    call_id: str
    request: DispositionRequest
    now_ms: int


class CallMoved(Struct, frozen=True, kw_only=True):
    """The call has changed; only a trigger, for the call itself is read beside the document."""

    tenant: str
    call_id: str
    version: int
    now_ms: int


class CallbackTimed(Struct, frozen=True, kw_only=True):
    """The time of a callback is here, if it is still waited for."""

    tenant: str
    call_id: str
    timer: CallbackTimer
    now_ms: int


Given = Requested | CallMoved | CallbackTimed


class Standing(StrEnum):
    """Where the agent stands, by the call that was read."""

    NO_CALL = "no such call"
    ABSENT = "never on the call"
    ON_CALL = "ringing, active"
    WRAP_UP = "wrap-up"
    RELEASED = "released"


Fact = Literal[
    "queued",  # a disposition waits for the agent to leave
    "left",  # the agent has left since it was queued, though perhaps come back
    "disposed",  # one is final
    "owed",  # the agent has handled the call, and no miss was told yet
    "timeout_code",  # the call's rules save a code where none was chosen
    "overdue",  # mandatory wrap-up has run past its deadline
    "release_asked",  # the end of this very wrap-up was asked for already
    "may_correct",  # the request's policy lets a second disposition correct the first
    "may_be_late",  # the request's policy takes one after release
    "awaited",  # the callback whose time is here was scheduled last, and not told yet
]


class Row(NamedTuple):
    """One rule: for the call, a request or a callback's timer, when it fits, and what follows.

    Attributes:
        told: type of the event by which the outside learns of it.
    """

    rule: str
    given: Literal["call", "request", "timer"]
    agent: tuple[Standing, ...]
    needs: tuple[Fact, ...]
    lacks: tuple[Fact, ...]
    told: str
    origin: Origin | Literal[""] = ""
    problem: str | None = None


OUTCOMES: Final[dict[str, Outcome]] = {
    "disposition.queued": Outcome.QUEUED,
    "disposition.saved": Outcome.SAVED,
    "disposition.corrected": Outcome.CORRECTED,
    "disposition.refused": Outcome.REFUSED,
    USER_EVENT: Outcome.USER_EVENT,
}
"""What a row that tells this answers a request."""


def callback(kept: AgentDispositions) -> CallbackTimer | None:
    """The callback that an agent's final disposition has scheduled, until its time was told.

    A late disposition schedules none; whatever replaces one takes its callback away.
    """
    final = kept.disposition
    if final is None or final.callback_ms is None or final.origin is Origin.LATE:
        return None
    if final.revision == kept.called_back:
        return None
    return CallbackTimer(
        deadline_ms=final.callback_ms, revision=final.revision, agent_id=kept.agent_id
    )


def callbacks(state: DispositionsState) -> list[CallbackTimer]:
    """Every callback of a call that is waited for."""
    return [timer for agent in state.agents if (timer := callback(agent)) is not None]
