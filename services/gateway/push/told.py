"""A told record on its way to clients, and the bytes of its event, server-sent or a message.

The hub makes one `Told` per record and hands the same one to every client, so that the CloudEvent
is written as JSON once however many listen. Source of the frame: WHATWG HTML, section 9.2.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import msgspec
import orjson
import structlog
from msgspec import Struct

from services.gateway.push.position import Position
from shared.contracts.envelope import Event, Record, from_record
from shared.contracts.errors import Poison
from shared.contracts.instants import to_wire

GAP: Final = "stream.gap"
DROPPED: Final = "stream.dropped"
_SOURCE: Final = "/aftercall/gateway"

_logger: Final = structlog.get_logger()


class _Agent(Struct, frozen=True):
    agent_id: str


class _Named(Struct, frozen=True):
    """Where the data of told events names agents."""

    agent_id: str | None = None
    agents: tuple[_Agent, ...] = ()


_named: Final = msgspec.json.Decoder(_Named)
_json: Final = msgspec.json.Decoder(msgspec.Raw)  # looks through it, and makes nothing of it
MALFORMED: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


@dataclass(frozen=True)
class Told:
    """One event for clients.

    Attributes:
        topic: that it was read from; `""` for what the stream itself has to say.
        position: where a client stands once it has this.
    """

    topic: str
    event: Event
    position: Position

    @cached_property
    def agents(self) -> frozenset[str]:
        """Whom the event is about: who said it, or has a part in the call."""
        try:
            named = _named.decode(self.event.data or b"{}")
        except MALFORMED:
            return frozenset()
        own = () if named.agent_id is None else (named.agent_id,)
        return frozenset((*own, *(agent.agent_id for agent in named.agents)))

    @cached_property
    def frame(self) -> bytes:
        """`event`, `id` and `data` lines, made at the first call."""
        return frame(self.event.type, as_json(self.event), self.position.text())

    @cached_property
    def message(self) -> bytes:
        """The same for a socket: one object, made at the first call."""
        return orjson.dumps(
            {
                "type": "event",
                "id": self.position.text(),
                "event": orjson.Fragment(as_json(self.event)),
            }
        )


def tell(record: Record, position: Position) -> Told | None:
    """The record for clients; None, and a warning, if it is not a CloudEvent of ours."""
    try:
        event = from_record(record)
        _check(event.data)
        return Told(record.topic, event, position)
    except Poison as poison:
        place = (record.topic, record.partition, record.offset)
        _logger.warning("stream_record_unreadable", place=place, reason=poison.reason)
        return None


def _check(data: bytes) -> None:
    """It is copied as it stands: what is no JSON would spoil the whole event for a client.

    Raises:
        Poison: `bad_data`.
    """
    if not data:
        return
    try:
        data.decode()
        _json.decode(data)
    except MALFORMED:
        raise Poison("bad_data", "the data is no JSON") from None


def as_json(event: Event) -> bytes:
    """The event in CloudEvents structured mode, on one line; its data is copied as it stands."""
    attributes: dict[str, Any] = {
        "specversion": "1.0",
        "id": event.id,
        "source": event.source,
        "type": event.type,
        "subject": event.subject,
        "time": to_wire(event.time_ms),
        "tenant": event.tenant,
    }
    if event.sequence is not None:
        attributes["sequence"] = event.sequence
    attributes["datacontenttype"] = "application/json"
    attributes["data"] = orjson.Fragment(event.data or b"null")
    return orjson.dumps(attributes)


def frame(name: str, data: bytes, position: str | None) -> bytes:
    """A server-sent event; without a position the client keeps the last one it has.

    JSON holds line breaks only between its tokens, so a space says the same there.
    """
    one_line = data.replace(b"\r", b" ").replace(b"\n", b" ")
    id_line = b"" if position is None else b"id: %b\n" % position.encode()
    name = name.replace("\r", " ").replace("\n", " ")
    return b"event: %b\n%bdata: %b\n\n" % (name.encode(), id_line, one_line)


def gap(tenant: str, before: Position, after: Position, now_ms: int) -> Told:
    """Tells a client that records between the two positions can't be given any more."""
    data = orjson.dumps({"from": before.text(), "to": after.text()})
    return Told("", _own(GAP, tenant, after, data, now_ms), after)


def dropped(tenant: str, position: Position, now_ms: int) -> bytes:
    """The last frame for a client that reads too slowly; it has no id, so nothing is skipped."""
    data = orjson.dumps({"reason": "read too slowly; resume with Last-Event-ID"})
    return frame(DROPPED, as_json(_own(DROPPED, tenant, position, data, now_ms)), None)


def _own(name: str, tenant: str, position: Position, data: bytes, now_ms: int) -> Event:
    return Event(
        id=f"{name}:{position.text()}",
        source=_SOURCE,
        type=name,
        subject="stream",
        time_ms=now_ms,
        tenant=tenant,
        data=data,
    )
