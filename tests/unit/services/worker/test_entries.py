"""What each topic's records say to history and reports."""

from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from services.worker.entries import read
from shared.contracts.dispositions import Policy
from shared.contracts.envelope import Message, Record
from shared.contracts.errors import Poison
from shared.contracts.topics import DISPOSITION_EVENTS, USER_EVENTS
from shared.kernel import Publish
from tests.unit.services.worker.field import NOW_AT, NOW_MS, a_call, a_request, ask, part, see
from tests.unit.services.worker.records import changed, message, own, record, requested

WRAPPING_UP = a_call(part("ann", "wrap_up"), version=5, campaign_id="camp-1")
RELEASED = a_call(part("ann", "released"), version=6)


def published(effect: Publish, **envelope: Any) -> Message:
    return message(effect.topic, effect.type, effect.data, **{"sequence": 3} | envelope)


def shown(body: bytes) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(body)
    return found


def test_a_change_of_the_call_is_an_event() -> None:
    line = read(record(changed(WRAPPING_UP, sequence=5)))

    entry = own(line)
    assert (entry.id, entry.tenant, entry.call_id) == ("calls.changed:id-1", "demo", "call-1")
    assert (entry.at_ms, entry.rank, entry.sequence) == (NOW_MS, 0, 5)
    assert shown(entry.body) == {
        "at": NOW_AT,
        "kind": "event",
        "type": "call.disconnected",
        "rule": "disconnected",
        "event_id": "switch-9",
        "time": "2026-11-21T14:06:39.000Z",
        "phase": "wrap_up",
        "version": 5,
        "user_data_keys": ["Plan"],
    }
    assert line.outcome is None


def test_a_request_stands_without_its_comment() -> None:
    line = read(record(requested(a_request(comment="private", callback_ms=NOW_MS))))

    assert own(line).request_id == "req-1"
    assert (own(line).at_ms, own(line).rank, own(line).sequence) == (NOW_MS, 1, 7)
    assert shown(own(line).body) == {
        "at": NOW_AT,
        "kind": "request",
        "type": "disposition.requested",
        "rule": "admitted",
        "agent_id": "ann",
        "request_id": "req-1",
        "code": "Sale",
        "key": "DispositionCode",
        "dialect": "native",
    }
    assert line.outcome is None


def test_a_saved_disposition_is_a_verdict_and_an_outcome() -> None:
    saved = ask(None, replace(WRAPPING_UP, customer_id="77"), a_request())[0].effects[0]

    line = read(record(published(saved)))

    assert own(line).id == "disposition.events:id-1"
    assert (own(line).rank, own(line).sequence, own(line).request_id) == (2, 3, "req-1")
    assert shown(own(line).body) == {
        "at": NOW_AT,
        "kind": "verdict",
        "type": "disposition.saved",
        "rule": "saved",
        "call_id": "call-1",
        "agent_id": "ann",
        "request_id": "req-1",
        "outcome": "saved",
        "code": "Sale",
        "key": "DispositionCode",
        "origin": "wrap_up",
        "revision": 1,
        "decided_at": NOW_AT,
        "call_version": 5,
    }
    outcome = line.outcome
    assert outcome is not None
    assert (outcome.tenant, outcome.call_id, outcome.agent_id) == ("demo", "call-1", "ann")
    assert (outcome.code, outcome.origin, outcome.revision) == ("Sale", "wrap_up", 1)
    assert (outcome.decided_ms, outcome.campaign_id, outcome.project_id) == (
        NOW_MS,
        "camp-1",
        None,
    )
    assert shown(outcome.body) == {
        "call_id": "call-1",
        "agent_id": "ann",
        "code": "Sale",
        "key": "DispositionCode",
        "origin": "wrap_up",
        "decided_at": NOW_AT,
        "revision": 1,
        "request_id": "req-1",
        "customer_id": "77",
        "campaign_id": "camp-1",
    }


