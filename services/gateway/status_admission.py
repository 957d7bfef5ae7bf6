"""Admission of what is asked of a subject: the request to publish, or a refusal. Pure.

Which statuses there are is for the dialect to know; whether the subject is known, for the worker.
"""

from msgspec import Struct, field

from services.gateway.admission import check_key, check_length, digest, request_id_of
from shared.contracts import limits
from shared.contracts.errors import Refused
from shared.contracts.ids import is_id
from shared.contracts.instants import INSTANT_MS_MAX
from shared.contracts.subjects import (
    NamingRequest,
    StatusPolicy,
    StatusRequest,
    Subject,
    is_subject,
)
from shared.contracts.tenants import Tenant


class StatusAsked(Struct, frozen=True, kw_only=True):
    """What a client asks of a subject, whatever dialect it speaks.

    Attributes:
        status: None takes away the status there is.
        policy: what that dialect asks of the rules.
        user_id: whom it is assigned to.
        idempotency_key: the client's own; printable ASCII.
    """

    subject: Subject
    status: str | None
    dialect: str
    policy: StatusPolicy = StatusPolicy()
    comment: str | None = None
    callback_ms: int | None = None
    user_id: str | None = None
    send_messages: bool = False
    idempotency_key: str | None = None


class NamingAsked(Struct, frozen=True, kw_only=True):
    """A subject that a client makes known. `status`: its first; one that has one keeps it."""

    subject: Subject
    dialect: str
    status: str | None = None
    data: dict[str, str] = field(default_factory=dict)
    idempotency_key: str | None = None


AskedOfSubject = StatusAsked | NamingAsked


def admit_asked(
    asked: AskedOfSubject, tenant: Tenant, fresh_id: str
) -> StatusRequest | NamingRequest:
    """The request to publish; its id is `fresh_id`, unless the client's own key decides it.

    Raises:
        Refused: `validation`.
    """
    _check(asked)
    name, key = asked.subject.name, asked.idempotency_key
    request_id = fresh_id if key is None else request_id_of(tenant.id, name, key)
    if isinstance(asked, NamingAsked):
        return NamingRequest(
            request_id=request_id,
            idempotency_key=key or request_id,
            body_hash=digest((name, asked.status, *_flat(asked.data))),
            subject=name,
            dialect=asked.dialect,
            status=asked.status,
            data=asked.data,
        )
    said = (asked.comment, asked.callback_ms, asked.user_id, asked.send_messages)
    return StatusRequest(
        request_id=request_id,
        idempotency_key=key or request_id,
        body_hash=digest((name, asked.status, *said)),
        subject=name,
        status=asked.status,
        dialect=asked.dialect,
        policy=asked.policy,
        comment=asked.comment,
        callback_ms=asked.callback_ms,
        user_id=asked.user_id,
        send_messages=asked.send_messages,
    )


def _flat(data: dict[str, str]) -> list[str]:
    return [text for pair in sorted(data.items()) for text in pair]


def _check(asked: AskedOfSubject) -> None:
    """Refuse what a store or a log could not hold, whichever dialect let it through."""
    if not is_subject(asked.subject):
        raise Refused("validation", "an id breaks the pattern of ids")
    if asked.status == "":
        raise Refused("validation", "a status is not empty")
    check_length("status", asked.status, limits.TEXT_CHARS_MAX)
    check_key(asked.idempotency_key)
    if isinstance(asked, NamingAsked):
        _check_data(asked.data)
        return
    check_length("comment", asked.comment, limits.COMMENT_CHARS_MAX)
    if asked.user_id is not None and not is_id(asked.user_id):
        raise Refused("validation", "user_id is not an id")
    if asked.callback_ms is not None and not 0 <= asked.callback_ms <= INSTANT_MS_MAX:
        raise Refused("validation", "the callback time is not in the years 1970 to 9999")


def _check_data(data: dict[str, str]) -> None:
    for name, value in data.items():
        check_length("the name of a field", name, limits.TEXT_CHARS_MAX)
        check_length("a field", value, limits.COMMENT_CHARS_MAX)
    if sum(len(text.encode()) for text in _flat(data)) > limits.SUBJECT_DATA_BYTES_MAX:
        raise Refused("validation", f"data is over {limits.SUBJECT_DATA_BYTES_MAX} bytes")
