"""Callbacks: told when a disposition or a status schedules one, and when its time has come."""

from msgspec import Struct


class CallbackTimer(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Data of `disposition.requests`, type `callback.timer_due`: the time of this callback is here.

    Only says so: whether the callback is still waited for is decided where it is kept.

    Attributes:
        revision: of the disposition, or of the status, that has scheduled it.
        agent_id: whose disposition that is; None where a subject's status has scheduled it.
    """

    deadline_ms: int
    revision: int
    agent_id: str | None = None


CALLBACK_SCHEDULED = "callback.scheduled"
CALLBACK_TIMER_DUE = "callback.timer_due"
CALLBACK_DUE = "callback.due"
