"""What the worker keeps of a subject, what it is given to decide on, and the words of its table."""

from enum import StrEnum
from typing import Literal, NamedTuple

from msgspec import Struct, field

from services.worker.kept import Kept
from shared.contracts.callbacks import CallbackTimer
from shared.contracts.subjects import (
    NamingRequest,
    StatusOutcome,
    StatusRequest,
    StatusVerdict,
    SubjectDocument,
)


class SubjectState(SubjectDocument, frozen=True, kw_only=True, omit_defaults=True):
    """The stored form; `SubjectDocument` is what others read of it.

    Attributes:
        decided_ms: of the newest decision.
        verdicts: by idempotency key, in the order they were given.
    """

    decided_ms: int = 0
    verdicts: dict[str, Kept[StatusVerdict]] = field(default_factory=dict)


class Asked(Struct, frozen=True, kw_only=True):
    """Somebody asks for a status, or for none, or makes a subject known."""

    tenant: str
    request: StatusRequest | NamingRequest
    now_ms: int


class CallbackTimed(Struct, frozen=True, kw_only=True):
    """The time of a callback is here, if it is still waited for."""

    tenant: str
    subject: str
    timer: CallbackTimer
    now_ms: int


Given = Asked | CallbackTimed


class Beside(Struct, frozen=True):
    """What the calls say of a subject.

    Attributes:
        named: a call is about it.
        handled: such a call is not over yet: agents are talking, or in wrap-up.
    """

    named: bool = False
    handled: bool = False


class Place(StrEnum):
    """Where the subject stands for this request."""

    UNKNOWN = "not known, and must be"
    HANDLED = "in a call, and to be left alone"
    BLANK = "without a status"
    GIVEN = "with a status"


class Row(NamedTuple):
    """One rule: for which request, when it fits, and what follows."""

    rule: str
    given: Literal["status", "clear", "name"]
    subject: tuple[Place, ...]
    outcome: StatusOutcome
    told: str = ""
    problem: str | None = None


class TimerRow(NamedTuple):
    """The rule of a callback's timer, which answers nobody; in any other case nothing follows."""

    rule: str
    subject: str
    told: str


def callback(state: SubjectState) -> CallbackTimer | None:
    """The callback that the subject's status has scheduled, until its time was told.

    What a call's disposition has scheduled is kept and told there; whatever replaces a status, or
    takes it away, takes its callback away.
    """
    status = state.status
    if status is None or status.callback_ms is None or status.origin is not None:
        return None
    if status.revision == state.called_back:
        return None
    return CallbackTimer(deadline_ms=status.callback_ms, revision=status.revision)
