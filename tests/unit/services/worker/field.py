"""Calls, agents and requests as the worker's tests tell of them."""

from collections.abc import Iterable
from typing import Any

from services.worker.dispositions import decide
from services.worker.model import CallMoved, DispositionsState, Requested
from shared.contracts.calls import AgentOnCall, Call, Phase, WrapUpMode, WrapUpRules
from shared.contracts.dispositions import (
    AgentDispositions,
    Disposition,
    DispositionRequest,
    Policy,
    Verdict,
)
from shared.kernel import Decision, Publish

NOW_MS = 1_795_270_000_000
NOW_AT = "2026-11-21T14:06:40.000Z"
TIMEOUT = WrapUpRules(mode=WrapUpMode.TIMEOUT_CODE, timeout_code="NoCode", disposition_key="Key")


def part(agent_id: str, phase: str, **more: Any) -> AgentOnCall:
    """An agent who has spoken, unless told otherwise."""
    return AgentOnCall(
        agent_id=agent_id, phase=Phase(phase), **{"handled": True, "segment": 1} | more
    )


def a_call(*parts: AgentOnCall, version: int = 1, **more: Any) -> Call:
    """A call with these agents on it."""
    phases = {part.phase for part in parts}
    phase = next((phase for phase in (Phase.ACTIVE, *Phase) if phase in phases), Phase.RINGING)
    return Call(
        tenant="demo",
        id="call-1",
        version=version,
        phase=phase,
        created_ms=NOW_MS,
        agents=parts,
        **{"from_": "+4930123456"} | more,
    )


def a_request(code: str = "Sale", agent_id: str = "ann", **more: Any) -> DispositionRequest:
    """A request; its number is its id, its key, and what makes it differ from others."""
    number = more.pop("number", 1)
    fields: dict[str, Any] = {
        "request_id": f"req-{number}",
        "idempotency_key": f"key-{number}",
        "body_hash": f"hash-{number}",
        "call_id": "call-1",
        "agent_id": agent_id,
        "code": code,
        "key": "DispositionCode",
        "dialect": "native",
        "policy": Policy(),
    } | more
    return DispositionRequest(**fields)


def asked(request: DispositionRequest, now_ms: int = NOW_MS) -> Requested:
    return Requested(tenant="demo", call_id=request.call_id, request=request, now_ms=now_ms)


def moved(version: int = 1, now_ms: int = NOW_MS) -> CallMoved:
    return CallMoved(tenant="demo", call_id="call-1", version=version, now_ms=now_ms)


def ask(
    state: DispositionsState | None,
    call: Call | None,
    request: DispositionRequest,
    now_ms: int = NOW_MS,
) -> tuple[Decision[DispositionsState | None], Verdict]:
    """Decide a request; its verdict beside the decision."""
    decision = decide(state, asked(request, now_ms), call)
    assert isinstance(decision.answer, Verdict)
    return decision, decision.answer


def see(
    state: DispositionsState | None, call: Call | None, now_ms: int = NOW_MS
) -> Decision[DispositionsState | None]:
    """Decide that the call has moved."""
    return decide(state, moved(1 if call is None else call.version, now_ms), call)


def told(effects: Iterable[Publish]) -> list[str]:
    """The types of what is published, in order."""
    return [effect.type for effect in effects]


def data(effect: Publish) -> Any:
    """What is published, for tests that look into it."""
    return effect.data


def of(state: DispositionsState | None, agent_id: str = "ann") -> AgentDispositions:
    """What is kept of one agent."""
    assert state is not None
    return {agent.agent_id: agent for agent in state.agents}[agent_id]


def final(state: DispositionsState | None, agent_id: str = "ann") -> Disposition:
    """An agent's final disposition."""
    disposition = of(state, agent_id).disposition
    assert disposition is not None
    return disposition
