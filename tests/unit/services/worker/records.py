"""Records of the topics that the worker reads."""

from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from services.worker.lines import Line
from shared.contracts.callbacks import CALLBACK_TIMER_DUE, CallbackTimer
from shared.contracts.calls import Call, Change, tell
from shared.contracts.dispositions import DispositionRequest
from shared.contracts.envelope import Event, Message, Record, ReplyTo, to_message
from shared.contracts.ids import call_key
from shared.contracts.topics import CALLS_CHANGED, DISPOSITION_REQUESTS
from shared.runtime.history import Entry
from tests.unit.services.worker.field import NOW_AT, NOW_MS

REPLY_TO = ReplyTo("gateway-1", "42")


def message(topic: str, type_: str, data: Struct | bytes, **envelope: Any) -> Message:
    """What stands in the log of one event of call-1."""
    event = Event(
        id="id-1",
        source="/test",
        type=type_,
        subject="call-1",
        time_ms=NOW_MS,
        tenant="demo",
        data=data if isinstance(data, bytes) else msgspec.json.encode(data),
    )
    event = replace(event, **envelope)
    return to_message(event, topic, call_key(event.tenant, event.subject))


def record(message: Message, **place: Any) -> Record:
    """The message as it is read."""
    found = Record(
        topic=message.topic,
        partition=0,
        offset=7,
        timestamp_ms=NOW_MS,
        key=message.key,
        headers=message.headers,
        value=message.value,
    )
    return replace(found, **place)


def requested(request: DispositionRequest, **envelope: Any) -> Message:
    return message(DISPOSITION_REQUESTS, "disposition.requested", request, **envelope)


def changed(call: Call, **envelope: Any) -> Message:
    change = Change(
        kind="event",
        type="call.disconnected",
        rule="disconnected",
        event_id="switch-9",
        at=NOW_AT,
        time="2026-11-21T14:06:39.000Z",
        user_data_keys=("Plan",),
    )
    return message(CALLS_CHANGED, "call.changed", tell(call, change), **envelope)


def timed(timer: CallbackTimer | bytes, **envelope: Any) -> Message:
    return message(DISPOSITION_REQUESTS, CALLBACK_TIMER_DUE, timer, **envelope)


def own(line: Line) -> Entry:
    """The line that a record is by itself."""
    assert line.entry is not None
    return line.entry
