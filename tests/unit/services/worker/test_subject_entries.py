"""What records about subjects say to history, to the call's history, and to reports."""

from typing import Any

import msgspec
import pytest

from services.worker.entries import read
from services.worker.lines import STATUS_RANK
from services.worker.subject_model import SubjectState
from shared.contracts.envelope import Message
from shared.contracts.errors import Poison
from shared.contracts.ids import call_key
from shared.contracts.topics import DISPOSITION_EVENTS
from shared.kernel import Decision, Publish
from shared.runtime.history import NOT_COUNTED, OutcomeRow
from tests.unit.services.worker.field import NOW_AT, NOW_MS, data
from tests.unit.services.worker.records import message, own, record
from tests.unit.services.worker.subject_field import (
    CUSTOMER,
    FREE,
    FROM_CALL,
    NAMED,
    ask_for,
    naming,
    wish,
    wished,
)


def published(effect: Publish, subject: str = CUSTOMER, **envelope: Any) -> Message:
    told = {"sequence": 3, "subject": subject} | envelope
    return message(effect.topic, effect.type, effect.data, **told)


def shown(body: bytes) -> Any:
    return msgspec.json.decode(body)


def test_a_request_is_a_line_of_its_subject() -> None:
    line = read(record(wished(wish(origin=FROM_CALL, dialect="call", comment="rang twice"))))
    assert (line.outcome, line.also) == (None, None)
    assert (own(line).call_id, own(line).rank, own(line).request_id) == (CUSTOMER, 1, "req-1")
    assert shown(own(line).body) == {
        "at": NOW_AT,
        "kind": "request",
        "type": "status.requested",
        "rule": "admitted",
        "subject": CUSTOMER,
        "call_id": "call-1",
        "agent_id": "ann",
        "request_id": "req-1",
        "dialect": "call",
        "code": "Sale",
    }
    assert shown(own(read(record(wished(naming("Fresh"))))).body)["type"] == "subject.named"


def test_a_change_is_a_line_of_its_subject_and_of_the_call_that_caused_it() -> None:
    (effect,) = ask_for(None, wish(policy=FREE, origin=FROM_CALL, dialect="call"))[0].effects
    line = read(record(published(effect)))
    assert line.also is not None
    assert line.entries == (own(line), line.also)
    assert (own(line).call_id, own(line).rank, own(line).request_id) == (CUSTOMER, 2, "req-1")
    assert (line.also.call_id, line.also.rank, line.also.request_id) == (
        "call-1",
        STATUS_RANK,
        None,
    )
    assert own(line).id == "disposition.events:id-1"
    assert line.also.id != own(line).id
    assert shown(own(line).body) == shown(line.also.body)
    assert shown(own(line).body) == {
        "at": NOW_AT,
        "kind": "verdict",
        "type": "status.changed",
        "rule": "set",
        "subject": CUSTOMER,
        "call_id": "call-1",
        "agent_id": "ann",
        "request_id": "req-1",
        "dialect": "call",
        "outcome": "set",
        "code": "Sale",
        "revision": 1,
        "decided_at": NOW_AT,
    }


def test_a_refusal_is_a_line_and_no_outcome() -> None:
    (effect,) = ask_for(None, wish())[0].effects
    line = read(record(published(effect)))
    assert (line.outcome, line.also) == (None, None)
    assert shown(own(line).body)["problem"] == "unknown_subject"


def test_a_status_of_its_own_is_counted_under_its_subject() -> None:
    (effect,) = ask_for(None, wish(subject="enrolment:c1/77"), NAMED)[0].effects
    outcome = read(record(published(effect, "enrolment:c1/77"))).outcome
    assert outcome is not None
    assert (outcome.call_id, outcome.agent_id) == ("enrolment:c1/77", "")
    assert (outcome.revision, outcome.code, outcome.origin) == (1, "Sale", "status")
    assert (outcome.decided_ms, outcome.campaign_id, outcome.project_id) == (NOW_MS, "c1", None)
    assert shown(outcome.body) == {
        "subject": "enrolment:c1/77",
        "code": "Sale",
        "decided_at": NOW_AT,
        "revision": 1,
        "request_id": "req-1",
        "customer_id": "77",
        "campaign_id": "c1",
    }


OWN, OF_CALL, CLEAR = (
    wish(policy=FREE),
    wish(policy=FREE, origin=FROM_CALL),
    wish(None, policy=FREE),
)


@pytest.mark.parametrize(
    ("story", "counted"),
    [
        ([OWN], 1),
        ([OF_CALL], 0),
        ([OWN, OWN], 1),
        ([OWN, OF_CALL], 0),
        ([OWN, OF_CALL, OF_CALL], 0),
        ([OWN, OF_CALL, OWN], 1),
        ([OF_CALL, OWN], 1),
        ([OWN, CLEAR], 0),
        ([OWN, CLEAR, OF_CALL], 0),
        ([OF_CALL, CLEAR], 0),
        ([OF_CALL, CLEAR, OWN], 1),
    ],
)
def test_a_subject_is_counted_once_and_never_beside_its_call(
    story: list[Any], counted: int
) -> None:
    """By the newest row alone, in whatever order the records are read."""
    state: SubjectState | None = None
    rows: list[OutcomeRow] = []
    for number, request in enumerate(story):
        fresh = msgspec.structs.replace(request, idempotency_key=str(number))
        decision: Decision[SubjectState | None] = ask_for(state, fresh)[0]
        state = decision.state
        row = read(record(published(decision.effects[0]))).outcome
        rows += [] if row is None else [row]
    newest = max(rows, key=lambda row: row.revision, default=None)
    assert (newest is not None and newest.code != NOT_COUNTED) is bool(counted)


def test_what_tells_of_another_subject_is_poison() -> None:
    (effect,) = ask_for(None, wish(), NAMED)[0].effects
    told = msgspec.structs.replace(data(effect), subject="customer:78")
    without = msgspec.structs.replace(data(effect), revision=None)
    for wrong in (told, without):
        given = message(DISPOSITION_EVENTS, "status.changed", wrong, subject=CUSTOMER, sequence=1)
        assert given.key == call_key("demo", CUSTOMER)
        with pytest.raises(Poison, match="bad_data"):
            read(record(given))
