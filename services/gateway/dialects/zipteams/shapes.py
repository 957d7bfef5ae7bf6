"""The bodies of the routes as /openapi.json shows them; what reads and says them is beside it."""

from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from services.gateway.dialects.zipteams import fields
from services.gateway.dialects.zipteams.batch import CUSTOM_FIELDS_MAX, CUSTOM_VALUE
from services.gateway.route import Refusal
from shared.contracts import limits
from shared.contracts.ids import ID_PATTERN
from shared.contracts.instants import RFC_3339


class _Model(BaseModel):
    model_config = ConfigDict(defer_build=True, extra="forbid", use_attribute_docstrings=True)


class _Asked(BaseModel):
    """Fields that are not known are passed over."""

    model_config = ConfigDict(defer_build=True, extra="allow", use_attribute_docstrings=True)


class ZipteamsWish(_Asked):
    """The status that a customer is to have."""

    customer_id: str = Field(min_length=1, max_length=limits.TEXT_CHARS_MAX)
    disposition_status: str | None = Field(default=None, max_length=limits.TEXT_CHARS_MAX)
    """Absent or empty: there is none any more."""


class ZipteamsCall(_Asked):
    """The call itself."""

    id: str = Field(pattern=ID_PATTERN)
    recording_url: str = Field(pattern=r"^https?://[!-~]+$", max_length=fields.URL_CHARS_MAX)
    start_time: str = Field(pattern=RFC_3339)
    """In UTC, as the end."""
    end_time: str = Field(pattern=RFC_3339)
    contact_number: str = Field(pattern=r"^\+[1-9][0-9]{1,14}$")


class ZipteamsAgent(_Asked):
    """Who was on it."""

    id: str = Field(min_length=1, max_length=fields.NAME_CHARS_MAX)
    name: str | None = Field(default=None, max_length=fields.NAME_CHARS_MAX)
    email: str | None = Field(default=None, max_length=fields.NAME_CHARS_MAX)


class ZipteamsCustomer(_Asked):
    """With whom it was."""

    id: str = Field(pattern=ID_PATTERN)
    name: str | None = Field(default=None, max_length=fields.NAME_CHARS_MAX)
    email: str | None = Field(default=None, max_length=fields.NAME_CHARS_MAX)
    disposition_status: str | None = Field(default=None, max_length=limits.TEXT_CHARS_MAX)
    """The first one; a customer that has a status keeps it."""


class ZipteamsField(_Asked):
    """A field of the tenant's own."""

    internal_name: str = Field(min_length=1, max_length=fields.NAME_CHARS_MAX)
    value: str | None = Field(default=None, max_length=CUSTOM_VALUE.chars_max)


class ZipteamsRecorded(_Asked):
    """One call that is over."""

    call: ZipteamsCall
    agent: ZipteamsAgent
    customer: ZipteamsCustomer
    custom_fields: list[ZipteamsField] | None = Field(default=None, max_length=CUSTOM_FIELDS_MAX)
    callback_url: str | None = Field(default=None, max_length=fields.URL_CHARS_MAX)
    metadata: dict[str, str | int | float] | None = None


class ZipteamsBatch(_Asked):
    """Calls that are over."""

    data: list[ZipteamsRecorded] = Field(min_length=1, max_length=limits.ZIPTEAMS_CALLS_MAX)


class ZipteamsDone(_Model):
    """All that a success says."""

    success: Literal[True]


class ZipteamsIssue(_Model):
    """A field that breaks its rule."""

    field: str
    message: str


class ZipteamsFailure(_Model):
    """Why not."""

    success: Literal[False]
    message: str
    errors: list[ZipteamsIssue] | None = None


REFUSED: Final = Refusal(ZipteamsFailure)
