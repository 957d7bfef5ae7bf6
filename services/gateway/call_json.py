"""A call as the native API shows it."""

from typing import Any, Final

from services.gateway.desk import CallView
from shared.contracts.calls import AgentOnCall
from shared.contracts.dispositions import AgentDispositions, Disposition, Previous, Queued, Verdict
from shared.contracts.instants import to_wire, to_wire_or_none

_SHOWN: Final = ("customer_id", "campaign_id", "project_id", "record_id")


def call_json(view: CallView, only: str | None = None) -> dict[str, Any]:
    """The call with its agents and what they have said; absent is what is not known.

    Of what was said of it one agent is shown their own alone, if `only` names one.
    """
    call = view.call
    shown: dict[str, Any] = {
        "id": call.id,
        "phase": call.phase,
        "version": call.version,
        "direction": call.direction,
        "from": call.from_ or None,
        "to": call.to or None,
        "did": call.did,
        **{name: getattr(call, name) for name in _SHOWN},
        "user_data": call.user_data,
        "held": call.held or None,
        "started_at": to_wire_or_none(call.started_ms),
        "answered_at": to_wire_or_none(call.answered_ms),
        "disconnected_at": to_wire_or_none(call.disconnected_ms),
        "released_at": to_wire_or_none(call.released_ms),
        "by": call.by,
        "cause": call.cause or None,
        "agents": [_agent(agent, _said(view, agent.agent_id, only)) for agent in call.agents],
    }
    return _known(shown, keep=("direction", "started_at"))


def verdict_json(verdict: Verdict) -> dict[str, Any]:
    """The verdict as it is answered."""
    return _known(
        {
            "request_id": verdict.request_id,
            "outcome": verdict.outcome,
            "call_id": verdict.call_id,
            "agent_id": verdict.agent_id,
            "code": verdict.code,
            "decided_at": verdict.decided_at,
            "previous": None if verdict.previous is None else _previous(verdict.previous),
        }
    )


def _said(view: CallView, agent_id: str, only: str | None) -> AgentDispositions | None:
    return view.dispositions.agent(agent_id) if only in (None, agent_id) else None


def _agent(agent: AgentOnCall, said: AgentDispositions | None) -> dict[str, Any]:
    said = said or AgentDispositions(agent_id=agent.agent_id)
    return _known(
        {
            "agent_id": agent.agent_id,
            "phase": agent.phase,
            "held": agent.held or None,
            "overdue": agent.overdue or None,
            "joined_at": to_wire_or_none(agent.joined_ms),
            "left_at": to_wire_or_none(agent.left_ms),
            "wrap_up_ends_at": to_wire_or_none(agent.wrap_up_ends_ms),
            "released_at": to_wire_or_none(agent.released_ms),
            "queued": None if said.queued is None else _queued(said.queued),
            "disposition": _disposition(said.disposition, said.earlier),
            "missed": said.missed or None,
        }
    )


def _queued(queued: Queued) -> dict[str, Any]:
    return _known(
        {
            "code": queued.code,
            "key": queued.key,
            "request_id": queued.request_id,
            "queued_at": to_wire(queued.queued_ms),
            "comment": queued.comment,
            "callback_at": to_wire_or_none(queued.callback_ms),
            "pause_after": queued.pause_after or None,
            "pause_reason": queued.pause_reason,
            "release_after": queued.release_after or None,
        }
    )


def _disposition(
    disposition: Disposition | None, earlier: tuple[Disposition, ...]
) -> dict[str, Any] | None:
    if disposition is None:
        return None
    return _known(
        {
            "code": disposition.code,
            "key": disposition.key,
            "origin": disposition.origin,
            "decided_at": to_wire(disposition.decided_ms),
            "request_id": disposition.request_id,
            "comment": disposition.comment,
            "callback_at": to_wire_or_none(disposition.callback_ms),
            "previous": _previous(earlier[-1].as_previous()) if earlier else None,
        }
    )


def _previous(previous: Previous) -> dict[str, Any]:
    return {
        "code": previous.code,
        "origin": previous.origin,
        "decided_at": previous.decided_at,
    }


def _known(values: dict[str, Any], keep: tuple[str, ...] = ()) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None or name in keep}
