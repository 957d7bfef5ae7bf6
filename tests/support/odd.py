"""Records as no writer of ours makes them: good ones, broken at random places."""

import json
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec
from hypothesis import strategies as st
from msgspec.structs import replace

from shared.contracts.envelope import Record

# As they stand in JSON, whether or not they may.
ODD_JSON: Final[tuple[bytes, ...]] = (
    *(b"null", b"true", b"0", b"-1", b"-0.0", b"1.5", b'""', b"[]", b"{}", b"NaN", b"-Infinity"),
    *(b"1e400", b"-1e400", b"1e308", b"9" * 400, b"-" + b"9" * 400, b"9" * 5000),
    *(b"%d" % number for number in (2**31, 2**53 + 1, 2**63 - 1, 2**63, 2**64, -(2**63) - 1)),
    *(b"[" * depth + b"]" * depth for depth in (31, 33, 500, 100_000)),
    b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    *(
        b'"\\ud800"',
        b'"\\udc00\\ud800"',
        b'"\\u0000"',
        b'"a\\u0000b"',
        b'"\xff"',
        b'"\xed\xa0\x80"',
    ),
    *(b'"%b"' % (letter * 100_000) for letter in (b"x", "\u00e9".encode())),
    *(b'"\\n\\r\\t\\u2028"', b'"__proto__"', b'"customer:1"', b'"customer:x/1"', b'"a:b:c"'),
    b'{"__proto__":1,"constructor":{},"":2,"$a.b":3}',
    b'{"twice":1,"twice":2}',
)
ODD_TIMES: Final = (
    "0000-01-01T00:00:00Z",
    "0001-01-01T00:00:00+23:59",
    "1969-12-31T23:59:59.999Z",
    "9999-12-31T23:59:59.999999Z",
    "9999-12-31T23:59:59.999-23:59",
    "10000-01-01T00:00:00Z",
    "2026-11-21T14:06:40",
    "2026-11-21",
    "2026-W47-6T10:00:00Z",
    "2026-11-21T24:00:00Z",
    "2026-11-21T14:06:60Z",
    "2016-12-31T23:59:60Z",
    "2026-02-30T10:00:00Z",
    "2026-11-21T14:06:40+24:00",
    "2026-11-21T14:06:40+00:00:30",
    "2026-11-21T14:06:40." + "1" * 5000 + "Z",
    "\u0662026-11-21T14:06:40Z",
    "now",
)
ODD_TEXTS: Final = (
    *ODD_TIMES,
    *("", " ", "\x00", "a\x00b", "x" * 100_000, "\u00e9" * 300, "\U0001f600", "1_0", "-1"),
    *(str(2**63), str(2**63 - 1), str(-(2**70)), "9" * 400, "9" * 5000, "1.5", "1e400", " 7 "),
    *("demo", "north", "nobody", "a:b", "one", "customer:77", "customer:", "record:17/4711"),
    *(
        "call.started",
        "call.timer_due",
        "disposition.requested",
        "status.requested",
        "subject.named",
    ),
    *("callback.timer_due", "application/json", "application/cloudevents+json", "text/plain"),
    *("application/cloudevents+json; charset=utf-16", "application/cloudevents-batch+json"),
)
ODD_BYTES: Final = (*(text.encode() for text in ODD_TEXTS), b"\xff\xfe", b"\xed\xa0\x80", b"\xc3")
ODD_HEADERS: Final = (
    *("ce_specversion", "ce_id", "ce_source", "ce_type", "ce_subject", "ce_time", "ce_tenant"),
    *("ce_sequence", "content-type", "reply_to", "correlation_id", "dead_put_back", "dead_origin"),
    *("dead_reason", "dead_detail", "ce_", "", "\u00e9", "CE_ID"),
)
# By the broker's clock they are never so; by a producer's, where a topic is set to that, they are.
ODD_MS: Final = (-(2**63), -1, 0, 1, 253_402_300_799_999, 253_402_300_800_000, 2**53, 2**63 - 1)

_STRUCTURED: Final = ("content-type", b"application/cloudevents+json")


