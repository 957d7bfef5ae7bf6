"""The system with one safeguard taken out at a time: each a bug that somebody might write.

Every one is the real code but for the lines that are replaced, and behaves well as long as nothing
dies at the wrong moment.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from services.worker.history import HistoryProjection
from services.worker.letters import LetterProjection
from services.worker.model import CallbackTimed, DispositionsState, Given, callbacks
from services.worker.topology import COLLECTION as DISPOSITIONS
from services.worker.topology import DispositionsAggregate, WorkerTopology
from shared.contracts.callbacks import CALLBACK_DUE
from shared.contracts.calls import Call
from shared.contracts.envelope import Event, Message, Record, to_message
from shared.contracts.errors import WriteConflict
from shared.contracts.instants import to_wire
from shared.contracts.topics import CALLS_CHANGED, DISPOSITION_EVENTS
from shared.kernel import Publish
from shared.runtime.dead_letters import read_letters
from shared.runtime.ports import (
    Batch,
    Consumer,
    Document,
    Positions,
    StateStore,
    TopicPartition,
)
from shared.runtime.processor import Processor
from shared.runtime.slot import Slot, Written
from tests.support.faults import Fault
from tests.support.memory import MemoryStateStore
from tests.unit.services.cli.night import Night, System


class LastWriterWins(MemoryStateStore):
    """No compare-and-set: whatever stands there is replaced."""

    def _write(self, documents: Sequence[Document]) -> None:
        for document in documents:
            self.documents[document.collection, document.key] = document


class OldReads(MemoryStateStore):
    """Reads that no majority vouches for: at times a call as it was some writes ago."""

    def __init__(self) -> None:
        super().__init__()
        self._former: dict[str, Document] = {}
        self._reads = 0

    def _write(self, documents: Sequence[Document]) -> None:
        for document in documents:
            stored = self.documents.get((document.collection, document.key))
            if document.collection == "calls" and stored is not None:
                self._former[document.key] = stored
        super()._write(documents)

    async def load(
        self, collection: str, keys: Sequence[str], *, outboxes: bool = True
    ) -> dict[str, Document]:
        found = await super().load(collection, keys, outboxes=outboxes)
        self._reads += collection == "calls"
        if collection == "calls" and self._reads % 3 == 0:
            return found | {key: self._former[key] for key in keys if key in self._former}
        return found


class TrustsOldReads(Processor):
    """A worker that takes the call as it is read, however old, and goes on where it should not."""

    async def _load_beside(self, collection: str, versions: dict[str, int]) -> dict[str, Any]:
        return await super()._load_beside(collection, dict.fromkeys(versions, 0))


class KeepsLastBatchOnly(Processor):
    """A document's outbox is overwritten by each batch."""

    def _changed(self, slots: dict[tuple[str, str], Slot]) -> dict[tuple[str, str], Written]:
        for slot in slots.values():
            slot.kept = b""
        return super()._changed(slots)


class PublishesRecoveredLast(Processor):
    """What a crash left in an outbox goes out behind what the batch has caused."""

    _late: tuple[Message, ...] = ()

    def _recover(self, slots: dict[tuple[str, str], Slot]) -> list[Message]:
        self._late = tuple(super()._recover(slots))
        return []

    def _fold(self, *given: Any) -> Any:
        answers, messages, taken = super()._fold(*given)
        return answers, [*messages, *self._late], taken


class RecoversNothing(Processor):
    """What a crash left in an outbox stays there."""

    def _recover(self, slots: dict[tuple[str, str], Slot]) -> list[Message]:
        del slots
        return []


class Blind(Slot):
    """Does not see which records its document has in it."""

    __slots__ = ()

    def covers(self, record: Record) -> bool:
        del record
        return False


class ForgetsWatermarks(Processor):
    """Every record that comes is decided, also one that the document has in it."""

    async def _load(self, routed: Any) -> Any:
        slots = await super()._load(routed)
        for slot in slots.values():
            slot.__class__ = Blind
        return slots


class DropsPoison(Processor):
    """What can't be processed is passed over, and no dead letter is written."""

    def _route(self, records: Sequence[Record]) -> Any:
        routed, _, moved = super()._route(records)
        return routed, [], moved


class DropsStrays(Processor):
    """What stands in another partition than its key's is passed over."""

    def _route(self, records: Sequence[Record]) -> Any:
        routed, dead, _ = super()._route(records)
        return routed, dead, []


