"""How a call has moved for one of its agents, in the vendor's words. Pure.

What is told of a call says each agent's phase, but of a hold of the whole call only that it has
begun or ended; so a state follows from the change and from the state before it.
"""

from collections.abc import Sequence
from typing import Final

from shared.contracts.calls import AgentChanged, Change, Phase

RINGING: Final = "Ringing"
ESTABLISHED: Final = "Established"
HELD: Final = "Held"
RELEASED: Final = "Released"
COMPLETED: Final = "Completed"

ON_CALL: Final = (RINGING, ESTABLISHED, HELD)
"""Before the release: afterwards nothing but the way to `Completed` is told."""

STATE: Final = {
    Phase.RINGING: RINGING,
    Phase.ACTIVE: ESTABLISHED,
    Phase.WRAP_UP: RELEASED,
    Phase.RELEASED: COMPLETED,
}


def state_after(change: Change, part: AgentChanged, before: str | None) -> str:
    """The agent's state after this change. `before`: None where it is not known."""
    if part.phase is not Phase.ACTIVE:
        return STATE[part.phase]
    if part.held:
        return HELD
    of_all = change.agent_id is None
    if change.rule == "held" and of_all:
        return HELD
    carried = before == HELD and change.rule != "retrieved"
    return HELD if carried else ESTABLISHED


def states_to_tell(before: str | None, after: str) -> Sequence[str]:
    """The states that a client should be told of, in order.

    A call is first heard of while it goes on, and never ends without `Released`: where there is
    no wrap-up, or it only rang, both come at once.
    """
    if after == before:
        return ()
    if after in ON_CALL:
        return (after,)
    if before in ON_CALL:
        return (RELEASED,) if after == RELEASED else (RELEASED, COMPLETED)
    return (COMPLETED,) if (before, after) == (RELEASED, COMPLETED) else ()
