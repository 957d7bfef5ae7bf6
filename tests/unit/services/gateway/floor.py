"""A gateway to talk to: the real application over a log and stores in memory.

Instead of the other two services a `Decider` looks at what was appended and answers it, as a table
in the test says; it commits the positions, so that reads find everything settled.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient, TestServer
from typing_extensions import override

from services.gateway.app import build_app
from services.gateway.desk import Desk
from services.gateway.settling import CALLSTATE, HISTORY, WORKER
from services.gateway.verdicts import Waiters
from shared.adapters.tenants_file import FileTenantDirectory, read_tenants
from shared.contracts.calls import Call, CallDocument, EventOutcome, Phase
from shared.contracts.dispositions import (
    DispositionRequest,
    DispositionsDocument,
    Outcome,
    Verdict,
)
from shared.contracts.envelope import Event, Message, from_record
from shared.contracts.errors import Poison
from shared.contracts.ids import call_key
from shared.contracts.instants import to_wire
from shared.contracts.tenants import Tenant
from shared.contracts.topics import DISPOSITION_REQUESTS, TELEPHONY_EVENTS
from shared.runtime.ports import Answer, Document, Index
from tests.support.clock import START_MS, FakeClock
from tests.support.memory import MemoryHistoryStore, MemoryLog, MemoryStateStore

ROOT = Path(__file__).parents[4]
DEMO = read_tenants(ROOT / "deploy" / "demo" / "tenants.yaml")

NATIVE = {"Authorization": "Bearer demo-key"}
SWITCH = {"Authorization": "Bearer demo-switch-key"}
ADMIN = {"Authorization": "Bearer demo-admin-key"}

Client = TestClient[web.Request, web.Application]
Decide = Callable[[Event], msgspec.Struct | None]


def saved(event: Event) -> msgspec.Struct:
    """A worker that saves whatever it is asked for, and a callstate that applies all."""
    if event.type != "disposition.requested":
        return EventOutcome(
            event_id=event.id,
            call_id=event.subject,
            outcome="applied",
            rule="applied",
            version=1,
            phase=Phase.ACTIVE,
        )
    request = msgspec.json.decode(event.data, type=DispositionRequest)
    return verdict(request, Outcome.SAVED)


def verdict(request: DispositionRequest, outcome: Outcome, **more: Any) -> Verdict:
    return Verdict(
        request_id=request.request_id,
        outcome=outcome,
        call_id=request.call_id,
        agent_id=request.agent_id,
        code=request.code,
        decided_at=to_wire(START_MS),
        rule="test",
        **more,
    )


class AnsweringLog(MemoryLog):
    """A log whose readers answer at once."""

    def __init__(self, waiters: Waiters, clock: FakeClock) -> None:
        super().__init__(clock)
        self.decide: Decide = saved
        self.settles = True
        self.stalls = False
        self._waiters = waiters

    @override
    async def append(self, messages: Sequence[Message]) -> None:
        if self.stalls:
            await asyncio.Event().wait()
        before = await self.ends([DISPOSITION_REQUESTS, TELEPHONY_EVENTS])
        await super().append(messages)
        for place, offset in before.items():
            for record in self.records[place][offset:]:
                try:
                    event = from_record(record)
                except Poison:
                    continue
                answer = self.decide(event)
                if answer is not None and event.reply_to is not None:
                    self._waiters.deliver([Answer(event.reply_to, msgspec.json.encode(answer))])
            for group in (CALLSTATE, WORKER, HISTORY) if self.settles else ():
                self.committed[group, place] = len(self.records[place])


class Floor:
    """The gateway under test and what stands behind it."""

    def __init__(
        self,
        *,
        tenants: Sequence[Tenant] = DEMO,
        timeout_s: float = 2.0,
        waiting_max: int = 4096,
        append_s: float = 5.0,
    ) -> None:
        self.clock = FakeClock()
        self.waiters = Waiters("gateway-1", timeout_s=timeout_s, waiting_max=waiting_max)
        self.log = AnsweringLog(self.waiters, self.clock)
        self.store = MemoryStateStore()
        self.history = MemoryHistoryStore()
        self.desk = Desk(
            tenants=FileTenantDirectory(tenants),
            clock=self.clock,
            log=self.log,
            store=self.store,
            history=self.history,
            waiters=self.waiters,
            append_s=append_s,
        )
        self.client: Client

    async def put_call(
        self, call: Call, said: DispositionsDocument | None = None, *, created_ms: int = START_MS
    ) -> None:
        key = call_key(call.tenant, call.id)
        tags = tuple(f"agent:{agent.agent_id}" for agent in call.agents)
        index = Index(created_ms=created_ms, phase=call.phase, tags=tags)
        documents = [_document("calls", key, CallDocument(call), index)]
        if said is not None:
            documents.append(_document("dispositions", key, said, index))
        await self.store.save(documents)

    def told(self, topic: str) -> list[Event]:
        """Everything on a topic, as events."""
        return [from_record(record) for record in self.log.all(topic)]

    @property
    def nothing_written(self) -> bool:
        return not any(self.log.records.values())


@asynccontextmanager
async def open_floor(**given: Any) -> AsyncIterator[Floor]:
    floor = Floor(**given)
    async with TestClient(TestServer(build_app(floor.desk))) as client:
        floor.client = client
        yield floor


async def problem(response: ClientResponse) -> tuple[int, str]:
    """Status and code of a problem document."""
    assert response.content_type == "application/problem+json", await response.text()
    document = await response.json(content_type=None)
    assert document["status"] == response.status
    assert document["type"] == f"urn:aftercall:problem:{document['code']}"
    assert document["title"]
    assert document["detail"]
    return response.status, document["code"]


def _document(collection: str, key: str, state: msgspec.Struct, index: Index) -> Document:
    return Document(
        collection=collection,
        key=key,
        revision=1,
        state=msgspec.json.encode(state),
        watermarks={},
        sequences={},
        index=index,
    )