class DecidesStrays(Processor):
    """What stands in another partition than its key's is decided there."""

    def _route(self, records: Sequence[Record]) -> Any:
        routed, dead, moved = super()._route(records)
        strays = [(record, self._topology.route(record)) for record, _ in moved]
        return sorted([*routed, *strays], key=lambda item: records.index(item[0])), dead, []


class CallsBackAgain(DispositionsAggregate):
    """Forgets which callbacks it has told of."""

    def encode(self, state: DispositionsState) -> bytes:
        agents = tuple(replace(agent, called_back=0) for agent in state.agents)
        return super().encode(replace(state, agents=agents))


class CallsBackWhatever(DispositionsAggregate):
    """Takes any timer of an agent for that of the callback which is scheduled now."""

    def decide(self, state: DispositionsState | None, given: Given, beside: Call | None) -> Any:
        if state is not None and isinstance(given, CallbackTimed):
            now = [timer for timer in callbacks(state) if timer.agent_id == given.timer.agent_id]
            if now:
                now_ms = max(given.now_ms, now[0].deadline_ms)
                decision = super().decide(
                    state, replace(given, timer=now[0], now_ms=now_ms), beside
                )
                return replace(decision, effects=tuple(_now(e, given) for e in decision.effects))
        return super().decide(state, given, beside)


def _now(effect: Publish, given: CallbackTimed) -> Publish:
    told: Any = effect.data
    if effect.type != CALLBACK_DUE:
        return effect
    return replace(effect, data=replace(told, decided_at=to_wire(given.now_ms)))


def keeping(aggregate: type[DispositionsAggregate]) -> type[Processor]:
    """A worker with other rules for dispositions."""

    class Keeping(Processor):
        def __init__(self, topology: Any, **parts: Any) -> None:
            if isinstance(topology, WorkerTopology):
                topology = WorkerTopology()
                topology.aggregates = {**topology.aggregates, DISPOSITIONS: aggregate()}
            super().__init__(topology, **parts)

    return Keeping


@dataclass
class Through:
    """A consumer that passes on all but what a subclass changes."""

    inner: Consumer
    night: Night
    fault: Fault

    async def committed(self) -> dict[TopicPartition, int]:
        return await self.inner.committed()

    async def poll(self, *, records_max: int, wait_s: float) -> list[Record]:
        return await self.inner.poll(records_max=records_max, wait_s=wait_s)

    async def publish_and_advance(self, messages: Sequence[Message], positions: Positions) -> None:
        await self.inner.publish_and_advance(messages, positions)

    async def rewind(self) -> None:
        await self.inner.rewind()

    async def close(self) -> None:
        await self.inner.close()


class SendsUnawaited(Through):
    """Nobody looks at what became of a send; now and then the broker has refused one."""

    async def publish_and_advance(self, messages: Sequence[Message], positions: Positions) -> None:
        kept = [message for message in messages if self.night.random.random() > 0.02]
        await self.inner.publish_and_advance(kept, positions)


class AdvancesFirst(Through):
    """Positions are durable before what they stand for is published."""

    async def publish_and_advance(self, messages: Sequence[Message], positions: Positions) -> None:
        point, self.fault.point = self.fault.point, None
        await self.inner.publish_and_advance((), positions)
        self.fault.point = point
        self.fault.reach("before_publish")
        await self.night.log.append(messages)


class SendsAnew(Through):
    """A batch that is sent again is numbered by where it goes, not by what it is."""

    async def publish_and_advance(self, messages: Sequence[Message], positions: Positions) -> None:
        anew = [replace(message, headers=(*message.headers, self._mark())) for message in messages]
        await self.inner.publish_and_advance(anew, positions)

    def _mark(self) -> tuple[str, bytes]:
        return "attempt", str(self.night.random.random()).encode()


class ProjectsLate(HistoryProjection):
    """History moves on before its rows are written."""

    async def turn(self, consumer: Consumer) -> bool:
        records = await consumer.poll(records_max=5, wait_s=0)
        positions = {TopicPartition(r.topic, r.partition): r.offset + 1 for r in records}
        await consumer.publish_and_advance((), positions)
        lines = self._read(records)
        outcomes = [line.outcome for line in lines if line.outcome is not None]
        await self._store.upsert([entry for line in lines for entry in line.entries], outcomes)
        return bool(records)


class LettersLate(LetterProjection):
    """Letters move on before their rows are written."""

    async def turn(self, consumer: Consumer) -> bool:
        records = await consumer.poll(records_max=1, wait_s=0)
        positions = {TopicPartition(r.topic, r.partition): r.offset + 1 for r in records}
        await consumer.publish_and_advance((), positions)
        await self.write(records)
        return bool(records)


