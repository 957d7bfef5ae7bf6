"""The processor: one loop over the partitions it owns, from records to durable decisions.

    poll ─▶ route ─▶ load ─▶ recover ─▶ fold ─▶ write ─▶ answer ─▶ publish ─▶ advance
             │                                  └──────────── Commit ────────────┘
             └─▶ dead letter

Invariant: a position moves past a record only when all that follows from it stands in the log.
So whatever dies, wherever: the record comes again, its document is loaded again, and either the
document does not know it yet (it is decided now, for the first time) or it does (watermark), and
then its effects stand in the outbox and are published before anything newer. See README.md.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final

import structlog
from msgspec import Struct
from msgspec.json import encode

from shared.contracts import limits
from shared.contracts.envelope import Message, Record
from shared.contracts.errors import Bug, PartitionsMoved, Poison, Retryable
from shared.kernel import Publish
from shared.runtime.dead_letters import dead_letter
from shared.runtime.ports import (
    Answer,
    Batch,
    Commit,
    Consumer,
    Document,
    Effect,
    EventLog,
    Replies,
    StateStore,
    TopicPartition,
    unpack,
)
from shared.runtime.slot import Slot
from shared.runtime.topology import Routed, Topology

STALE_READS_MAX: Final = 40
STALE_READ_WAIT_S: Final = 0.05
BACKOFF_S: Final = (0.05, 0.1, 0.2, 0.5, 1.0)

_Passed = tuple[Record, Message]

log = structlog.get_logger()


class Turn(Struct, frozen=True):
    """What one turn did, for metrics."""

    group: str
    records: int
    documents: int
    messages: int
    dead: int
    recovered: int
    moved: int


def ignore_turn(_: Turn) -> None:
    """Measure nothing."""


class Processor:
    """Runs one topology. One per process and group; more speed is more processes."""

    def __init__(
        self,
        topology: Topology,
        *,
        event_log: EventLog,
        store: StateStore,
        commit: Commit,
        replies: Replies,
        observe: Callable[[Turn], None] = ignore_turn,
        records_max: int = limits.BATCH_RECORDS_MAX,
        wait_s: float = 0.5,
    ) -> None:
        self.group = topology.group
        self.topics = topology.topics
        self._topology = topology
        self._event_log = event_log
        self._store = store
        self._commit = commit
        self._replies = replies
        self._observe = observe
        self._records_max = records_max
        self._wait_s = wait_s
        self._committed: dict[TopicPartition, int] | None = None  # None: to be read again
        self._backlog: list[Record] = []  # polled, left over from a batch that was cut short
        self.owned: frozenset[TopicPartition] | None = None  # what it works on, where known
        self.turns = 0  # progress of the loop: a watchdog sees it stand still

    async def run(self, stopping: asyncio.Event) -> None:
        """Process until told to stop; the running batch is finished first.

        Raises:
            Bug, or anything that is no `Retryable`: the loop never skips what it can't explain.
        """
        consumer = self._event_log.consumer(self._topology.group, self._topology.topics)
        failures = 0
        try:
            while not stopping.is_set():
                try:
                    await self.turn(consumer)
                    failures = 0
                except Retryable as error:
                    self.turns += 1
                    pause_s = BACKOFF_S[min(failures, len(BACKOFF_S) - 1)]
                    failures += 1
                    log.warning("batch_dropped", group=self._topology.group, error=repr(error))
                    await self._forget(consumer, error)
                    await asyncio.sleep(pause_s)
        finally:
            await consumer.close()

    async def _forget(self, consumer: Consumer, error: Retryable) -> None:
        """Drop everything in memory: positions and documents are read again."""
        self._committed = None
        self._backlog = []
        if isinstance(error, PartitionsMoved):
            self.owned = None
        else:
            try:
                await consumer.rewind()
            except Retryable as again:
                log.warning("rewind_failed", group=self._topology.group, error=repr(again))

    async def turn(self, consumer: Consumer) -> None:
        """One batch, from poll to advance.

        Raises:
            Retryable: nothing of the batch may be assumed; forget it and read again.
        """
        if self._committed is None:
            self._committed = await consumer.committed()
            self.owned = frozenset(self._committed)
        records = self._backlog or await consumer.poll(
            records_max=self._records_max, wait_s=self._wait_s
        )
        self._backlog = []
        self.turns += 1
        if not records:
            return
        routed, dead, moved = self._route(records)
        slots = await self._load([item for _, item in routed])
        recovered = self._recover(slots)
        answers, messages, taken = self._fold(records, routed, slots)
        if taken < len(records):
            self._backlog = records[taken:]
            polled = {(r.topic, r.partition, r.offset) for r in records[:taken]}
            dead = [(record, message) for record, message in dead if _place(record) in polled]
            moved = [(record, message) for record, message in moved if _place(record) in polled]
        batch = Batch(
            documents=self._changed(slots),
            messages=(*recovered, *messages, *(message for _, message in (*dead, *moved))),
            positions=_positions(records[:taken]),
        )

        async def answer() -> None:
            if answers:
                await self._replies.send(answers)

        await self._commit(consumer, batch, answer)
        self._committed |= batch.positions
        self._observe(
            Turn(
                self._topology.group,
                taken,
                len(batch.documents),
                len(messages),
                len(dead),
                len(recovered),
                len(moved),
            )
        )

    def _route(
        self, records: Sequence[Record]
    ) -> tuple[list[tuple[Record, Routed]], list[_Passed], list[_Passed]]:
        """What is decided here, the dead letters, and what is moved to its own partition.

        A writer with another partitioner puts a key where no watermark of its document counts, and
        where another process may own it. Such a record goes on, as it came, to where it belongs.
        """
        routed: list[tuple[Record, Routed]] = []
        dead: list[_Passed] = []
        moved: list[_Passed] = []
        for record in records:
            try:
                item = self._topology.route(record)
                if self._event_log.partition(record.key) == record.partition:
                    routed.append((record, item))
                else:
                    moved.append((record, _as_it_came(record)))
            except Poison as poison:
                log.warning(
                    "dead_letter",
                    group=self._topology.group,
                    topic=record.topic,
                    partition=record.partition,
                    offset=record.offset,
                    reason=poison.reason,
                )
                dead.append((record, dead_letter(record, poison)))
        return routed, dead, moved

    async def _load(self, routed: Sequence[Routed]) -> dict[tuple[str, str], Slot]:
        """Every document of the batch, and what is read beside it, in one query a collection."""
        topology = self._topology
        keys: dict[str, dict[str, int]] = {name: {} for name in topology.aggregates}
        for item in routed:
            versions = keys[item.collection]
            versions[item.key] = max(versions.get(item.key, 0), item.beside_version)
        slots: dict[tuple[str, str], Slot] = {}
        for collection, versions in keys.items():
            if not versions:
                continue
            beside = await self._load_beside(versions)
            found = await self._store.load(collection, list(versions))
            aggregate = topology.aggregates[collection]
            for key in versions:
                slots[collection, key] = Slot(aggregate, found.get(key), beside.get(key))
        return slots

    async def _load_beside(self, versions: dict[str, int]) -> dict[str, Any]:
        """The documents beside, none older than the change that a record has told of."""
        collection = self._topology.beside
        if collection is None:
            return {}
        beside: dict[str, Any] = {}
        waiting = list(versions)
        for _ in range(STALE_READS_MAX):
            found = await self._store.load(collection, waiting)
            stale = []
            for key in waiting:
                document = found.get(key)
                version = 0
                if document is not None:
                    beside[key], version = self._topology.read_beside(document.state)
                if version < versions[key]:
                    stale.append(key)
            if not stale:
                return beside
            waiting = stale
            await asyncio.sleep(STALE_READ_WAIT_S)
        raise Bug(f"{collection} stays behind the changes told of it: {waiting[0]}")

    def _recover(self, slots: dict[tuple[str, str], Slot]) -> list[Message]:
        """Stored effects that may never have been published, each document's in its order."""
        return [
            effect.message
            for slot in slots.values()
            if slot.document is not None
            for effect in self._unpublished(slot.document)
        ]

    def _unpublished(self, document: Document) -> tuple[Effect, ...]:
        committed = self._committed or {}
        partition = self._event_log.partition(document.key)
        # No effect has a source beyond the watermark of its topic; so mostly one need not look.
        if not document.outbox or all(
            offset < committed.get(TopicPartition(topic, partition), 0)
            for topic, offset in document.watermarks.items()
        ):
            return ()
        return tuple(
            effect
            for effect in unpack(document.outbox)
            if effect.source[2] >= committed.get(TopicPartition(*effect.source[:2]), 0)
        )

    def _fold(
        self,
        records: Sequence[Record],
        routed: Sequence[tuple[Record, Routed]],
        slots: dict[tuple[str, str], Slot],
    ) -> tuple[list[Answer], list[Message], int]:
        """Decide the records in order; stops early when a document's outbox is full.

        Returns:
            Answers, messages, and how many of the polled records are dealt with.
        """
        answers: list[Answer] = []
        messages: list[Message] = []
        for record, item in routed:
            slot = slots[item.collection, item.key]
            if slot.covers(record):
                answer = slot.aggregate.recall(slot.state, item.input)
            else:
                if len(slot.outbox) >= limits.EFFECTS_PER_DOCUMENT_MAX:
                    return answers, messages, records.index(record)
                decision = slot.aggregate.decide(slot.state, item.input, slot.beside)
                answer = decision.answer
                self._apply(slot, decision.state, decision.effects, item, record, messages)
            if answer is not None and item.reply_to is not None:
                answers.append(Answer(item.reply_to, encode(answer)))
        return answers, messages, len(records)

    def _apply(
        self,
        slot: Slot,
        state: Any,
        effects: Sequence[Publish],
        item: Routed,
        record: Record,
        messages: list[Message],
    ) -> None:
        if state is slot.state and not effects:
            return
        slot.state = state
        slot.changed[record.topic] = record.offset
        for publish in effects:
            message = slot.cause(publish, item, record, self._topology.source)
            messages.append(message)

    def _changed(self, slots: dict[tuple[str, str], Slot]) -> tuple[Document, ...]:
        return tuple(
            slot.written(
                collection, key, () if slot.document is None else self._unpublished(slot.document)
            )
            for (collection, key), slot in slots.items()
            if slot.changed
        )


def _as_it_came(record: Record) -> Message:
    return Message(record.topic, record.key, record.headers, record.value)


def _place(record: Record) -> tuple[str, int, int]:
    return record.topic, record.partition, record.offset


def _positions(records: Sequence[Record]) -> dict[TopicPartition, int]:
    return {TopicPartition(r.topic, r.partition): r.offset + 1 for r in records}
