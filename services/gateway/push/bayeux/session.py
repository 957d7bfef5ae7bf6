"""One client id: whose it is, what it hears, what waits for it, and the connect it is held by."""

import asyncio
from typing import Final, NamedTuple

from services.gateway.push.bayeux.messages import Refusal, covers
from services.gateway.push.bayeux.outbox import Outbox


class Owner(NamedTuple):
    """One credential of somebody; a client id serves the one that it was given to, and no other.

    Attributes:
        credential: its digest: a password that has changed is another one.
    """

    tenant: str
    name: str
    credential: str


HANDSHAKE_NOW: Final = {"reconnect": "handshake", "interval": 0}
HANDSHAKE_SOON: Final = {"reconnect": "handshake", "interval": 1000}
NEVER: Final = {"reconnect": "none"}

UNKNOWN: Final = Refusal(402, "Unknown client", advice=HANDSHAKE_NOW)
DISCONNECTED: Final = Refusal(402, "Unknown client", advice=NEVER)
TOO_SLOW: Final = Refusal(413, "Too much was waiting", advice=HANDSHAKE_NOW)
DISPLACED: Final = Refusal(409, "Another connect has come", advice=NEVER)
STOPPING: Final = Refusal(503, "The gateway stops", advice=HANDSHAKE_SOON)
BROKEN: Final = Refusal(503, "What is told was broken off", advice=HANDSHAKE_SOON)


class Session:
    """A client that has shaken hands.

    Attributes:
        url: where the client reaches us, as it says itself.
        subscriptions: channels and patterns.
        unattended_s: since when no connect is held; None while one is.
        ended: why it is over, if it is.
    """

    def __init__(self, client_id: str, owner: Owner, url: str, *, acks: bool, now_s: float) -> None:
        self.client_id: Final = client_id
        self.owner: Final = owner
        self.url: Final = url
        self.outbox: Final = Outbox(acks=acks)
        self.subscriptions: set[str] = set()
        self.unattended_s: float | None = now_s
        self.ended: Refusal | None = None
        self._held: asyncio.Event | None = None

    def hears(self, channel: str) -> bool:
        """Whether one of its subscriptions covers the channel."""
        return any(covers(pattern, channel) for pattern in self.subscriptions)

    def offer(self, message: bytes) -> bool:
        """Queue a message. False: the session is over, because of this message if not before."""
        if self.ended is None and not self.outbox.offer(message):
            self.outbox.clear()
            self.end(TOO_SLOW)
        self._stir()
        return self.ended is None

    def end(self, why: Refusal) -> None:
        """Nothing more is queued; a held connect is answered at once."""
        self.ended = self.ended or why
        self._stir()

    def hold(self) -> asyncio.Event:
        """Begin to hold a connect, and let go the one before it; the event stirs when it is due."""
        self._stir()
        self._held = asyncio.Event()
        self.unattended_s = None
        if self.outbox.waiting or self.ended is not None:
            self._held.set()
        return self._held

    def holds(self, held: asyncio.Event) -> bool:
        """Whether it is still this connect that is held."""
        return self._held is held

    def let_go(self, held: asyncio.Event, now_s: float) -> None:
        """The connect has been answered, or its client has left."""
        if self._held is held:
            self._held = None
            self.unattended_s = now_s

    def _stir(self) -> None:
        if self._held is not None:
            self._held.set()
