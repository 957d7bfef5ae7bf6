"""A short shift of a centre, played through the real rules onto any log and store.

Queued and replaced, transferred, corrected, late, missed, timed out, refused, retried, conflicting,
repeated and out of order, and one record that nobody understands: something for every check.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import msgspec

from services.callstate.topology import CallstateTopology
from services.cli.verify.snapshot import Snapshot
from services.worker.history import HistoryProjection
from services.worker.letters import LetterProjection
from services.worker.topology import WorkerTopology
from shared.adapters.tenants_file import FileTenantDirectory
from shared.contracts.calls import WrapUpMode, WrapUpRules
from shared.contracts.dispositions import REQUESTED, DispositionRequest, Policy
from shared.contracts.envelope import Event, Message, Record, to_message
from shared.contracts.subjects import (
    STATUS_REQUESTED,
    SUBJECT_NAMED,
    NamingRequest,
    StatusPolicy,
    StatusRequest,
)
from shared.contracts.tenants import Tenant
from shared.contracts.topics import DISPOSITION_REQUESTS, TELEPHONY_EVENTS
from shared.runtime.history import HistoryStore
from shared.runtime.letters import LetterStore
from shared.runtime.ports import (
    Commit,
    Consumer,
    Document,
    EventLog,
    StateStore,
    TopicPartition,
)
from shared.runtime.processor import Processor
from shared.runtime.projection import Projection
from shared.runtime.topology import Topology
from tests.support.clock import FakeClock
from tests.support.memory import MemoryHistoryStore, MemoryLog, MemoryReplies, MemoryStateStore
from tests.support.memory_letters import MemoryLetterStore
from tests.support.sweeps import Sweeps

TENANTS = (
    Tenant(id="demo", wrap_up=WrapUpRules(seconds=30)),
    Tenant(
        id="north",
        wrap_up=WrapUpRules(seconds=5, mode=WrapUpMode.TIMEOUT_CODE, timeout_code="NoCode"),
    ),
    Tenant(id="south", wrap_up=WrapUpRules(seconds=5, mode=WrapUpMode.MANDATORY)),
)
REPLACED = Policy(tell_in_wrap_up=True)


class Teller:
    """Tells events and asks for dispositions: what comes from outside."""

    def __init__(self, clock: FakeClock, log: EventLog) -> None:
        self.clock = clock
        self.log = log
        self._count = 0

    async def tell(self, call: str, kind: str, *, event_id: str = "", **data: Any) -> None:
        """One event of `tenant:call`, now."""
        await self.log.append([self.event(call, kind, event_id=event_id, **data)])

    def event(self, call: str, kind: str, *, event_id: str = "", **data: Any) -> Message:
        """The same, not appended yet."""
        self._count += 1
        tenant, call_id = call.split(":")
        event = Event(
            id=event_id or f"event-{self._count}",
            source="/switch",
            type=kind,
            subject=call_id,
            time_ms=self.clock.now_ms(),
            tenant=tenant,
            data=msgspec.json.encode(data),
        )
        self.clock.advance(7)
        return to_message(event, TELEPHONY_EVENTS, call)

    async def ask(self, call: str, agent_id: str, code: str, **more: Any) -> None:
        """One request for a disposition."""
        self._count += 1
        tenant, call_id = call.split(":")
        request_id = more.pop("request_id", f"request-{self._count}")
        reply_to = more.pop("reply_to", None)
        given: dict[str, Any] = {
            "idempotency_key": request_id,
            "body_hash": code,
            "key": "DispositionCode",
            "dialect": "native",
            "policy": Policy(),
        }
        request = DispositionRequest(
            request_id=request_id, call_id=call_id, agent_id=agent_id, code=code, **given | more
        )
        event = Event(
            id=f"asked-{self._count}",
            source="/gateway",
            type=REQUESTED,
            subject=call_id,
            time_ms=self.clock.now_ms(),
            tenant=tenant,
            data=msgspec.json.encode(request),
            reply_to=reply_to,
        )
        self.clock.advance(3)
        await self.log.append([to_message(event, DISPOSITION_REQUESTS, call)])

    async def wish(self, tenant: str, subject: str, status: str | None, **more: Any) -> None:
        """One request for a subject's status; with `data`, or named, to make it known."""
        self._count += 1
        request_id = more.pop("request_id", f"wish-{self._count}")
        reply_to = more.pop("reply_to", None)
        shape = NamingRequest if "data" in more else StatusRequest
        given = {"idempotency_key": request_id, "body_hash": str(status), "dialect": "native"}
        request = shape(request_id=request_id, subject=subject, status=status, **given | more)
        event = Event(
            id=f"asked-{self._count}",
            source="/gateway",
            type=SUBJECT_NAMED if "data" in more else STATUS_REQUESTED,
            subject=subject,
            time_ms=self.clock.now_ms(),
            tenant=tenant,
            data=msgspec.json.encode(request),
            reply_to=reply_to,
        )
        self.clock.advance(3)
        await self.log.append([to_message(event, DISPOSITION_REQUESTS, f"{tenant}:{subject}")])


