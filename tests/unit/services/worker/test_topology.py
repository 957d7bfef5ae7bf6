"""Which record decides on which document, and what can never be processed."""

from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from services.worker.model import CallMoved, DispositionsState, Given, Requested
from services.worker.topology import WorkerTopology
from shared.contracts import limits
from shared.contracts.calls import CallDocument
from shared.contracts.dispositions import DispositionsDocument, Verdict
from shared.contracts.envelope import Record
from shared.contracts.errors import Poison
from shared.contracts.instants import INSTANT_MS_MAX
from shared.contracts.topics import DISPOSITION_REQUESTS
from shared.runtime.topology import Beside, Topology
from tests.unit.services.worker.field import (
    NOW_MS,
    a_call,
    a_request,
    ask,
    asked,
    moved,
    part,
)
from tests.unit.services.worker.records import REPLY_TO, changed, message, record, requested

TOPOLOGY: Topology = WorkerTopology()
DISPOSITIONS = TOPOLOGY.aggregates["dispositions"]
TALKING = a_call(part("ann", "active"), version=5)
WRAPPING_UP = a_call(part("ann", "wrap_up"), version=6)


def test_a_request_decides_on_its_calls_dispositions() -> None:
    routed = TOPOLOGY.route(record(requested(a_request(comment="nice"), reply_to=REPLY_TO)))

    assert (routed.collection, routed.key) == ("dispositions", "demo:call-1")
    assert (routed.tenant, routed.subject) == ("demo", "call-1")
    assert routed.input == Requested(
        tenant="demo", call_id="call-1", request=a_request(comment="nice"), now_ms=NOW_MS
    )
    assert routed.reply_to == REPLY_TO
    assert routed.beside_version == 0


def test_a_change_of_a_call_wants_the_call_at_that_version() -> None:
    routed = TOPOLOGY.route(record(changed(TALKING)))

    assert routed.key == "demo:call-1"
    assert routed.input == CallMoved(tenant="demo", call_id="call-1", version=5, now_ms=NOW_MS)
    assert routed.beside_version == 5


def test_the_call_is_read_beside() -> None:
    assert TOPOLOGY.beside["dispositions"] == Beside("calls")
    assert TOPOLOGY.read_beside(msgspec.json.encode(CallDocument(TALKING))) == (TALKING, 5)


def test_what_is_stored_comes_back_and_others_can_read_it() -> None:
    first, _ = ask(None, TALKING, a_request())
    state, _ = ask(first.state, TALKING, a_request(agent_id="bob", number=2))

    stored = DISPOSITIONS.encode(state.state)

    assert DISPOSITIONS.decode(stored) == state.state
    assert DISPOSITIONS.encode(DISPOSITIONS.decode(stored)) == stored
    document = msgspec.json.decode(stored, type=DispositionsDocument)
    agent = document.agent("ann")
    assert agent is not None
    assert agent.queued is not None
    index = DISPOSITIONS.index(state.state)
    assert (index.created_ms, index.phase, index.due_ms) == (NOW_MS, "", None)
    assert index.tags == ("agent:ann",)


def test_the_aggregate_decides_and_knows_what_it_has_decided() -> None:
    decision = DISPOSITIONS.decide(None, asked(a_request()), TALKING)

    assert isinstance(decision.answer, Verdict)
    assert isinstance(decision.state, DispositionsState)
    for given, answer in ((asked(a_request()), decision.answer), (moved(), None)):
        again = DISPOSITIONS.again(decision.state, given, TALKING)
        assert (again.state, again.effects, again.answer) == (decision.state, (), answer)


@pytest.mark.parametrize("given", [asked(a_request()), moved()], ids=["request", "change"])
def test_an_input_that_comes_again_brings_the_document_up_to_the_call(given: Given) -> None:
    """Its write may have landed late, after the change was taken by a document without it."""
    queued = DISPOSITIONS.decide(None, asked(a_request()), TALKING)
    again = DISPOSITIONS.again(queued.state, given, WRAPPING_UP)
    assert [effect.type for effect in again.effects] == ["disposition.saved"]
    assert DISPOSITIONS.again(again.state, given, WRAPPING_UP).effects == ()


GOOD = record(requested(a_request()))
CHANGED = record(changed(TALKING))


def _of(**fields: Any) -> Record:
    return record(requested(replace(a_request(), **fields)))


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (replace(GOOD, key="call-1"), "bad_key"),
        (replace(GOOD, key="demo:"), "bad_key"),
        (replace(GOOD, key="demo:call-2"), "bad_key"),
        (replace(GOOD, key="other:call-1"), "bad_key"),
        (replace(CHANGED, key="demo:call-2"), "bad_key"),
        (replace(GOOD, headers=()), "bad_envelope"),
        (record(message(DISPOSITION_REQUESTS, "status.wanted", a_request())), "unknown_type"),
        (replace(GOOD, value=b""), "bad_data"),
        (replace(GOOD, value=b"{}"), "bad_data"),
        (replace(GOOD, value=b'{"request_id": 1}'), "bad_data"),
        (replace(GOOD, value=b"\xff"), "bad_data"),
        (replace(GOOD, value=b"[" * 100_000), "bad_data"),
        (_of(call_id="call-2"), "bad_data"),
        (_of(agent_id="ann\n"), "bad_data"),
        (_of(agent_id=""), "bad_data"),
        (_of(callback_ms=-1), "bad_data"),
        (_of(callback_ms=INSTANT_MS_MAX + 1), "bad_data"),
        (_of(code="S" * (limits.TEXT_CHARS_MAX + 1)), "bad_data"),
        (_of(comment="c" * (limits.COMMENT_CHARS_MAX + 1)), "bad_data"),
        (_of(comment="a\x00b"), "bad_data"),
        (_of(idempotency_key="k" * (limits.IDEMPOTENCY_KEY_CHARS_MAX + 1)), "bad_data"),
        (replace(CHANGED, value=b"{}"), "bad_data"),
        (record(changed(replace(TALKING, version=-1))), "bad_data"),
        (record(changed(replace(TALKING, version=2**63))), "bad_data"),
        (record(changed(replace(TALKING, tenant="demo:call-1", id="x"))), "bad_key"),
        (record(changed(replace(TALKING, id="call-2"))), "bad_key"),
        (record(changed(replace(TALKING, tenant="other"))), "bad_key"),
    ],
)
def test_what_can_never_be_processed_is_poison(given: Record, reason: str) -> None:
    with pytest.raises(Poison) as poison:
        TOPOLOGY.route(given)
    assert poison.value.reason == reason


@pytest.mark.parametrize(
    "given",
    [
        _of(callback_ms=INSTANT_MS_MAX),
        _of(code="S" * limits.TEXT_CHARS_MAX),
        _of(comment="c" * limits.COMMENT_CHARS_MAX),
        _of(idempotency_key="k" * limits.IDEMPOTENCY_KEY_CHARS_MAX),
    ],
)
def test_what_is_just_within_the_limits_is_decided(given: Record) -> None:
    routed = TOPOLOGY.route(given)

    assert DISPOSITIONS.decide(None, routed.input, TALKING).answer is not None
