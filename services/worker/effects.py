"""What follows from a disposition: events for reporting, commands for the switch.

Everything told carries ids and codes; a comment, a name or a number never leaves the document.
"""

from collections.abc import Iterable
from hashlib import blake2b
from typing import Final, Literal

from services.worker.model import OUTCOMES, Given, Row
from shared.contracts.calls import Call
from shared.contracts.dispositions import (
    USER_EVENT,
    Disposition,
    DispositionTold,
    Previous,
    Queued,
    SwitchCommand,
)
from shared.contracts.instants import to_wire, to_wire_or_none
from shared.contracts.subjects import (
    STATUS_REQUESTED,
    CallOrigin,
    StatusPolicy,
    StatusRequest,
    Subject,
    subject_key,
    subjects_of,
)
from shared.contracts.telephony import CALL_RELEASED, CallReleased
from shared.contracts.topics import (
    DISPOSITION_EVENTS,
    DISPOSITION_REQUESTS,
    SWITCH_COMMANDS,
    TELEPHONY_EVENTS,
    USER_EVENTS,
)
from shared.kernel import Publish

Command = Literal["agent.pause", "agent.release", "call.attach_data"]
FROM_CALL: Final = "call"  # the dialect of a status that a disposition asks for


def status_request_id(
    tenant: str, call_id: str, agent_id: str, revision: int, subject: Subject
) -> str:
    """What this disposition asks of this subject, whenever it is asked."""
    made_of = "\0".join((tenant, call_id, agent_id, str(revision), subject.name)).encode()
    return f"call-{blake2b(made_of, digest_size=16).hexdigest()}"


class Effects:
    """The effects of one decision, in the order in which they are to be published."""

    def __init__(self, given: Given, call: Call | None) -> None:
        self.published: list[Publish] = []
        self.decided_at = to_wire(given.now_ms)
        self.call_version = 0 if call is None else call.version
        self._given = given
        self._call = call

    def event(
        self,
        type_: str,
        row: Row,
        agent_id: str,
        about: Disposition | Queued | None = None,
        previous: Previous | None = None,
    ) -> None:
        """Tell it on `disposition.events`."""
        told = self._told(row, agent_id, about, previous)
        self.published.append(Publish(DISPOSITION_EVENTS, type_, told))

    def user_event(
        self, row: Row, agent_id: str, disposition: Disposition, previous: Previous | None
    ) -> None:
        """Tell reporting on `user.events`, the code under its key."""
        user_data = {disposition.key: disposition.code}
        told = self._told(row, agent_id, disposition, previous, user_data)
        self.published.append(Publish(USER_EVENTS, USER_EVENT, told))

    def command(
        self,
        type_: Command,
        agent_id: str,
        request_id: str | None,
        *,
        reason: str | None = None,
        user_data: dict[str, str] | None = None,
    ) -> None:
        """Ask the switch."""
        command = SwitchCommand(
            tenant=self._given.tenant,
            call_id=self._given.call_id,
            agent_id=agent_id,
            decided_at=self.decided_at,
            reason=reason,
            user_data=user_data,
            request_id=request_id,
        )
        self.published.append(Publish(SWITCH_COMMANDS, type_, command))

    def end_wrap_up(self, agent_id: str, segment: int) -> None:
        """Ask callstate to release the agent, who may be back on the call before it hears of it."""
        released = CallReleased(agent_id=agent_id, segment=segment)
        self.published.append(Publish(TELEPHONY_EVENTS, CALL_RELEASED, released))

    def status(self, agent_id: str, disposition: Disposition) -> None:
        """Ask, for each of the call's subjects, that the disposition become its status."""
        for subject in () if self._call is None else _subjects(self._call):
            key = subject_key(self._given.tenant, subject)
            request = self._status_request(subject, agent_id, disposition)
            self.published.append(
                Publish(DISPOSITION_REQUESTS, STATUS_REQUESTED, request, key, subject.name)
            )

    def _status_request(
        self, subject: Subject, agent_id: str, disposition: Disposition
    ) -> StatusRequest:
        given = self._given
        request_id = status_request_id(
            given.tenant, given.call_id, agent_id, disposition.revision, subject
        )
        return StatusRequest(
            request_id=request_id,
            idempotency_key=request_id,
            body_hash=request_id,
            subject=subject.name,
            status=disposition.code,
            dialect=FROM_CALL,
            policy=StatusPolicy(must_exist=False),
            callback_ms=disposition.callback_ms,
            origin=CallOrigin(call_id=given.call_id, agent_id=agent_id),
        )

    def _told(
        self,
        row: Row,
        agent_id: str,
        about: Disposition | Queued | None,
        previous: Previous | None,
        user_data: dict[str, str] | None = None,
    ) -> DispositionTold:
        call = self._call
        return DispositionTold(
            tenant=self._given.tenant,
            call_id=self._given.call_id,
            agent_id=agent_id,
            rule=row.rule,
            decided_at=self.decided_at,
            call_version=self.call_version,
            code=None if about is None else about.code,
            key=None if about is None else about.key,
            origin=row.origin or (about.origin if isinstance(about, Disposition) else None),
            outcome=OUTCOMES.get(row.told),
            problem=row.problem,
            request_id=None if about is None else about.request_id or None,
            revision=about.revision if isinstance(about, Disposition) else None,
            previous=previous,
            callback_at=None if about is None else to_wire_or_none(about.callback_ms),
            user_data=user_data,
            customer_id=None if call is None else call.customer_id,
            campaign_id=None if call is None else call.campaign_id,
            project_id=None if call is None else call.project_id,
            record_id=None if call is None else call.record_id,
        )


def _subjects(call: Call) -> Iterable[Subject]:
    return subjects_of(
        customer_id=call.customer_id,
        campaign_id=call.campaign_id,
        project_id=call.project_id,
        record_id=call.record_id,
    )
