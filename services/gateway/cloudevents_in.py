"""Telephony events as CloudEvents 1.0 over HTTP: structured, binary and batch, read strictly.

The SDK knows the binding and the rules of attributes; what it would let pass or fill in by itself
(a missing id, a second header, a null) is refused here, for an event that names itself badly can't
be recognised when it comes twice. Plain ones, as most are, do not come so far: see `well_formed`.
Source: CloudEvents 1.0.2, HTTP binding and JSON format.
"""

import base64
import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any, Final
from urllib.parse import unquote, unquote_to_bytes

import msgspec
from cloudevents.core.bindings.http import HTTPMessage, from_binary
from cloudevents.core.exceptions import CloudEventValidationError
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from multidict import CIMultiDictProxy

from services.gateway.bodies import strict_json
from services.gateway.problems import Invalid
from services.gateway.well_formed import read_plain
from shared.contracts import limits
from shared.contracts.envelope import Event
from shared.contracts.errors import Poison, Refused
from shared.contracts.ids import is_call_id
from shared.contracts.instants import from_datetime, is_rfc_3339, moment_of
from shared.contracts.telephony import TIMER_DUE, decode_data

STRUCTURED: Final = "application/cloudevents+json"
BATCH: Final = "application/cloudevents-batch+json"
ERRORS_MAX: Final = 32
ERROR_CHARS_MAX: Final = 200

_TIME: Final = "ce-time"
_REQUIRED: Final = ("specversion", "id", "source", "type", "subject")
_is_json: Final = re.compile(r"application/([a-z0-9.+-]+\+)?json(\s*;.*)?", re.IGNORECASE).fullmatch
_is_name: Final = re.compile(r"[a-z0-9]+").fullmatch
_FORMAT: Final = JSONFormat()
_encode: Final = msgspec.json.Encoder().encode


class _Wrong(Exception):
    """One attribute breaks its rule."""

    def __init__(self, attribute: str, detail: str) -> None:
        super().__init__(detail)
        self.row = {"field": attribute, "detail": detail}


def read_events(
    headers: CIMultiDictProxy[str], content_type: str, body: bytes, *, tenant: str, now_ms: int
) -> list[Event]:
    """The events of a request, whole or not at all.

    Args:
        headers: of the request; `ce-` ones make binary mode.
        content_type: without parameters.
        body: as it came.
        tenant: of the credential; an event that names another is refused.
        now_ms: when it happened, where the event does not say.

    Raises:
        Invalid: with `errors`, each naming its `index` in a batch, and its `field`.
        Refused: `malformed_json`, `unsupported_media_type`, `forbidden`.
    """
    if content_type in (STRUCTURED, BATCH):
        plain = read_plain(body, many=content_type == BATCH, tenant=tenant, now_ms=now_ms)
        if plain is not None:
            return plain
    return read_any(headers, content_type, body, tenant=tenant, now_ms=now_ms)


def read_any(
    headers: CIMultiDictProxy[str], content_type: str, body: bytes, *, tenant: str, now_ms: int
) -> list[Event]:
    """The same, slowly, with what is wrong."""
    if content_type == BATCH:
        return _batch(strict_json(body), tenant, now_ms)
    try:
        if content_type == STRUCTURED:
            return [_event(*_structured(strict_json(body)), tenant, now_ms)]
        if any(name.lower().startswith("ce-") for name in headers):
            data = strict_json(body) if body else None
            return [_event(_binary(headers), data, tenant, now_ms)]
    except _Wrong as wrong:
        raise Invalid(str(wrong), [wrong.row]) from None
    raise Refused(
        "unsupported_media_type", f"send {STRUCTURED}, {BATCH}, or ce- headers with a JSON body"
    )


def _batch(value: Any, tenant: str, now_ms: int) -> list[Event]:
    if not isinstance(value, list):
        raise Invalid("a batch is an array of events")
    if len(value) > limits.EVENTS_PER_BATCH_MAX:
        raise Invalid(f"a batch holds at most {limits.EVENTS_PER_BATCH_MAX} events")
    events: list[Event] = []
    errors: list[dict[str, Any]] = []
    for index, item in enumerate(value):
        try:
            events.append(_event(*_structured(item), tenant, now_ms))
        except _Wrong as wrong:
            errors.append({"index": index, **wrong.row})
    if errors:
        raise Invalid("nothing was written, for the batch holds bad events", errors[:ERRORS_MAX])
    return events


