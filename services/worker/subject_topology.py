"""Subjects as the processor sees them: their aggregate, and their records understood."""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from services.worker import subjects
from services.worker.checks import MALFORMED, check_chars, check_texts
from services.worker.subject_model import (
    Asked,
    Beside,
    CallbackTimed,
    Given,
    SubjectState,
    callback,
)
from shared.contracts import limits
from shared.contracts.callbacks import CallbackTimer
from shared.contracts.calls import CallDocument, Phase
from shared.contracts.envelope import Event, Record
from shared.contracts.errors import Poison
from shared.contracts.ids import is_call_id, is_id, is_subject_name
from shared.contracts.instants import INSTANT_MS_MAX
from shared.contracts.subjects import (
    STATUS_REQUESTED,
    SUBJECT_NAMED,
    NamingRequest,
    StatusRequest,
    kind_tag,
    read_subject,
)
from shared.kernel import Decision
from shared.runtime.ports import Index
from shared.runtime.topology import Routed

COLLECTION: Final = "subjects"

_state_decoder: Final = msgspec.json.Decoder(SubjectState)
_call_decoder: Final = msgspec.json.Decoder(CallDocument)
_decoders: Final[Mapping[str, msgspec.json.Decoder[StatusRequest | NamingRequest]]] = {
    STATUS_REQUESTED: msgspec.json.Decoder(StatusRequest),
    SUBJECT_NAMED: msgspec.json.Decoder(NamingRequest),
}
_encoder: Final = msgspec.json.Encoder()

_CHARS_MAX: Final = {
    "request_id": limits.IDEMPOTENCY_KEY_CHARS_MAX,
    "idempotency_key": limits.IDEMPOTENCY_KEY_CHARS_MAX,
    "body_hash": limits.TEXT_CHARS_MAX,
    "dialect": limits.TEXT_CHARS_MAX,
    "status": limits.TEXT_CHARS_MAX,
    "comment": limits.COMMENT_CHARS_MAX,
}


class SubjectsAggregate:
    """One subject."""

    def decode(self, state: bytes) -> SubjectState:
        """The stored state."""
        return _state_decoder.decode(state)

    def encode(self, state: SubjectState) -> bytes:
        """The state to store; verdicts keep the order in which they were given."""
        return _encoder.encode(state)

    def decide(
        self, state: SubjectState | None, given: Given, beside: Beside | None
    ) -> Decision[SubjectState | None]:
        """The rules of `services.worker.subjects`."""
        return subjects.decide(state, given, beside)

    def again(
        self, state: SubjectState | None, given: Given, _beside: Beside | None
    ) -> Decision[SubjectState | None]:
        """The verdict that a request was given: nothing follows from a call that is read."""
        if isinstance(given, CallbackTimed):
            return Decision(state)
        return Decision(state, (), subjects.recall(state, given))

    def index(self, state: SubjectState) -> Index:
        """By its status and its callback, and, once it is known, by kind, within what, whose."""
        status, timer = state.status, callback(state)
        phase = "" if status is None or status.code is None else status.code
        due_ms = None if timer is None else timer.deadline_ms
        return Index(created_ms=state.created_ms, phase=phase, due_ms=due_ms, tags=tags(state))


def tags(state: SubjectState) -> tuple[str, ...]:
    """What a known subject is found by; whose it was it stays found by."""
    if not state.known:
        return ()
    subject = read_subject(state.subject)
    found: list[str] = []
    if subject.within is None or subject.kind != "customer":  # else of its subtenant alone
        found.append(kind_tag(subject.kind))
    if subject.within is not None:
        found.append(kind_tag(subject.kind, subject.within))
    if subject.kind == "enrolment":
        found.append(f"customer:{subject.id}")
    if state.status is not None and state.status.user_id is not None:
        found.append(f"user:{state.status.user_id}")
    return tuple(found)


def read_calls(states: Sequence[bytes]) -> Beside:
    """What the calls of a subject say of it."""
    phases = {_call_decoder.decode(state).call.phase for state in states}
    return Beside(named=bool(phases), handled=bool(phases - {Phase.RELEASED}))


def route(record: Record, event: Event) -> Routed:
    """Understand a request that is about a subject; its key is that of its tenant and subject.

    Raises:
        Poison: `bad_key`, or `bad_data` with what is wrong.
    """
    request = read_status_request(event)
    given = Asked(tenant=event.tenant, request=request, now_ms=record.timestamp_ms)
    return Routed(
        collection=COLLECTION,
        key=record.key,
        tenant=event.tenant,
        subject=event.subject,
        input=given,
        reply_to=event.reply_to,
        alone=not subjects.asks_beside(request),
    )


def timed(record: Record, event: Event, timer: CallbackTimer) -> Routed:
    """The time of a subject's callback."""
    given = CallbackTimed(
        tenant=event.tenant, subject=event.subject, timer=timer, now_ms=record.timestamp_ms
    )
    return Routed(
        collection=COLLECTION,
        key=record.key,
        tenant=event.tenant,
        subject=event.subject,
        input=given,
        alone=True,
    )


def read_status_request(event: Event) -> StatusRequest | NamingRequest:
    """The request in an event.

    Raises:
        Poison: `bad_data` with what is wrong.
    """
    try:
        request = _decoders[event.type].decode(event.data)
    except MALFORMED as error:
        raise Poison("bad_data", str(error)) from None
    _check(request, event)
    return request


def _check(request: StatusRequest | NamingRequest, event: Event) -> None:
    """What the shape alone does not say, and a decision or a store would stumble over."""
    if request.subject != event.subject or not is_subject_name(request.subject):
        raise Poison("bad_data", "subject is not the envelope's, or names none")
    check_texts(request, _CHARS_MAX)
    if request.status == "":
        raise Poison("bad_data", "status is empty")
    if isinstance(request, NamingRequest):
        _check_data(request.data)
        return
    if request.callback_ms is not None and not 0 <= request.callback_ms <= INSTANT_MS_MAX:
        raise Poison("bad_data", "callback_ms is no instant")
    if request.user_id is not None and not is_id(request.user_id):
        raise Poison("bad_data", "user_id is no id")
    origin = request.origin
    if origin is not None and not (is_call_id(origin.call_id) and is_id(origin.agent_id)):
        raise Poison("bad_data", "origin is no agent's on a call")


def _check_data(data: Mapping[str, str]) -> None:
    if sum(len(name) + len(value) for name, value in data.items()) > limits.SUBJECT_DATA_BYTES_MAX:
        raise Poison("bad_data", f"data is over {limits.SUBJECT_DATA_BYTES_MAX} bytes")
    for name, value in data.items():
        check_chars("data", name, limits.TEXT_CHARS_MAX)
        check_chars("data", value, limits.COMMENT_CHARS_MAX)
