"""What /asyncapi.json tells of the socket: a channel of its own, and its messages both ways.

Source: AsyncAPI 3.0.0; its WebSockets binding 0.1.0.
"""

from typing import Any, Final, Literal, NamedTuple

import msgspec
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from services.gateway.schemas import REF
from services.gateway.sockets import models
from services.gateway.sockets.closing import CODES
from services.gateway.sockets.route import HEARTBEAT_S, PROTOCOL, ROUTES
from shared.contracts import examples
from shared.contracts.limits import SOCKET_ASKS_MAX, SOCKET_FRAME_BYTES_MAX, SOCKET_HELLO_S

NAME: Final = "socket"
CLIENT: Final = "client"
GATEWAY: Final = "gateway"
BINDING: Final = "0.1.0"
SERVER: Final = {
    "host": "{gateway}",
    "protocol": "ws",
    "title": "The gateway, by WebSocket",
    "description": "The same port; `wss` where a proxy before it speaks TLS.",
    "variables": {"gateway": {"default": "localhost:8080"}},
}
_POSITION: Final = "v1.12-5-0-7.3-4-5-6.0-0-0-0.1-1-0-2"
_AT: Final = "2026-11-21T14:06:40.000Z"
_SAID: Final = {"agent_id": "agent-1", "code": "Sale"}
_ASKED: Final = {"id": "1", "call_id": examples.CALL, "idempotency_key": "8c5f7e0a"}
_VERDICT: Final = {
    "request_id": "req-0123456789abcdef0123456789abcdef",
    "outcome": "queued",
    "call_id": examples.CALL,
    "agent_id": "agent-1",
    "code": "Sale",
    "decided_at": _AT,
}
_PROBLEM: Final = {
    "type": "urn:aftercall:problem:too_many_requests",
    "title": "Too many requests",
    "status": 429,
    "code": "too_many_requests",
    "detail": "too many requests are waiting for an answer",
}


class _Row(NamedTuple):
    """One kind of message: who writes it, its model, and examples of it."""

    by: Literal["client", "gateway"]
    model: type[BaseModel]
    examples: tuple[dict[str, Any], ...]

    @property
    def type(self) -> str:
        (literal,) = self.model.model_fields["type"].annotation.__args__  # type: ignore[union-attr]
        return str(literal)

    @property
    def name(self) -> str:
        return f"{NAME}.{self.type}"


def _event() -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": f"disposition.events:{examples.TENANT}:{examples.CALL}:7",
        "source": "/aftercall/worker",
        "type": "disposition.queued",
        "subject": examples.CALL,
        "time": _AT,
        "tenant": examples.TENANT,
        "sequence": 7,
        "datacontenttype": "application/json",
        "data": msgspec.to_builtins(examples.QUEUED),
    }


ROWS: Final = (
    _Row(
        CLIENT,
        models.HelloMessage,
        ({"authorization": "Bearer demo-key", "last_event_id": _POSITION}, {}),
    ),
    _Row(CLIENT, models.DisposeMessage, ({**_ASKED, "disposition": _SAID},)),
    _Row(
        CLIENT,
        models.ExtendWrapUpMessage,
        ({**_ASKED, "extension": {"agent_id": "agent-1", "seconds": 60}},),
    ),
    _Row(GATEWAY, models.ReadyMessage, ({"id": _POSITION, "time": _AT},)),
    _Row(GATEWAY, models.EventMessage, ({"id": _POSITION, "event": _event()},)),
    _Row(GATEWAY, models.PositionMessage, ({"id": _POSITION},)),
    _Row(
        GATEWAY,
        models.AnswerMessage,
        (
            {"id": "1", "status": 200, "body": _VERDICT},
            {"id": "2", "status": 429, "body": _PROBLEM, "retry_after_s": 1},
        ),
    ),
)
_CLOSES: Final = "\n".join(f"- `{code}`: {words}" for code, words in CODES.items())
_ABOUT: Final = f"""\
The stream and a toolbar's requests on one WebSocket (subprotocol `{PROTOCOL}`). Each message is \
one text frame of at most {SOCKET_FRAME_BYTES_MAX // 1024} KiB that holds one JSON object. The \
client says `hello` within {SOCKET_HELLO_S} s, and is answered `ready`; then events come, and \
requests are taken, {SOCKET_ASKS_MAX} at once: each is answered as its route would answer it, in \
whatever order they are ready. A ping comes every {HEARTBEAT_S:.0f} s.

It is closed with these codes:

{_CLOSES}"""


def channel() -> dict[str, Any]:
    """The channel."""
    return {
        "address": ROUTES[0].path,
        "title": NAME,
        "description": _ABOUT,
        "servers": [{"$ref": f"#/servers/{NAME}"}],
        "messages": {row.name: {"$ref": f"#/components/messages/{row.name}"} for row in ROWS},
        "bindings": {"ws": {"method": "GET", "bindingVersion": BINDING}},
        "x-written-by": [CLIENT, GATEWAY],
        "x-read-by": [CLIENT, GATEWAY],
        "x-told": True,
    }


def operations() -> dict[str, dict[str, Any]]:
    """What the gateway does there."""
    answers = (models.ReadyMessage, models.AnswerMessage)
    return {
        f"{GATEWAY}.receive.{NAME}": {
            **_operation("receive", CLIENT, "gateway takes what the client says"),
            "reply": {
                "channel": {"$ref": f"#/channels/{NAME}"},
                "messages": _messages([row for row in ROWS if row.model in answers]),
            },
        },
        f"{GATEWAY}.send.{NAME}": _operation("send", GATEWAY, "gateway tells and answers"),
    }


def _operation(action: str, by: str, summary: str) -> dict[str, Any]:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{NAME}"},
        "summary": summary,
        "tags": [{"name": GATEWAY}],
        "messages": _messages([row for row in ROWS if row.by == by]),
    }


def _messages(rows: list[_Row]) -> list[dict[str, str]]:
    return [{"$ref": f"#/channels/{NAME}/messages/{row.name}"} for row in rows]


def messages() -> dict[str, dict[str, Any]]:
    """By name."""
    return {
        row.name: {
            "name": row.type,
            "title": row.name,
            "summary": " ".join((row.model.__doc__ or "").split()),
            "contentType": "application/json",
            "payload": {"$ref": REF.format(name=row.model.__name__)},
            "examples": [
                {"name": row.type, "payload": {"type": row.type, **said}} for said in row.examples
            ],
            "x-written-by": [row.by],
        }
        for row in ROWS
    }


def schemas() -> dict[str, Any]:
    """Of the messages and all that they are made of, by name."""
    used = [(row.model, "validation" if row.by == CLIENT else "serialization") for row in ROWS]
    _, document = models_json_schema(used, ref_template=REF.format(name="{model}"))  # type: ignore[arg-type]
    definitions: dict[str, Any] = document["$defs"]
    return definitions
