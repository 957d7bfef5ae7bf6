"""Events that are read at once: they come out as they do the other way, or are left to it."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict, CIMultiDictProxy

from services.gateway.cloudevents_in import BATCH, STRUCTURED, read_any
from services.gateway.well_formed import read_plain
from shared.contracts import limits
from shared.contracts.envelope import Event
from shared.contracts.errors import Refused
from tests.support.clock import START_MS

PLAIN: dict[str, Any] = {
    "specversion": "1.0",
    "id": "e-1",
    "source": "/switch/1",
    "type": "call.started",
    "subject": "call-1",
    "time": "2026-11-21T14:00:00+01:00",
    "datacontenttype": "application/json",
    "data": {"direction": "inbound", "customer_id": 77, "user_data": {"a": [{"b": None}, True]}},
}
NO_HEADERS = CIMultiDictProxy(CIMultiDict[str]())


def quickly(body: bytes, *, many: bool = False) -> list[Event] | None:
    return read_plain(body, many=many, tenant="demo", now_ms=START_MS)


def slowly(body: bytes, *, many: bool = False) -> list[Event] | None:
    """The same, where None means that it is refused."""
    kind = BATCH if many else STRUCTURED
    try:
        return read_any(NO_HEADERS, kind, body, tenant="demo", now_ms=START_MS)
    except Refused:
        return None


def with_data(data: object) -> bytes:
    return json.dumps({**PLAIN, "type": "call.data_attached", "data": data}).encode()


@pytest.mark.parametrize(
    "left_out", [(), ("time",), ("datacontenttype",), ("time", "datacontenttype", "data")]
)
def test_a_plain_event_is_read_as_it_is_the_other_way(left_out: tuple[str, ...]) -> None:
    event = {name: value for name, value in PLAIN.items() if name not in left_out}
    event["type"] = "call.started" if "data" in event else "call.answered"
    for body in (json.dumps(event, indent=1).encode(), json.dumps(event).encode()):
        assert quickly(body) is not None
        assert quickly(body) == slowly(body)


@pytest.mark.parametrize(
    "time", ["2024-12-31T23:59:60Z", "2026-11-21t14:00:00.12345678901234567890z"]
)
def test_so_is_any_time(time: str) -> None:
    body = json.dumps({**PLAIN, "time": time}).encode()
    assert quickly(body) is not None
    assert quickly(body) == slowly(body)


def test_a_batch_too() -> None:
    other = {**PLAIN, "source": "/Zürich", "data": {"direction": "inbound", "from": "ß"}}
    body = json.dumps([PLAIN, {**PLAIN, "id": "e-2"}, other], ensure_ascii=False).encode()
    found = quickly(body, many=True)
    assert found == slowly(body, many=True)
    assert [event.id for event in found or ()] == ["e-1", "e-2", "e-1"]
    assert quickly(b"[]", many=True) == []


UNUSUAL: dict[str, bytes] = {
    "a key twice": b'{"id":"e-0",' + json.dumps(PLAIN).encode()[1:],
    "a key twice in the data": with_data({"user_data": {"a": 1}}).replace(
        b'"a": 1', b'"a": 2, "a": 1'
    ),
    "a key twice, with an object": with_data({"user_data": {"a": 1}}).replace(
        b'"a": 1', b'"a": {}, "a": 1'
    ),
    "an extension": json.dumps({**PLAIN, "tenant": "demo"}).encode(),
    "a backslash": json.dumps({**PLAIN, "source": "ü"}).encode(),
    "null": json.dumps({**PLAIN, "time": None}).encode(),
    "a fraction": with_data({"user_data": {"a": 0.1}}),
    "an integer beyond 64 bit": with_data({"user_data": {"a": 2**63}}),
    "no number": with_data({"user_data": {"a": float("nan")}}),
    "a mark": b"\xef\xbb\xbf" + json.dumps(PLAIN).encode(),
    "not UTF-8": json.dumps(PLAIN).encode().replace(b"/switch", b"\xff"),
    "a surrogate": json.dumps(PLAIN).encode().replace(b"/switch", b"\xed\xa0\x80"),
    "a line feed in a text": json.dumps(PLAIN).encode().replace(b"/switch", b"\n"),
    "not printable": json.dumps(PLAIN).encode().replace(b"/switch", b"\x7f"),
    "no text": json.dumps({**PLAIN, "id": ""}).encode(),
    "too long a text": json.dumps({**PLAIN, "id": "x" * 257}).encode(),
    "no id": json.dumps({**PLAIN, "subject": "call 1"}).encode(),
    "a zone left out": json.dumps({**PLAIN, "time": "2026-11-21T14:00:00"}).encode(),
    "a week date": json.dumps({**PLAIN, "time": "2026-W47-6T14:00:00Z"}).encode(),
    "no such day": json.dumps({**PLAIN, "time": "2026-02-30T14:00:00Z"}).encode(),
    "before 1970": json.dumps({**PLAIN, "time": "1969-12-31T14:00:00Z"}).encode(),
    "a timer": json.dumps(
        {**PLAIN, "type": "call.timer_due", "data": {"timer": "silence", "deadline_ms": 1}}
    ).encode(),
    "no such type": json.dumps({**PLAIN, "type": "call.sung"}).encode(),
    "no such field": with_data({"user_data": {}, "agent": "agent-1"}),
    "a key that no store takes": with_data({"user_data": {"$a": 1}}),
    "not an object": with_data(["user_data"]),
    "an array": json.dumps([PLAIN]).encode(),
    "another version": json.dumps({**PLAIN, "specversion": "0.3"}).encode(),
    "not JSON": b'{"specversion":',
    "nothing": b"",
}


@pytest.mark.parametrize("body", UNUSUAL.values(), ids=UNUSUAL.keys())
def test_what_is_not_plain_is_left_to_the_other_way(body: bytes) -> None:
    assert quickly(body) is None


def nested(levels: int) -> bytes:
    value: dict[str, Any] = {}
    for _ in range(levels):
        value = {"a": value}
    return with_data({"user_data": value})


def test_it_goes_as_deep_as_the_other_way_and_no_deeper() -> None:
    deepest = limits.JSON_DEPTH_MAX - 2  # within the event, its data and their user data
    assert quickly(nested(deepest - 1)) == slowly(nested(deepest - 1)) is not None
    assert quickly(nested(deepest)) == slowly(nested(deepest))
    for levels in (deepest + 1, 2_000):
        body = nested(1).replace(b"{}", b'{"a":' * levels + b"{}" + b"}" * levels)
        assert quickly(body) is None
        assert slowly(body) is None


def test_a_batch_is_no_longer_than_the_other_way_takes() -> None:
    most = [PLAIN] * limits.EVENTS_PER_BATCH_MAX
    assert quickly(json.dumps(most).encode(), many=True) is not None
    assert quickly(json.dumps([*most, PLAIN]).encode(), many=True) is None


scalars = st.none() | st.booleans() | st.integers(-(2**65), 2**65) | st.floats() | st.text()
values = st.recursive(
    scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8
)
changes = st.dictionaries(st.sampled_from([*PLAIN, "tenant", "x"]), values | scalars, max_size=3)


@pytest.mark.slow
@settings(max_examples=400)
@given(change=changes, user_data=values, escape=st.booleans(), twice=st.binary(max_size=3))
def test_whatever_is_sent_it_never_reads_what_the_other_way_refuses(
    change: dict[str, Any], user_data: object, *, escape: bool, twice: bytes
) -> None:
    event = {**PLAIN, "data": {"direction": "inbound", "user_data": user_data}, **change}
    body = json.dumps(event, ensure_ascii=escape).encode(errors="surrogatepass")
    middle = len(body) // 2
    for sent in (body, body[:middle] + twice + body[middle:], b'{"id":1,' + body[1:]):
        found = quickly(sent)
        assert found is None or found == slowly(sent)
