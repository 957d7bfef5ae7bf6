"""Bodies of the admin routes: what is accepted, checked strictly, and what is answered."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from shared.contracts import limits
from shared.contracts.ids import ID_PATTERN

Text = Annotated[
    str, Field(min_length=1, max_length=limits.TEXT_CHARS_MAX, pattern=r"^[^\x00-\x1f]+$")
]
Number = Annotated[int, Field(ge=0, le=2**31 - 1)]
UserName = Annotated[str, Field(pattern=r"^[\x21-\x39\x3b-\x7e]{1,128}$")]
"""Printable ASCII without a colon or a space: what every client can send."""
Kind = Literal["bearer", "ozonetel", "basic", "carecycle", "zipteams"]
Scopes = Annotated[
    list[Literal["disposition:write", "events:write", "read", "admin"]],
    Field(min_length=1, max_length=4),
]
At = Annotated[str, Field(json_schema_extra={"format": "date-time"})]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class WrapUpBody(_Model):
    """The rules of wrap-up, whole; a call keeps those that it began with."""

    seconds: Annotated[int, Field(ge=0, le=limits.WRAP_UP_S_MAX)] = 30
    mode: Literal["optional", "mandatory", "timeout_code"] = "optional"
    timeout_code: Text | None = None
    """In mode `timeout_code`: one of the tenant's codes."""


class SettingsBody(_Model):
    """What holds for the tenant as a whole.

    What is absent is left as it is by PATCH, and by PUT is as the tenants file has it.
    """

    name: Annotated[str, Field(max_length=limits.TEXT_CHARS_MAX)] = ""
    disposition_key: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9_ :-]{0,127}$")] = (
        "DispositionCode"
    )
    """Under which a code stands in a call's user data."""
    wrap_up: WrapUpBody = WrapUpBody()
    corrections: bool = True
    """A second disposition in wrap-up corrects the first."""
    late_dispositions: bool = True
    ozonetel_auth: Literal["token", "basic"] = "token"
    ozonetel_late: bool = False
    ozonetel_pause_default: bool = False
    time_zone: Text = "UTC"
    """Of times that a dialect writes without an offset."""


class TenantView(_Model):
    """A tenant's settings, and how much belongs to it."""

    id: str
    version: int
    """How often admin routes have changed it."""
    in_file: bool
    """Whether the tenants file has it; the others were made by a route."""
    demo: bool
    settings: SettingsBody
    agents: int
    codes: int
    projects: int
    campaigns: int
    subtenants: int
    credentials: int


class TenantsPage(_Model):
    """One page of tenants, by id."""

    rows: list[TenantView]
    next: str | None = None


class AgentBody(_Model):
    """An agent, whole; but for the password, which stays where it is absent."""

    user_id: Number | None = None
    """The number that older dialects use."""
    name: Text | None = None
    password: Annotated[str, Field(min_length=8, max_length=128)] | None = None
    """Of the Genesys dialect; null takes it away. Never shown again."""


class AgentView(_Model):
    """An agent."""

    agent_id: str
    user_id: int | None
    name: str | None
    has_password: bool


class CodeBody(_Model):
    """A disposition code, or a folder: a code that others name as theirs."""

    id: Number | None = None
    """The number that older dialects use."""
    label: Text | None = None
    needs_callback: bool = False
    folder: Text | None = None
    """The code that it stands in, if in one."""


class CodeView(_Model):
    """A code with its place."""

    code: str
    id: int | None
    label: str | None
    needs_callback: bool
    folder: str | None
    is_folder: bool
    """It can't be chosen itself."""


class ProjectBody(_Model):
    """A project."""

    time_zone: Text | None = None
    """Of its own, where its wall clock is not the tenant's."""


class ProjectView(_Model):
    """A project."""

    project_id: str
    time_zone: str | None


class NothingBody(_Model):
    """Nothing but its id is known of it."""


class CampaignView(_Model):
    """A campaign."""

    campaign_id: str


class SubtenantView(_Model):
    """A subtenant."""

    subtenant_id: str


class KeyBody(_Model):
    """A key. The kind is for good."""

    kind: Kind = "bearer"
    """The door it opens: the native API, or a dialect."""
    name: UserName | None = None
    """The user name of kinds `ozonetel` and `basic`; of `zipteams` the API key, made where it is
    absent. The other kinds have none."""
    scopes: Scopes


class NewKeyBody(KeyBody):
    """A key, and its id if you choose it."""

    id: Annotated[str, Field(pattern=ID_PATTERN)] | None = None


class RotateBody(_Model):
    """How the secret before ends."""

    grace_s: Annotated[int, Field(ge=0, le=30 * 24 * 3600)] = 24 * 3600
    """How long the secret so far stays good; 0 ends it at once."""
    ends: Literal["older", "newer"] | None = None
    """Where two secrets are live already, which of them ends now."""


class KeyView(_Model):
    """A key without its secret."""

    id: str
    kind: Kind
    name: str | None
    scopes: list[str]
    created_at: At | None
    older_until: At | None
    """Until when the secret before is good, too."""
    revoked_at: At | None


class SecretView(KeyView):
    """A key with its fresh secret, which is shown this once."""

    secret: str


class NamedBody(_Model):
    """What is known of a customer, a record or an enrolment."""

    data: dict[Text, Annotated[str, Field(max_length=limits.COMMENT_CHARS_MAX)]] = Field(
        default_factory=dict, max_length=256
    )
    """Fields of your own, such as `name`; they join those that are known."""
    status: Text | None = None
    """Its first status; one that has one keeps it."""


class PendingView(_Model):
    """The answer was not there in time; send it again under the same key."""

    request_id: str
    outcome: Literal["pending"]


class Page(_Model):
    """One page, by id."""

    rows: list[dict[str, Any]]
    next: str | None = None


class LetterView(_Model):
    """A dead letter, without what was sent."""

    place: str
    """`topic/partition/offset` of the letter itself."""
    topic: str
    """That the record came from, and goes back to."""
    at: At
    """When it became a letter."""
    reason: str
    detail: str
    origin: str
    """`topic/partition/offset` of the record."""
    key: str
    type: str | None
    put_back_at: At | None = None
    """When it was last put back, if it was."""


class LettersPage(_Model):
    """One page of dead letters, newest first."""

    letters: list[LetterView]
    next: str | None = None


class LetterWhole(LetterView):
    """A dead letter whole; either `value` or, where that is no UTF-8, `value_base64`."""

    headers: dict[str, str]
    """Those of the record as it came, and the letter's own (`dead_`…)."""
    value: str | None = None
    value_base64: str | None = None


class PutBackBody(_Model):
    """How to put a dead letter back."""

    again: bool = False
    """Also where it was put back before."""


class PutBackView(_Model):
    """A dead letter that was put back."""

    place: str
    topic: str
    """That it went to."""
    put_back_at: At
