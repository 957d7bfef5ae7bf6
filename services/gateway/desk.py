"""The desk: what a route or a dialect may ask of the gateway. Built once, shared by all of them.

Everything behind it is reached through ports, so that no route knows a log or a store.
"""

import asyncio
import secrets
from collections.abc import Callable, Sequence
from typing import Final

import msgspec
from msgspec import Struct

from services.gateway.admission import Asked, admit
from services.gateway.patience import Patience
from services.gateway.rates import RateDesk
from services.gateway.refusals import RefusedByRule
from services.gateway.settling import Settling
from services.gateway.subject_desk import SubjectDesk
from services.gateway.verdicts import Expected, Waiters
from shared.contracts.calls import Call, CallDocument, EventOutcome
from shared.contracts.dispositions import (
    REQUESTED,
    DispositionRequest,
    DispositionsDocument,
    Outcome,
    Verdict,
)
from shared.contracts.envelope import Event, Message, to_message
from shared.contracts.errors import Unavailable
from shared.contracts.ids import call_key
from shared.contracts.instants import to_wire
from shared.contracts.tenants import Tenant
from shared.contracts.topics import DISPOSITION_REQUESTS, TELEPHONY_EVENTS
from shared.runtime.history import HistoryStore
from shared.runtime.ports import Clock, EventLog, StateStore
from shared.runtime.tenants import TenantDirectory

SOURCE: Final = "/aftercall/gateway"
CALLS: Final = "calls"
DISPOSITIONS: Final = "dispositions"
APPEND_S: Final = 5.0  # a disk that takes longer holds nobody's request

_encode: Final = msgspec.json.Encoder().encode
_verdict: Final = msgspec.json.Decoder(Verdict)
_outcome: Final = msgspec.json.Decoder(EventOutcome)
_call: Final = msgspec.json.Decoder(CallDocument)
_dispositions: Final = msgspec.json.Decoder(DispositionsDocument)


class CallView(Struct, frozen=True):
    """A call and what its agents have said of it."""

    call: Call
    dispositions: DispositionsDocument