def _structured(value: Any) -> tuple[dict[str, Any], Any]:
    """Attributes and data of the JSON format. A null attribute is an absent one."""
    if not isinstance(value, dict):
        raise _Wrong("", "an event is an object")
    attributes = {name: item for name, item in value.items() if item is not None}
    data = attributes.pop("data", None)
    encoded = attributes.pop("data_base64", None)
    if encoded is not None:
        if data is not None or not isinstance(encoded, str):
            raise _Wrong("data_base64", "a text, and not beside data")
        try:
            data = strict_json(base64.b64decode(encoded, validate=True))
        except (ValueError, Refused):
            raise _Wrong("data_base64", "not JSON in base64") from None
    _require(attributes)
    if "time" in attributes:
        attributes["time"] = _moment(attributes["time"])
    return attributes, data


def _binary(headers: CIMultiDictProxy[str]) -> dict[str, Any]:
    """Attributes of `ce-` headers, percent-decoded by the SDK."""
    named = {name.lower(): name for name in headers if name.lower().startswith("ce-")}
    for name in named:
        if len(headers.getall(name)) > 1:
            raise _Wrong(name[3:][:64], "stands twice")
        if not _is_utf8(headers[name]):
            # The SDK would write a sign of its own there: two ids could become one.
            raise _Wrong(name[3:][:64], "not UTF-8 behind its percent signs")
    _require({name[3:]: headers[name] for name in named})
    # The SDK would make up a time that is missing, and knows no leap second.
    sent = {name: headers[name] for name in named if name != _TIME}
    if "Content-Type" in headers:
        sent["content-type"] = headers["Content-Type"]
    try:
        event = from_binary(HTTPMessage(sent, b""), _FORMAT, CloudEvent)
    except CloudEventValidationError as error:
        raise _first(error) from None
    attributes = event.get_attributes()
    del attributes["time"]  # the SDK's own now; ours comes from the clock
    if _TIME in named:
        attributes["time"] = _moment(unquote(headers[_TIME]))
    return attributes


def _is_utf8(value: str) -> bool:
    try:
        unquote_to_bytes(value).decode()
    except ValueError:
        return False
    return True


def _require(attributes: Mapping[str, Any]) -> None:
    for name in _REQUIRED:
        if name not in attributes:
            raise _Wrong(name, "is missing")


def _moment(value: Any) -> datetime:
    if is_rfc_3339(value):
        with suppress(ValueError):
            return moment_of(value)
    raise _Wrong("time", "not an RFC 3339 time")


def _event(attributes: dict[str, Any], data: Any, tenant: str, now_ms: int) -> Event:
    _check_attributes(attributes)
    if attributes.get("tenant", tenant) != tenant:
        raise Refused("forbidden", "the event names a tenant that is not the credential's")
    if data is not None and not isinstance(data, dict):
        raise _Wrong("data", "must be an object")
    if attributes["type"] == TIMER_DUE:
        raise _Wrong("type", "timers are the server's own")
    encoded = b"{}" if data is None else _encode(data)
    try:
        decode_data(attributes["type"], encoded)
        time_ms = from_datetime(attributes["time"]) if "time" in attributes else now_ms
    except Poison as poison:
        field = "type" if poison.reason == "unknown_type" else "data"
        raise _Wrong(field, poison.detail) from None
    except ValueError as error:
        raise _Wrong("time", str(error)) from None
    return Event(
        id=attributes["id"],
        source=attributes["source"],
        type=attributes["type"],
        subject=attributes["subject"],
        time_ms=time_ms,
        tenant=tenant,
        data=encoded,
    )


def _check_attributes(attributes: dict[str, Any]) -> None:
    for name, value in attributes.items():
        if not _is_name(name):
            raise _Wrong(name[:64], "an attribute's name is of small letters and digits")
        if not isinstance(value, str | int | datetime):
            raise _Wrong(name[:64], "an attribute is a text, a number or a boolean")
    try:
        CloudEvent(dict(attributes))  # a copy, for the SDK fills in what is missing
    except CloudEventValidationError as error:
        raise _first(error) from None
    for name in ("id", "source"):
        value = attributes[name]
        if len(value) > limits.TEXT_CHARS_MAX or not value.isprintable():
            raise _Wrong(name, f"1 to {limits.TEXT_CHARS_MAX} printable characters")
    if not is_call_id(attributes["subject"]):
        raise _Wrong("subject", "the call id: not an id")
    if not _is_json(attributes.get("datacontenttype", "application/json")):
        raise _Wrong("datacontenttype", "data is JSON")


def _first(error: CloudEventValidationError) -> _Wrong:
    name, causes = next(iter(error.errors.items()))
    return _Wrong(name[:64], str(causes[0])[:ERROR_CHARS_MAX])
