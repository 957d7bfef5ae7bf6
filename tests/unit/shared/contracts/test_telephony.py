import json
from typing import Any

import pytest

from shared.contracts.errors import Poison
from shared.contracts.limits import TEXT_CHARS_MAX, USER_DATA_BYTES_MAX, WRAP_UP_S_MAX
from shared.contracts.telephony import EVENT_TYPES, CallStarted, WrapUpExtended, decode_data


def decoded(event_type: str, data: Any) -> Any:
    return decode_data(event_type, json.dumps(data).encode())


@pytest.mark.parametrize(
    ("event_type", "data"),
    [
        ("call.started", {"direction": "inbound", "from": "1", "to": "2", "did": "3"}),
        ("call.started", {"direction": "outbound", "project_id": 17, "record_id": "9"}),
        ("call.answered", {}),
        ("call.agent_joined", {"agent_id": "agent-1"}),
        ("call.agent_left", {"agent_id": "agent-1", "reason": "transfer"}),
        ("call.held", {"agent_id": "agent-1"}),
        ("call.retrieved", {}),
        ("call.data_attached", {"user_data": {"k": "v"}}),
        ("call.disconnected", {"by": "caller", "cause": "16"}),
        ("call.wrap_up_extended", {"agent_id": "agent-1", "seconds": WRAP_UP_S_MAX}),
        ("call.released", {}),
        ("call.timer_due", {"timer": "wrap_up", "deadline_ms": 1, "agent_id": "agent-1"}),
    ],
)
def test_every_type_is_understood(event_type: str, data: dict[str, Any]) -> None:
    assert isinstance(decoded(event_type, data), EVENT_TYPES[event_type])


def test_the_wire_says_from_and_the_code_from_() -> None:
    started = decoded("call.started", {"direction": "inbound", "from": "+31"})
    assert started == CallStarted(direction="inbound", from_="+31")


def test_no_data_is_an_empty_object() -> None:
    assert decode_data("call.released", b"") == decoded("call.released", {})


@pytest.mark.parametrize(
    ("event_type", "data"),
    [
        ("call.started", {}),
        ("call.started", {"direction": "sideways"}),
        ("call.started", {"direction": "inbound", "tenant_id": "other"}),
        ("call.started", {"direction": "inbound", "agent_id": "a b"}),
        ("call.started", {"direction": "inbound", "customer_id": {"$ne": None}}),
        ("call.started", {"direction": "inbound", "customer_id": 2**63}),
        ("call.started", {"direction": "inbound", "customer_id": -1}),
        ("call.started", {"direction": "inbound", "customer_id": True}),
        ("call.started", {"direction": "inbound", "from": "x" * (TEXT_CHARS_MAX + 1)}),
        ("call.started", {"direction": "inbound", "user_data": {"a.b": 1}}),
        ("call.agent_joined", {}),
        ("call.agent_joined", {"agent_id": None}),
        ("call.agent_joined", {"agent_id": 7}),
        ("call.agent_joined", {"agent_id": "agent-1\n"}),
        ("call.agent_left", {"agent_id": "agent-1", "reason": "bored"}),
        ("call.data_attached", {}),
        ("call.data_attached", {"user_data": []}),
        ("call.data_attached", {"user_data": {"k": 2**64}}),
        ("call.data_attached", {"user_data": {"k": 10**400}}),
        ("call.disconnected", {"by": "nobody"}),
        ("call.wrap_up_extended", {"agent_id": "agent-1", "seconds": 0}),
        ("call.wrap_up_extended", {"agent_id": "agent-1", "seconds": WRAP_UP_S_MAX + 1}),
        ("call.wrap_up_extended", {"agent_id": "agent-1", "seconds": 1.5}),
        ("call.released", []),
        ("call.released", "x"),
    ],
)
def test_data_that_breaks_its_shape_is_poison(event_type: str, data: Any) -> None:
    with pytest.raises(Poison, match="bad_data"):
        decoded(event_type, data)


@pytest.mark.parametrize("data", [b"{", b"\xff", b"[" * 5000])
def test_what_is_no_json_is_poison(data: bytes) -> None:
    with pytest.raises(Poison, match="bad_data"):
        decode_data("call.released", data)


def test_an_unknown_type_is_poison() -> None:
    with pytest.raises(Poison, match="unknown_type"):
        decoded("call.vanished", {})


def test_user_data_at_the_limit_and_one_above() -> None:
    room = USER_DATA_BYTES_MAX - len('{"k":""}')
    decoded("call.data_attached", {"user_data": {"k": "x" * room}})
    with pytest.raises(Poison, match="user_data is over"):
        decoded("call.data_attached", {"user_data": {"k": "x" * (room + 1)}})


def test_a_number_at_the_limit() -> None:
    extended = decoded("call.wrap_up_extended", {"agent_id": "a", "seconds": 1})
    assert extended == WrapUpExtended(agent_id="a", seconds=1)