class ForgetsReceipts(LetterProjection):
    """What was put back is not marked."""

    async def write(self, records: Sequence[Record]) -> None:
        letters, _ = read_letters(records)
        await self._store.keep(letters, {})


class AnswersFirst:
    """`Commit` that answers before anything is durable."""

    def __init__(self, store: StateStore) -> None:
        self._store = store

    async def __call__(
        self, consumer: Consumer, batch: Batch, stored: Callable[[], Awaitable[None]]
    ) -> None:
        await stored()
        if batch.documents:
            await self._store.save(batch.documents)
        await consumer.publish_and_advance(batch.messages, batch.positions)


async def writes_calls(night: Night) -> None:
    """Somebody else than callstate mends a call, by the rules of the store."""
    calls = [d for (name, _), d in sorted(night.store.documents.items()) if name == "calls"]
    if not calls or night.random.random() > 0.1:
        return
    call = night.random.choice(calls)
    state = msgspec.json.decode(call.state)
    state["call"]["customer_id"] = "77"
    mended = replace(call, state=msgspec.json.encode(state), revision=call.revision + 1)
    try:
        await night.store.save([mended])
    except WriteConflict:
        return


async def tells_of_calls(night: Night) -> None:
    """Somebody else than the worker tells of a disposition, with the next number."""
    told = [r for r in night.log.all(DISPOSITION_EVENTS) if night.random.random() < 0.02]
    for like in told[:1]:
        headers = dict(like.headers)
        number = max(
            int(dict(record.headers)["ce_sequence"])
            for record in night.log.all(DISPOSITION_EVENTS)
            if record.key == like.key
        )
        event = Event(
            id=f"{DISPOSITION_EVENTS}:{like.key}:{number + 1}",
            source="/aftercall/gateway",
            type=headers["ce_type"].decode(),
            subject=headers["ce_subject"].decode(),
            time_ms=like.timestamp_ms,
            tenant=headers["ce_tenant"].decode(),
            data=like.value,
            sequence=number + 1,
        )
        await night.log.append([to_message(event, DISPOSITION_EVENTS, like.key)])


async def forgets_records(night: Night) -> None:
    """A broker that acknowledged what it then lost: the newest record is gone when it is back."""
    if night.random.random() > 0.05:
        return
    for where in sorted(night.log.records):
        committed = night.log.committed.get(("worker", where), 0)
        records = night.log.records[where]
        if where.topic == CALLS_CHANGED and len(records) > committed:
            records.pop()
            return


# what is broken, and a check that has to find it
BROKEN: Final[dict[str, tuple[System, str]]] = {
    "no compare-and-set": (System(store=LastWriterWins), "sequences"),
    "effects overwritten by batch": (System(processor=KeepsLastBatchOnly), "sequences"),
    "recovered effects go last": (System(processor=PublishesRecoveredLast), "sequences"),
    "recovered effects never go": (System(processor=RecoversNothing), "outbox"),
    "a send nobody waits for": (System(consumer=SendsUnawaited), "sequences"),
    "positions before messages": (System(consumer=AdvancesFirst), "outbox"),
    "effects not the same again": (System(consumer=SendsAnew), "sequences"),
    "watermarks not looked at": (System(processor=ForgetsWatermarks), "calls refold"),
    "reads of any age": (System(processor=TrustsOldReads, store=OldReads), "dispositions refold"),
    "a second writer of calls": (System(besides=writes_calls), "calls refold"),
    "a second teller of dispositions": (System(besides=tells_of_calls), "writers"),
    "callbacks forgotten": (System(processor=keeping(CallsBackAgain)), "callbacks"),
    "timers not compared": (System(processor=keeping(CallsBackWhatever)), "callbacks"),
    "poison dropped": (System(processor=DropsPoison), "calls refold"),
    "strays dropped": (System(processor=DropsStrays), "places"),
    "strays decided where they are": (System(processor=DecidesStrays), "places"),
    "history moves on first": (System(projection=ProjectsLate), "history entries"),
    "letters move on first": (System(letters=LettersLate), "letters"),
    "receipts passed over": (System(letters=ForgetsReceipts), "letters"),
    "answers before they are durable": (System(commit=AnswersFirst), "answers"),
    "acknowledged records lost": (System(besides=forgets_records), "calls refold"),
}
