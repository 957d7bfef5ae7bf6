"""How matters stand when an event comes: the stage of its call, and who its agent is to the call.

What an event tells of the call itself (its numbers and ids, the moment it was answered) is filled
in here, once, for it holds whatever becomes of the agent.
"""

from enum import StrEnum
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from services.callstate.model import CallInput, as_text, earliest, fits
from shared.contracts import limits
from shared.contracts.calls import AgentOnCall, Call, Phase
from shared.contracts.telephony import CallAnswered, CallDisconnected, CallStarted, DataAttached


class Stage(StrEnum):
    """How far a call is, as far as the rules care: ringing or active is one to them."""

    UNKNOWN = "unknown"
    ONGOING = "ongoing"
    WRAP_UP = "wrap_up"
    RELEASED = "released"


class Standing(StrEnum):
    """What the agent whom an event names is to the call."""

    NOBODY = "-"  # it names none
    NEW = "new"
    NO_ROOM = "one too many"
    RINGING = "ringing"
    ACTIVE = "active"
    WRAP_UP = "wrap_up"
    RELEASED = "released"
    UNANSWERED = "unanswered"  # released, and not known to have spoken


class Case(Struct, frozen=True):
    """An event, and how matters stand.

    Attributes:
        call: with what the event tells of the call itself filled in.
        agent: whom the event names; blank if new, and where it names nobody.
    """

    call: Call
    stage: Stage
    standing: Standing
    agent: AgentOnCall
    given: CallInput


_BLANK: Final = AgentOnCall(agent_id="", phase=Phase.RINGING)
_STAGES: Final = {Phase.WRAP_UP: Stage.WRAP_UP, Phase.RELEASED: Stage.RELEASED}
_STANDINGS: Final = {phase: Standing(phase.value) for phase in Phase}


def stand(call: Call, given: CallInput) -> Case:
    """The case that this event makes. A call at version 0 is not known yet."""
    agent_id = _whom(call, given)
    agent = None if agent_id is None else call.agent(agent_id)
    return Case(
        call=_told(call, given),
        stage=_stage(call),
        standing=_standing(call, agent_id, agent),
        agent=agent or replace(_BLANK, agent_id=agent_id or ""),
        given=given,
    )


def answered_by_ring(case: Case) -> bool:
    """Whether it rang here when somebody unnamed answered, and nobody else has spoken since."""
    answered_ms = case.call.answered_ms
    return (
        answered_ms is not None
        and case.given.time_ms <= answered_ms
        and not any(agent.segment for agent in case.call.agents)
    )


def _stage(call: Call) -> Stage:
    if call.version == 0:
        return Stage.UNKNOWN
    return Stage.ONGOING if call.disconnected_ms is None else _STAGES[call.phase]


def _standing(call: Call, agent_id: str | None, agent: AgentOnCall | None) -> Standing:
    if agent_id is None:
        return Standing.NOBODY
    if agent is None:
        full = len(call.agents) >= limits.AGENTS_PER_CALL_MAX
        return Standing.NO_ROOM if full else Standing.NEW
    if agent.phase is Phase.RELEASED and not agent.handled:
        return Standing.UNANSWERED
    return _STANDINGS[agent.phase]


def _whom(call: Call, given: CallInput) -> str | None:
    """The agent an event is about; of an answer by somebody unnamed: at whom it rang."""
    match given.data:
        case DataAttached() | CallDisconnected():
            return None
        case CallAnswered(agent_id=None):
            rang = [a.agent_id for a in call.agents if _rang_at(a, given.time_ms)]
            return rang[0] if len(rang) == 1 else None
        case data:
            return data.agent_id


def _rang_at(agent: AgentOnCall, time_ms: int) -> bool:
    return agent.segment == 0 and (agent.left_ms is None or time_ms <= agent.left_ms)


def _told(call: Call, given: CallInput) -> Call:
    match given.data:
        case CallStarted() as data:
            return _started(call, data, given.time_ms)
        case CallAnswered():
            return replace(call, answered_ms=earliest(call.answered_ms, given.time_ms))
        case _:
            return call


def _started(call: Call, data: CallStarted, time_ms: int) -> Call:
    """What is missing is filled in; what is known stays, user data that is too much stays out."""
    user_data = data.user_data | call.user_data
    return replace(
        call,
        direction=call.direction or data.direction,
        from_=call.from_ or data.from_,
        to=call.to or data.to,
        did=call.did or data.did,
        customer_id=call.customer_id or as_text(data.customer_id),
        campaign_id=call.campaign_id or as_text(data.campaign_id),
        project_id=call.project_id or as_text(data.project_id),
        record_id=call.record_id or as_text(data.record_id),
        user_data=user_data if data.user_data and fits(user_data) else call.user_data,
        started_ms=earliest(call.started_ms, time_ms),
    )
