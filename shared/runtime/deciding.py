"""From polled records to what is to be made durable: route, load, recover, fold.

Nothing is written here. What is decided stands in memory alone, and may be dropped at any time.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

import structlog
from msgspec import Struct
from msgspec.json import Encoder

from shared.contracts import limits
from shared.contracts.envelope import Message, Record
from shared.contracts.errors import Poison
from shared.contracts.instants import INSTANT_MS_MAX
from shared.kernel import Publish
from shared.runtime.dead_letters import dead_letter
from shared.runtime.loading import Loading
from shared.runtime.ports import Answer, Batch, TopicPartition, part
from shared.runtime.slot import Slot, Written
from shared.runtime.topology import Routed

# So long before the last instant that can be written that no deadline reckoned from it is beyond.
TAKEN_MS_MAX: Final = INSTANT_MS_MAX - 366 * 24 * 3600 * 1000
AT_ONCE: Final = 64  # records, until others have a turn on the loop: some 2 ms

_Passed = tuple[Record, Message]

_encode: Final = Encoder().encode

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


class Decided(Struct, frozen=True):
    """What records have come to.

    Attributes:
        written: the batch's documents by collection and key.
        left: polled, not dealt with, because a document's outbox is full.
    """

    batch: Batch
    written: Mapping[tuple[str, str], Written]
    answers: Sequence[Answer]
    left: Sequence[Record]
    turn: Turn


class Deciding(Loading):
    """The steps of one topology that write nothing."""

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
                _check_time(record)
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

    async def _decide(self, records: Sequence[Record]) -> Decided:
        """Understand the records, load their documents, and decide them in order.

        Others have a turn on the loop in between: a batch takes a tenth of a second.

        Raises:
            Retryable: nothing was decided.
            Bug: the call that a change tells of is not to be had.
        """
        routed, dead, moved = await self._route_all(records)
        slots = await self._load([item for _, item in routed])
        recovered = self._recover(slots)
        answers, messages, taken = await self._fold_all(records, routed, slots)
        if taken < len(records):
            polled = {_place(record) for record in records[:taken]}
            dead = [passed for passed in dead if _place(passed[0]) in polled]
            moved = [passed for passed in moved if _place(passed[0]) in polled]
        written = self._changed(slots)
        batch = Batch(
            documents=tuple(one.document for one in written.values()),
            messages=(*recovered, *messages, *(message for _, message in (*dead, *moved))),
            positions=_positions(records[:taken]),
        )
        turn = Turn(
            group=self._topology.group,
            records=taken,
            documents=len(batch.documents),
            messages=len(messages),
            dead=len(dead),
            recovered=len(recovered),
            moved=len(moved),
        )
        return Decided(batch, written, answers, records[taken:], turn)

    async def _route_all(
        self, records: Sequence[Record]
    ) -> tuple[list[tuple[Record, Routed]], list[_Passed], list[_Passed]]:
        routed, dead, moved = self._route(records[:AT_ONCE])
        for first in range(AT_ONCE, len(records), AT_ONCE):
            await asyncio.sleep(0)
            more, more_dead, more_moved = self._route(records[first : first + AT_ONCE])
            routed += more
            dead += more_dead
            moved += more_moved
        return routed, dead, moved

    async def _fold_all(
        self,
        records: Sequence[Record],
        routed: Sequence[tuple[Record, Routed]],
        slots: dict[tuple[str, str], Slot],
    ) -> tuple[list[Answer], list[Message], int]:
        answers, messages, taken = self._fold(records, routed[:AT_ONCE], slots)
        for first in range(AT_ONCE, len(routed), AT_ONCE):
            if taken < len(records):
                break
            await asyncio.sleep(0)
            more_answers, more, taken = self._fold(records, routed[first : first + AT_ONCE], slots)
            answers += more_answers
            messages += more
        return answers, messages, taken

    def _recover(self, slots: dict[tuple[str, str], Slot]) -> list[Message]:
        """Stored effects that may never have been published, each document's in its order.

        What the batches before this one publish is not among them. A document that owed something
        keeps what is not durable yet, and is looked into once more, unless this was the last of it.
        """
        messages: list[Message] = []
        for slot in slots.values():
            if slot.owing:
                slot.kept = part(slot.effects_from(self._durable))
                owed = slot.effects_from(self._taken or {})
                slot.owing = bool(owed)
                messages += [effect.message for effect in owed]
        return messages

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
            if item.look and slot.looked:
                continue
            if len(slot.outbox) >= limits.EFFECTS_PER_DOCUMENT_MAX:
                return answers, messages, records.index(record)
            decide = slot.aggregate.again if slot.covers(record) else slot.aggregate.decide
            decision = decide(slot.state, item.input, slot.beside)
            slot.looked = item.look
            self._apply(slot, decision.state, decision.effects, item, record, messages)
            if decision.answer is not None and item.reply_to is not None:
                answers.append(Answer(item.reply_to, _encode(decision.answer)))
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

    def _changed(self, slots: dict[tuple[str, str], Slot]) -> dict[tuple[str, str], Written]:
        return {place: slot.written(*place) for place, slot in slots.items() if slot.changed}


def _check_time(record: Record) -> None:
    """A broker's clock is what all deadlines are reckoned from; a producer's may be anything."""
    if not 0 <= record.timestamp_ms <= TAKEN_MS_MAX:
        raise Poison("bad_time", "the log has no such time")


def _as_it_came(record: Record) -> Message:
    return Message(record.topic, record.key, record.headers, record.value)


def _place(record: Record) -> tuple[str, int, int]:
    return record.topic, record.partition, record.offset


def _positions(records: Sequence[Record]) -> dict[TopicPartition, int]:
    ends = {(record.topic, record.partition): record.offset + 1 for record in records}
    return {TopicPartition(*place): end for place, end in ends.items()}
