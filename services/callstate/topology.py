"""What callstate tells the processor: it reads `telephony.events` and decides on calls.

A switch may write to the topic itself, so a record is read as if it came from a stranger: whatever
is not understood is a dead letter with its reason, and the calls behind it don't wait.
"""

from base64 import b64decode
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from cloudevents.core.bindings.kafka import KafkaMessage, from_structured
from cloudevents.core.exceptions import BaseCloudEventException
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from msgspec.structs import replace

from services.callstate.decider import decide, recall
from services.callstate.model import COLLECTION, CallInput, CallState, deadlines, tags
from shared.contracts import limits
from shared.contracts.calls import WrapUpRules
from shared.contracts.envelope import Event, Record, from_headers, reply_to_of
from shared.contracts.errors import Poison
from shared.contracts.ids import call_key, is_call_id, is_tenant_id
from shared.contracts.instants import from_wire, to_wire
from shared.contracts.telephony import TIMER_DUE, decode_data
from shared.contracts.tenants import Tenant
from shared.contracts.topics import TELEPHONY_EVENTS
from shared.contracts.values import check_text, parse_json
from shared.kernel import Decision
from shared.runtime.ports import Index
from shared.runtime.tenants import TenantDirectory
from shared.runtime.topology import Aggregate, Beside, Routed

STRUCTURED: Final = b"application/cloudevents+json"
# The SDK makes up an id, a time or a version that is missing; then no two tellings were ever equal.
_REQUIRED: Final = ("specversion", "id", "source", "type", "subject", "time", "tenant")
_SIXTY: Final = ":60"
_FORMAT: Final = JSONFormat()


class Calls:
    """`Aggregate`: a call."""

    def __init__(self) -> None:
        self.decode: Final = msgspec.json.Decoder(CallState).decode
        self.encode: Final = msgspec.json.Encoder().encode

    def decide(
        self, state: CallState | None, given: CallInput, _beside: None
    ) -> Decision[CallState | None]:
        """The rules; nothing is read beside a call."""
        return decide(state, given)

    def again(
        self, state: CallState | None, given: CallInput, _beside: None
    ) -> Decision[CallState | None]:
        """The answer to an event already applied, while it is among those remembered."""
        return Decision(state, (), recall(state, given))

    def index(self, state: CallState) -> Index:
        """A call is found by phase, by its next deadline, by agents and subjects."""
        return Index(
            created_ms=state.call.created_ms,
            phase=state.call.phase.value,
            due_ms=min((deadline.due_ms for deadline in deadlines(state)), default=None),
            tags=tags(state.call),
        )


class CallstateTopology:
    """`Topology` of the call-state service."""

    def __init__(self, tenants: TenantDirectory) -> None:
        self.group = "callstate"
        self.source = "/aftercall/callstate"
        self.topics: tuple[str, ...] = (TELEPHONY_EVENTS,)
        self.aggregates: Mapping[str, Aggregate] = {COLLECTION: Calls()}
        self.beside: Mapping[str, Beside] = {}
        self._tenants = tenants
        self._made: dict[str, tuple[Tenant, WrapUpRules]] = {}  # of each tenant as it was last seen

    def route(self, record: Record) -> Routed:
        """Understand one telephony event.

        Raises:
            Poison: `bad_envelope`, `bad_key`, `unknown_tenant`, `unknown_type` or `bad_data`.
        """
        event = _event(record)
        _check(event, record)
        wrap_up = self._rules(event)
        given = CallInput(
            tenant=event.tenant,
            call_id=event.subject,
            event_id=event.id,
            source=event.source,
            type=event.type,
            data=decode_data(event.type, event.data),
            # Nothing is told before it has happened: a switch whose clock runs ahead would have an
            # agent join in the future, and then leave too early to count.
            time_ms=min(event.time_ms, record.timestamp_ms),
            now_ms=record.timestamp_ms,
            wrap_up=wrap_up,
        )
        return Routed(
            collection=COLLECTION,
            key=record.key,
            tenant=event.tenant,
            subject=event.subject,
            input=given,
            reply_to=event.reply_to,
        )

    def _rules(self, event: Event) -> WrapUpRules:
        """The tenant's rules; a call keeps those it began with, so it ends without its tenant."""
        tenant = self._tenants.get(event.tenant)
        if tenant is not None:
            made_for, rules = self._made.get(tenant.id, (None, WrapUpRules()))
            if made_for is not tenant:
                rules = replace(tenant.wrap_up, disposition_key=tenant.disposition_key)
                self._made[tenant.id] = tenant, rules
            return rules
        if event.type == TIMER_DUE:
            return WrapUpRules()
        raise Poison("unknown_tenant", "no tenant has this id")

    def read_beside(self, state: bytes) -> tuple[Any, int]:
        """Never asked for: nothing is read beside a call."""
        raise NotImplementedError

    def read_tagged(self, states: Sequence[bytes]) -> Any:
        """Never asked for, either."""
        raise NotImplementedError


def _check(event: Event, record: Record) -> None:
    if not is_tenant_id(event.tenant) or not is_call_id(event.subject):
        raise Poison("bad_envelope", "tenant or subject is not an id")
    if record.key != call_key(event.tenant, event.subject):
        raise Poison("bad_key", "the record key is not that of its tenant and subject")
    for text in (event.id, event.source):
        if not 1 <= len(text) <= limits.TEXT_CHARS_MAX:
            raise Poison("bad_envelope", "id or source is empty or too long")
        try:
            check_text(text)
        except ValueError as error:
            raise Poison("bad_envelope", f"id or source: {error}") from None


def _event(record: Record) -> Event:
    """The event, from either content mode of the Kafka binding."""
    headers = dict(record.headers)
    if not headers.get("content-type", b"").startswith(STRUCTURED):
        return from_headers(headers, record.value)
    try:
        return _structured(record.value, headers)
    except Poison:
        raise
    except (ValueError, TypeError, OverflowError, BaseCloudEventException):
        raise Poison("bad_envelope", "not a CloudEvent in structured mode") from None


def _structured(value: bytes, headers: dict[str, bytes]) -> Event:
    written = parse_json(value)
    if not isinstance(written, dict):
        raise Poison("bad_envelope", "not a JSON object")
    for name in _REQUIRED:
        if not isinstance(written.get(name), str):
            raise Poison("bad_envelope", f"attribute {name} is missing or no text")
    time_ms = from_wire(written["time"])
    if _SIXTY in written["time"]:  # a leap second, which the SDK does not know
        value = msgspec.json.encode(written | {"time": to_wire(time_ms)})
    event = from_structured(KafkaMessage({}, None, value), _FORMAT, CloudEvent)
    b64decode(written.get("data_base64", ""), validate=True)  # the SDK passes over what it is not
    data = event.get_data()
    return Event(
        id=event.get_id(),
        source=event.get_source(),
        type=event.get_type(),
        subject=written["subject"],
        time_ms=time_ms,
        tenant=written["tenant"],
        data=data if isinstance(data, bytes) else msgspec.json.encode({} if data is None else data),
        reply_to=reply_to_of(headers),
    )
