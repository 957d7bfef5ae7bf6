"""The bodies of the two routes as /openapi.json shows them; what reads and says them is beside it.

A field may be missing or wrong in a request: the page has a row for each, and a 200 for each row.
"""

from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel

from services.gateway.route import Refusal
from shared.contracts import limits


class _Model(BaseModel):
    model_config = ConfigDict(defer_build=True, extra="forbid", use_attribute_docstrings=True)


class OzonetelUser(_Model):
    """Who wants a token."""

    model_config = ConfigDict(extra="allow")

    user_name: str = Field(alias="userName")


class OzonetelWish(_Model):
    """The fields of the vendor's page."""

    model_config = ConfigDict(extra="allow")

    user_name: str = Field(alias="userName")
    action: str
    """`get` or `set`; what follows is for `set`."""
    agent_id: str | None = Field(default=None, alias="agentID")
    ucid: str | None = None
    """The call."""
    did: str | int | None = None
    disposition: str | None = None
    comments: str | None = Field(default=None, max_length=limits.OZONETEL_COMMENT_CHARS_MAX)
    call_back_time: str | None = Field(default=None, alias="callBackTime")
    """`YYYY-MM-DD HH:MM` by the clock on the tenant's wall."""
    pause_after_dispose: bool | str | None = Field(default=None, alias="pauseAfterDispose")
    pause_reason: str | None = Field(default=None, alias="pauseReason")
    auto_release: bool | str | None = Field(default=None, alias="autoRelease")
    """End the agent's wrap-up with it."""


class OzonetelToken(_Model):
    """A token, sent as `Authorization: Bearer` from now on."""

    token: str
    message: Literal[""]


class OzonetelAccount(_Model):
    """Something about who asks."""

    status: Literal["false"]
    message: str
    data: None


class OzonetelMessage(_Model):
    """Queued; or something that could not be read, or not be done."""

    status: Literal["Success", "Fail"]
    message: str


class OzonetelDetails(_Model):
    """Saved, or the tenant's codes; or something that was read and does not fit."""

    status: Literal["Success", "Fail"]
    details: str | list[str]


class OzonetelTokenAnswer(RootModel[OzonetelToken | OzonetelAccount]):
    """A token, or why there is none."""


class OzonetelAnswer(RootModel[OzonetelAccount | OzonetelMessage | OzonetelDetails]):
    """Done, or why not: `status` says which."""


REFUSED: Final = Refusal(OzonetelMessage)
