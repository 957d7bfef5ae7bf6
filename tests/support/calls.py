"""Telephony events as a test tells them, and a call they are told to.

Times are whole seconds after `START_MS`; an event is received when it happens unless it says so.
"""

from collections.abc import Iterator
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from services.callstate.decider import decide
from services.callstate.model import CallInput, CallState, Deadline, due
from shared.contracts.calls import Call, CallChanged, EventOutcome, WrapUpMode, WrapUpRules
from shared.contracts.telephony import TIMER_DUE, decode_data
from shared.kernel import Decision
from tests.support.clock import START_MS

TENANT: Final = "acme"
CALL_ID: Final = "call-1"
SILENCE_S: Final = 14_400

_codec: Final = msgspec.json.Decoder(CallState)


def at_ms(second: float) -> int:
    return START_MS + round(second * 1000)


def rules(seconds: int = 30, mode: str = "optional") -> WrapUpRules:
    return WrapUpRules(seconds=seconds, mode=WrapUpMode(mode))


def told(
    event_type: str,
    at: float = 0,
    *,
    happened: float | None = None,
    event_id: str | None = None,
    wrap_up: WrapUpRules | None = None,
    data: dict[str, Any] | None = None,
    **fields: Any,
) -> CallInput:
    """An event of this type, received `at`, that `happened` then or before."""
    written = msgspec.json.encode(fields if data is None else data)
    happened = at if happened is None else happened
    return CallInput(
        tenant=TENANT,
        call_id=CALL_ID,
        event_id=event_id or f"{event_type}@{happened}:{written.decode()}",
        source="/switch",
        type=event_type,
        data=decode_data(event_type, written),
        time_ms=at_ms(happened),
        now_ms=at_ms(at),
        wrap_up=rules() if wrap_up is None else wrap_up,
        silence_s=SILENCE_S,
    )


def timer(deadline: Deadline, now_ms: int) -> CallInput:
    """The deadline, found due."""
    fields: dict[str, Any] = {"timer": deadline.timer, "deadline_ms": deadline.due_ms}
    if deadline.agent_id is not None:
        fields["agent_id"] = deadline.agent_id
    given = told(TIMER_DUE, data=fields)
    return replace(given, time_ms=deadline.due_ms, now_ms=now_ms, source="/aftercall/timers")


def change_of(decision: Decision[Any]) -> CallChanged:
    """What the decision tells, which is exactly one thing."""
    (effect,) = decision.effects
    assert (effect.topic, effect.type) == ("calls.changed", "call.changed")
    assert isinstance(effect.data, CallChanged)
    return effect.data


def outcome_of(decision: Decision[Any]) -> EventOutcome:
    assert isinstance(decision.answer, EventOutcome)
    return decision.answer


class ToldCall:
    """A call as callstate keeps it: stored after each event, read again before the next."""

    def __init__(self) -> None:
        self.state: CallState | None = None
        self.changes: list[CallChanged] = []

    @property
    def call(self) -> Call:
        assert self.state is not None
        return self.state.call

    def tell(self, given: CallInput) -> EventOutcome:
        decision = decide(self.state, given)
        if decision.state is not self.state:
            assert decision.state is not None
            self.changes.append(change_of(decision))
            self.state = _codec.decode(msgspec.json.encode(decision.state))
            assert self.state == decision.state
        else:
            assert not decision.effects
        return outcome_of(decision)

    def fire(self, now_ms: int) -> Iterator[EventOutcome]:
        """Let one sweep find what is due, and the rules decide on each."""
        if self.state is not None:
            for deadline in due(self.state, now_ms):
                yield self.tell(timer(deadline, now_ms))
