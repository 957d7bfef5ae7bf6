"""A profile in memory, for tests that put whole services together."""

from collections.abc import Sequence

from shared.runtime.commit import SeparateCommit
from shared.runtime.ports import Answer, Replies
from shared.runtime.profile import Deliver, Profile
from tests.support.clock import FakeClock
from tests.support.memory import MemoryHistoryStore, MemoryLog, MemoryStateStore
from tests.support.memory_letters import MemoryLetterStore
from tests.support.memory_overlays import MemoryOverlayStore


class _Straight(Replies):
    """Answers go straight to whoever has registered the address."""

    def __init__(self) -> None:
        self.addresses: dict[str, Deliver] = {}

    async def send(self, answers: Sequence[Answer]) -> None:
        for answer in answers:
            if answer.reply_to.address in self.addresses:
                self.addresses[answer.reply_to.address]([answer])


async def _nothing() -> None:
    return


async def _nothing_to_prune(_: int, __: int) -> int:
    return 0


def memory_profile(
    *, log: MemoryLog | None = None, store: MemoryStateStore | None = None
) -> Profile:
    """The ports in memory; given ones may be told to fail."""
    clock, kept, replies = FakeClock(), store or MemoryStateStore(), _Straight()

    async def register(address: str, deliver: Deliver) -> None:
        replies.addresses[address] = deliver

    return Profile(
        clock=clock,
        log=log or MemoryLog(clock),
        store=kept,
        history=MemoryHistoryStore(),
        letters=MemoryLetterStore(),
        overlays=MemoryOverlayStore(),
        commit=SeparateCommit(kept),
        replies=replies,
        register=register,
        ping=_nothing,
        prune=_nothing_to_prune,
        close=_nothing,
    )
