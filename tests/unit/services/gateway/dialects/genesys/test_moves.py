"""How a call's changes read as states, and which of them are told."""

import pytest

from services.gateway.dialects.genesys.moves import state_after, states_to_tell
from shared.contracts.calls import AgentChanged, Change, Phase


def change(rule: str, agent_id: str | None = None) -> Change:
    return Change(kind="event", type="", rule=rule, event_id="", at="", time="", agent_id=agent_id)


def part(phase: Phase, *, held: bool = False) -> AgentChanged:
    return AgentChanged(agent_id="agent-1", phase=phase, held=held)


@pytest.mark.parametrize(
    ("before", "rule", "of", "now", "after"),
    [
        (None, "started", None, part(Phase.RINGING), "Ringing"),
        ("Ringing", "joined", "agent-1", part(Phase.ACTIVE), "Established"),
        (None, "data_attached", None, part(Phase.ACTIVE), "Established"),
        ("Established", "held", "agent-1", part(Phase.ACTIVE, held=True), "Held"),
        ("Held", "data_attached", None, part(Phase.ACTIVE, held=True), "Held"),
        ("Held", "retrieved", "agent-1", part(Phase.ACTIVE), "Established"),
        ("Established", "held", None, part(Phase.ACTIVE), "Held"),
        ("Held", "data_attached", None, part(Phase.ACTIVE), "Held"),
        ("Held", "joined", "agent-2", part(Phase.ACTIVE), "Held"),
        ("Held", "retrieved", None, part(Phase.ACTIVE), "Established"),
        ("Established", "held", "agent-2", part(Phase.ACTIVE), "Established"),
        ("Ringing", "held", None, part(Phase.RINGING), "Ringing"),
        ("Held", "disconnected", None, part(Phase.WRAP_UP), "Released"),
        ("Released", "wrap_up_over", "agent-1", part(Phase.RELEASED), "Completed"),
        ("Completed", "came_back", "agent-1", part(Phase.ACTIVE), "Established"),
    ],
)
def test_the_state_after_a_change(
    before: str | None, rule: str, of: str | None, now: AgentChanged, after: str
) -> None:
    assert state_after(change(rule, of), now, before) == after


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (None, "Ringing", ["Ringing"]),
        (None, "Established", ["Established"]),
        (None, "Held", ["Held"]),
        (None, "Released", []),
        (None, "Completed", []),
        ("Ringing", "Ringing", []),
        ("Ringing", "Established", ["Established"]),
        ("Ringing", "Completed", ["Released", "Completed"]),
        ("Established", "Held", ["Held"]),
        ("Held", "Established", ["Established"]),
        ("Held", "Released", ["Released"]),
        ("Established", "Completed", ["Released", "Completed"]),
        ("Released", "Completed", ["Completed"]),
        ("Released", "Established", ["Established"]),
        ("Completed", "Established", ["Established"]),
        ("Completed", "Released", []),
        ("Completed", "Completed", []),
    ],
)
def test_which_states_are_told(before: str | None, after: str, told: list[str]) -> None:
    assert list(states_to_tell(before, after)) == told
