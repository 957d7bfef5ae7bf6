"""Bodies of the native API: what is accepted, checked strictly, and what is answered.

Accepted bodies are validated with these models. Answers are built as plain values, for that is
faster; their models stand in /openapi.json, and the tests hold the answers against them.
"""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue

from services.gateway.toolbar.tokens import TTL_S_DEFAULT, TTL_S_MAX
from shared.contracts import limits
from shared.contracts.ids import ID_PATTERN
from shared.contracts.instants import RFC_3339, from_wire
from shared.contracts.telephony import EVENT_TYPES, TIMER_DUE


def _is_instant(text: str) -> str:
    from_wire(text.upper())
    return text


Id = Annotated[str, Field(pattern=ID_PATTERN)]
Instant = Annotated[
    str,
    Field(pattern=RFC_3339, json_schema_extra={"format": "date-time"}),
    AfterValidator(_is_instant),
]
At = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
_TOLD_TYPES: list[JsonValue] = [name for name in EVENT_TYPES if name != TIMER_DUE]
PhaseName = Literal["ringing", "active", "wrap_up", "released"]
OriginName = Literal["queue", "wrap_up", "timeout", "correction", "late"]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class DispositionBody(_Model):
    """What an agent says of a call."""

    agent_id: Id
    code: Annotated[str, Field(min_length=1, max_length=limits.TEXT_CHARS_MAX)]
    """One of the tenant's codes."""
    key: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9_ :-]{0,127}$")] | None = None
    """Under which the code stands in user data; the tenant's own by default."""
    comment: Annotated[str, Field(max_length=limits.COMMENT_CHARS_MAX)] | None = None
    callback_at: Instant | None = None
    """When to call back; with an offset."""
    pause_after: bool = False
    """Ask the switch to pause the agent."""
    pause_reason: Annotated[str, Field(max_length=limits.TEXT_CHARS_MAX)] | None = None
    release_after: bool = False
    """End the agent's wrap-up with it."""


class ExtensionBody(_Model):
    """More time for one agent's wrap-up, from its present deadline on."""

    agent_id: Id
    seconds: Annotated[int, Field(ge=1, le=limits.EXTENSION_S_MAX)]


class ExtendedView(_Model):
    """`repeated`: it was asked for before, under the same key, and not done again."""

    outcome: Literal["extended", "repeated"]
    call_id: str
    agent_id: str
    wrap_up_ends_at: At | None = None


class PendingExtensionView(_Model):
    """Not known to be applied; asking again with the same key is safe."""

    outcome: Literal["pending"]


class ToolbarTokenBody(_Model):
    """Which agent's toolbar the token is for, and for how long."""

    agent_id: Id
    ttl_s: Annotated[int, Field(ge=1, le=TTL_S_MAX)] = TTL_S_DEFAULT


class ToolbarTokenView(_Model):
    """For a page to hold; it opens nothing but this agent's part of its own calls."""

    token: str
    agent_id: str
    expires_at: At


class PreviousView(_Model):
    """A disposition that another one has replaced."""

    code: str
    origin: OriginName
    decided_at: At


class PreviousStatusView(_Model):
    """A status that another one has replaced."""

    code: str
    decided_at: At
    call_id: str | None = None


class VerdictView(_Model):
    """What became of one disposition request."""

    request_id: str
    outcome: Literal["queued", "saved", "corrected", "user_event"]
    call_id: str
    agent_id: str
    code: str
    decided_at: At
    previous: PreviousView | None = None


class PendingView(_Model):
    """The verdict was not there in time; `Location` says where it will be."""

    request_id: str
    outcome: Literal["pending"]


class RequestView(_Model):
    """The verdict of a request, or that there is none yet."""

    request_id: str
    outcome: Literal[
        "queued",
        "saved",
        "corrected",
        "user_event",
        "set",
        "replaced",
        "cleared",
        "named",
        "refused",
        "pending",
    ]
    call_id: str | None = None
    agent_id: str | None = None
    subject: str | None = None
    """Of a request that was about a customer, a record or an enrolment: its name."""
    code: str | None = None
    decided_at: At | None = None
    previous: PreviousView | PreviousStatusView | None = None
    problem: str | None = None
    """Why it was refused."""


class QueuedView(_Model):
    """A disposition that waits for its agent to leave the call."""

    code: str
    key: str
    request_id: str
    queued_at: At
    comment: str | None = None
    callback_at: At | None = None
    pause_after: bool | None = None
    pause_reason: str | None = None
    release_after: bool | None = None


class DispositionView(_Model):
    """The disposition that holds."""

    code: str
    key: str
    origin: OriginName
    decided_at: At
    request_id: str | None = None
    comment: str | None = None
    callback_at: At | None = None
    previous: PreviousView | None = None


