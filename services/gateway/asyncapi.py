"""/asyncapi.json (3.0): the topics, made from the tables that the services write by; the socket.

Channels are `topics.TOPICS`, messages are `messages.MESSAGES`, schemas are those of the contract
structs. Left out: `gateway.replies`, whose records are for the gateway that waits alone. 3.0 says
all there is to say, and more tools read it than 3.1.
Source: AsyncAPI 3.0.0; its Kafka bindings 0.5.0; CloudEvents 1.0.2, Kafka protocol binding.
"""

from collections.abc import Iterator
from typing import Any, Final

import msgspec
from msgspec import Struct

from services.gateway import envelopes
from services.gateway.openapi import product_version
from services.gateway.schemas import REF, struct_schemas
from services.gateway.sockets import documents as socket
from shared.contracts.messages import MESSAGES, SWITCH, Message
from shared.contracts.topics import GATEWAY_REPLIES, TELEPHONY_EVENTS, TOPICS, Topic, dead

SERVICES: Final = ("gateway", "callstate", "worker")
STRUCTURED: Final = "cloudevents.structured"
DEAD_LETTER: Final = "dead.letter"
DEAD_RECEIPT: Final = "dead.receipt"
BINDING: Final = "0.5.0"
_STRUCTURED_PATTERN: Final = r"^application/cloudevents\+json"

_ABOUT: Final = """\
The topics that gateway, callstate and worker write and read. Records are CloudEvents 1.0 in \
binary mode: the attributes are Kafka headers (`ce_id`, `ce_type`, …), the value is JSON data.

Promise to reporting consumers: on the topics that are told nothing is lost, order is kept per \
key, and a record that is repeated after a crash has the same `ce_id` and `ce_sequence`. Per topic \
and key the sequence is 1, 2, 3 … without a gap, so a consumer that skips a sequence it has seen \
counts exactly once. Fields and types may be added; a consumer passes over those it does not know. \
Data that is told carries ids and codes, and no comment, name or phone number.

Who may write: switches write to `telephony.events`, at the broker or by `POST /v1/events`. \
Dispositions are asked for over HTTP (/openapi.json), never on `disposition.requests`: the gateway \
admits them, and not everything is checked behind it. The broker's ACLs decide who may.

What can't be processed goes to `<topic>.dead`, whole, with its reason, and nothing behind it \
waits. `aftercall dead-letters` lists these and puts them back; a receipt then stands beside the \
letter. What went back has the header `dead_put_back`, and is processed as if it came now.

`socket` is no topic: it is what the gateway's WebSocket takes and tells.

`gateway.replies` is left out: it carries answers to the one gateway process that waits for them, \
and may change with any version."""


class Layout(Struct, frozen=True):
    """What a deployment has decided of its topics.

    Attributes:
        prefix: before every topic's name on the broker.
        partitions: of every topic on the broker.
    """

    profile: str = "embedded"
    prefix: str = ""
    partitions: int = 12


_PROFILES: Final = {
    "cluster": "This deployment runs the cluster profile: the topics are on Kafka.",
    "embedded": (
        "This deployment runs the embedded profile: its topics are tables of its own, and what is "
        "told is read by `GET /v1/stream`. On Kafka they are the same."
    ),
}
_SERVERS: Final = {
    "kafka": {
        "host": "{bootstrap}",
        "protocol": "kafka",
        "title": "Apache Kafka",
        "description": "The broker of the cluster profile.",
        "variables": {
            "bootstrap": {
                "default": "localhost:9092",
                "description": "as `AFTERCALL_KAFKA_BOOTSTRAP` says",
            }
        },
    },
    "gateway": {
        "host": "{gateway}",
        "pathname": "/v1",
        "protocol": "http",
        "title": "The gateway",
        "description": (
            "On both profiles: `POST /v1/events` writes to `telephony.events`; `GET /v1/stream` "
            "follows the topics that are told as server-sent events, whose data is the CloudEvent "
            "as JSON. Its routes stand in /openapi.json."
        ),
        "variables": {"gateway": {"default": "localhost:8080"}},
        "security": [{"$ref": "#/components/securitySchemes/bearer"}],
    },
    socket.NAME: socket.SERVER,
}


def asyncapi(layout: Layout | None = None) -> dict[str, Any]:
    """The document of a deployment."""
    layout = layout or Layout()
    topics = [topic for topic in TOPICS.values() if topic.name != GATEWAY_REPLIES]
    decided = [topic for topic in topics if topic.decided_by is not None]
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Aftercall topics",
            "version": product_version(),
            "description": f"{_ABOUT}\n\n{_PROFILES[layout.profile]}",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": _SERVERS,
        "channels": {
            **{topic.name: _channel(topic, layout) for topic in topics},
            **{dead(topic.name): _dead_channel(topic, layout) for topic in decided},
            socket.NAME: socket.channel(),
        },
        "operations": {
            **{name: one for topic in topics for name, one in _operations(topic)},
            **{name: one for topic in decided for name, one in _burials(topic)},
            **socket.operations(),
        },
        "components": {
            "messages": {
                **{message.name: _message(message) for message in MESSAGES},
                STRUCTURED: _structured(),
                DEAD_LETTER: _dead_letter(),
                DEAD_RECEIPT: _dead_receipt(),
                **socket.messages(),
            },
            "schemas": {
                **envelopes.SCHEMAS,
                **socket.schemas(),
                **struct_schemas(dict.fromkeys(message.shape for message in MESSAGES)),
            },
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    }


def _messages(topic: Topic) -> list[str]:
    names = [message.name for message in MESSAGES if message.topic == topic.name]
    return [*names, STRUCTURED] if topic.name == TELEPHONY_EVENTS else names


