"""The bodies of the routes as /openapi.json shows them; what reads and says them is beside it."""

from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from services.gateway.dialects.carecycle.fields import STATUSES, UUID
from services.gateway.route import Refusal


class _Model(BaseModel):
    model_config = ConfigDict(defer_build=True, extra="forbid", use_attribute_docstrings=True)


class CareCycleWish(_Model):
    """The status that an enrolment is to have."""

    model_config = ConfigDict(extra="allow")

    customer_id: str = Field(alias="customerId", pattern=UUID)
    campaign_id: str = Field(alias="campaignId", pattern=UUID)
    status: str = Field(json_schema_extra={"enum": list(STATUSES)})
    """Only terminal ones are allowed: `completed`, `failed`."""


class CareCycleChanged(_Model):
    """The status holds."""

    success: Literal[True]
    previous_status: str = Field(alias="previousStatus")
    new_status: str = Field(alias="newStatus")
    customer_campaign_id: str = Field(alias="customerCampaignId")
    """Of the enrolment, always the same."""


class CareCycleEnrolment(_Model):
    """A customer's place in a campaign."""

    customer_campaign_id: str = Field(alias="customerCampaignId")
    campaign_id: str = Field(alias="campaignId")
    status: str


class CareCycleCustomer(_Model):
    """A customer, and the newest enrolments."""

    id: str
    campaigns: list[CareCycleEnrolment]


class CareCycleCustomers(_Model):
    """One page of customers."""

    data: list[CareCycleCustomer]
    page: int
    size: int
    has_more: bool = Field(alias="hasMore")


class CareCycleIssue(_Model):
    """A field that breaks its rule."""

    path: list[str]
    message: str
    expected: str
    received: str
    code: str


class CareCycleFailure(_Model):
    """Why not."""

    message: str
    code: str
    errors: list[CareCycleIssue] | None = None
    """Of a `VALIDATION_ERROR`."""
    retry_after: int | None = Field(default=None, alias="retryAfter")
    """Of a `RATE_LIMIT_EXCEEDED`: seconds."""


REFUSED: Final = Refusal(CareCycleFailure)
