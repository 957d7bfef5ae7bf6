"""What is stored, and what follows from it."""

import msgspec
import pytest

from services.callstate.model import (
    CallState,
    Deadline,
    as_text,
    deadlines,
    due,
    fingerprint,
    is_armed,
    tags,
)
from shared.contracts.calls import CallDocument
from shared.contracts.telephony import TimerDue
from tests.support.calls import SILENCE_S, ToldCall, at_ms, rules, told


def stored(call: ToldCall) -> CallState:
    assert call.state is not None
    return call.state


def test_others_read_the_call_out_of_the_stored_form() -> None:
    call = ToldCall()
    call.tell(told("call.started", 0, direction="inbound", agent_id="ann", user_data={"a": 1}))
    text = msgspec.json.encode(call.state)
    assert msgspec.json.decode(text, type=CallDocument).call == call.call
    assert msgspec.json.decode(text, type=CallState) == call.state


def test_a_fingerprint_keeps_source_and_id_apart() -> None:
    a = msgspec.structs.replace(told("call.held"), source="/a", event_id="b")
    b = msgspec.structs.replace(told("call.held"), source="/", event_id="ab")
    assert fingerprint(a) != fingerprint(b)
    assert len(fingerprint(a)) == 16


def test_deadlines_are_silence_while_it_goes_on_and_each_agent_in_wrap_up() -> None:
    call = ToldCall()
    call.tell(told("call.agent_joined", 0, agent_id="ann"))
    call.tell(told("call.agent_left", 5, agent_id="bob"))
    silence = Deadline("silence", at_ms(5 + SILENCE_S))
    bobs = Deadline("wrap_up", at_ms(35), "bob")
    assert list(deadlines(stored(call))) == [silence, bobs]
    call.tell(told("call.disconnected", 6))
    anns = Deadline("wrap_up", at_ms(36), "ann")
    assert list(deadlines(stored(call))) == [anns, bobs]
    assert due(stored(call), at_ms(34)) == []
    assert due(stored(call), at_ms(35)) == [bobs]
    assert due(stored(call), at_ms(99)) == [bobs, anns]
    assert is_armed(stored(call), TimerDue(timer="wrap_up", deadline_ms=at_ms(36), agent_id="ann"))
    assert not is_armed(stored(call), TimerDue(timer="silence", deadline_ms=at_ms(5 + SILENCE_S)))


def test_a_released_call_waits_for_nothing() -> None:
    call = ToldCall()
    call.tell(told("call.agent_left", 0, agent_id="ann", wrap_up=rules(0)))
    call.tell(told("call.disconnected", 1))
    assert list(deadlines(stored(call))) == []


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({}, ()),
        ({"agent_id": "ann"}, ("agent:ann",)),
        ({"customer_id": 77}, ("customer:77",)),
        ({"campaign_id": "c1"}, ()),
        ({"customer_id": "x", "campaign_id": "c1"}, ("customer:x", "enrolment:c1/x")),
        ({"record_id": 5, "project_id": 17}, ("record:17/5",)),
        ({"record_id": 5}, ("record:5",)),
    ],
)
def test_a_call_is_found_by_agents_and_subjects(
    fields: dict[str, str | int], found: tuple[str, ...]
) -> None:
    call = ToldCall()
    call.tell(told("call.started", data={"direction": "inbound", **fields}))
    assert tags(call.call) == found


@pytest.mark.parametrize(
    ("given", "text"), [(None, None), ("a-1", "a-1"), (0, "0"), (2**63 - 1, "9223372036854775807")]
)
def test_a_number_is_its_decimal(given: str | int | None, text: str | None) -> None:
    assert as_text(given) == text