class AgentView(_Model):
    """One agent's part in a call."""

    agent_id: str
    phase: PhaseName
    held: bool | None = None
    overdue: bool | None = None
    """Mandatory wrap-up has run past its deadline."""
    joined_at: At | None = None
    left_at: At | None = None
    wrap_up_ends_at: At | None = None
    released_at: At | None = None
    queued: QueuedView | None = None
    disposition: DispositionView | None = None
    missed: bool | None = None
    """Wrap-up ended without a disposition."""


class CallView(_Model):
    """A call after its `version`-th change."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    id: str
    phase: PhaseName
    version: int
    direction: Literal["inbound", "outbound"] | None
    from_: str | None = Field(default=None, alias="from")
    to: str | None = None
    did: str
    customer_id: str | None = None
    campaign_id: str | None = None
    project_id: str | None = None
    record_id: str | None = None
    user_data: dict[str, Any]
    held: bool | None = None
    started_at: At | None
    answered_at: At | None = None
    disconnected_at: At | None = None
    released_at: At | None = None
    by: str | None = None
    cause: str | None = None
    agents: list[AgentView]


class CallsPage(_Model):
    """One page of calls, newest first."""

    calls: list[CallView]
    next: str | None = None
    """The cursor that continues; absent at the end."""


class StatusView(_Model):
    """A status; `code` null: it was taken away."""

    code: str | None
    revision: int
    decided_at: At
    request_id: str
    dialect: str
    """That it was asked for in; `call` for a disposition's."""
    comment: str | None = None
    callback_at: At | None = None
    user_id: str | None = None
    call_id: str | None = None
    """Of the disposition that it comes from."""
    agent_id: str | None = None


class SubjectStateView(_Model):
    """A customer, a record or an enrolment."""

    kind: Literal["customer", "record", "enrolment"]
    id: str
    within: str | None = None
    in_call: bool
    """Agents are talking with it, or in wrap-up."""
    status: StatusView | None = None
    earlier: list[StatusView]
    """Oldest first; of very many the first and the newest."""
    calls: list[str]
    """Ids of the newest calls about it."""
    data: dict[str, str] | None = None


class HistoryView(_Model):
    """Everything that happened to a call or a subject, in order, each with its rule."""

    entries: list[dict[str, Any]]


class DispositionsPage(_Model):
    """One page of outcomes, newest first: each call and agent once, by its latest disposition."""

    rows: list[dict[str, Any]]
    next: str | None = None


class CallbackView(BaseModel):
    """When to call back, of a call's agent or of a subject, and what has scheduled it."""

    model_config = ConfigDict(extra="allow", frozen=True)

    callback_at: At
    code: str | None = None
    call_id: str | None = None
    agent_id: str | None = None
    subject: str | None = None
    decided_at: At
    revision: int


class CallbacksPage(_Model):
    """One page of callbacks, the earliest first."""

    rows: list[CallbackView]
    next: str | None = None


class ReportView(_Model):
    """Outcomes decided in [from, to), counted."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    group_by: list[str]
    from_: At = Field(alias="from")
    to: At
    rows: list[dict[str, Any]]


class CodeView(_Model):
    """A code, or a folder of codes."""

    code: str
    id: int | None = None
    label: str | None = None
    needs_callback: bool | None = None
    children: list["CodeView"] | None = None


class CodesView(_Model):
    """The tenant's codes as a tree."""

    codes: list[CodeView]


class EventOutcomeView(_Model):
    """What became of one event."""

    event_id: str
    call_id: str
    outcome: Literal["applied", "duplicate", "ignored"]
    rule: str
    version: int = 0
    phase: PhaseName | None = None


class EventsView(_Model):
    """The events were applied durably."""

    accepted: int
    results: list[EventOutcomeView]


class AcceptedView(_Model):
    """The events are durably in the log, and not yet known to be applied."""

    accepted: int


class CloudEventBody(_Model):
    """A telephony event as a CloudEvent in structured mode."""

    model_config = ConfigDict(extra="allow")

    specversion: Literal["1.0"]
    id: Annotated[str, Field(min_length=1, max_length=limits.TEXT_CHARS_MAX)]
    """With `source`: what a duplicate is recognised by."""
    source: Annotated[str, Field(min_length=1, max_length=limits.TEXT_CHARS_MAX)]
    type: Annotated[str, Field(json_schema_extra={"enum": _TOLD_TYPES})]
    subject: Id
    """The call id."""
    time: Instant | None = None
    """When it happened; now by default."""
    datacontenttype: Literal["application/json"] | None = None
    data: dict[str, Any] | None = None


class ProblemView(_Model):
    """A problem document (RFC 9457)."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    code: str
    """Stable and machine readable."""
    detail: str
    errors: list[dict[str, Any]] | None = None