class Desk:
    """See the module. Attributes are for routes that follow topics or read projections."""

    def __init__(
        self,
        *,
        tenants: TenantDirectory,
        clock: Clock,
        log: EventLog,
        store: StateStore,
        history: HistoryStore,
        waiters: Waiters,
        fresh_id: Callable[[], str] = lambda: f"req-{secrets.token_hex(16)}",
        append_s: float = APPEND_S,
    ) -> None:
        self.tenants: Final = tenants
        self.clock: Final = clock
        self.log: Final = log
        self.store: Final = store
        self.history: Final = history
        self.settling: Final = Settling(log)
        self.rates: Final = RateDesk(clock, store)
        self._waiters = waiters
        self._fresh_id = fresh_id
        self._append_s = append_s
        self._patience = Patience(append_s)
        self.subjects: Final = SubjectDesk(
            SOURCE,
            clock=clock,
            store=store,
            history=history,
            settling=self.settling,
            waiters=waiters,
            append=self._append,
            fresh_id=fresh_id,
        )

    async def dispose(self, tenant: Tenant, asked: Asked) -> Verdict:
        """Publish the request and wait for its verdict.

        Returns:
            The verdict; its outcome is never `REFUSED`, and `PENDING` (decided at: now) when
            the worker's answer was not there in time.

        Raises:
            Refused: before anything was written; `RefusedByRule` when the worker refused.
            Busy: too many wait; nothing was written.
            Unavailable: unknown whether it was written; a retry with the same key is safe.
        """
        request = admit(asked, tenant, self._fresh_id())
        expected = self._waiters.expect()
        now_ms = self.clock.now_ms()
        event = Event(
            id=request.request_id,
            source=SOURCE,
            type=REQUESTED,
            subject=request.call_id,
            time_ms=now_ms,
            tenant=tenant.id,
            data=_encode(request),
            reply_to=expected.reply_to,
        )
        key = call_key(tenant.id, request.call_id)
        try:
            await self._append([to_message(event, DISPOSITION_REQUESTS, key)])
            body = await expected.answer()
        finally:
            expected.forget()
        if body is None:
            return _pending(request, now_ms)
        verdict = _verdict.decode(body)
        if verdict.outcome is Outcome.REFUSED:
            raise RefusedByRule(verdict)
        return verdict

    async def call(self, tenant: Tenant, call_id: str) -> CallView | None:
        """The call, at least as new as any answer given before; None if there is none."""
        await self.settling.calls()
        return await self.stored_view(tenant, call_id)

    async def stored_view(self, tenant: Tenant, call_id: str) -> CallView | None:
        """The call as it is stored now: for who has just read of it on a topic."""
        call = await self.stored(tenant, call_id)
        return None if call is None else (await self._views(tenant, [call]))[0]

    async def stored(self, tenant: Tenant, call_id: str) -> Call | None:
        """The call as it is stored now, for what never changes of it: nothing is waited for."""
        key = call_key(tenant.id, call_id)
        documents = await self.store.load(CALLS, [key])
        return _call.decode(documents[key].state).call if key in documents else None

    async def calls(
        self,
        tenant: Tenant,
        *,
        phase: str | None,
        agent_id: str | None,
        cursor: str | None,
        limit: int,
    ) -> tuple[list[CallView], str | None]:
        """One page of calls, newest first, and the cursor that continues it.

        Raises:
            ValueError: the cursor is not one of ours.
        """
        await self.settling.calls()
        return await self.stored_views(
            tenant, phase=phase, agent_id=agent_id, cursor=cursor, limit=limit
        )

    async def stored_views(
        self,
        tenant: Tenant,
        *,
        phase: str | None,
        agent_id: str | None,
        cursor: str | None,
        limit: int,
    ) -> tuple[list[CallView], str | None]:
        """The same of the calls as they are stored now."""
        tag = None if agent_id is None else f"agent:{agent_id}"
        page = await self.store.find(
            CALLS, tenant.id, phase=phase, tag=tag, cursor=cursor, limit=limit
        )
        calls = [_call.decode(document.state).call for document in page.documents]
        return await self._views(tenant, calls), page.next

    async def tell(
        self, tenant: Tenant, events: Sequence[Event], *, wait: bool
    ) -> list[EventOutcome] | None:
        """Publish telephony events; their data must have been checked.

        Returns:
            What became of each, in order; None when not waited for, or not there in time.

        Raises:
            Busy: too many wait; nothing was written.
            Unavailable: unknown which of them were written; telling them again is safe.
        """
        if not events:
            return []
        expected = self._waiters.expect_all(len(events)) if wait else []
        try:
            await self._append(
                [
                    to_message(event, TELEPHONY_EVENTS, call_key(tenant.id, event.subject))
                    for event in _with_replies(events, expected)
                ]
            )
            if not wait:
                return None
            bodies = await asyncio.gather(*(one.answer() for one in expected))
        finally:
            for one in expected:
                one.forget()
        answered = [_outcome.decode(body) for body in bodies if body is not None]
        return answered if len(answered) == len(events) else None

    async def _append(self, messages: Sequence[Message]) -> None:
        """Append, or say in time that it is not known whether they were written."""
        try:
            await self._patience.within(self.log.append(messages))
        except TimeoutError:
            raise Unavailable(f"the log took longer than {self._append_s:.0f} s") from None

    async def _views(self, tenant: Tenant, calls: Sequence[Call]) -> list[CallView]:
        keys = [call_key(tenant.id, call.id) for call in calls]
        documents = await self.store.load(DISPOSITIONS, keys) if keys else {}
        return [
            CallView(
                call,
                _dispositions.decode(documents[key].state)
                if key in documents
                else DispositionsDocument(),
            )
            for key, call in zip(keys, calls, strict=True)
        ]


def _with_replies(events: Sequence[Event], expected: Sequence[Expected]) -> Sequence[Event]:
    if not expected:
        return events
    return [
        msgspec.structs.replace(event, reply_to=one.reply_to)
        for event, one in zip(events, expected, strict=True)
    ]


def _pending(request: DispositionRequest, now_ms: int) -> Verdict:
    return Verdict(
        request_id=request.request_id,
        outcome=Outcome.PENDING,
        call_id=request.call_id,
        agent_id=request.agent_id,
        code=request.code,
        decided_at=to_wire(now_ms),
        rule="",
    )
