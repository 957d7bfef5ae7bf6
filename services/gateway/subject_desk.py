"""The desk's part for subjects: what a route or a dialect may ask of them, and read."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import msgspec
from msgspec import Struct

from services.gateway.refusals import RefusedByRule
from services.gateway.settling import Settling
from services.gateway.status_admission import AskedOfSubject, admit_asked
from services.gateway.verdicts import Waiters
from shared.contracts import limits
from shared.contracts.calls import Call, CallDocument, Phase
from shared.contracts.envelope import Event, Message, ReplyTo, to_message
from shared.contracts.ids import call_key
from shared.contracts.instants import to_wire
from shared.contracts.subjects import (
    STATUS_REQUESTED,
    SUBJECT_NAMED,
    Kind,
    NamingRequest,
    StatusOutcome,
    StatusRequest,
    StatusVerdict,
    Subject,
    SubjectDocument,
    is_subject,
    kind_tag,
    read_subject,
    subject_key,
)
from shared.contracts.tenants import Tenant
from shared.contracts.topics import DISPOSITION_REQUESTS
from shared.runtime.history import HistoryStore
from shared.runtime.ports import Clock, StateStore, Tagged

SUBJECTS: Final = "subjects"
CALLS: Final = "calls"
VERDICTS_PER_WAIT: Final = 500  # a batch is waited for as often as long, at least once
SCAN_PAGE: Final = 1_000

_encode: Final = msgspec.json.Encoder().encode
_verdict: Final = msgspec.json.Decoder(StatusVerdict)
_subject: Final = msgspec.json.Decoder(SubjectDocument)
_call: Final = msgspec.json.Decoder(CallDocument)

Append = Callable[[Sequence[Message]], Awaitable[None]]


class SubjectView(Struct, frozen=True):
    """A subject that is known.

    Attributes:
        document: what is kept of it; blank where only calls have named it yet.
        calls: the newest few that are about it, newest first; empty in lists.
    """

    subject: Subject
    document: SubjectDocument
    calls: tuple[Call, ...] = ()

    @property
    def in_call(self) -> bool:
        """Whether agents are handling it: talking, or in wrap-up."""
        return any(call.phase is not Phase.RELEASED for call in self.calls)


class SubjectDesk:
    """See the module; one for each `Desk`."""

    def __init__(
        self,
        source: str,
        *,
        clock: Clock,
        store: StateStore,
        history: HistoryStore,
        settling: Settling,
        waiters: Waiters,
        append: Append,
        fresh_id: Callable[[], str],
    ) -> None:
        self._source = source
        self._clock = clock
        self._store = store
        self._history = history
        self._settling = settling
        self._waiters = waiters
        self._append = append
        self._fresh_id = fresh_id

    async def ask(self, tenant: Tenant, asked: AskedOfSubject) -> StatusVerdict:
        """Publish the request and wait for its verdict.

        Returns:
            The verdict; its outcome is never `REFUSED`, and `PENDING` (decided at: now) when
            the worker's answer was not there in time.

        Raises:
            Refused: before anything was written; `RefusedByRule` when the worker refused.
            Busy: too many wait; nothing was written.
            Unavailable: unknown whether it was written; a retry with the same key is safe.
        """
        (verdict,) = await self.ask_all(tenant, [asked])
        if verdict.outcome is StatusOutcome.REFUSED:
            raise RefusedByRule(verdict)
        return verdict

    async def ask_all(self, tenant: Tenant, asked: Sequence[AskedOfSubject]) -> list[StatusVerdict]:
        """Publish all, and wait for every verdict: refusals and `PENDING` are among them.

        Raises:
            Refused: one of them can't be admitted; nothing was written.
            Busy, Unavailable: as of `ask`.
        """
        requests = [admit_asked(one, tenant, self._fresh_id()) for one in asked]
        if not requests:
            return []
        now_ms = self._clock.now_ms()
        expected = self._waiters.expect_all(
            len(requests), waits=1 + len(requests) // VERDICTS_PER_WAIT
        )
        try:
            await self._append(
                [
                    self._message(tenant, request, now_ms, one.reply_to)
                    for request, one in zip(requests, expected, strict=True)
                ]
            )
            bodies = await asyncio.gather(*(one.answer() for one in expected))
        finally:
            for one in expected:
                one.forget()
        return [
            _pending(request, now_ms) if body is None else _verdict.decode(body)
            for request, body in zip(requests, bodies, strict=True)
        ]

    async def read(self, tenant: Tenant, subject: Subject) -> SubjectView | None:
        """The subject, at least as new as any answer given before; None if nothing has named it."""
        if not is_subject(subject):
            return None
        await self._settling.subjects()
        key = subject_key(tenant.id, subject)
        calls_of = Tagged(tenant.id, subject.name)
        documents, calls = await asyncio.gather(
            self._store.load(SUBJECTS, [key], outboxes=False),
            self._store.tagged(CALLS, [calls_of], each_max=limits.CALLS_BESIDE_MAX),
        )
        about = tuple(_call.decode(found.state).call for found in calls.get(calls_of, ()))
        document = _subject.decode(documents[key].state) if key in documents else None
        if not about and (document is None or not document.known):
            return None
        created_ms = about[-1].created_ms if about else 0
        blank = SubjectDocument(subject=subject.name, created_ms=created_ms)
        return SubjectView(subject, document or blank, about)

    async def lines(self, tenant: Tenant, subject: Subject) -> list[bytes]:
        """The lines of its history, in order, as the API shows them."""
        await self._settling.history()
        return await self._history.entries(tenant.id, subject.name)

    async def page(
        self,
        tenant: Tenant,
        kind: Kind,
        *,
        within: str | None = None,
        status: str | None = None,
        cursor: str | None = None,
        limit: int,
    ) -> tuple[list[SubjectView], str | None]:
        """One page of those that were named or had a status, newest first, and what continues it.

        Raises:
            ValueError: the cursor is not one of ours.
        """
        await self._settling.subjects()
        tag = kind_tag(kind, within)
        page = await self._store.find(
            SUBJECTS, tenant.id, phase=status, tag=tag, cursor=cursor, limit=limit
        )
        return [_view(document.state) for document in page.documents], page.next

    async def first(
        self, tenant: Tenant, kind: Kind, within: str | None, most: int
    ) -> list[SubjectView]:
        """The newest of those that a list shows, up to `most` of them."""
        await self._settling.subjects()
        tag, cursor = kind_tag(kind, within), None
        views: list[SubjectView] = []
        while len(views) < most:
            limit = min(SCAN_PAGE, most - len(views))
            page = await self._store.find(SUBJECTS, tenant.id, tag=tag, cursor=cursor, limit=limit)
            views += [_view(document.state) for document in page.documents]
            cursor = page.next
            if cursor is None:
                break
        return views

    async def enrolments(
        self, tenant: Tenant, customers: Sequence[Subject], each_max: int
    ) -> list[list[SubjectView]]:
        """Of each of these customers the newest enrolments that had a status."""
        wanted = [Tagged(tenant.id, customer.name) for customer in customers]
        found = await self._store.tagged(SUBJECTS, wanted, each_max=each_max)
        return [[_view(document.state) for document in found.get(one, ())] for one in wanted]

    def _message(
        self,
        tenant: Tenant,
        request: StatusRequest | NamingRequest,
        now_ms: int,
        reply_to: ReplyTo,
    ) -> Message:
        event = Event(
            id=request.request_id,
            source=self._source,
            type=STATUS_REQUESTED if isinstance(request, StatusRequest) else SUBJECT_NAMED,
            subject=request.subject,
            time_ms=now_ms,
            tenant=tenant.id,
            data=_encode(request),
            reply_to=reply_to,
        )
        return to_message(event, DISPOSITION_REQUESTS, call_key(tenant.id, request.subject))


def _view(state: bytes) -> SubjectView:
    document = _subject.decode(state)
    return SubjectView(read_subject(document.subject), document)


def _pending(request: StatusRequest | NamingRequest, now_ms: int) -> StatusVerdict:
    return StatusVerdict(
        request_id=request.request_id,
        outcome=StatusOutcome.PENDING,
        subject=request.subject,
        status=request.status,
        decided_at=to_wire(now_ms),
        rule="",
    )
