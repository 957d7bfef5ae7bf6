"""Subjects: whom or what a call is about, and the status that is kept of each.

A *customer* is a person a centre deals with, a *record* a line of a project's list, an *enrolment*
a customer's place in a campaign. A disposition of a call becomes the status of its subjects.
"""

from enum import StrEnum
from typing import Literal

from msgspec import Struct

from shared.contracts.errors import Poison
from shared.contracts.ids import call_key, is_subject_name

Kind = Literal["customer", "record", "enrolment"]


class Subject(Struct, frozen=True):
    """A subject.

    Attributes:
        within: of an enrolment the campaign, of a record the project; of a customer the subtenant
            where that is not the first one. Ids repeat within another.
    """

    kind: Kind
    id: str
    within: str | None = None

    @property
    def name(self) -> str:
        """`{kind}:{id}`, or `{kind}:{within}/{id}`: ids may hold colons, but never a slash."""
        return (
            f"{self.kind}:{self.id}"
            if self.within is None
            else f"{self.kind}:{self.within}/{self.id}"
        )


def read_subject(name: str) -> Subject:
    """The subject of this name.

    Raises:
        Poison: it names none (`bad_key`).
    """
    if not is_subject_name(name):
        raise Poison("bad_key", "not the name of a subject")
    kind, _, rest = name.partition(":")
    within, slash, id_ = rest.rpartition("/")
    return Subject(_KINDS[kind], id_, within if slash else None)


def is_subject(subject: Subject) -> bool:
    """Whether its ids are ids, so that its name is its own."""
    return is_subject_name(subject.name) and read_subject(subject.name) == subject


_KINDS: dict[str, Kind] = {"customer": "customer", "record": "record", "enrolment": "enrolment"}


def subject_key(tenant: str, subject: Subject) -> str:
    """The key of a subject's records and of its document: `{tenant}:{kind}:{id}`."""
    return call_key(tenant, subject.name)


def subjects_of(
    *,
    customer_id: str | None,
    campaign_id: str | None,
    project_id: str | None,
    record_id: str | None,
) -> tuple[Subject, ...]:
    """The subjects that a call with these ids is about."""
    found: list[Subject] = []
    if customer_id is not None:
        found.append(Subject("customer", customer_id))
        if campaign_id is not None:
            found.append(Subject("enrolment", customer_id, campaign_id))
    if record_id is not None:
        found.append(Subject("record", record_id, project_id))
    return tuple(found)


def kind_tag(kind: str, within: str | None = None) -> str:
    """Of all subjects of a kind, or of those within one project, campaign or subtenant.

    Customers of a subtenant are among its own alone.
    """
    return f"kind:{kind}" if within is None else f"kind:{kind}/{within}"


