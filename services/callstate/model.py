"""What callstate stores of a call, what its rules are given, and the small facts both rest on.

Everything here is a value or a function of values; the rules themselves are the table in
`services.callstate.decider`.
"""

from collections.abc import Iterator
from hashlib import blake2b
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct, field
from msgspec.structs import replace

from shared.contracts import limits
from shared.contracts.calls import AgentOnCall, Call, Phase, WrapUpRules
from shared.contracts.subjects import subjects_of
from shared.contracts.telephony import EventData, TimerDue

COLLECTION: Final = "calls"
RECALLED: Final = "recalled"  # the rule told for an event applied before a crash
WRAP_UP_MS_MAX: Final = limits.WRAP_UP_S_MAX * 1000


class CallState(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The stored form.

    Attributes:
        last_ms: receipt of the newest event that was no timer; the silence limit runs from it.
        silence_s: the limit, fixed when the call was created, as its wrap-up rules are.
        seen: fingerprints of the newest events, oldest first; one of these again is a duplicate.
    """

    call: Call
    last_ms: int
    silence_s: int = limits.SILENCE_S
    seen: tuple[str, ...] = ()


class CallInput(Struct, frozen=True, kw_only=True):
    """One telephony event, understood.

    Attributes:
        time_ms: when it happened, by the switch's clock; orders what came out of order.
        now_ms: when the log took it, by ours; every deadline counts from it.
        wrap_up, silence_s: the tenant's rules; only a call not known yet takes them.
    """

    tenant: str
    call_id: str
    event_id: str
    source: str
    type: str
    data: EventData
    time_ms: int
    now_ms: int
    wrap_up: WrapUpRules = field(default_factory=WrapUpRules)
    silence_s: int = limits.SILENCE_S


class Deadline(Struct, frozen=True):
    """An armed deadline, on the server's clock."""

    timer: Literal["wrap_up", "silence"]
    due_ms: int
    agent_id: str | None = None


def fingerprint(given: CallInput) -> str:
    """What two tellings of one event have in common: 16 hex characters of source and id."""
    identity = f"{given.source}\0{given.event_id}".encode()
    return blake2b(identity, digest_size=8).hexdigest()


def remember(seen: tuple[str, ...], mark: str) -> tuple[str, ...]:
    """The fingerprints with one more, the oldest forgotten beyond the limit."""
    return (*seen, mark)[-limits.EVENT_IDS_PER_CALL_MAX :]


def new_call(given: CallInput) -> Call:
    """A call nobody has spoken of yet, before its first change."""
    return Call(
        tenant=given.tenant,
        id=given.call_id,
        version=0,
        phase=Phase.RINGING,
        created_ms=given.now_ms,
        wrap_up=given.wrap_up,
    )


def phase_of(call: Call) -> Phase:
    """The call's phase, which follows from what is known of it and of its agents."""
    if call.disconnected_ms is not None:
        for agent in call.agents:
            if agent.phase is Phase.WRAP_UP:
                return Phase.WRAP_UP
        return Phase.RELEASED
    if call.answered_ms is not None:
        return Phase.ACTIVE
    for agent in call.agents:
        if agent.segment:  # spoke
            return Phase.ACTIVE
    return Phase.RINGING


def put(call: Call, agent: AgentOnCall) -> Call:
    """The call with this agent's part new, or in place of what was known of it."""
    known = [a.agent_id for a in call.agents]
    if agent.agent_id not in known:
        return replace(call, agents=(*call.agents, agent))
    place = known.index(agent.agent_id)
    return replace(call, agents=(*call.agents[:place], agent, *call.agents[place + 1 :]))


def earliest(known_ms: int | None, told_ms: int) -> int:
    """The earlier of two tellings of one moment, whichever came first."""
    return told_ms if known_ms is None else min(known_ms, told_ms)


def as_text(number_or_id: str | int | None) -> str | None:
    """An id; one that came as a number is its decimal."""
    return None if number_or_id is None else str(number_or_id)


def fits(user_data: dict[str, Any]) -> bool:
    """Whether a call may hold this much user data."""
    return len(msgspec.json.encode(user_data)) <= limits.USER_DATA_BYTES_MAX


def wrap_up_limit_ms(agent: AgentOnCall) -> int:
    """When this agent's wrap-up ends whatever happens. Only of an agent who has begun it."""
    return (agent.wrap_up_began_ms or 0) + WRAP_UP_MS_MAX


def deadlines(state: CallState) -> Iterator[Deadline]:
    """Every armed deadline: of each agent in wrap-up, and of silence while the call goes on."""
    if state.call.disconnected_ms is None:
        yield Deadline("silence", state.last_ms + state.silence_s * 1000)
    for agent in state.call.agents:
        if agent.wrap_up_ends_ms is not None:
            yield Deadline("wrap_up", agent.wrap_up_ends_ms, agent.agent_id)


def due(state: CallState, now_ms: int) -> list[Deadline]:
    """The deadlines that have passed, earliest first."""
    passed = [deadline for deadline in deadlines(state) if deadline.due_ms <= now_ms]
    return sorted(passed, key=lambda deadline: deadline.due_ms)


def is_armed(state: CallState, timer: TimerDue) -> bool:
    """Whether this very deadline is still waited for: not moved, not met by anything else."""
    return Deadline(timer.timer, timer.deadline_ms, timer.agent_id) in deadlines(state)


def tags(call: Call) -> tuple[str, ...]:
    """What a call can be found by: its agents, and the subjects that its disposition concerns."""
    found = [f"agent:{agent.agent_id}" for agent in call.agents]
    about = subjects_of(
        customer_id=call.customer_id,
        campaign_id=call.campaign_id,
        project_id=call.project_id,
        record_id=call.record_id,
    )
    return (*found, *(subject.name for subject in about))
