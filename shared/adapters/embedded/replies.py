"""The way back to a gateway in the same process: a function call."""

from collections.abc import Callable, Sequence

from shared.runtime.ports import Answer


class LocalReplies:
    """`Replies` to whoever has registered here."""

    def __init__(self) -> None:
        self._callbacks: dict[str, Callable[[Answer], None]] = {}

    def register(self, address: str, callback: Callable[[Answer], None]) -> None:
        """Answers to this address go to the callback, at once; it must not block or raise."""
        self._callbacks[address] = callback

    def unregister(self, address: str) -> None:
        """Answers to this address are dropped from now on."""
        self._callbacks.pop(address, None)

    async def send(self, answers: Sequence[Answer]) -> None:
        """See `Replies`."""
        for answer in answers:
            callback = self._callbacks.get(answer.reply_to.address)
            if callback is not None:
                callback(answer)
