import msgspec
import pytest

from shared.contracts.envelope import Event, Headers, Record, ReplyTo, from_record, to_message
from shared.contracts.errors import Poison

EVENT = Event(
    id="e-1",
    source="/switch",
    type="call.started",
    subject="c1",
    time_ms=1_795_270_000_123,
    tenant="demo",
    data=b'{"direction":"inbound"}',
)


def stored(event: Event) -> Record:
    message = to_message(event, "telephony.events", "demo:c1")
    return Record(message.topic, 0, 0, 0, message.key, message.headers, message.value)


def without(headers: Headers, name: str) -> Headers:
    return tuple(header for header in headers if header[0] != name)


@pytest.mark.parametrize(
    "event",
    [
        EVENT,
        msgspec.structs.replace(EVENT, sequence=7),
        msgspec.structs.replace(EVENT, reply_to=ReplyTo("gateway-1", "42")),
    ],
)
def test_an_event_comes_back_from_the_log(event: Event) -> None:
    assert from_record(stored(event)) == event


@pytest.mark.parametrize("name", ["ce_id", "ce_source", "ce_type", "ce_subject", "ce_tenant"])
def test_a_missing_attribute_is_poison(name: str) -> None:
    record = stored(EVENT)
    broken = msgspec.structs.replace(record, headers=without(record.headers, name))
    with pytest.raises(Poison, match=name):
        from_record(broken)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ce_time", b"soon"),
        ("ce_id", b"\xff"),
        ("ce_sequence", b"one"),
        ("ce_sequence", b"-1"),
        ("ce_sequence", b"9223372036854775808"),
    ],
)
def test_an_attribute_that_cannot_be_read_is_poison(name: str, value: bytes) -> None:
    record = stored(EVENT)
    headers = (*without(record.headers, name), (name, value))
    with pytest.raises(Poison, match="bad_envelope"):
        from_record(msgspec.structs.replace(record, headers=headers))


def test_half_a_reply_address_is_none() -> None:
    record = stored(msgspec.structs.replace(EVENT, reply_to=ReplyTo("gateway-1", "42")))
    headers = without(record.headers, "correlation_id")
    assert from_record(msgspec.structs.replace(record, headers=headers)) == EVENT
