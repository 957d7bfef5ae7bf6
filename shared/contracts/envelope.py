"""Records of the log, and the CloudEvents 1.0 envelope in them (binary mode).

Our own records are read and written here, field by field, for this runs for every record; foreign
modes (structured, batch) and the HTTP binding go through the CloudEvents SDK at the edge.
Source: CloudEvents 1.0.2, Kafka protocol binding, section 3.2.
"""

from typing import Final

from msgspec import Struct

from shared.contracts import limits
from shared.contracts.errors import Poison
from shared.contracts.instants import from_wire, to_wire

JSON: Final = b"application/json"
REPLY_TO: Final = "reply_to"  # which gateway waits
CORRELATION_ID: Final = "correlation_id"  # which of its requests

Headers = tuple[tuple[str, bytes], ...]

_SPECVERSION: Final = ("ce_specversion", b"1.0")
_CONTENT_TYPE: Final = ("content-type", JSON)


class Message(Struct, frozen=True):
    """What is to be appended to a topic. `key` decides the partition and the order."""

    topic: str
    key: str
    headers: Headers
    value: bytes


class Record(Struct, frozen=True):
    """What stands in the log. `timestamp_ms` is when the log took it: the deciders' `now`."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: str
    headers: Headers
    value: bytes


class ReplyTo(Struct, frozen=True):
    """Where an answer is waited for, and under which correlation id."""

    address: str
    correlation_id: str


class Event(Struct, frozen=True, kw_only=True):
    """A CloudEvent. `data` is JSON text; `time_ms` is when it happened, not when it was told."""

    id: str
    source: str
    type: str
    subject: str
    time_ms: int
    tenant: str
    data: bytes
    sequence: int | None = None
    reply_to: ReplyTo | None = None


def to_message(event: Event, topic: str, key: str) -> Message:
    """The event as a record to append, in binary mode."""
    headers: Headers = (
        _SPECVERSION,
        ("ce_id", event.id.encode()),
        ("ce_source", event.source.encode()),
        ("ce_type", event.type.encode()),
        ("ce_subject", event.subject.encode()),
        ("ce_time", to_wire(event.time_ms).encode()),
        ("ce_tenant", event.tenant.encode()),
        _CONTENT_TYPE,
    )
    if event.sequence is not None:
        headers += (("ce_sequence", b"%d" % event.sequence),)
    if event.reply_to is not None:
        headers += (
            (REPLY_TO, event.reply_to.address.encode()),
            (CORRELATION_ID, event.reply_to.correlation_id.encode()),
        )
    return Message(topic, key, headers, event.data)


def reply_to_of(headers: dict[str, bytes]) -> ReplyTo | None:
    """Where the record's answer is waited for, if anywhere."""
    if REPLY_TO not in headers or CORRELATION_ID not in headers:
        return None
    return ReplyTo(
        headers[REPLY_TO].decode(errors="replace"),
        headers[CORRELATION_ID].decode(errors="replace"),
    )


def from_record(record: Record) -> Event:
    """The event of a binary-mode record.

    Raises:
        Poison: an attribute is missing or can't be read (`bad_envelope`).
    """
    return from_headers(dict(record.headers), record.value)


def from_headers(headers: dict[str, bytes], data: bytes) -> Event:
    """The same, of headers that are known by name already."""
    try:
        return Event(
            id=headers["ce_id"].decode(),
            source=headers["ce_source"].decode(),
            type=headers["ce_type"].decode(),
            subject=headers["ce_subject"].decode(),
            time_ms=from_wire(headers["ce_time"].decode()),
            tenant=headers["ce_tenant"].decode(),
            data=data,
            sequence=_sequence(headers),
            reply_to=reply_to_of(headers),
        )
    except KeyError as missing:
        raise Poison("bad_envelope", f"attribute {missing.args[0]} is missing") from None
    except ValueError:
        raise Poison("bad_envelope", "an attribute can't be read") from None


def _sequence(headers: dict[str, bytes]) -> int | None:
    written = headers.get("ce_sequence")
    if written is None:
        return None
    sequence = int(written)
    if not 0 <= sequence <= limits.INTEGER_MAX:
        raise ValueError("no place in a row")
    return sequence
