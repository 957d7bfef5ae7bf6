"""Bayeux messages: read, answered, refused. Pure.

Source: Bayeux 1.0, "Common Elements" (channels), "Message Field Definitions", and "Meta Message
Field Definitions".
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from shared.contracts.limits import (
    BAYEUX_CHANNEL_CHARS_MAX,
    BAYEUX_MESSAGES_MAX,
    ID_CHARS_MAX,
    INTEGER_MAX,
)

HANDSHAKE: Final = "/meta/handshake"
CONNECT: Final = "/meta/connect"
DISCONNECT: Final = "/meta/disconnect"
SUBSCRIBE: Final = "/meta/subscribe"
UNSUBSCRIBE: Final = "/meta/unsubscribe"

Reply = dict[str, Any]

# The grammar's tokens, but for the wildcards, which stand at the end of a pattern or nowhere.
_SEGMENT: Final = r"/[A-Za-z0-9_!~()$@.-]+"
CHANNEL_PATTERN: Final = rf"^({_SEGMENT})+$"
_channel_matches: Final = re.compile(rf"(?:{_SEGMENT})+").fullmatch
_pattern_matches: Final = re.compile(rf"(?:{_SEGMENT})*(?:{_SEGMENT}|/\*\*?)").fullmatch


class Malformed(ValueError):
    """The body holds no Bayeux messages; the words never hold the body."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a message is refused.

    Attributes:
        code: three digits, as HTTP would say it.
        why: one sentence.
        about: what it is about, such as a channel.
        advice: what the client should do now; none: go on.
    """

    code: int
    why: str
    about: str = ""
    advice: Mapping[str, Any] = field(default_factory=dict)

    @property
    def error(self) -> str:
        """In the protocol's form."""
        return f"{self.code}:{self.about}:{self.why}"


class Denied(Exception):
    """A message is refused."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.error)
        self.refusal = refusal


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a client.

    Attributes:
        id: echoed in the reply; None where it is no text or number that one can echo.
        client_id: `""` when absent or no text.
    """

    channel: str
    id: str | int | None
    client_id: str
    fields: Mapping[str, Any]

    def object(self, name: str) -> Mapping[str, Any]:
        """A field that is an object; empty when absent or of another type."""
        value = self.fields.get(name)
        return value if isinstance(value, dict) else {}


def read_messages(value: Any) -> list[Message]:
    """The messages of a body: one object, or an array of them.

    Raises:
        Malformed: neither; too many; or one without a channel, which no reply could name.
    """
    sent = value if isinstance(value, list) else [value]
    if not sent:
        raise Malformed("there is no message in the body")
    if len(sent) > BAYEUX_MESSAGES_MAX:
        raise Malformed(f"more than {BAYEUX_MESSAGES_MAX} messages in one body")
    return [_read(one) for one in sent]


def _read(value: Any) -> Message:
    if not isinstance(value, dict):
        raise Malformed("a message is not an object")
    channel = value.get("channel")
    if not isinstance(channel, str) or not is_channel(channel):
        raise Malformed("a message has no channel, or one that is none")
    client_id = value.get("clientId")
    return Message(
        channel=channel,
        id=_read_id(value.get("id")),
        client_id=client_id if isinstance(client_id, str) else "",
        fields=value,
    )


def _read_id(value: Any) -> str | int | None:
    match value:
        case bool():
            return None
        case int() if abs(value) <= INTEGER_MAX:
            return value
        case str() if len(value) <= ID_CHARS_MAX:
            return value
        case _:
            return None


def is_channel(text: str) -> bool:
    """Whether it names one channel."""
    return len(text) <= BAYEUX_CHANNEL_CHARS_MAX and _channel_matches(text) is not None


def is_pattern(text: str) -> bool:
    """Whether it names a channel, or several by a wildcard at its end."""
    return len(text) <= BAYEUX_CHANNEL_CHARS_MAX and _pattern_matches(text) is not None


def covers(pattern: str, channel: str) -> bool:
    """Whether a subscription to this pattern hears this channel."""
    if pattern.endswith("/**"):
        return channel.startswith(pattern[:-2])
    if pattern.endswith("/*"):
        return channel.rpartition("/")[0] == pattern[:-2]
    return pattern == channel


def subscriptions_of(message: Message) -> Sequence[str]:
    """The channels and patterns that it names.

    Raises:
        Denied: there is none, or one of them is no channel.
    """
    named = message.fields.get("subscription")
    named = [named] if isinstance(named, str) else named
    if not isinstance(named, list) or not named:
        raise Denied(Refusal(400, "subscription is missing"))
    for one in named:
        if not isinstance(one, str) or not is_pattern(one):
            raise Denied(Refusal(400, "Not a channel"))
    return named


def done(message: Message, **more: Any) -> Reply:
    """The message has been carried out."""
    return _reply(message, successful=True, **more)


def refused(message: Message, why: Refusal, **more: Any) -> Reply:
    """It has not."""
    advice: Reply = {"advice": dict(why.advice)} if why.advice else {}
    return _reply(message, successful=False, error=why.error, **more, **advice)


def _reply(message: Message, **more: Any) -> Reply:
    reply: Reply = {"channel": message.channel}
    if message.id is not None:
        reply["id"] = message.id
    return reply | more
