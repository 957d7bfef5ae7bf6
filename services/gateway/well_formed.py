"""Telephony events in JSON as nearly every switch sends them, read at once.

Whatever is not plainly right is left to `cloudevents_in`, which reads it slowly and knows what is
wrong with it. What is read here has the same outcome there; the tests hold the two together.

The quick parser takes the last of two equal keys, and does not tell. But without a backslash the
quotes in the body are those around its texts: as many as the parsed texts have, or one was lost.
"""

from typing import Any, Final, Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType

from shared.contracts import limits
from shared.contracts.envelope import Event
from shared.contracts.errors import Poison
from shared.contracts.ids import is_call_id
from shared.contracts.instants import from_wire, is_rfc_3339
from shared.contracts.telephony import TIMER_DUE, decode_data


class _Plain(Struct, forbid_unknown_fields=True):
    """An event without extensions."""

    specversion: Literal["1.0"]
    id: str
    source: str
    type: str
    subject: str
    time: str | UnsetType = UNSET
    datacontenttype: Literal["application/json"] | UnsetType = UNSET
    data: dict[str, Any] | UnsetType = UNSET


class _Unusual(Exception):
    """It may be wrong, or not: somebody else has to look."""


_REQUIRED: Final = 5
_one: Final = msgspec.json.Decoder(_Plain)
_many: Final = msgspec.json.Decoder(list[_Plain])
_encode: Final = msgspec.json.Encoder().encode


def read_plain(body: bytes, *, many: bool, tenant: str, now_ms: int) -> list[Event] | None:
    """The event of a structured body, or those of a batch; None: read it the other way.

    Args:
        body: as it came.
        many: whether it is a batch.
        tenant: of the credential.
        now_ms: when it happened, where the event does not say.
    """
    if b"\\" in body:
        return None
    try:
        found = _many.decode(body) if many else [_one.decode(body)]
        if len(found) > limits.EVENTS_PER_BATCH_MAX:
            return None
        if 2 * sum(map(_texts_of, found)) != body.count(b'"'):
            return None
        return [_event(plain, tenant, now_ms) for plain in found]
    except (msgspec.DecodeError, _Unusual, Poison, ValueError, RecursionError):
        return None


def _event(plain: _Plain, tenant: str, now_ms: int) -> Event:
    for text in (plain.id, plain.source):
        if not 0 < len(text) <= limits.TEXT_CHARS_MAX or not text.isprintable():
            raise _Unusual
    if not is_call_id(plain.subject) or plain.type == TIMER_DUE:
        raise _Unusual
    time_ms = now_ms
    if plain.time is not UNSET:
        if not is_rfc_3339(plain.time):
            raise _Unusual
        time_ms = from_wire(plain.time.upper())
    data = b"{}" if plain.data is UNSET else _encode(plain.data)
    decode_data(plain.type, data)
    return Event(
        id=plain.id,
        source=plain.source,
        type=plain.type,
        subject=plain.subject,
        time_ms=time_ms,
        tenant=tenant,
        data=data,
    )


def _texts_of(plain: _Plain) -> int:
    """How many texts, keys among them, its JSON holds."""
    texts = 2 * _REQUIRED
    if plain.time is not UNSET:
        texts += 2
    if plain.datacontenttype is not UNSET:
        texts += 2
    if plain.data is not UNSET:
        texts += 1 + _texts_in(plain.data.values(), 1) + len(plain.data)
    return texts


def _texts_in(values: Any, depth: int) -> int:
    """The same of values that lie so deep."""
    texts = 0
    for value in values:
        kind = type(value)
        if kind is str:
            texts += 1
        elif kind is dict or kind is list:
            if depth >= limits.JSON_DEPTH_MAX:
                raise _Unusual
            within = value.values() if kind is dict else value
            texts += _texts_in(within, depth + 1) + (len(value) if kind is dict else 0)
        elif kind is float:  # two parsers need not round alike
            raise _Unusual
    return texts