class Shift(Teller):
    """Tells, asks, and lets the services catch up."""

    def __init__(
        self,
        clock: FakeClock,
        log: EventLog,
        store: StateStore,
        history: HistoryStore,
        letters: LetterStore,
        commit: Commit,
    ) -> None:
        super().__init__(clock, log)
        self._processors: list[tuple[Topology, Processor, Consumer]] = []
        topologies: tuple[Topology, ...] = (
            CallstateTopology(FileTenantDirectory(TENANTS)),
            WorkerTopology(),
        )
        for topology in topologies:
            processor = Processor(
                topology,
                event_log=log,
                store=store,
                commit=commit,
                replies=MemoryReplies(),
                wait_s=0,
                records_max=7,  # so that batches end in awkward places
            )
            consumer = log.consumer(topology.group, topology.topics)
            self._processors.append((topology, processor, consumer))
        projections: tuple[Projection, ...] = (
            HistoryProjection(log, history),
            LetterProjection(log, letters),
        )
        self._projections = [(one, log.consumer(one.group, one.topics)) for one in projections]
        self._sweep = Sweeps(store, log, clock)

    async def settle(self, *, after_s: float = 0) -> None:
        """Let time pass, timers fire, and everybody work off what there is."""
        self.clock.advance(int(after_s * 1000))
        for _ in range(3):  # a timer's event, what it changes, what follows from that
            await self._sweep.sweep()
            for topology, processor, consumer in self._processors:
                while await behind(self.log, topology.group, topology.topics):
                    await processor.turn(consumer)
        for projection, consumer in self._projections:
            while await behind(self.log, projection.group, projection.topics):
                await projection.turn(consumer)

    async def play(self) -> None:
        """The shift."""
        await self._queue_and_correct()
        await self._transfer()
        await self._come_back()
        await self._let_it_pass()
        await self._refuse()
        await self._mandatory()
        await self._set_statuses()
        await self._call_back()
        await self.tell("demo:live", "call.started", direction="inbound", agent_id="agent-1")
        await self.tell("demo:live", "call.answered", agent_id="agent-1")
        await self.settle()
        await self.ask("demo:live", "agent-1", "Sale", request_id="still-waiting")
        await self.settle()

    async def _queue_and_correct(self) -> None:
        call = "demo:one"
        await self.tell(call, "call.started", direction="inbound", customer_id="77")
        await self.tell(call, "call.agent_joined", agent_id="agent-1", event_id="twice")
        await self.tell(call, "call.agent_joined", agent_id="agent-1", event_id="twice")
        await self.settle()
        await self.ask(call, "agent-1", "Sale", request_id="replaced")
        await self.ask(call, "agent-1", "Interested", request_id="applied")
        await self.ask(call, "agent-1", "Interested", request_id="applied")  # a retry
        await self.ask(call, "agent-1", "Sale", request_id="applied")  # a conflict
        await self.settle()
        await self.tell(call, "call.disconnected", by="caller")
        await self.settle()
        await self.ask(call, "agent-1", "Referred", policy=REPLACED, request_id="corrects")
        await self.settle()
        await self.tell(call, "call.released")
        await self.settle()
        await self.ask(call, "agent-1", "Sale", request_id="late")
        await self.settle()

    async def _transfer(self) -> None:
        call = "demo:two"
        await self.tell(call, "call.started", direction="outbound", agent_id="agent-2")
        await self.tell(call, "call.agent_left", agent_id="agent-2", reason="transfer")
        await self.tell(call, "call.agent_joined", agent_id="agent-3")
        await self.settle()
        await self.ask(call, "agent-2", "Callback", callback_ms=1_800_000_000_000)
        await self.ask(call, "agent-3", "Sale", release_after=True, pause_after=True)
        await self.tell(call, "call.agent_joined", agent_id="agent-2")  # comes back
        await self.settle()
        await self.tell(call, "call.disconnected")
        await self.settle()
        await self.ask(call, "agent-2", "Sale", release_after=True)
        await self.settle()

    async def _come_back(self) -> None:
        """Gone and back before the worker looks: what was queued for the first part is final."""
        call = "demo:back"
        await self.tell(call, "call.started", direction="inbound")
        await self.tell(call, "call.agent_joined", agent_id="agent-6")
        await self.settle()
        await self.ask(call, "agent-6", "Sale", request_id="first-part")
        await self.settle()
        await self.tell(call, "call.agent_left", agent_id="agent-6", reason="transfer")
        await self.tell(call, "call.agent_joined", agent_id="agent-6")
        await self.settle()
        await self.ask(call, "agent-6", "Interested", request_id="second-part")
        await self.tell(call, "call.disconnected")
        await self.settle()

    async def _let_it_pass(self) -> None:
        for call in ("demo:three", "north:three"):
            await self.tell(call, "call.started", direction="inbound", agent_id="agent-4")
            await self.tell(call, "call.answered")
            await self.tell(call, "call.disconnected")
        await self.settle()
        await self.settle(after_s=31)

    async def _refuse(self) -> None:
        await self.ask("demo:nowhere", "agent-1", "Sale", request_id="unknown")
        await self.ask("demo:one", "agent-9", "Sale", request_id="absent")
        await self.log.append([Message(TELEPHONY_EVENTS, "demo:bad", (), b"what?")])
        await self.tell("demo:bad", "call.started", direction="inbound")  # not held up by it
        await self.settle()

    async def _mandatory(self) -> None:
        call = "south:one"
        await self.tell(call, "call.started", direction="inbound", agent_id="agent-5")
        await self.tell(call, "call.answered")
        await self.tell(call, "call.disconnected")
        await self.settle(after_s=6)
        await self.ask(call, "agent-5", "Sale")
        await self.settle()

    async def _set_statuses(self) -> None:
        """Of subjects that nobody knows, that a call is about, and that were named."""
        gentle = StatusPolicy(avoid_in_call=True)
        await self.wish("demo", "customer:78", "Sale", request_id="nobody")
        await self.tell(
            "demo:about",
            "call.started",
            direction="inbound",
            agent_id="agent-7",
            customer_id="78",
            campaign_id="c1",
            project_id=17,
            record_id=4711,
        )
        await self.settle()
        await self.wish("demo", "record:17/4711", "Sale", policy=gentle, request_id="in-call")
        await self.wish("demo", "customer:78", "Sale", request_id="first-status")
        await self.wish("demo", "customer:78", "Sale", request_id="first-status")  # a retry
        await self.wish("demo", "customer:78", "Other", request_id="first-status")  # a conflict
        await self.wish("demo", "customer:78", None, request_id="cleared")
        await self.wish("demo", "customer:78", None, request_id="cleared-again")
        await self.wish("demo", "customer:79", "Fresh", data={"name": "Green"}, request_id="named")
        await self.settle()
        await self.tell("demo:about", "call.answered", agent_id="agent-7")
        await self.tell("demo:about", "call.disconnected")
        await self.settle()
        await self.ask("demo:about", "agent-7", "Interested", request_id="about")
        await self.settle()
        await self.wish(
            "demo", "record:17/4711", "Sale", request_id="after", send_messages=True, callback_ms=1
        )
        await self.settle()

    async def _call_back(self) -> None:
        """Due on calls and of subjects: on time, replaced, taken away, scheduled anew."""
        soon_ms = self.clock.now_ms() + 20_000
        more = {"callback_ms": soon_ms}
        agents = {"demo:soon": "agent-1", "demo:then": "agent-2", "demo:recoded": "agent-3"}
        for call, agent in agents.items():
            await self.tell(call, "call.started", direction="inbound", agent_id=agent)
            await self.tell(call, "call.answered", agent_id=agent)
            await self.settle()
            await self.ask(call, agent, "Callback", **more)
            await self.tell(call, "call.disconnected")
        await self.settle()
        await self.ask("demo:recoded", "agent-3", "Sale")
        for customer in ("80", "81", "82"):
            await self.wish("demo", f"customer:{customer}", None, data={"name": customer})
            await self.wish("demo", f"customer:{customer}", "Callback", **more)
        await self.wish("demo", "customer:81", None)
        await self.wish("demo", "customer:82", "Callback", callback_ms=soon_ms + 10_000)
        await self.settle(after_s=21)
        await self.ask("demo:soon", "agent-1", "Sale", **more)  # late, which schedules none
        await self.settle(after_s=10)


