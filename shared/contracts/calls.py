"""The call: as callstate stores it, as others read it, as `calls.changed` tells it."""

from enum import StrEnum
from typing import Any, Literal

from msgspec import Struct, field

from shared.contracts.instants import to_wire_or_none


class Phase(StrEnum):
    """Phase of a call, and of each agent on it. It only moves forward."""

    RINGING = "ringing"
    ACTIVE = "active"
    WRAP_UP = "wrap_up"
    RELEASED = "released"


class WrapUpMode(StrEnum):
    """What the end of wrap-up without a disposition means.

    `OPTIONAL`: it is missed. `TIMEOUT_CODE`: the tenant's timeout code is saved.
    `MANDATORY`: wrap-up does not end by its deadline, only runs over, until disposed.
    """

    OPTIONAL = "optional"
    MANDATORY = "mandatory"
    TIMEOUT_CODE = "timeout_code"


class WrapUpRules(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A tenant's rules of wrap-up. A call keeps the rules it began with.

    `disposition_key` is the tenant's: the timeout code is saved under it.
    """

    seconds: int = 30
    mode: WrapUpMode = WrapUpMode.OPTIONAL
    timeout_code: str | None = None
    disposition_key: str = "DispositionCode"


class AgentOnCall(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One agent's part in a call.

    Attributes:
        handled: the agent spoke, or dialled out: wrap-up and a disposition are owed.
        segment: how many times the agent has joined; 2 after coming back.
        joined_ms, left_ms: as the switch tells it (event time).
        hold_told_ms: event time of the newest word on hold; older words come too late.
        wrap_up_ends_ms: the armed deadline, on the server's clock.
        overdue: mandatory wrap-up has run past its deadline.
    """

    agent_id: str
    phase: Phase
    handled: bool = False
    segment: int = 0
    held: bool = False
    hold_told_ms: int | None = None
    joined_ms: int | None = None
    left_ms: int | None = None
    wrap_up_began_ms: int | None = None
    wrap_up_ends_ms: int | None = None
    overdue: bool = False
    released_ms: int | None = None

    @property
    def on_call(self) -> bool:
        """Whether a disposition of this agent waits for the end of the conversation."""
        return self.phase in (Phase.RINGING, Phase.ACTIVE)


class Call(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A call after its `version`-th change.

    `started_ms` ... `disconnected_ms` are event times; `released_ms` is the server's.
    """

    tenant: str
    id: str
    version: int
    phase: Phase
    created_ms: int
    direction: Literal["inbound", "outbound"] | None = None
    from_: str = ""
    to: str = ""
    did: str = ""
    customer_id: str | None = None
    campaign_id: str | None = None
    project_id: str | None = None
    record_id: str | None = None
    user_data: dict[str, Any] = field(default_factory=dict)
    held: bool = False
    hold_told_ms: int | None = None
    started_ms: int | None = None
    answered_ms: int | None = None
    disconnected_ms: int | None = None
    released_ms: int | None = None
    by: str | None = None
    cause: str = ""
    wrap_up: WrapUpRules = field(default_factory=WrapUpRules)
    agents: tuple[AgentOnCall, ...] = ()

    def agent(self, agent_id: str) -> AgentOnCall | None:
        """This agent's part in the call, if any."""
        for agent in self.agents:
            if agent.agent_id == agent_id:
                return agent
        return None


class CallDocument(Struct, frozen=True):
    """What others read of a stored call; callstate keeps more beside it."""

    call: Call


class Change(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why a call changed: which event, decided by which rule.

    Attributes:
        kind: `event` from a switch, `timer` from our own deadline.
        at: when it was decided.
        time: when the switch says it happened.
    """

    kind: Literal["event", "timer"]
    type: str
    rule: str
    event_id: str
    at: str
    time: str
    agent_id: str | None = None
    user_data_keys: tuple[str, ...] = ()


class AgentChanged(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One agent's part, as told on `calls.changed`."""

    agent_id: str
    phase: Phase
    held: bool = False
    overdue: bool = False
    wrap_up_ends_at: str | None = None


class CallChanged(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Data of `calls.changed`: no name, no number, no user data; those are read, not told.

    `held` is of the whole call; an agent's side of it may be on hold besides.
    """

    tenant: str
    call_id: str
    version: int
    phase: Phase
    change: Change
    direction: str | None = None
    customer_id: str | None = None
    campaign_id: str | None = None
    project_id: str | None = None
    record_id: str | None = None
    held: bool = False
    started_at: str | None = None
    answered_at: str | None = None
    disconnected_at: str | None = None
    released_at: str | None = None
    by: str | None = None
    agents: tuple[AgentChanged, ...] = ()


def tell(call: Call, change: Change) -> CallChanged:
    """What `calls.changed` says of the call after this change."""
    return CallChanged(
        tenant=call.tenant,
        call_id=call.id,
        version=call.version,
        phase=call.phase,
        change=change,
        direction=call.direction,
        customer_id=call.customer_id,
        campaign_id=call.campaign_id,
        project_id=call.project_id,
        record_id=call.record_id,
        held=call.held,
        started_at=to_wire_or_none(call.started_ms),
        answered_at=to_wire_or_none(call.answered_ms),
        disconnected_at=to_wire_or_none(call.disconnected_ms),
        released_at=to_wire_or_none(call.released_ms),
        by=call.by,
        agents=tuple([_tell_agent(agent) for agent in call.agents]),
    )


def _tell_agent(agent: AgentOnCall) -> AgentChanged:
    return AgentChanged(
        agent_id=agent.agent_id,
        phase=agent.phase,
        held=agent.held,
        overdue=agent.overdue,
        wrap_up_ends_at=to_wire_or_none(agent.wrap_up_ends_ms),
    )


class EventOutcome(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one telephony event: callstate's answer to whoever told it.

    Attributes:
        outcome: `duplicate` changed nothing; `ignored` is on record only (a stale timer not even).
        rule: the row of the transition table, or why it was ignored.
        version, phase: of the call after it; 0 and None where there is no call.
    """

    event_id: str
    call_id: str
    outcome: Literal["applied", "duplicate", "ignored"]
    rule: str
    version: int = 0
    phase: Phase | None = None