def test_a_user_event_follows_what_it_tells_of_and_is_an_outcome() -> None:
    first, _ = ask(None, WRAPPING_UP, a_request("Sale"))
    late = ask(first.state, RELEASED, a_request("Referred", number=2))[0].effects[0]

    line = read(record(published(late)))

    assert own(line).id == "user.events:id-1"
    assert own(line).rank == 3
    body = shown(own(line).body)
    assert (body["type"], body["rule"], body["origin"]) == ("EventUserEvent", "late", "late")
    previous = {"code": "Sale", "origin": "wrap_up", "decided_at": NOW_AT}
    assert body["previous"] == previous
    assert line.outcome is not None
    assert line.outcome.revision == 2
    assert shown(line.outcome.body)["previous"] == previous


NO_OUTCOME = {
    "disposition.refused": ask(None, None, a_request())[0].effects[0],
    "disposition.queued": ask(None, a_call(part("ann", "active")), a_request())[0].effects[0],
    "callback.scheduled": ask(None, WRAPPING_UP, a_request(callback_ms=NOW_MS))[0].effects[1],
}


@pytest.mark.parametrize("type_", NO_OUTCOME)
def test_what_is_not_final_is_no_outcome(type_: str) -> None:
    line = read(record(published(NO_OUTCOME[type_])))

    assert shown(own(line).body)["type"] == type_
    assert line.outcome is None


def test_a_miss_is_counted_as_no_disposition_until_one_comes() -> None:
    line = read(record(published(see(None, RELEASED).effects[0])))

    assert shown(own(line).body)["type"] == "disposition.missed"
    assert line.outcome is not None
    assert (line.outcome.revision, line.outcome.code, line.outcome.origin) == (0, "", "missed")
    assert line.outcome.decided_ms == NOW_MS


def test_a_refusal_shows_its_problem() -> None:
    body = shown(own(read(record(published(NO_OUTCOME["disposition.refused"])))).body)

    assert (body["outcome"], body["problem"]) == ("refused", "unknown_call")


def test_told_twice_in_wrap_up_it_is_one_outcome() -> None:
    request = a_request(policy=Policy(tell_in_wrap_up=True))
    saved, user_event = ask(None, WRAPPING_UP, request)[0].effects

    first, second = (read(record(published(effect))) for effect in (saved, user_event))

    assert first.outcome == second.outcome
    assert own(first).rank < own(second).rank


SAVED = record(published(ask(None, WRAPPING_UP, a_request())[0].effects[0]))


def _data(topic: str, type_: str, **fields: Any) -> Record:
    told: dict[str, Any] = {
        "tenant": "demo",
        "call_id": "call-1",
        "agent_id": "ann",
        "rule": "saved",
        "decided_at": NOW_AT,
        "code": "Sale",
        "key": "Key",
        "origin": "wrap_up",
        "revision": 1,
    }
    return record(message(topic, type_, msgspec.json.encode(told | fields)))


@pytest.mark.parametrize(
    "given",
    [
        replace(SAVED, value=b"{"),
        replace(SAVED, value=b"{}"),
        replace(SAVED, key="demo:call-2"),
        replace(SAVED, headers=()),
        _data(DISPOSITION_EVENTS, "disposition.saved", call_id="call-2"),
        _data(DISPOSITION_EVENTS, "disposition.saved", tenant="other"),
        _data(DISPOSITION_EVENTS, "disposition.saved", code=None),
        _data(DISPOSITION_EVENTS, "disposition.corrected", key=None),
        _data(USER_EVENTS, "EventUserEvent", origin=None),
        _data(USER_EVENTS, "EventUserEvent", revision=None),
        _data(DISPOSITION_EVENTS, "disposition.saved", decided_at="yesterday"),
        _data(DISPOSITION_EVENTS, "disposition.saved", revision=2**63),
        record(changed(replace(WRAPPING_UP, version=2**63))),
        replace(record(requested(a_request())), timestamp_ms=2**53),
        record(requested(a_request(call_id="call-2"))),
        replace(record(changed(WRAPPING_UP)), value=b"{}"),
    ],
)
def test_what_we_never_write_is_poison(given: Record) -> None:
    with pytest.raises(Poison):
        read(given)


def test_the_data_that_poison_is_made_from_is_good() -> None:
    assert read(_data(DISPOSITION_EVENTS, "disposition.saved")).outcome is not None
