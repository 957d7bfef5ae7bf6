"""Telephony events: what a switch (or a timer) says of a call. Topic `telephony.events`.

Data that breaks these shapes, or names a field they don't have, is refused at the edge and is a
dead letter on the topic: a misspelt `agent_id` must not silently mean "no agent".
"""

from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, Struct

from shared.contracts import limits
from shared.contracts.errors import Poison
from shared.contracts.ids import ID_PATTERN
from shared.contracts.values import check_json

# "$" alone would let a line feed through behind the id.
_AN_ID = Meta(pattern=ID_PATTERN + r"(?!\n)")
Id = Annotated[str, _AN_ID]
IdOrNumber = Annotated[str, _AN_ID] | Annotated[int, Meta(ge=0, le=2**63 - 1)]
Text = Annotated[str, Meta(max_length=limits.TEXT_CHARS_MAX)]


class _Data(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Common settings of the event data models."""


class CallStarted(_Data, frozen=True, rename={"from_": "from"}):
    """A call begins to ring, in or out. With `agent_id`: it rings at that agent."""

    direction: Literal["inbound", "outbound"]
    from_: Text = ""
    to: Text = ""
    did: Text = ""
    customer_id: IdOrNumber | None = None
    campaign_id: IdOrNumber | None = None
    project_id: IdOrNumber | None = None
    record_id: IdOrNumber | None = None
    agent_id: Id | None = None
    user_data: dict[str, Any] = {}


class CallAnswered(_Data, frozen=True):
    """Somebody answered. Without `agent_id`: the agent at whom it rings, if it is just one."""

    agent_id: Id | None = None


class AgentJoined(_Data, frozen=True):
    """An agent is on the call from now on."""

    agent_id: Id


class AgentLeft(_Data, frozen=True):
    """An agent is off the call, which may go on; the agent's wrap-up starts."""

    agent_id: Id
    reason: Literal["hangup", "transfer", "leave"] = "leave"


class CallHeld(_Data, frozen=True):
    """The call, or one agent's side of it, is on hold."""

    agent_id: Id | None = None


class CallRetrieved(_Data, frozen=True):
    """The call, or one agent's side of it, is back from hold."""

    agent_id: Id | None = None


class DataAttached(_Data, frozen=True):
    """Keys were added to the call's user data; a key set again takes the new value."""

    user_data: dict[str, Any]


class CallDisconnected(_Data, frozen=True):
    """The conversation is over for everybody."""

    by: Literal["caller", "agent", "system"] = "system"
    cause: Text = ""


class WrapUpExtended(_Data, frozen=True):
    """An agent asks for more wrap-up time, counted from the present deadline."""

    agent_id: Id
    seconds: Annotated[int, Meta(ge=1, le=limits.WRAP_UP_S_MAX)]


class CallReleased(_Data, frozen=True):
    """Wrap-up is over, for one agent or for all.

    With `segment`: of that joining of the agent alone. One who has joined again since goes on.
    """

    agent_id: Id | None = None
    segment: Annotated[int, Meta(ge=0, le=2**53)] | None = None


class TimerDue(_Data, frozen=True):
    """A deadline has passed. Decided only if that very deadline is still armed."""

    timer: Literal["wrap_up", "silence"]
    deadline_ms: Annotated[int, Meta(ge=0, le=2**53)]
    agent_id: Id | None = None


EventData = (
    CallStarted
    | CallAnswered
    | AgentJoined
    | AgentLeft
    | CallHeld
    | CallRetrieved
    | DataAttached
    | CallDisconnected
    | WrapUpExtended
    | CallReleased
    | TimerDue
)

TIMER_DUE: Final = "call.timer_due"
CALL_RELEASED: Final = "call.released"
WRAP_UP_EXTENDED: Final = "call.wrap_up_extended"

EVENT_TYPES: Final[dict[str, type[EventData]]] = {
    "call.started": CallStarted,
    "call.answered": CallAnswered,
    "call.agent_joined": AgentJoined,
    "call.agent_left": AgentLeft,
    "call.held": CallHeld,
    "call.retrieved": CallRetrieved,
    "call.data_attached": DataAttached,
    "call.disconnected": CallDisconnected,
    WRAP_UP_EXTENDED: WrapUpExtended,
    CALL_RELEASED: CallReleased,
    TIMER_DUE: TimerDue,
}

_decoders: Final = {name: msgspec.json.Decoder(model) for name, model in EVENT_TYPES.items()}


def decode_data(event_type: str, data: bytes) -> EventData:
    """The data of an event of this type.

    Raises:
        Poison: `unknown_type`, or `bad_data` with the field that breaks the shape.
    """
    decoder = _decoders.get(event_type)
    if decoder is None:
        raise Poison("unknown_type", "no such telephony event type")
    try:
        decoded: EventData = decoder.decode(data or b"{}")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Poison("bad_data", str(error)) from None
    match decoded:
        case CallStarted(user_data=user_data) | DataAttached(user_data=user_data):
            check_user_data(user_data)
        case _:
            pass
    return decoded


def check_user_data(user_data: dict[str, Any]) -> None:
    """Refuse user data that a store or a consumer could not hold.

    Raises:
        Poison: `bad_data`.
    """
    if not user_data:
        return
    try:
        check_json(user_data)
    except ValueError as error:
        raise Poison("bad_data", f"user_data: {error}") from None
    if len(msgspec.json.encode(user_data)) > limits.USER_DATA_BYTES_MAX:
        raise Poison("bad_data", f"user_data is over {limits.USER_DATA_BYTES_MAX} bytes")
