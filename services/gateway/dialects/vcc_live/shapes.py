"""The bodies of the routes as /openapi.json shows them; what reads and builds them is beside it.

Answers are JSON as a text, by their content type.
"""

from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from services.gateway.route import CHALLENGED, Refusal
from shared.contracts import limits

TEXT: Final = "text/plain"
TOLD: Final = {"Etag": "of this very body", "Allow": "the method", "X-Resource": "what it is"}

_Number = str | int
_Switch = bool | Literal["true", "false"]


class _Model(BaseModel):
    model_config = ConfigDict(defer_build=True, extra="forbid", use_attribute_docstrings=True)


class _Asked(BaseModel):
    """Fields that are not known are passed over."""

    model_config = ConfigDict(defer_build=True, extra="allow", use_attribute_docstrings=True)


class VccLiveDisposition(_Asked):
    """A disposition; ids are strings or integers."""

    dispositionid: _Number | None = None
    """The number of a code."""
    userid: _Number | None = None
    next_calldate: str | None = None
    """`YYYY-MM-DD HH:MM:SS` by the clock on the project's wall."""
    description: str | None = None
    send_messages: _Switch | None = Field(default=None, alias="sendDispositionMessages")


class VccLiveElement(VccLiveDisposition):
    """A record, or a search for some, and what is particular to it."""

    numberid: _Number | None = None
    search: dict[str, Any] | list[dict[str, Any]] | None = None
    """Any of these objects, each with all of its keys."""


class VccLiveBatch(_Asked):
    """Many records at once. What is wrong with an element is told beside the others' outcomes."""

    elements: list[dict[str, Any] | VccLiveElement] = Field(max_length=limits.VCC_LIVE_ELEMENTS_MAX)
    disposition: VccLiveDisposition | None = None
    """For every element, but for what it says itself."""
    avoid_in_call: bool | str | None = None
    """Leave those alone that agents are handling."""


class VccLiveOne(VccLiveDisposition):
    """The disposition of the record in the path."""

    avoid_in_call: bool | str | None = None


class VccLiveIssue(_Model):
    """What is wrong, in a batch with which element."""

    errorcode: int
    errormessage: str
    index: int | None = None


class VccLiveOutcomes(_Model):
    """By the index of each element: true if a record has changed, false if all were left alone."""

    errors: list[VccLiveIssue]
    response: dict[str, bool]


class VccLiveOutcome(_Model):
    """True if the record has changed, false if it was left alone."""

    errors: list[VccLiveIssue]
    response: bool


class VccLiveEvent(_Model):
    """A disposition that the record has or had."""

    dispositionid: int | None
    disposition: str | None
    userid: int | None
    description: str | None
    next_calldate: str | None
    create_time: str | None
    uuid: str | None
    """Of the call that it comes from."""


class VccLiveCdr(_Model):
    """A call about the record."""

    uuid: str
    state: str
    create_time: str | None


class VccLiveRecord(_Model):
    """A record."""

    numberid: str
    projectid: str
    act_status: int | None
    disposition: str | None
    pref_userid: int | None
    next_calldate: str | None
    in_call: bool
    cdrs: list[VccLiveCdr]
    contacts: list[Any]
    data: dict[str, str]
    events: list[VccLiveEvent]


class VccLiveShown(_Model):
    """A record, shown."""

    errors: list[VccLiveIssue]
    response: VccLiveRecord


class VccLiveFailure(_Model):
    """Why not."""

    errors: list[VccLiveIssue]
    response: Literal[False]


REFUSED: Final = Refusal(VccLiveFailure, TEXT, headers={401: CHALLENGED})
