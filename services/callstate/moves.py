"""What can follow from an event, one small function each, and the conditions that choose.

Each takes a case and the event's data. A move gives the new call; the first line of its docstring
is its cell in the generated table, as a condition's is.
"""

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from services.callstate.model import WRAP_UP_MS_MAX, put, wrap_up_limit_ms
from services.callstate.model import fits as user_data_fits
from services.callstate.standing import Case, answered_by_ring
from shared.contracts.calls import AgentOnCall, Call, Phase, WrapUpMode
from shared.contracts.telephony import (
    AgentLeft,
    CallDisconnected,
    CallReleased,
    CallStarted,
    DataAttached,
    TimerDue,
    WrapUpExtended,
)

Condition = Callable[[Case, Any], bool]
Move = Callable[[Case, Any], Call]


def answered_before(case: Case, _: CallStarted) -> bool:
    """It rang there when somebody unnamed answered."""
    return answered_by_ring(case)


def dialled(case: Case, data: CallStarted) -> bool:
    """Outbound, or it rang there when somebody unnamed answered."""
    return data.direction == "outbound" or answered_by_ring(case)


def came_back(case: Case, _: Any) -> bool:
    """Not before the agent left."""
    return case.given.time_ms >= (case.agent.left_ms or 0)


def of_earlier_segment(case: Case, _: AgentLeft) -> bool:
    """Before the agent joined."""
    return case.given.time_ms < (case.agent.joined_ms or 0)


def of_segment_before(case: Case, data: CallReleased) -> bool:
    """Of an earlier segment."""
    # From segment 0, dialled and not told to have joined, the first joining leads to 1.
    return data.segment is not None and case.agent.segment > max(data.segment, 1)


def hung_up(_: Case, data: AgentLeft) -> bool:
    """Reason hangup."""
    return data.reason == "hangup"


def transferred(_: Case, data: AgentLeft) -> bool:
    """Reason transfer."""
    return data.reason == "transfer"


def call_hold_is_old(case: Case, _: Any) -> bool:
    """Before the newest word on hold."""
    return case.given.time_ms < (case.call.hold_told_ms or 0)


def agent_hold_is_old(case: Case, _: Any) -> bool:
    """Before the newest word on hold."""
    return case.given.time_ms < (case.agent.hold_told_ms or 0)


def too_much(case: Case, data: DataAttached) -> bool:
    """It does not fit."""
    return not user_data_fits(case.call.user_data | data.user_data)


def overdue(case: Case, _: Any) -> bool:
    """Overdue."""
    return case.agent.overdue


def mandatory(case: Case, _: TimerDue) -> bool:
    """Mandatory."""
    return case.call.wrap_up.mode is WrapUpMode.MANDATORY


def at_limit(case: Case, data: TimerDue) -> bool:
    """24 h after wrap-up began."""
    return data.deadline_ms >= wrap_up_limit_ms(case.agent)


def record(case: Case, _: Any) -> Call:
    """On record only."""
    return case.call


def fill_in(case: Case, _: Any) -> Call:
    """What is missing is filled in."""
    return case.call


def ring(case: Case, data: CallStarted) -> Call:
    """It rings at the agent."""
    return put(case.call, replace(case.agent, handled=data.direction == "outbound"))


def ring_out(case: Case, _: CallStarted) -> Call:
    """The agent is released, having handled nothing."""
    rang = replace(case.agent, left_ms=case.call.disconnected_ms)
    return put(case.call, _released(rang, case))


def ring_late(case: Case, _: CallStarted) -> Call:
    """The agent's wrap-up starts now."""
    agent = _joined(case, case.call.answered_ms) if answered_by_ring(case) else case.agent
    return put(case.call, _gone(agent, case, case.call.disconnected_ms))


def take_answer(case: Case, _: CallStarted) -> Call:
    """The agent is active, since the answer."""
    return put(case.call, _joined(case, case.call.answered_ms))


def join(case: Case, _: Any) -> Call:
    """The agent is active."""
    return put(case.call, _joined(case, case.given.time_ms))


def join_late(case: Case, _: Any) -> Call:
    """The agent's wrap-up starts now."""
    agent = _joined(case, case.given.time_ms)
    return put(case.call, _gone(agent, case, case.call.disconnected_ms))


def note_join(case: Case, _: Any) -> Call:
    """The agent spoke; the newest time of joining is kept."""
    joined_ms = max(case.agent.joined_ms or 0, case.given.time_ms)
    segment = max(case.agent.segment, 1)
    return put(case.call, replace(case.agent, handled=True, segment=segment, joined_ms=joined_ms))


def leave(case: Case, _: AgentLeft) -> Call:
    """The agent's wrap-up starts now."""
    agent = replace(case.agent, segment=max(case.agent.segment, 1))
    return put(case.call, _gone(agent, case, case.given.time_ms))


