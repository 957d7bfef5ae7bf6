"""A small call floor: how a call may move, as callstate moves it, and nothing else."""

from collections.abc import Iterator

from msgspec.structs import replace

from shared.contracts.calls import AgentOnCall, Call, Phase, WrapUpMode, WrapUpRules
from tests.unit.services.worker.field import TIMEOUT

AGENTS = ("ann", "bob", "cem")
RULES = (WrapUpRules(), TIMEOUT, WrapUpRules(mode=WrapUpMode.MANDATORY))


def first(rules: WrapUpRules) -> Call:
    """A call that rings at Ann."""
    ringing = AgentOnCall(agent_id="ann", phase=Phase.RINGING)
    return Call(
        tenant="demo",
        id="call-1",
        version=1,
        phase=Phase.RINGING,
        created_ms=1,
        wrap_up=rules,
        agents=(ringing,),
    )


def moves(call: Call, *, may_return: bool = True) -> Iterator[Call]:
    """Every next version of the call."""
    yield replace(call, version=call.version + 1)
    over = call.disconnected_ms is not None
    for agent_id in AGENTS:
        part = call.agent(agent_id)
        if part is None:
            if not over:
                yield _put(call, _joined(AgentOnCall(agent_id=agent_id, phase=Phase.ACTIVE)))
        elif part.phase is Phase.ACTIVE:
            yield _put(call, replace(part, phase=Phase.WRAP_UP))
            yield _put(call, replace(part, phase=Phase.RELEASED))
        elif part.phase is Phase.WRAP_UP:
            yield _put(call, replace(part, phase=Phase.RELEASED, overdue=False))
            if call.wrap_up.mode is WrapUpMode.MANDATORY:
                yield _put(call, replace(part, overdue=not part.overdue))
        if part is not None and not over and (part.phase is Phase.RINGING or may_return):
            yield _put(call, _joined(part))
    if not over:
        yield _disconnected(call)


def _joined(part: AgentOnCall) -> AgentOnCall:
    if part.phase is Phase.ACTIVE and part.segment:
        return part
    return replace(part, phase=Phase.ACTIVE, handled=True, segment=part.segment + 1, overdue=False)


def _disconnected(call: Call) -> Call:
    ends = {Phase.RINGING: Phase.RELEASED, Phase.ACTIVE: Phase.WRAP_UP}
    agents = tuple(replace(part, phase=ends.get(part.phase, part.phase)) for part in call.agents)
    return replace(call, version=call.version + 1, disconnected_ms=1, agents=agents)


def _put(call: Call, part: AgentOnCall) -> Call:
    others = tuple(other for other in call.agents if other.agent_id != part.agent_id)
    return replace(call, version=call.version + 1, agents=(*others, part))
