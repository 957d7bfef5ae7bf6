"""The way back to a gateway in the same process: a function call."""

from collections import defaultdict
from collections.abc import Callable, Sequence

from shared.runtime.ports import Answer

Deliver = Callable[[Sequence[Answer]], None]


class LocalReplies:
    """`Replies` to whoever has registered here."""

    def __init__(self) -> None:
        self._registered: dict[str, Deliver] = {}

    def register(self, address: str, deliver: Deliver) -> None:
        """Answers to this address are delivered here, at once; it must not block or raise."""
        self._registered[address] = deliver

    def unregister(self, address: str) -> None:
        """Answers to this address are dropped from now on."""
        self._registered.pop(address, None)

    async def send(self, answers: Sequence[Answer]) -> None:
        """See `Replies`."""
        of_address: dict[str, list[Answer]] = defaultdict(list)
        for answer in answers:
            of_address[answer.reply_to.address].append(answer)
        for address, some in of_address.items():
            deliver = self._registered.get(address)
            if deliver is not None:
                deliver(some)
