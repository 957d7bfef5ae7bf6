"""How a call has moved for one of its agents, in the vendor's words. Pure."""

from collections.abc import Sequence
from typing import Final

from shared.contracts.calls import AgentChanged, Phase

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


def state_of(part: AgentChanged, *, held: bool) -> str:
    """The agent's state. `held`: the whole call is on hold, whoever joins it now, too."""
    if part.phase is Phase.ACTIVE and (held or part.held):
        return HELD
    return STATE[part.phase]


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