class StatusPolicy(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a dialect asks of the rules. The worker decides; a dialect only chooses this.

    Attributes:
        must_exist: a subject that nothing has named yet is refused; else it is made known.
        avoid_in_call: a subject that agents are handling now is left alone.
    """

    must_exist: bool = True
    avoid_in_call: bool = False


class CallOrigin(Struct, frozen=True, kw_only=True):
    """The disposition of a call that a status comes from."""

    call_id: str
    agent_id: str


class StatusRequest(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Data of `disposition.requests`, type `status.requested`; key: the subject's.

    Attributes:
        request_id, idempotency_key, body_hash: as of a disposition request.
        subject: its name.
        status: None takes away the status there is.
        user_id: whom the subject is assigned to.
        origin: None when no call has caused it.
        send_messages: ask for the messages that the code has configured.
    """

    request_id: str
    idempotency_key: str
    body_hash: str
    subject: str
    status: str | None
    dialect: str
    policy: StatusPolicy = StatusPolicy()
    comment: str | None = None
    callback_ms: int | None = None
    user_id: str | None = None
    origin: CallOrigin | None = None
    send_messages: bool = False


class NamingRequest(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Data of `disposition.requests`, type `subject.named`; key: the subject's.

    Attributes:
        status: its first one; a subject that has one keeps it.
        data: what is known of it, added to what was. Stays in the store: it may be personal.
    """

    request_id: str
    idempotency_key: str
    body_hash: str
    subject: str
    dialect: str
    status: str | None = None
    data: dict[str, str] = {}


class StatusOutcome(StrEnum):
    """The worker's answer. `PENDING` is the gateway's own."""

    SET = "set"
    REPLACED = "replaced"
    CLEARED = "cleared"
    NAMED = "named"
    REFUSED = "refused"
    PENDING = "pending"


class PreviousStatus(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A status that another one has replaced, as told outside. `call_id`: that it came from."""

    code: str
    decided_at: str
    call_id: str | None = None


class Status(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One status. `revision` counts 1, 2, 3 ... per subject; to take it away counts, too.

    Attributes:
        code: None: it was taken away.
        dialect: that it was asked for in.
    """

    code: str | None
    revision: int
    decided_ms: int
    request_id: str
    dialect: str
    comment: str | None = None
    callback_ms: int | None = None
    user_id: str | None = None
    origin: CallOrigin | None = None


class SubjectDocument(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What others read of a stored subject; the worker keeps more beside it.

    Attributes:
        known: something has named it, or has set its status.
        status: the newest; None before the first.
        earlier: those before it, oldest first, bounded.
        data: what is known of it.
        called_back: revision of the newest status the time of whose callback was told; 0 before.
    """

    subject: str
    created_ms: int
    known: bool = False
    status: Status | None = None
    earlier: tuple[Status, ...] = ()
    data: dict[str, str] = {}
    called_back: int = 0


class StatusVerdict(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The answer to one request, kept with the document it was decided on.

    Attributes:
        problem: why refused: `unknown_subject`, `subject_in_call`, `idempotency_conflict`.
        rule: the row of the table.
        status: as asked for.
        revision: of the subject's status by then; 0 before the first.
    """

    request_id: str
    outcome: StatusOutcome
    subject: str
    status: str | None
    decided_at: str
    rule: str
    problem: str | None = None
    previous: PreviousStatus | None = None
    revision: int = 0


class StatusTold(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Data of `disposition.events` about a subject: ids and codes, nothing personal.

    Attributes:
        outcome: None of what answers no request.
        call_id, agent_id: of the disposition that it comes from, if any.
        customer_id ...: which of them the subject is named by.
    """

    tenant: str
    subject: str
    rule: str
    decided_at: str
    dialect: str
    outcome: StatusOutcome | None = None
    code: str | None = None
    problem: str | None = None
    request_id: str | None = None
    revision: int | None = None
    previous: PreviousStatus | None = None
    callback_at: str | None = None
    user_id: str | None = None
    call_id: str | None = None
    agent_id: str | None = None
    customer_id: str | None = None
    campaign_id: str | None = None
    project_id: str | None = None
    record_id: str | None = None
    subtenant_id: str | None = None


class MessageCommand(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Data of `switch.commands`, type `message.send`: whom to reach is known by the ids alone."""

    tenant: str
    subject: str
    code: str
    request_id: str
    decided_at: str
    customer_id: str | None = None
    campaign_id: str | None = None
    project_id: str | None = None
    record_id: str | None = None
    subtenant_id: str | None = None


_FIELDS: dict[Kind, tuple[str, str]] = {
    "customer": ("customer_id", "subtenant_id"),
    "enrolment": ("customer_id", "campaign_id"),
    "record": ("record_id", "project_id"),
}


def ids_of(subject: Subject) -> dict[str, str]:
    """The subject's ids by the fields that tell them."""
    own, within = _FIELDS[subject.kind]
    fields = {own: subject.id, within: subject.within}
    return {name: value for name, value in fields.items() if value is not None}


STATUS_REQUESTED = "status.requested"
SUBJECT_NAMED = "subject.named"
STATUS_CHANGED = "status.changed"
STATUS_REFUSED = "disposition.refused"
MESSAGE_SEND = "message.send"
