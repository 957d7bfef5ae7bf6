"""What waits for one client, bounded; with acknowledgements, also what it may not have got. Pure.

Source: CometD reference book, "Message Acknowledgment Extension". The answer to each connect has a
batch number, the next connect names the newest that has arrived, and what was sent in later ones
is sent again, before all else.
"""

from collections import deque
from typing import Final

from shared.contracts.limits import BAYEUX_QUEUE_BYTES_MAX, BAYEUX_QUEUE_MESSAGES_MAX


class Outbox:
    """Whole messages as JSON, in order.

    Attributes:
        acks: whether the client acknowledges; if not, what is taken is forgotten.
        batch: of what was taken last.
    """

    def __init__(self, *, acks: bool) -> None:
        self.acks: Final = acks
        self.batch = 0
        self._waiting: deque[bytes] = deque()
        self._sent: deque[tuple[int, bytes]] = deque()
        self._bytes = 0

    @property
    def waiting(self) -> bool:
        """Whether there is something to take."""
        return bool(self._waiting)

    def offer(self, message: bytes) -> bool:
        """Queue it. False: there is no room."""
        messages = len(self._waiting) + len(self._sent) + 1
        size = self._bytes + len(message)
        if messages > BAYEUX_QUEUE_MESSAGES_MAX or size > BAYEUX_QUEUE_BYTES_MAX:
            return False
        self._waiting.append(message)
        self._bytes = size
        return True

    def acknowledge(self, batch: int) -> None:
        """All up to this batch has arrived; what was sent later waits again, first."""
        while self._sent and self._sent[0][0] <= batch:
            self._bytes -= len(self._sent.popleft()[1])
        self._waiting.extendleft(message for _, message in reversed(self._sent))
        self._sent.clear()

    def take(self) -> list[bytes]:
        """All that waits, as the next batch."""
        self.batch += 1
        taken = list(self._waiting)
        self._waiting.clear()
        if self.acks:
            self._sent.extend((self.batch, message) for message in taken)
        else:
            self._bytes = 0
        return taken

    def clear(self) -> None:
        """Forget everything."""
        self._waiting.clear()
        self._sent.clear()
        self._bytes = 0
