"""The worker as the processor sees it: which record decides on which document."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from services.worker import dispositions, subject_topology
from services.worker.checks import MALFORMED, check_texts
from services.worker.model import (
    CallbackTimed,
    CallMoved,
    DispositionsState,
    Given,
    Requested,
    callbacks,
)
from services.worker.subject_topology import COLLECTION as SUBJECTS
from services.worker.subject_topology import SubjectsAggregate
from shared.contracts import limits
from shared.contracts.callbacks import CALLBACK_TIMER_DUE, CallbackTimer
from shared.contracts.calls import Call, CallChanged, CallDocument
from shared.contracts.dispositions import REQUESTED, DispositionRequest
from shared.contracts.envelope import Event, Record, from_record
from shared.contracts.errors import Poison
from shared.contracts.ids import (
    call_key,
    is_call_id,
    is_id,
    is_subject_name,
    is_tenant_id,
    split_key,
)
from shared.contracts.instants import INSTANT_MS_MAX
from shared.contracts.subjects import STATUS_REQUESTED, SUBJECT_NAMED
from shared.contracts.topics import CALLS_CHANGED, DISPOSITION_REQUESTS
from shared.kernel import Decision
from shared.runtime.ports import Index
from shared.runtime.topology import Aggregate, Beside, Routed

COLLECTION: Final = "dispositions"
CALLS: Final = "calls"


class _Moved(Struct, frozen=True):
    """What a trigger needs of a `CallChanged`."""

    tenant: str
    call_id: str
    version: Annotated[int, Meta(ge=0, le=limits.INTEGER_MAX)]


_request_decoder: Final = msgspec.json.Decoder(DispositionRequest)
_timer_decoder: Final = msgspec.json.Decoder(CallbackTimer)
_moved_decoder: Final = msgspec.json.Decoder(_Moved)
_changed_decoder: Final = msgspec.json.Decoder(CallChanged)
_state_decoder: Final = msgspec.json.Decoder(DispositionsState)
_call_decoder: Final = msgspec.json.Decoder(CallDocument)
_encoder: Final = msgspec.json.Encoder()


class DispositionsAggregate:
    """The dispositions of one call."""

    def decode(self, state: bytes) -> DispositionsState:
        """The stored state."""
        return _state_decoder.decode(state)

    def encode(self, state: DispositionsState) -> bytes:
        """The state to store; verdicts keep the order in which they were given."""
        return _encoder.encode(state)

    def decide(
        self, state: DispositionsState | None, given: Given, beside: Call | None
    ) -> Decision[DispositionsState | None]:
        """The rules of `services.worker.dispositions`."""
        return dispositions.decide(state, given, beside)

    def again(
        self, state: DispositionsState | None, given: Given, beside: Call | None
    ) -> Decision[DispositionsState | None]:
        """The verdict that a request was given; and the document brought up to the call."""
        caught_up = dispositions.decide(state, seen_again(given), beside)
        if not isinstance(given, Requested):
            return caught_up
        return Decision(caught_up.state, caught_up.effects, dispositions.recall(state, given))

    def index(self, state: DispositionsState) -> Index:
        """By agent, and by the next callback."""
        tags = tuple(f"agent:{agent.agent_id}" for agent in state.agents)
        timers = callbacks(state)
        due_ms = min([timer.deadline_ms for timer in timers]) if timers else None
        return Index(created_ms=state.created_ms, due_ms=due_ms, tags=tags)


class WorkerTopology:
    """`Topology` of the worker."""

    def __init__(self) -> None:
        self.group = "worker"
        self.source = "/aftercall/worker"
        self.topics: tuple[str, ...] = (DISPOSITION_REQUESTS, CALLS_CHANGED)
        self.aggregates: Mapping[str, Aggregate] = {
            COLLECTION: DispositionsAggregate(),
            SUBJECTS: SubjectsAggregate(),
        }
        self.beside: Mapping[str, Beside] = {
            COLLECTION: Beside(CALLS),
            SUBJECTS: Beside(CALLS, by_tag=True),
        }

    def route(self, record: Record) -> Routed:
        """Understand a record.

        Raises:
            Poison: `bad_key`, `bad_envelope`, `unknown_type` or `bad_data`.
        """
        if record.topic == CALLS_CHANGED:
            return _moved(record)
        event = read_event(record)
        if event.type in (STATUS_REQUESTED, SUBJECT_NAMED):
            return subject_topology.route(record, event)
        if event.type == CALLBACK_TIMER_DUE:
            return _timed(record, event)
        return _requested(record, event)

    def read_beside(self, state: bytes) -> tuple[Any, int]:
        """The call, and its version."""
        call = _call_decoder.decode(state).call
        return call, call.version

    def read_tagged(self, states: Sequence[bytes]) -> Any:
        """What a subject's calls say of it."""
        return subject_topology.read_calls(states)


