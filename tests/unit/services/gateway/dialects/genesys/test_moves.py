"""How a call's changes read as states, and which of them are told."""

import pytest

from services.gateway.dialects.genesys.moves import state_of, states_to_tell
from shared.contracts.calls import AgentChanged, Phase


def part(phase: Phase, *, held: bool = False) -> AgentChanged:
    return AgentChanged(agent_id="agent-1", phase=phase, held=held)


@pytest.mark.parametrize(
    ("held", "now", "state"),
    [
        (False, part(Phase.RINGING), "Ringing"),
        (True, part(Phase.RINGING), "Ringing"),
        (False, part(Phase.ACTIVE), "Established"),
        (False, part(Phase.ACTIVE, held=True), "Held"),
        (True, part(Phase.ACTIVE), "Held"),
        (True, part(Phase.ACTIVE, held=True), "Held"),
        (False, part(Phase.WRAP_UP), "Released"),
        (True, part(Phase.WRAP_UP), "Released"),
        (False, part(Phase.RELEASED), "Completed"),
    ],
)
def test_the_state_of_an_agent(held: bool, now: AgentChanged, state: str) -> None:
    assert state_of(now, held=held) == state


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