def structured(record: Record) -> Record:
    """The same in the other content mode."""
    headers = dict(record.headers)
    attributes: dict[str, Any] = {
        name.removeprefix("ce_"): headers[name].decode() for name in headers if name[:3] == "ce_"
    }
    try:
        attributes["data"] = msgspec.json.decode(record.value)
    except ValueError:
        attributes["data"] = None
    kept = tuple((name, value) for name, value in record.headers if name[:3] != "ce_")
    kept = tuple((name, value) for name, value in kept if name != "content-type")
    return replace(record, headers=(*kept, _STRUCTURED), value=msgspec.json.encode(attributes))


@st.composite
def broken(draw: st.DrawFn, records: Sequence[Record], *, both_modes: bool = False) -> Record:
    """One of the records, with one to three things about it broken."""
    record = draw(st.sampled_from(records))
    if both_modes and draw(st.booleans()):
        record = structured(record)
    for _ in range(draw(st.integers(1, 3))):
        record = draw(st.sampled_from(_BREAKERS))(draw, record)
    return record


def _value(draw: st.DrawFn, record: Record) -> Record:
    """Something in the JSON is something else."""
    try:
        written = json.loads(record.value)
    except (ValueError, RecursionError):
        return record
    if not isinstance(written, dict):
        return record
    inside: dict[str, Any] = written
    while True:
        name = draw(st.sampled_from([*inside, "more"]))
        found = inside.get(name)
        if isinstance(found, list) and found and isinstance(found[0], dict) and draw(st.booleans()):
            found = found[0]
        if isinstance(found, dict) and draw(st.integers(0, 3)):
            inside = found
            continue
        inside[name] = draw(_odd_value)
        return replace(record, value=_joined(written))


def _joined(written: Any) -> bytes:
    """JSON in which `Raw` stands as it is, good or not."""
    if isinstance(written, msgspec.Raw):
        return bytes(written)
    if isinstance(written, dict):
        items = (json.dumps(name).encode() + b":" + _joined(v) for name, v in written.items())
        return b"{%b}" % b",".join(items)
    if isinstance(written, list):
        return b"[%b]" % b",".join(map(_joined, written))
    return json.dumps(written).encode()


_odd_value: Final = st.sampled_from(
    [*map(msgspec.Raw, ODD_JSON), *(text for text in ODD_TEXTS), *ODD_MS]
)


def _name(draw: st.DrawFn, record: Record) -> Record:
    """A key stands twice, or is another one."""
    first = record.value.find(b'"')
    if first < 0:
        return record
    twice = draw(st.sampled_from([b'"id":1,', b'"data":{},', b'"x":1,"x":2,', b'"tenant":"a",']))
    return replace(record, value=record.value[:first] + twice + record.value[first:])


def _splice(draw: st.DrawFn, record: Record) -> Record:
    """Random bytes in the middle, or what is behind it gone."""
    where = draw(st.integers(0, max(len(record.value) - 1, 0)))
    some = draw(st.one_of(st.binary(max_size=12), st.sampled_from(ODD_JSON)))
    rest = record.value[where + draw(st.integers(0, 4)) :] if draw(st.booleans()) else b""
    return replace(record, value=record.value[:where] + some + rest)


def _header(draw: st.DrawFn, record: Record) -> Record:
    """A header more, or one with another value, or one twice."""
    name = draw(st.sampled_from([*(name for name, _ in record.headers), *ODD_HEADERS]))
    value = draw(st.one_of(st.sampled_from(ODD_BYTES), st.binary(max_size=12)))
    kept = record.headers
    if draw(st.booleans()):
        kept = tuple(header for header in kept if header[0] != name)
    return replace(record, headers=(*kept, (name, value)))


def _no_header(draw: st.DrawFn, record: Record) -> Record:
    if not record.headers:
        return record
    gone = draw(st.sampled_from(record.headers))
    return replace(record, headers=tuple(one for one in record.headers if one is not gone))


def _key(draw: st.DrawFn, record: Record) -> Record:
    keys = [
        "",
        ":",
        "demo",
        "demo:",
        "\ufffd",
        "demo:customer:",
        "x" * 100_000,
        "a:b:c",
        "demo:one",
    ]
    return replace(record, key=draw(st.sampled_from(keys)))


def _time(draw: st.DrawFn, record: Record) -> Record:
    return replace(record, timestamp_ms=draw(st.sampled_from(ODD_MS)))


_BREAKERS: Final[tuple[Callable[[st.DrawFn, Record], Record], ...]] = (
    *(_value, _value, _value, _value),
    *(_name, _splice, _header, _header, _no_header, _key, _time),
)
