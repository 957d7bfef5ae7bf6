"""What each message does.

Messages reach a client through the answers to its connects alone, on every transport: that keeps
them in order, and one acknowledgement covers them all. A connect is held only when it stands alone
in its body, so that no other message waits with it.
"""

import asyncio
import re
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import orjson

from services.gateway.push.bayeux import messages, session
from services.gateway.push.bayeux.messages import (
    Denied,
    Message,
    Refusal,
    Reply,
    done,
    refused,
    subscriptions_of,
)
from services.gateway.push.bayeux.session import Owner, Session
from services.gateway.push.bayeux.sessions import Full, Sessions
from services.gateway.push.queue import until
from shared.contracts.errors import Unavailable
from shared.contracts.limits import BAYEUX_SUBSCRIPTIONS_MAX

VERSION: Final = "1.0"
CONNECTION_TYPES: Final = ("websocket", "long-polling", "callback-polling")
HELD_S: Final = 30.0  # below what proxies let a silent request last
BUSY_MS: Final = 5000
_ADVICE: Final = {"reconnect": "retry", "interval": 0, "timeout": int(HELD_S * 1000)}
_TERMS: Final = {
    "version": VERSION,
    "minimumVersion": VERSION,
    "supportedConnectionTypes": CONNECTION_TYPES,
}
_CLIENT_ID_BYTES: Final = 20

_version_matches: Final = re.compile(r"1(?:\.[A-Za-z0-9.]{0,16})?").fullmatch
_minimum_matches: Final = re.compile(r"1(?:\.0[A-Za-z0-9.]{0,16})?").fullmatch


class Audience(Protocol):
    """Who is told of whom listens, and tells them by `Session.offer`."""

    async def listen(self, session: Session) -> None:
        """Its subscriptions have changed; from the return on it misses nothing.

        Raises:
            Unavailable: it can't be told of anything now.
        """
        ...

    def leave(self, session: Session) -> None:
        """It is over."""
        ...


@dataclass(frozen=True, slots=True)
class Held:
    """A connect that waits for something to tell."""

    message: Message
    session: Session
    stirred: asyncio.Event
    wait_s: float


