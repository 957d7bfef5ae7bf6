"""Records of `telephony.events`: what is understood, and why the rest is not."""

import json
from typing import Any

import pytest
from msgspec.structs import replace

from services.callstate.model import CallInput, CallState
from services.callstate.topology import CallstateTopology
from shared.contracts.calls import Call, EventOutcome, Phase, WrapUpMode, WrapUpRules
from shared.contracts.envelope import Event, Record, ReplyTo, to_message
from shared.contracts.errors import Poison
from shared.contracts.telephony import AgentLeft, DataAttached
from shared.contracts.tenants import Tenant
from shared.runtime.tenants import Found
from shared.runtime.topology import Topology
from tests.support.clock import START_MS

NOW_MS = START_MS + 5_000


class Directory:
    """`TenantDirectory` of one tenant."""

    def __init__(self) -> None:
        self.tenant = Tenant(
            id="acme",
            disposition_key="Outcome",
            wrap_up=WrapUpRules(seconds=7, mode=WrapUpMode.MANDATORY),
        )

    def get(self, tenant_id: str) -> Tenant | None:
        return self.tenant if tenant_id == "acme" else None

    def stands(self, found: Found) -> bool:
        raise NotImplementedError

    def find(self, kind: str, secret: bytes, name: str | None = None) -> Found | None:
        raise NotImplementedError

    def all(self) -> tuple[Tenant, ...]:
        return (self.tenant,)


TOPOLOGY: Topology = CallstateTopology(Directory())
LEFT = Event(
    id="e-1",
    source="/switch",
    type="call.agent_left",
    subject="call:1",
    time_ms=START_MS,
    tenant="acme",
    data=b'{"agent_id":"ann","reason":"transfer"}',
    reply_to=ReplyTo("gateway-1", "17"),
)


def binary(event: Event = LEFT, key: str = "acme:call:1", **headers: bytes | None) -> Record:
    """The record of an event; a header given here replaces or (None) removes its own."""
    message = to_message(event, "telephony.events", key)
    ours = dict(message.headers) | {name.replace("__", "-"): v for name, v in headers.items()}
    return Record(
        topic=message.topic,
        partition=0,
        offset=0,
        timestamp_ms=NOW_MS,
        key=key,
        headers=tuple((name, value) for name, value in ours.items() if value is not None),
        value=message.value,
    )


CLOUD_EVENT: dict[str, Any] = {
    "specversion": "1.0",
    "id": "e-1",
    "source": "/switch",
    "type": "call.agent_left",
    "subject": "call:1",
    "time": "2026-11-21T15:06:40+01:00",
    "tenant": "acme",
    "datacontenttype": "application/json",
    "data": {"agent_id": "ann", "reason": "transfer"},
}


def structured(value: bytes | None = None, **attributes: Any) -> Record:
    """The record of `CLOUD_EVENT`; an attribute given here replaces or (...) removes its own."""
    written = {k: v for k, v in (CLOUD_EVENT | attributes).items() if v is not ...}
    content_type = ("content-type", b"application/cloudevents+json; charset=utf-8")
    reply = (("reply_to", b"gateway-1"), ("correlation_id", b"17"))
    return Record(
        topic="telephony.events",
        partition=0,
        offset=0,
        timestamp_ms=NOW_MS,
        key="acme:call:1",
        headers=(content_type, *reply),
        value=json.dumps(written).encode() if value is None else value,
    )


@pytest.mark.parametrize(
    ("time", "time_ms"),
    [
        ("2024-12-31T23:59:60Z", 1_735_689_599_999),
        ("2024-12-31t23:59:60.9z", 1_735_689_599_999),
        ("2024-12-31T23:59:58.98765432109876543210Z", 1_735_689_598_987),
    ],
)
def test_either_mode_reads_any_time_of_rfc_3339(time: str, time_ms: int) -> None:
    for record in (binary(ce_time=time.encode()), structured(time=time)):
        assert TOPOLOGY.route(record).input.time_ms == time_ms


@pytest.mark.parametrize("record", [binary(), structured()], ids=["binary", "structured"])
def test_either_mode_gives_the_same_input(record: Record) -> None:
    routed = TOPOLOGY.route(record)
    assert (routed.collection, routed.key) == ("calls", "acme:call:1")
    assert (routed.tenant, routed.subject) == ("acme", "call:1")
    assert routed.reply_to == ReplyTo("gateway-1", "17")
    assert routed.input == CallInput(
        tenant="acme",
        call_id="call:1",
        event_id="e-1",
        source="/switch",
        type="call.agent_left",
        data=AgentLeft(agent_id="ann", reason="transfer"),
        time_ms=START_MS,
        now_ms=NOW_MS,
        wrap_up=WrapUpRules(seconds=7, mode=WrapUpMode.MANDATORY, disposition_key="Outcome"),
    )


def test_base64_data_and_no_data_are_read_as_the_format_says() -> None:
    in_base64 = structured(data=..., data_base64="eyJhZ2VudF9pZCI6ImFubiJ9")
    assert TOPOLOGY.route(in_base64).input.data == AgentLeft(agent_id="ann")
    assert TOPOLOGY.route(structured(type="call.held", data=...)).input.type == "call.held"
    attached = structured(type="call.data_attached", data={"user_data": {"a": [1, None]}})
    assert TOPOLOGY.route(attached).input.data == DataAttached(user_data={"a": [1, None]})


