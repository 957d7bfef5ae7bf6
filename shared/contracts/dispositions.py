"""Dispositions: the request on the wire, the verdict, and what is kept for each agent of a call."""

from enum import StrEnum

from msgspec import Struct

from shared.contracts.instants import to_wire


class Outcome(StrEnum):
    """The worker's answer to one disposition request. `PENDING` is the gateway's own."""

    QUEUED = "queued"
    SAVED = "saved"
    CORRECTED = "corrected"
    USER_EVENT = "user_event"
    REFUSED = "refused"
    PENDING = "pending"


class Origin(StrEnum):
    """How a disposition came to be."""

    QUEUE = "queue"  # queued during the call, applied at its end
    WRAP_UP = "wrap_up"
    TIMEOUT = "timeout"  # the tenant's timeout code
    CORRECTION = "correction"
    LATE = "late"  # after release


class Policy(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a dialect asks of the rules. The worker decides; a dialect only chooses this.

    Attributes:
        correct: a second disposition in wrap-up corrects the first; else `already_disposed`.
        late: after release it becomes a user event; else `already_disposed`.
        tell_in_wrap_up: in wrap-up it is saved and also told as a user event.
    """

    correct: bool = True
    late: bool = True
    tell_in_wrap_up: bool = False


class DispositionRequest(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Data of `disposition.requests`, type `disposition.requested`: neutral, already admitted.

    Attributes:
        request_id: names this request; the same for a retry with the client's own key.
        idempotency_key: the client's, or the request id.
        body_hash: of everything that must be equal under the same key.
        key: under which the code stands in user data and user events.
    """

    request_id: str
    idempotency_key: str
    body_hash: str
    call_id: str
    agent_id: str
    code: str
    key: str
    dialect: str
    policy: Policy
    comment: str | None = None
    callback_ms: int | None = None
    pause_after: bool = False
    pause_reason: str | None = None
    release_after: bool = False


class Previous(Struct, frozen=True, kw_only=True):
    """A disposition that another one has replaced, as told outside."""

    code: str
    origin: Origin
    decided_at: str


class Queued(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A disposition that waits for its agent to leave the call.

    `segment` is the agent's when it was queued: an agent in a later one has left since.
    """

    code: str
    key: str
    request_id: str
    queued_ms: int
    comment: str | None = None
    callback_ms: int | None = None
    pause_after: bool = False
    pause_reason: str | None = None
    release_after: bool = False
    tell_in_wrap_up: bool = False
    segment: int = 0


class Disposition(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One decided disposition. `revision` counts 1, 2, 3 ... per call and agent."""

    code: str
    key: str
    origin: Origin
    decided_ms: int
    revision: int
    request_id: str | None = None
    comment: str | None = None
    callback_ms: int | None = None

    def as_previous(self) -> Previous:
        """How a successor tells of this one."""
        return Previous(code=self.code, origin=self.origin, decided_at=to_wire(self.decided_ms))


class AgentDispositions(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one agent has said of a call.

    Attributes:
        earlier: replaced dispositions, oldest first.
        missed: wrap-up ended without one, and that was told.
        called_back: revision of the newest one the time of whose callback was told; 0 before.
    """

    agent_id: str
    queued: Queued | None = None
    disposition: Disposition | None = None
    earlier: tuple[Disposition, ...] = ()
    missed: bool = False
    called_back: int = 0


class DispositionsDocument(Struct, frozen=True):
    """What others read of a stored dispositions document; the worker keeps more beside it."""

    agents: tuple[AgentDispositions, ...] = ()

    def agent(self, agent_id: str) -> AgentDispositions | None:
        """This agent's dispositions, if any."""
        for agent in self.agents:
            if agent.agent_id == agent_id:
                return agent
        return None


class Verdict(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The answer to one request, kept with the document it was decided on.

    Attributes:
        problem: why refused: `unknown_call`, `agent_not_on_call`, `already_disposed`,
            `idempotency_conflict`.
        rule: the row of the decision table.
        call_version: of the call that the decision was based on; 0 without one.
    """

    request_id: str
    outcome: Outcome
    call_id: str
    agent_id: str
    code: str
    decided_at: str
    rule: str
    problem: str | None = None
    previous: Previous | None = None
    call_version: int = 0


class DispositionTold(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Data of `disposition.events` and `user.events`: ids and codes, nothing personal."""

    tenant: str
    call_id: str
    agent_id: str
    rule: str
    decided_at: str
    call_version: int = 0
    code: str | None = None
    key: str | None = None
    origin: Origin | None = None
    outcome: Outcome | None = None
    problem: str | None = None
    request_id: str | None = None
    revision: int | None = None
    previous: Previous | None = None
    callback_at: str | None = None
    user_data: dict[str, str] | None = None  # of a user event: the code under its key
    customer_id: str | None = None
    campaign_id: str | None = None
    project_id: str | None = None
    record_id: str | None = None


class SwitchCommand(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Data of `switch.commands`: `agent.pause`, `agent.release`, `call.attach_data`."""

    tenant: str
    call_id: str
    agent_id: str
    decided_at: str
    reason: str | None = None
    user_data: dict[str, str] | None = None
    request_id: str | None = None


REQUESTED = "disposition.requested"
USER_EVENT = "EventUserEvent"
