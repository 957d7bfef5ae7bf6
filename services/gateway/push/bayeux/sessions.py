"""All client ids of this gateway, and how many there may be, in all and of one credential."""

from collections import Counter
from collections.abc import Iterator
from typing import Final

from services.gateway.push.bayeux.session import UNKNOWN, Owner, Session
from shared.contracts.limits import BAYEUX_SESSIONS_MAX, BAYEUX_SESSIONS_PER_CREDENTIAL_MAX

# A client without a connect for so long is gone; one that is there comes again within a round trip.
UNATTENDED_S_MAX: Final = 15.0


class Full(Exception):
    """There is no place left, in all or of this credential."""


class Places:
    """So many places, and so many of one credential."""

    def __init__(self, most: int, most_of_one: int) -> None:
        self._most = most
        self._most_of_one = most_of_one
        self._taken: Counter[Owner] = Counter()

    def enter(self, owner: Owner) -> None:
        """Take a place, to be given back by `leave`.

        Raises:
            Full: there is none.
        """
        if self._taken.total() >= self._most or self._taken[owner] >= self._most_of_one:
            raise Full
        self._taken[owner] += 1

    def leave(self, owner: Owner) -> None:
        """Give it back."""
        self._taken[owner] -= 1
        if not self._taken[owner]:
            del self._taken[owner]


class Sessions:
    """By client id."""

    def __init__(self) -> None:
        self._places = Places(BAYEUX_SESSIONS_MAX, BAYEUX_SESSIONS_PER_CREDENTIAL_MAX)
        self._sessions: dict[str, Session] = {}

    def __iter__(self) -> Iterator[Session]:
        return iter(tuple(self._sessions.values()))

    def __len__(self) -> int:
        return len(self._sessions)

    def add(self, session: Session) -> None:
        """Keep it.

        Raises:
            Full: there is no place.
        """
        self._places.enter(session.owner)
        self._sessions[session.client_id] = session

    def find(self, client_id: str, owner: Owner) -> Session | None:
        """The owner's session of this id; of somebody else it is as if there were none."""
        session = self._sessions.get(client_id)
        return session if session is not None and session.owner == owner else None

    def remove(self, session: Session) -> None:
        """Forget it; twice is once."""
        if self._sessions.pop(session.client_id, None) is not None:
            self._places.leave(session.owner)

    def sweep(self, now_s: float) -> list[Session]:
        """End what nobody attends to; returns all that are over, to be removed."""
        for session in self:
            since_s = session.unattended_s
            if since_s is not None and now_s - since_s > UNATTENDED_S_MAX:
                session.end(UNKNOWN)
        return [session for session in self if session.ended is not None]
