"""A profile: one choice of log, store and commit that belong together."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from shared.runtime.history import HistoryStore
from shared.runtime.letters import LetterStore
from shared.runtime.overlays import OverlayStore
from shared.runtime.ports import Answer, Clock, Commit, EventLog, Replies, StateStore

Deliver = Callable[[Sequence[Answer]], None]

Prune = Callable[[int, int], Awaitable[int]]


@dataclass(frozen=True, slots=True)
class Profile:
    """What a service needs of the world.

    Attributes:
        register: says where answers for this reply address are to be delivered; once it returns
            none is missed. Raises `Unavailable`.
        prune: deletes records of the log that are older than the first instant (ms), of dead topics
            than the second, and that every group has read; says how many. Raises `Unavailable`.
        ping: raises `Unavailable` when the store does not answer soon.
        close: gives everything back; nothing of the profile may be used after.
    """

    clock: Clock
    log: EventLog
    store: StateStore
    history: HistoryStore
    letters: LetterStore
    overlays: OverlayStore
    commit: Commit
    replies: Replies
    register: Callable[[str, Deliver], Awaitable[None]]
    ping: Callable[[], Awaitable[None]]
    prune: Prune
    close: Callable[[], Awaitable[None]]