async def behind(log: EventLog, group: str, topics: Sequence[str]) -> bool:
    """Whether there is something that the group has not read."""
    positions = await log.positions(group, topics)
    ends = await log.ends(topics)
    return any(positions.get(place, 0) < end for place, end in ends.items())


def taken(
    log: MemoryLog,
    store: MemoryStateStore,
    history: MemoryHistoryStore,
    letters: MemoryLetterStore,
) -> Snapshot:
    """All that stands in memory, as the checks are given it."""
    records: dict[str, tuple[Record, ...]] = {}
    for place in sorted(log.records):
        records[place.topic] = (*records.get(place.topic, ()), *log.records[place])
    positions: dict[str, dict[TopicPartition, int]] = defaultdict(dict)
    for (group, place), position in log.committed.items():
        positions[group][place] = position
    documents: dict[str, tuple[Document, ...]] = {}
    for (collection, _), document in store.documents.items():
        documents[collection] = (*documents.get(collection, ()), document)
    return Snapshot(
        taken_ms=log.clock.now_ms(),
        records=records,
        ends={place: len(found) for place, found in log.records.items()},
        positions=positions,
        documents=documents,
        entries=tuple(history.rows.values()),
        outcomes=tuple(history.newest.values()),
        letters=tuple(letters.rows.values()),
        home=log.partition,
        apart=True,
    )