class Bayeux:
    """One server for all transports. `now_s` is monotonic."""

    def __init__(
        self,
        audience: Audience,
        now_s: Callable[[], float],
        fresh_id: Callable[[], str] = lambda: secrets.token_hex(_CLIENT_ID_BYTES),
    ) -> None:
        self.sessions: Final = Sessions()
        self.stopping = False
        self._audience = audience
        self._now_s = now_s
        self._fresh_id = fresh_id
        self._does: Final = {
            messages.DISCONNECT: self._disconnect,
            messages.SUBSCRIBE: self._subscribe,
            messages.UNSUBSCRIBE: self._unsubscribe,
        }

    async def receive(self, sent: Sequence[Message], owner: Owner, url: str) -> bytes | Held:
        """Carry out the messages of one body, in order.

        Args:
            sent: at least one.
            owner: the credential that the body came with.
            url: where its client reaches us.

        Returns:
            The answer, a JSON array; or a connect, still to be waited for by `release`.
        """
        for message in sent:
            if message.channel == messages.HANDSHAKE:  # others beside it must be ignored
                return as_array([self._handshake(message, owner, url)])
        answer: list[bytes | Reply] = []
        for message in sent:
            try:
                if message.channel == messages.CONNECT:
                    held = self._hold(message, owner)
                    if len(sent) == 1:
                        return held
                    answer += self._let_go(held)
                else:
                    answer.append(await self._reply(message, owner))
            except Denied as denied:
                answer.append(refused(message, denied.refusal, **_echoed(message)))
        return as_array(answer)

    async def release(self, held: Held, gone: Callable[[], bool]) -> bytes | None:
        """Wait until the connect is due; the answer, or None when its client has left."""
        try:
            await until(held.stirred, held.wait_s)
            return None if gone() else as_array(self._let_go(held))
        finally:
            held.session.let_go(held.stirred, self._now_s())

    def sweep(self) -> None:
        """Forget the sessions that are over, or that nobody attends to."""
        for one in self.sessions.sweep(self._now_s()):
            self._forget(one)

    def close(self) -> None:
        """End every session; connects that are held are answered at once."""
        self.stopping = True
        for one in self.sessions:
            one.end(session.STOPPING)
            self._forget(one)

    def _forget(self, ended: Session) -> None:
        self.sessions.remove(ended)
        self._audience.leave(ended)

    def _session_of(self, message: Message, owner: Owner) -> Session:
        if not message.client_id:
            raise Denied(Refusal(401, "No client ID", advice=session.HANDSHAKE_NOW))
        found = self.sessions.find(message.client_id, owner)
        if found is not None and found.ended is not None:
            self._forget(found)
            raise Denied(found.ended)
        if found is None:
            raise Denied(session.STOPPING if self.stopping else session.UNKNOWN)
        return found

    def _handshake(self, message: Message, owner: Owner, url: str) -> Reply:
        ack = message.object("ext").get("ack")
        acks = ack is True or isinstance(ack, dict)
        if self.stopping:
            return refused(message, session.STOPPING, **_TERMS)
        try:
            _check_handshake(message)
            made = Session(self._fresh_id(), owner, url, acks=acks, now_s=self._now_s())
            self.sessions.add(made)
        except Full:
            later = {"reconnect": "handshake", "interval": BUSY_MS}
            return refused(message, Refusal(429, "Too many clients", advice=later), **_TERMS)
        except Denied as denied:
            return refused(message, denied.refusal, **_TERMS)
        more: dict[str, Any] = {"ext": {"ack": True}} if acks else {}
        return done(message, **_TERMS, clientId=made.client_id, advice=_ADVICE, **more)

    def _hold(self, message: Message, owner: Owner) -> Held:
        of = self._session_of(message, owner)
        if message.fields.get("connectionType") not in CONNECTION_TYPES:
            raise Denied(Refusal(405, "No such connection type", advice=session.NEVER))
        if of.outbox.acks:
            of.outbox.acknowledge(_acknowledged(message))
        return Held(message, of, of.hold(), _wait_s(message))

    def _let_go(self, held: Held) -> list[bytes | Reply]:
        """What waits, then the reply to the connect."""
        of, message = held.session, held.message
        if not of.holds(held.stirred):
            return [refused(message, session.DISPLACED)]
        of.let_go(held.stirred, self._now_s())
        events = of.outbox.take()
        if of.ended is not None:
            return [*events, refused(message, of.ended)]
        more: dict[str, Any] = {"ext": {"ack": of.outbox.batch}} if of.outbox.acks else {}
        return [*events, done(message, clientId=of.client_id, advice=_ADVICE, **more)]

    async def _reply(self, message: Message, owner: Owner) -> Reply:
        """The reply to anything but a handshake or a connect."""
        of = self._session_of(message, owner)
        if message.channel in self._does:
            try:
                await self._does[message.channel](message, of)
            except Unavailable:
                raise Denied(Refusal(503, "Not now, ask again")) from None
            return done(message, clientId=of.client_id, **_echoed(message))
        if message.channel.startswith(("/meta/", "/service/")):
            raise Denied(Refusal(404, "Unknown Channel", message.channel))
        raise Denied(Refusal(403, "Publish denied", message.channel))

    async def _disconnect(self, _: Message, of: Session) -> None:
        of.end(session.DISCONNECTED)
        self._forget(of)

    async def _subscribe(self, message: Message, of: Session) -> None:
        wanted = set(subscriptions_of(message))
        for pattern in wanted:
            if pattern.startswith(("/meta/", "/service/")):
                raise Denied(Refusal(403, "Subscription denied", pattern))
        if len(of.subscriptions | wanted) > BAYEUX_SUBSCRIPTIONS_MAX:
            raise Denied(Refusal(403, "Too many subscriptions"))
        new = wanted - of.subscriptions
        of.subscriptions |= new
        try:
            await self._audience.listen(of)
        except Unavailable:
            of.subscriptions -= new
            raise

    async def _unsubscribe(self, message: Message, of: Session) -> None:
        of.subscriptions -= set(subscriptions_of(message))
        await self._audience.listen(of)


def as_array(answer: Sequence[bytes | Reply]) -> bytes:
    """A body; what is JSON already stands as it is."""
    parts = (one if isinstance(one, bytes) else orjson.dumps(one) for one in answer)
    return b"[" + b",".join(parts) + b"]"


def _echoed(message: Message) -> dict[str, Any]:
    """The field that must be told back."""
    spoken = message.channel in (messages.SUBSCRIBE, messages.UNSUBSCRIBE)
    named = message.fields.get("subscription")
    return {"subscription": named} if spoken and named is not None else {}


def _check_handshake(message: Message) -> None:
    for name, matches in (("version", _version_matches), ("minimumVersion", _minimum_matches)):
        said = message.fields.get(name, VERSION)
        if not isinstance(said, str) or not matches(said):
            raise Denied(Refusal(400, f"{name} is not spoken here", advice=session.NEVER))
    types = message.fields.get("supportedConnectionTypes")
    if not isinstance(types, list) or not any(one in CONNECTION_TYPES for one in types):
        raise Denied(Refusal(400, "No connection type in common", advice=session.NEVER))


def _wait_s(message: Message) -> float:
    """How long the client lets it be held: never longer than we do."""
    asked_ms = message.object("advice").get("timeout")
    if isinstance(asked_ms, int) and not isinstance(asked_ms, bool):
        return min(HELD_S, max(0, asked_ms) / 1000)
    return HELD_S


def _acknowledged(message: Message) -> int:
    """The newest batch that has arrived; -1 where the client does not say."""
    batch = message.object("ext").get("ack")
    return batch if isinstance(batch, int) and not isinstance(batch, bool) else -1
