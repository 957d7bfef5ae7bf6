"""What is said on a socket: each message is one text frame that holds one JSON object."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SkipValidation

from services.gateway.models import (
    At,
    DispositionBody,
    ExtendedView,
    ExtensionBody,
    Id,
    PendingExtensionView,
    PendingView,
    ProblemView,
    VerdictView,
)
from services.gateway.push.position import POSITION_CHARS_MAX
from shared.contracts.limits import SOCKET_ASK_ID_CHARS_MAX

AskId = Annotated[str, Field(min_length=1, max_length=SOCKET_ASK_ID_CHARS_MAX)]


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class HelloMessage(_Message):
    """The client's first message: who it is, and what it wants to be told."""

    type: Literal["hello"]
    authorization: str | None = None
    """`Bearer` and a key or a toolbar token, unless the upgrade had it as a header."""
    topics: str | None = None
    """Topics that are told, separated by commas; all by default."""
    last_event_id: Annotated[str, Field(max_length=POSITION_CHARS_MAX)] | None = None
    """The last `id` that came: what was told after it comes first. By default from now on."""


class DisposeMessage(_Message):
    """As `POST /v1/calls/{call_id}/disposition`."""

    type: Literal["dispose"]
    id: AskId
    """The client's own: the answer has it."""
    call_id: SkipValidation[Id]
    idempotency_key: str | None = None
    """As the header `Idempotency-Key`: a retry, there or here, is never applied twice."""
    disposition: SkipValidation[DispositionBody]


class ExtendWrapUpMessage(_Message):
    """As `POST /v1/calls/{call_id}/wrap-up-extension`."""

    type: Literal["extend_wrap_up"]
    id: AskId
    """The client's own: the answer has it."""
    call_id: SkipValidation[Id]
    idempotency_key: str | None = None
    """As the header `Idempotency-Key`: a retry, there or here, is never applied twice."""
    extension: SkipValidation[ExtensionBody]


class ReadyMessage(_Message):
    """The answer to `hello`: from here on events come and requests are taken."""

    type: Literal["ready"]
    id: str
    """Where the client stands."""
    time: At
    """The gateway's clock."""


class ToldEvent(_Message):
    """A CloudEvent, as `data` of the server-sent events of `GET /v1/stream`."""

    specversion: Literal["1.0"]
    id: str
    source: str
    type: str
    subject: str
    time: At
    tenant: str
    sequence: int | None = None
    datacontenttype: Literal["application/json"]
    data: Any = None
    """As the messages of the topics have it."""


class EventMessage(_Message):
    """One event; `stream.gap` says that older records are no longer kept."""

    type: Literal["event"]
    id: str
    """Where the client stands once it has this: `last_event_id` of the next `hello`."""
    event: ToldEvent


class PositionMessage(_Message):
    """Nothing was told for a while, and the client stands here."""

    type: Literal["position"]
    id: str


class AnswerMessage(_Message):
    """What became of a request; answers come in the order in which they are ready."""

    type: Literal["answer"]
    id: str
    """The request's."""
    status: int
    """As over HTTP."""
    body: VerdictView | PendingView | ExtendedView | PendingExtensionView | ProblemView
    """As over HTTP."""
    retry_after_s: int | None = None
    """As the header `Retry-After`, with 429 and 503."""
