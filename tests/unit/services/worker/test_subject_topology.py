"""Records about subjects: which are understood, how they are found, what is read beside them."""

from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from services.worker.subject_model import Asked, Beside, SubjectState
from services.worker.subject_topology import read_calls
from services.worker.topology import WorkerTopology
from shared.contracts import limits
from shared.contracts.calls import CallDocument
from shared.contracts.envelope import Record
from shared.contracts.errors import Poison
from shared.contracts.instants import INSTANT_MS_MAX
from shared.contracts.subjects import CallOrigin, SubjectDocument, kind_tag
from shared.runtime.topology import Beside as BesideThem
from tests.unit.services.worker.field import NOW_MS, a_call, part
from tests.unit.services.worker.records import REPLY_TO, record
from tests.unit.services.worker.subject_field import (
    FREE,
    NAMED,
    ask_for,
    asked,
    naming,
    wish,
    wished,
)

TOPOLOGY = WorkerTopology()
SUBJECTS = TOPOLOGY.aggregates["subjects"]
GOOD = record(wished(wish()))


def test_a_request_is_for_the_document_of_its_subject() -> None:
    routed = TOPOLOGY.route(record(wished(wish(), reply_to=REPLY_TO)))
    assert (routed.collection, routed.key) == ("subjects", "demo:customer:77")
    assert (routed.tenant, routed.subject) == ("demo", "customer:77")
    assert routed.input == Asked(tenant="demo", request=wish(), now_ms=NOW_MS)
    assert (routed.reply_to, routed.alone) == (REPLY_TO, False)


@pytest.mark.parametrize("request_", [wish(policy=FREE), naming("Fresh")])
def test_calls_are_not_read_for_who_does_not_ask(request_: Any) -> None:
    assert TOPOLOGY.route(record(wished(request_))).alone


def test_its_calls_are_read_beside() -> None:
    assert TOPOLOGY.beside["subjects"] == BesideThem("calls", by_tag=True)


@pytest.mark.parametrize(
    ("phases", "said"),
    [
        ((), Beside()),
        (("released",), NAMED),
        (("released", "released"), NAMED),
        (("released", "ringing"), Beside(named=True, handled=True)),
        (("active",), Beside(named=True, handled=True)),
        (("wrap_up", "released"), Beside(named=True, handled=True)),
    ],
)
def test_what_calls_say_of_a_subject(phases: tuple[str, ...], said: Beside) -> None:
    calls = [CallDocument(a_call(part("ann", phase))) for phase in phases]
    states = [msgspec.json.encode(call) for call in calls]
    assert read_calls(states) == said
    assert TOPOLOGY.read_tagged(states) == said


def _of(**fields: Any) -> Record:
    return record(wished(replace(wish(), **fields)))


def _naming(**fields: Any) -> Record:
    return record(wished(replace(naming(), **fields)))


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (replace(GOOD, key="demo:customer:78"), "bad_key"),
        (replace(GOOD, key="other:customer:77"), "bad_key"),
        (record(wished(wish(), subject="call-1")), "bad_data"),
        (record(wished(wish(subject="call-1"))), "bad_data"),
        (record(wished(wish(subject="enrolment:77"))), "bad_key"),
        (record(wished(wish(), type="status.wanted")), "unknown_type"),
        (replace(GOOD, value=b"{}"), "bad_data"),
        (replace(GOOD, value=b"[" * 100_000), "bad_data"),
        (_of(status=""), "bad_data"),
        (_of(status="S" * (limits.TEXT_CHARS_MAX + 1)), "bad_data"),
        (_of(status="a\x00b"), "bad_data"),
        (_of(comment="c" * (limits.COMMENT_CHARS_MAX + 1)), "bad_data"),
        (_of(callback_ms=-1), "bad_data"),
        (_of(callback_ms=INSTANT_MS_MAX + 1), "bad_data"),
        (_of(user_id="a b"), "bad_data"),
        (_of(origin=CallOrigin(call_id="customer:77", agent_id="ann")), "bad_data"),
        (_of(origin=CallOrigin(call_id="call-1", agent_id="")), "bad_data"),
        (_of(idempotency_key="k" * (limits.IDEMPOTENCY_KEY_CHARS_MAX + 1)), "bad_data"),
        (_naming(data={"a": "b" * limits.SUBJECT_DATA_BYTES_MAX}), "bad_data"),
        (_naming(data={"a": "b" * (limits.COMMENT_CHARS_MAX + 1)}), "bad_data"),
        (_naming(data={"a": "\x00"}), "bad_data"),
    ],
)
def test_what_can_never_be_processed_is_poison(given: Record, reason: str) -> None:
    with pytest.raises(Poison) as poison:
        TOPOLOGY.route(given)
    assert poison.value.reason == reason


@pytest.mark.parametrize(
    "given",
    [
        _of(status="S" * limits.TEXT_CHARS_MAX),
        _of(comment="c" * limits.COMMENT_CHARS_MAX),
        _of(callback_ms=INSTANT_MS_MAX, user_id="7"),
        _naming(data={"a": "b" * limits.COMMENT_CHARS_MAX}),
    ],
)
def test_what_is_just_within_the_limits_is_decided(given: Record) -> None:
    assert SUBJECTS.decide(None, TOPOLOGY.route(given).input, NAMED).answer is not None


def test_what_is_stored_comes_back_and_others_can_read_it() -> None:
    state = ask_for(None, wish(comment="rang twice"), NAMED)[0].state
    stored = SUBJECTS.encode(state)
    assert SUBJECTS.decode(stored) == state
    assert SUBJECTS.encode(SUBJECTS.decode(stored)) == stored
    document = msgspec.json.decode(stored, type=SubjectDocument)
    assert document.status is not None
    assert (document.status.code, document.status.comment) == ("Sale", "rang twice")


def test_an_input_that_comes_again_gets_its_answer_and_changes_nothing() -> None:
    first, verdict = ask_for(None, wish(), NAMED)
    again = SUBJECTS.again(first.state, asked(wish()), None)
    assert (again.state, again.effects, again.answer) == (first.state, (), verdict)


@pytest.mark.parametrize(
    ("subject", "tags"),
    [
        ("customer:77", ("kind:customer", "user:7")),
        ("customer:s2/77", ("kind:customer/s2", "user:7")),
        ("record:17/4711", ("kind:record", "kind:record/17", "user:7")),
        ("enrolment:c1/77", ("kind:enrolment", "kind:enrolment/c1", "customer:77", "user:7")),
    ],
)
def test_a_known_subject_is_found_by_its_status_its_kind_and_whose_it_is(
    subject: str, tags: tuple[str, ...]
) -> None:
    state: SubjectState | None = ask_for(None, wish(subject=subject, user_id="7"), NAMED)[0].state
    index = SUBJECTS.index(state)
    assert (index.created_ms, index.phase, index.due_ms, index.tags) == (NOW_MS, "Sale", None, tags)
    cleared = ask_for(state, wish(None, subject=subject, number=2))[0].state
    assert SUBJECTS.index(cleared).phase == ""
    assert kind_tag("customer") in SUBJECTS.index(ask_for(None, naming())[0].state).tags


def test_one_that_nobody_knows_is_not_found() -> None:
    refused = ask_for(None, wish())[0].state
    assert SUBJECTS.index(refused).tags == ()