UNREADABLE = {
    "no id": (binary(ce_id=None), "bad_envelope"),
    "empty id": (binary(ce_id=b""), "bad_envelope"),
    "id of 257": (binary(ce_id=b"x" * 257), "bad_envelope"),
    "NUL in id": (binary(ce_id=b"a\0b"), "bad_envelope"),
    "source of 257": (binary(ce_source=b"/" * 257), "bad_envelope"),
    "id not UTF-8": (binary(ce_id=b"\xff"), "bad_envelope"),
    "no time": (binary(ce_time=None), "bad_envelope"),
    "time without offset": (binary(ce_time=b"2026-11-21T14:06:40"), "bad_envelope"),
    "time beyond 9999": (binary(ce_time=b"9999-12-31T23:59:59-10:00"), "bad_envelope"),
    "no tenant": (binary(ce_tenant=None), "bad_envelope"),
    "the name of a subject": (binary(ce_subject=b"customer:77"), "bad_envelope"),
    "tenant no id": (binary(ce_tenant=b"ac:me"), "bad_envelope"),
    "subject no id": (binary(ce_subject=b"call 1"), "bad_envelope"),
    "key of another call": (binary(key="acme:call:2"), "bad_key"),
    "key of another tenant": (binary(key="evil:call:1"), "bad_key"),
    "tenant of another key": (binary(ce_tenant=b"evil"), "bad_key"),
    "unknown tenant": (binary(replace(LEFT, tenant="evil"), key="evil:call:1"), "unknown_tenant"),
    "unknown type": (binary(ce_type=b"call.exploded"), "unknown_type"),
    "misspelt field": (binary(replace(LEFT, data=b'{"agentid":"ann"}')), "bad_data"),
    "data no JSON": (binary(replace(LEFT, data=b"\xff")), "bad_data"),
    "agent no id": (binary(replace(LEFT, data=b'{"agent_id":"ann\\n"}')), "bad_data"),
    "not JSON": (structured(b"{"), "bad_envelope"),
    "not an object": (structured(b"[]"), "bad_envelope"),
    "a key twice": (structured(b'{"id":"a","id":"b"}'), "bad_envelope"),
    "deep": (structured(b"[" * 5000), "bad_envelope"),
    "id made up by nobody": (structured(id=...), "bad_envelope"),
    "time made up by nobody": (structured(time=...), "bad_envelope"),
    "id a number": (structured(id=7), "bad_envelope"),
    "another version": (structured(specversion="0.3"), "bad_envelope"),
    "time no time": (structured(time="soon"), "bad_envelope"),
    "time with no offset": (structured(time="2026-11-21T14:06:40"), "bad_envelope"),
    "time over the edge": (structured(time="9999-12-31T24:00:00Z"), "bad_envelope"),
    "lone surrogate": (structured(id="\ud800"), "bad_envelope"),
    "bad base64": (structured(data=..., data_base64="%"), "bad_envelope"),
    "base64 a number": (structured(data=..., data_base64=7), "bad_envelope"),
    "bad attribute name": (structured(None, **{"": "x"}), "bad_envelope"),
    "data a text": (structured(data="agent_id"), "bad_data"),
    "NUL in user data": (
        structured(type="call.data_attached", data={"user_data": {"a": "\0"}}),
        "bad_envelope",
    ),
}


@pytest.mark.parametrize(("record", "reason"), UNREADABLE.values(), ids=UNREADABLE.keys())
def test_what_cannot_be_understood_is_poison_with_its_reason(record: Record, reason: str) -> None:
    with pytest.raises(Poison) as poison:
        TOPOLOGY.route(record)
    assert poison.value.reason == reason


def test_ids_of_256_characters_are_taken() -> None:
    assert TOPOLOGY.route(binary(ce_id=b"x" * 256)).input.event_id == "x" * 256


def test_the_aggregate_decides_stores_and_finds() -> None:
    calls = TOPOLOGY.aggregates["calls"]
    given = TOPOLOGY.route(binary()).input
    decision = calls.decide(None, given, None)
    state = decision.state
    assert isinstance(state, CallState)
    assert isinstance(decision.answer, EventOutcome)
    assert calls.decode(calls.encode(state)) == state
    assert calls.encode(calls.decode(calls.encode(state))) == calls.encode(state)
    again = calls.again(state, given, None)
    assert again.state is state
    assert (again.answer is None, again.effects) == (False, ())
    index = calls.index(state)
    assert (index.phase, index.created_ms) == ("active", NOW_MS)
    assert index.due_ms == NOW_MS + 7_000
    assert index.tags == ("agent:ann",)


def test_a_released_call_waits_for_nothing() -> None:
    call = Call(
        tenant="acme",
        id="call:1",
        version=1,
        phase=Phase.RELEASED,
        created_ms=5,
        disconnected_ms=6,
    )
    index = TOPOLOGY.aggregates["calls"].index(CallState(call=call, last_ms=6))
    assert (index.due_ms, index.phase) == (None, "released")


@pytest.mark.parametrize("ahead_ms", [0, 1, 3_600_000, 250_000_000_000_000])
def test_an_event_never_happens_after_it_was_told(ahead_ms: int) -> None:
    given = TOPOLOGY.route(binary(replace(LEFT, time_ms=NOW_MS + ahead_ms))).input
    assert given.time_ms == NOW_MS


def test_nothing_is_read_beside_a_call() -> None:
    assert TOPOLOGY.beside == {}
    with pytest.raises(NotImplementedError):
        TOPOLOGY.read_beside(b"")
    with pytest.raises(NotImplementedError):
        TOPOLOGY.read_tagged([])