def _channel(topic: Topic, layout: Layout) -> dict[str, Any]:
    writers = {writer for one in MESSAGES if one.topic == topic.name for writer in one.written_by}
    decided = () if topic.decided_by is None else (topic.decided_by,)
    numbered = " `ce_sequence` counts each key's records." if topic.told else ""
    over_http = topic.told or topic.name == TELEPHONY_EVENTS
    return {
        **_place(topic.name, layout, _messages(topic)),
        "description": f"{_sentence(topic.carries)} Key: that of the {topic.key}.{numbered}",
        "servers": [
            {"$ref": f"#/servers/{name}"} for name in ("kafka", "gateway")[: 1 + over_http]
        ],
        "x-written-by": sorted(writers),
        "x-read-by": list(dict.fromkeys((*decided, *topic.read_by))),
        "x-told": topic.told,
    }


def _dead_channel(topic: Topic, layout: Layout) -> dict[str, Any]:
    return {
        **_place(dead(topic.name), layout, [DEAD_LETTER, DEAD_RECEIPT]),
        "description": f"What could not be processed of {topic.name}, under the key it had; "
        "and what of it was put back.",
        "servers": [{"$ref": "#/servers/kafka"}],
        "x-written-by": [topic.decided_by, "gateway", "operators"],
        "x-read-by": ["worker", "operators"],
        "x-told": False,
    }


def _place(name: str, layout: Layout, messages: list[str]) -> dict[str, Any]:
    address = layout.prefix + name
    return {
        "address": address,
        "title": name,
        "messages": {one: {"$ref": f"#/components/messages/{one}"} for one in messages},
        "bindings": {
            "kafka": {
                "topic": address,
                "partitions": layout.partitions,
                "bindingVersion": BINDING,
            }
        },
    }


def _operations(topic: Topic) -> Iterator[tuple[str, dict[str, Any]]]:
    """Who of ours sends which messages there, and who receives them."""
    for service in SERVICES:
        sent = [
            one.name for one in MESSAGES if one.topic == topic.name and service in one.written_by
        ]
        if sent:
            yield _operation(service, "send", topic.name, sent)
        if service == topic.decided_by or service in topic.read_by:
            yield _operation(service, "receive", topic.name, _messages(topic))


def _burials(topic: Topic) -> Iterator[tuple[str, dict[str, Any]]]:
    if topic.decided_by is not None:
        name = dead(topic.name)
        yield _operation(topic.decided_by, "send", name, [DEAD_LETTER])
        yield _operation("gateway", "send", name, [DEAD_RECEIPT])
        yield _operation("worker", "receive", name, [DEAD_LETTER, DEAD_RECEIPT])


def _operation(
    service: str, action: str, channel: str, messages: list[str]
) -> tuple[str, dict[str, Any]]:
    operation = {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel}"},
        "summary": f"{service} {'writes' if action == 'send' else 'reads'} {channel}",
        "tags": [{"name": service}],
        "messages": [{"$ref": f"#/channels/{channel}/messages/{one}"} for one in messages],
    }
    return f"{service}.{action}.{channel}", operation


def _message(message: Message) -> dict[str, Any]:
    payload: dict[str, Any] = {"$ref": REF.format(name=message.shape.__name__)}
    if message.always:
        payload = {"type": "object", "allOf": [payload], "required": list(message.always)}
    key = "CallKey" if message.about == "call" else "SubjectKey"
    return {
        "name": message.type,
        "title": message.name,
        "summary": message.says,
        "contentType": "application/json",
        "headers": envelopes.headers_of(message),
        "payload": payload,
        "bindings": _key(key),
        "examples": [
            {
                "name": message.name,
                "headers": envelopes.example_headers(message),
                "payload": msgspec.to_builtins(message.example),
            }
        ],
        "x-written-by": list(message.written_by),
    }


def _key(schema: str) -> dict[str, Any]:
    key = {"$ref": REF.format(name=schema)}
    return {"kafka": {"key": key, "bindingVersion": BINDING}}


def _structured() -> dict[str, Any]:
    return {
        "name": STRUCTURED,
        "title": STRUCTURED,
        "summary": "Any telephony event in structured mode: attributes and data in one object.",
        "contentType": envelopes.STRUCTURED_TYPE,
        "headers": {
            "type": "object",
            "properties": {"content-type": {"type": "string", "pattern": _STRUCTURED_PATTERN}},
            "required": ["content-type"],
        },
        "payload": {"$ref": REF.format(name="StructuredEvent")},
        "bindings": _key("CallKey"),
        "examples": [envelopes.structured_example()],
        "x-written-by": [SWITCH],
    }


def _dead_letter() -> dict[str, Any]:
    return {
        "name": DEAD_LETTER,
        "title": DEAD_LETTER,
        "summary": "A record as it came, with the reason why it could not be processed.",
        "headers": {"type": "object", "allOf": [{"$ref": REF.format(name="DeadHeaders")}]},
        "payload": {"description": "The bytes that came, whatever they are."},
        "examples": [envelopes.dead_example()],
        "x-written-by": ["callstate", "worker"],
    }


def _dead_receipt() -> dict[str, Any]:
    return {
        "name": DEAD_RECEIPT,
        "title": DEAD_RECEIPT,
        "summary": "A letter was put back; this header alone says so, and which.",
        "headers": {"type": "object", "allOf": [{"$ref": REF.format(name="ReceiptHeaders")}]},
        "payload": {"description": "No bytes."},
        "examples": [envelopes.receipt_example()],
        "x-written-by": ["gateway", "operators"],
    }


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:] + "."
