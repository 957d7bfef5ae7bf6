"""The CloudEvents attributes as Kafka headers: their schemas for /asyncapi.json, and examples.

A header's bytes are UTF-8 text; the schemas are of that text.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from services.gateway.schemas import REF
from shared.contracts import examples
from shared.contracts.envelope import CORRELATION_ID, REPLY_TO, Event, Record, to_message
from shared.contracts.envelope import Message as LogMessage
from shared.contracts.errors import Poison
from shared.contracts.ids import call_key
from shared.contracts.messages import MESSAGES, SWITCH, Message
from shared.contracts.telephony import EVENT_TYPES
from shared.contracts.topics import TELEPHONY_EVENTS, TOPICS
from shared.runtime.dead_letters import (
    DETAIL,
    ORIGIN,
    PUT_BACK,
    REASON,
    dead_letter,
    read_letters,
    receipt,
)

STRUCTURED_TYPE: Final = "application/cloudevents+json"
DEAD_REASONS: Final = {
    "bad_envelope": "an attribute is missing or can't be read",
    "bad_key": "the record key is not that of its tenant and subject",
    "unknown_tenant": "no tenant has this id",
    "unknown_type": "the topic has no such type",
    "bad_data": "the data breaks its schema, or a limit",
    "bad_time": "the log's own time of the record is none",
}

_TIMER: Final = ".timer_due"  # told by the sweep of a service, in the name of the deadline
_EXAMPLE_KEY: Final = call_key(examples.TENANT, examples.CALL)
_TENANT: Final = r"[A-Za-z0-9._-]{1,64}"
_ID: Final = r"[A-Za-z0-9._:-]{1,128}"
_SUBJECT: Final = rf"((customer|record):({_ID}/)?{_ID}|enrolment:{_ID}/{_ID})"
_NOT_A_SUBJECT: Final = "(?!(customer|record|enrolment):)"
_PLACE: Final = r"^.+/[0-9]+/[0-9]+$"
_TIME: Final = {"type": "string", "format": "date-time"}


def _text(description: str, **more: Any) -> dict[str, Any]:
    return {"type": "string", "description": description, **more}


_ATTRIBUTES: Final = {
    "ce_specversion": {"type": "string", "const": "1.0"},
    "ce_id": _text("with `ce_source`: the same record when it comes twice", minLength=1),
    "ce_source": _text("who tells it; ours are `/aftercall/…`", minLength=1),
    "ce_type": _text("which message it is", minLength=1),
    "ce_subject": _text("the call's id, or the subject's name: the key without its tenant"),
    "ce_time": {**_TIME, "description": "when it happened; of ours, when it was decided"},
    "ce_tenant": _text("the tenant; extension attribute", pattern=f"^{_TENANT}$"),
}
_ASKED: Final = {
    REPLY_TO: _text("of the gateway that waits for an answer; leave it out"),
    CORRELATION_ID: _text("the same: which of its requests"),
}
_TOLD: Final = {
    "content-type": {"type": "string", "const": "application/json"},
    "ce_sequence": _text(
        "1, 2, 3 … per topic and key, without a gap; extension attribute", pattern="^[1-9][0-9]*$"
    ),
}
_DEAD: Final = {
    REASON: _text(
        "; ".join(f"`{reason}`: {words}" for reason, words in DEAD_REASONS.items()),
        enum=list(DEAD_REASONS),
    ),
    DETAIL: _text("one sentence for a person"),
    ORIGIN: _text("topic/partition/offset of where it stood", pattern=_PLACE),
}
_RECEIPT: Final = {
    PUT_BACK: _text("topic/partition/offset of the letter that was put back", pattern=_PLACE)
}


def _headers(description: str, required: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "description": description,
        "properties": {**required, **more},
        "required": list(required),
    }


SCHEMAS: Final[dict[str, Any]] = {
    "Headers": _headers("A CloudEvent in binary mode.", _ATTRIBUTES, **_ASKED),
    "ToldHeaders": _headers("The same, numbered per topic and key.", {**_ATTRIBUTES, **_TOLD}),
    "DeadHeaders": _headers("The record's own headers, and why it is here.", _DEAD),
    "ReceiptHeaders": {
        **_headers("Nothing but which letter was put back.", _RECEIPT),
        "additionalProperties": False,
    },
    "CallKey": _text("`{tenant}:{call id}`", pattern=f"^{_TENANT}:{_NOT_A_SUBJECT}{_ID}$"),
    "SubjectKey": _text(
        "`{tenant}:{kind}:{id}`, or `{tenant}:{kind}:{within}/{id}`: of an enrolment the campaign, "
        "of a record the project, of a customer the subtenant where it is not the first",
        pattern=f"^{_TENANT}:{_SUBJECT}$",
    ),
    "StructuredEvent": {
        "type": "object",
        "description": "A telephony event with its attributes and its data in one JSON object.",
        "properties": {
            "specversion": {"type": "string", "const": "1.0"},
            "id": {"type": "string", "minLength": 1},
            "source": {"type": "string", "minLength": 1},
            "type": {"type": "string", "enum": list(EVENT_TYPES)},
            "subject": _text("the call's id", pattern=f"^{_NOT_A_SUBJECT}{_ID}$"),
            "time": _TIME,
            "tenant": {"type": "string", "pattern": f"^{_TENANT}$"},
            "data": {"type": "object", "description": "as of the message of this type"},
        },
        "required": ["specversion", "id", "source", "type", "subject", "time", "tenant"],
    },
}


def headers_of(message: Message) -> dict[str, Any]:
    """The schema of a message's headers."""
    name = "ToldHeaders" if TOPICS[message.topic].told else "Headers"
    return {
        "type": "object",
        "allOf": [{"$ref": REF.format(name=name)}],
        "properties": {"ce_type": {"type": "string", "const": message.type}},
    }


