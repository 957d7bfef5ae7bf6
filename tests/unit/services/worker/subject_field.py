"""Subjects and what is asked of them, as the worker's tests tell of them."""

from typing import Any

import msgspec

from services.worker.subject_model import Asked, Beside, SubjectState
from services.worker.subjects import decide
from shared.contracts.envelope import Event, Message, to_message
from shared.contracts.ids import call_key
from shared.contracts.subjects import (
    STATUS_REQUESTED,
    SUBJECT_NAMED,
    CallOrigin,
    NamingRequest,
    StatusPolicy,
    StatusRequest,
    StatusVerdict,
)
from shared.contracts.topics import DISPOSITION_REQUESTS
from shared.kernel import Decision
from tests.unit.services.worker.field import NOW_MS

CUSTOMER = "customer:77"
FREE = StatusPolicy(must_exist=False)
FROM_CALL = CallOrigin(call_id="call-1", agent_id="ann")
NAMED = Beside(named=True)
HANDLED = Beside(named=True, handled=True)


def wish(status: str | None = "Sale", subject: str = CUSTOMER, **more: Any) -> StatusRequest:
    """A request; its number is its id, its key, and what makes it differ from others."""
    number = more.pop("number", 1)
    fields: dict[str, Any] = {
        "request_id": f"req-{number}",
        "idempotency_key": f"key-{number}",
        "body_hash": f"hash-{number}",
        "subject": subject,
        "status": status,
        "dialect": "zipteams",
    } | more
    return StatusRequest(**fields)


def naming(status: str | None = None, **more: Any) -> NamingRequest:
    number = more.pop("number", 1)
    fields: dict[str, Any] = {
        "request_id": f"req-{number}",
        "idempotency_key": f"key-{number}",
        "body_hash": f"hash-{number}",
        "subject": CUSTOMER,
        "status": status,
        "dialect": "zipteams",
    } | more
    return NamingRequest(**fields)


def asked(request: StatusRequest | NamingRequest, now_ms: int = NOW_MS) -> Asked:
    return Asked(tenant="demo", request=request, now_ms=now_ms)


def ask_for(
    state: SubjectState | None,
    request: StatusRequest | NamingRequest,
    beside: Beside | None = None,
    now_ms: int = NOW_MS,
) -> tuple[Decision[SubjectState | None], StatusVerdict]:
    """Decide a request; its verdict beside the decision."""
    decision = decide(state, asked(request, now_ms), beside)
    assert isinstance(decision.answer, StatusVerdict)
    return decision, decision.answer


def wished(request: StatusRequest | NamingRequest, **envelope: Any) -> Message:
    """What stands in the log of it."""
    event = Event(
        id=request.request_id,
        source="/test",
        type=STATUS_REQUESTED if isinstance(request, StatusRequest) else SUBJECT_NAMED,
        subject=request.subject,
        time_ms=NOW_MS,
        tenant="demo",
        data=msgspec.json.encode(request),
    )
    event = msgspec.structs.replace(event, **envelope)
    return to_message(event, DISPOSITION_REQUESTS, call_key(event.tenant, event.subject))