def note_leave(case: Case, _: AgentLeft) -> Call:
    """The newest time of leaving is kept."""
    assumed = case.agent.left_ms == case.call.disconnected_ms  # nobody had told it
    left_ms = 0 if assumed else case.agent.left_ms or 0
    return put(case.call, replace(case.agent, left_ms=max(left_ms, case.given.time_ms)))


def hold_call(case: Case, _: Any) -> Call:
    """The call's flag is set."""
    held = case.given.type == "call.held"
    return replace(case.call, held=held, hold_told_ms=case.given.time_ms)


def hold_agent(case: Case, _: Any) -> Call:
    """The agent's flag is set."""
    held = case.given.type == "call.held"
    return put(case.call, replace(case.agent, held=held, hold_told_ms=case.given.time_ms))


def attach(case: Case, data: DataAttached) -> Call:
    """The keys are set; the others stay."""
    return replace(case.call, user_data=case.call.user_data | data.user_data)


def disconnect(case: Case, data: CallDisconnected) -> Call:
    """Wrap-up starts for who spoke or dialled; at whom it only rang is released."""
    return _over(case, data.by, data.cause)


def fall_silent(case: Case, _: TimerDue) -> Call:
    """As a disconnect by the system, cause silence."""
    return _over(case, "system", "silence")


def extend(case: Case, data: WrapUpExtended) -> Call:
    """The deadline moves, at most to 24 h after wrap-up began."""
    agent = case.agent
    from_ms = case.given.now_ms if agent.overdue else agent.wrap_up_ends_ms or 0
    ends_ms = min(from_ms + data.seconds * 1000, wrap_up_limit_ms(agent))
    return put(case.call, replace(agent, wrap_up_ends_ms=ends_ms, overdue=False))


def run_over(case: Case, _: TimerDue) -> Call:
    """The agent is overdue; 24 h after wrap-up began the agent is released whatever comes."""
    ends_ms = wrap_up_limit_ms(case.agent)
    return put(case.call, replace(case.agent, wrap_up_ends_ms=ends_ms, overdue=True))


def release(case: Case, _: Any) -> Call:
    """The agent is released."""
    return put(case.call, _released(_cut_off(case.agent, case), case))


def release_all(case: Case, _: Any) -> Call:
    """Every agent is released."""
    return _all_released(case.call, case)


def end(case: Case, _: Any) -> Call:
    """As a disconnect by the system, and every agent is released."""
    return _all_released(_over(case, "system", ""), case)


def _all_released(call: Call, case: Case) -> Call:
    return replace(call, agents=tuple(_released(agent, case) for agent in call.agents))


def _over(case: Case, by: str, cause: str) -> Call:
    return replace(
        case.call,
        held=False,
        disconnected_ms=case.given.time_ms,
        by=by,
        cause=cause,
        agents=tuple(_cut_off(agent, case) for agent in case.call.agents),
    )


def _cut_off(agent: AgentOnCall, case: Case) -> AgentOnCall:
    """The agent, whose part in the conversation is over now if it was not before."""
    if not agent.on_call:
        return agent
    if agent.handled:
        return _gone(agent, case, case.given.time_ms)
    return _released(replace(agent, left_ms=case.given.time_ms), case)


def _joined(case: Case, joined_ms: int | None) -> AgentOnCall:
    return replace(
        case.agent,
        phase=Phase.ACTIVE,
        handled=True,
        held=False,
        segment=case.agent.segment + 1,
        joined_ms=joined_ms,
        left_ms=None,
        wrap_up_began_ms=None,
        wrap_up_ends_ms=None,
        overdue=False,
        released_ms=None,
    )


def _gone(agent: AgentOnCall, case: Case, left_ms: int | None) -> AgentOnCall:
    """The agent in wrap-up from now on, or past it where the tenant has none."""
    agent = replace(agent, handled=True, held=False, left_ms=left_ms)
    wrap_up_ms = min(case.call.wrap_up.seconds * 1000, WRAP_UP_MS_MAX)
    if wrap_up_ms <= 0:
        return _released(agent, case)
    return replace(
        agent,
        phase=Phase.WRAP_UP,
        wrap_up_began_ms=case.given.now_ms,
        wrap_up_ends_ms=case.given.now_ms + wrap_up_ms,
        released_ms=None,
    )


def _released(agent: AgentOnCall, case: Case) -> AgentOnCall:
    if agent.phase is Phase.RELEASED:
        return agent
    return replace(
        agent,
        phase=Phase.RELEASED,
        held=False,
        overdue=False,
        wrap_up_ends_ms=None,
        released_ms=case.given.now_ms,
    )