def example_headers(message: Message) -> dict[str, str]:
    """Headers as they stand beside the message's example."""
    subject = examples.CALL if message.about == "call" else examples.SUBJECT
    source = _source(message)
    sequence = 7 if TOPICS[message.topic].told else None
    key = call_key(examples.TENANT, subject)
    event = Event(
        id=f"{message.topic}:{key}:7" if source.startswith("/aftercall/") else "4711:17",
        source=source,
        type=message.type,
        subject=subject,
        time_ms=examples.AT_MS,
        tenant=examples.TENANT,
        data=b"",
        sequence=sequence,
    )
    headers = to_message(event, message.topic, key).headers
    return {name: value.decode() for name, value in headers}


def _source(message: Message) -> str:
    if message.topic == TELEPHONY_EVENTS and SWITCH in message.written_by:
        return "/pbx-1"
    if message.type.endswith(_TIMER):
        return f"/aftercall/timers/{examples.TENANT}/{examples.CALL}"
    return f"/aftercall/{message.written_by[0]}"


def structured_example() -> dict[str, Any]:
    """A telephony event whose attributes stand in its value."""
    given = MESSAGES[0]
    headers = example_headers(given)
    attributes = {name.removeprefix("ce_"): headers[name] for name in _ATTRIBUTES}
    return {
        "name": "structured",
        "headers": {"content-type": STRUCTURED_TYPE},
        "payload": {**attributes, "data": msgspec.to_builtins(given.example)},
    }


def dead_example() -> dict[str, Any]:
    """An event that nobody knows, as its dead letter."""
    told = {name: value.decode() for name, value in _letter().headers}
    return {"name": "dead", "headers": {**told, "ce_type": "call.rung"}, "payload": {}}


def receipt_example() -> dict[str, Any]:
    """That the same was put back."""
    letter = _letter()
    record = Record(letter.topic, 3, 0, examples.AT_MS, letter.key, letter.headers, letter.value)
    ((row,), _) = read_letters([record])
    told = {name: value.decode() for name, value in receipt(row).headers}
    return {"name": "put back", "headers": told, "payload": ""}


def _letter() -> LogMessage:
    poison = Poison("unknown_type", "no such telephony event type")
    headers = tuple((name, text.encode()) for name, text in example_headers(MESSAGES[0]).items())
    record = Record(TELEPHONY_EVENTS, 3, 1204, examples.AT_MS, _EXAMPLE_KEY, headers, b"{}")
    return dead_letter(record, poison)
