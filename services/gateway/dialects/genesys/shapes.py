"""The bodies of the routes as /openapi.json shows them; what reads and builds them is beside it."""

from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel

from services.gateway.push.bayeux.messages import CHANNEL_PATTERN
from services.gateway.route import CHALLENGED, Refusal
from shared.contracts.limits import BAYEUX_CHANNEL_CHARS_MAX, BAYEUX_MESSAGES_MAX


class _Model(BaseModel):
    model_config = ConfigDict(defer_build=True, extra="forbid", use_attribute_docstrings=True)


class GenesysOperation(_Model):
    """An operation, and the call that it is about."""

    model_config = ConfigDict(extra="allow")

    operation_name: Literal["SetCallDisposition"] = Field(alias="operationName")
    disposition: str = Field(min_length=1)
    """One of the tenant's codes."""
    disposition_key: str | None = Field(default=None, alias="dispositionKey")
    """Under which the code stands in `userData`; the tenant's own by default."""
    call_uuid: str | None = Field(default=None, alias="callUuid")
    call_uri: str | None = Field(default=None, alias="callUri")


class GenesysFailure(_Model):
    """Why not, in the vendor's numbers."""

    status_code: int = Field(alias="statusCode")
    status_message: str = Field(alias="statusMessage")


class GenesysDone(_Model):
    """It is done."""

    status_code: Literal[0] = Field(alias="statusCode")


class GenesysUser(_Model):
    """An agent as a user."""

    id: str
    user_name: str = Field(alias="userName")
    first_name: str = Field(alias="firstName")
    last_name: str = Field(alias="lastName")
    roles: list[str]
    enabled: bool
    uri: str
    path: str


class GenesysMe(GenesysDone):
    """The agent who asks."""

    user: GenesysUser


class GenesysParticipant(_Model):
    """The party outside."""

    e164_number: str = Field(alias="e164Number")
    formatted_phone_number: str = Field(alias="formattedPhoneNumber")
    phone_number: str = Field(alias="phoneNumber")
    digits: str


class GenesysCall(_Model):
    """A call as one of its agents sees it."""

    id: str
    state: Literal["Ringing", "Established", "Held", "Released", "Completed"]
    call_uuid: str = Field(alias="callUuid")
    conn_id: str = Field(alias="connId")
    device_uri: str = Field(alias="deviceUri")
    participants: list[GenesysParticipant]
    dnis: str | None
    call_type: Literal["Inbound", "Outbound", "Unknown"] = Field(alias="callType")
    capabilities: list[str]
    user_data: dict[str, Any] = Field(alias="userData")
    """The call's, with the agent's disposition laid over it."""
    duration: str
    """In whole seconds."""
    mute: Literal["Off"]
    supervisor_listening_in: bool = Field(alias="supervisorListeningIn")
    monitored_user_muted: bool = Field(alias="monitoredUserMuted")
    monitoring: bool
    uri: str
    path: str


class GenesysCalls(GenesysDone):
    """The agent's calls."""

    calls: list[GenesysCall]


class GenesysVersion(GenesysDone):
    """The release of Web Services that is spoken here."""

    version: str


class BayeuxMessage(_Model):
    """A message of a client; what else it holds depends on the channel."""

    model_config = ConfigDict(extra="allow")

    channel: str = Field(pattern=CHANNEL_PATTERN, max_length=BAYEUX_CHANNEL_CHARS_MAX)


class BayeuxMessages(RootModel[BayeuxMessage | list[BayeuxMessage],]):
    """One message, or an array of them."""

    model_config = ConfigDict(
        json_schema_extra={"minItems": 1, "maxItems": BAYEUX_MESSAGES_MAX},
    )


class BayeuxReply(_Model):
    """A reply or a notification; a refused message says why in `error`, and goes with a 200."""

    model_config = ConfigDict(extra="allow")

    channel: str
    id: str | int | None = None
    successful: bool | None = None
    error: str | None = None
    client_id: str | None = Field(default=None, alias="clientId")
    advice: dict[str, Any] | None = None
    data: Any = None


REFUSED: Final = Refusal(GenesysFailure, headers={401: CHALLENGED})