def seen_again(given: Given) -> CallMoved:
    """An input already applied is nothing but another look at the call."""
    return CallMoved(tenant=given.tenant, call_id=given.call_id, version=0, now_ms=given.now_ms)


def _requested(record: Record, event: Event) -> Routed:
    given = Requested(
        tenant=event.tenant,
        call_id=event.subject,
        request=read_request(event),
        now_ms=record.timestamp_ms,
    )
    return Routed(
        collection=COLLECTION,
        key=record.key,
        tenant=event.tenant,
        subject=event.subject,
        input=given,
        reply_to=event.reply_to,
    )


def _timed(record: Record, event: Event) -> Routed:
    timer = read_timer(event)
    if timer.agent_id is None:
        return subject_topology.timed(record, event, timer)
    given = CallbackTimed(
        tenant=event.tenant, call_id=event.subject, timer=timer, now_ms=record.timestamp_ms
    )
    return Routed(
        collection=COLLECTION,
        key=record.key,
        tenant=event.tenant,
        subject=event.subject,
        input=given,
    )


def _moved(record: Record) -> Routed:
    """A change of a call is most of what the worker polls, and only a trigger: its call is read.

    So no more of it is looked at than of which call it tells, and at which version.
    """
    try:
        told = _moved_decoder.decode(record.value)
    except MALFORMED as error:
        raise Poison("bad_data", str(error)) from None
    named = is_tenant_id(told.tenant) and is_call_id(told.call_id)
    if not named or record.key != call_key(told.tenant, told.call_id):
        raise Poison("bad_key", "the record key is not that of the call it tells of")
    return Routed(
        collection=COLLECTION,
        key=record.key,
        tenant=told.tenant,
        subject=told.call_id,
        input=CallMoved(
            tenant=told.tenant,
            call_id=told.call_id,
            version=told.version,
            now_ms=record.timestamp_ms,
        ),
        beside_version=told.version,
        look=True,
    )


def read_event(record: Record) -> Event:
    """The event of a record whose key says the same of tenant and call as its envelope.

    Raises:
        Poison: `bad_key` or `bad_envelope`.
    """
    event = from_record(record)
    split_key(record.key)
    if record.key != call_key(event.tenant, event.subject):
        raise Poison("bad_key", "the record key is not tenant:subject of the envelope")
    return event


def read_request(event: Event) -> DispositionRequest:
    """The request in an event.

    Raises:
        Poison: `unknown_type`, or `bad_data` with what is wrong.
    """
    if event.type != REQUESTED:
        raise Poison("unknown_type", "no such request type")
    try:
        request = _request_decoder.decode(event.data)
    except MALFORMED as error:
        raise Poison("bad_data", str(error)) from None
    _check(request, event)
    return request


def read_timer(event: Event) -> CallbackTimer:
    """The timer in an event: of a call's callback if it names an agent, else of a subject's.

    Raises:
        Poison: `bad_data` with what is wrong.
    """
    try:
        timer = _timer_decoder.decode(event.data)
    except MALFORMED as error:
        raise Poison("bad_data", str(error)) from None
    named = is_subject_name if timer.agent_id is None else is_call_id
    if not named(event.subject) or not (timer.agent_id is None or is_id(timer.agent_id)):
        raise Poison("bad_data", "no agent's on a call, and no subject's")
    return timer


def _check(request: DispositionRequest, event: Event) -> None:
    """What the shape alone does not say, and a decision or a store would stumble over."""
    if request.call_id != event.subject or not is_call_id(request.call_id):
        raise Poison("bad_data", "call_id is not the subject's, or no id of a call")
    if not is_id(request.agent_id):
        raise Poison("bad_data", "agent_id is no id")
    callback_ms = request.callback_ms
    if callback_ms is not None and not 0 <= callback_ms <= INSTANT_MS_MAX:
        raise Poison("bad_data", "callback_ms is no instant")
    check_texts(request, _CHARS_MAX)


_CHARS_MAX: Final = {
    "request_id": limits.IDEMPOTENCY_KEY_CHARS_MAX,
    "idempotency_key": limits.IDEMPOTENCY_KEY_CHARS_MAX,
    "body_hash": limits.TEXT_CHARS_MAX,
    "code": limits.TEXT_CHARS_MAX,
    "key": limits.TEXT_CHARS_MAX,
    "comment": limits.COMMENT_CHARS_MAX,
    "pause_reason": limits.TEXT_CHARS_MAX,
}


def read_changed(event: Event) -> CallChanged:
    """The change of a call in an event.

    Raises:
        Poison: `bad_data` with what is wrong, or that it is of another call.
    """
    try:
        changed = _changed_decoder.decode(event.data)
    except MALFORMED as error:
        raise Poison("bad_data", str(error)) from None
    if (changed.tenant, changed.call_id) != (event.tenant, event.subject):
        raise Poison("bad_data", "it tells of another call than its envelope")
    return changed
