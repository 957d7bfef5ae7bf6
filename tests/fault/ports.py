"""The ports of a real profile, with points at which a process does as it was ordered.

Nothing is faked: every call goes through to the real log and store, at times in two halves, later,
or after a pause. What a fault makes of the answer is what the ports allow: `Unavailable`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from random import Random
from typing import Any, Final, cast

from shared.contracts.envelope import Message, Record
from shared.contracts.errors import Retryable, Unavailable
from shared.runtime.commit import SeparateCommit
from shared.runtime.history import Entry, HistoryStore, OutcomeRow
from shared.runtime.ports import Consumer, Document, EventLog, Positions, StateStore
from shared.runtime.profile import Profile
from tests.fault.orders import Order, Orders, obey

FEW: Final = 0.3  # of all polls give fewer records than there are
FEW_MAX: Final = 7
HELD_BACK: Final = 0.03  # of all polls begin to hold one topic back
HELD_POLLS_MAX: Final = 3
HISTORY: Final = "history"


def with_faults(profile: Profile, role: str, orders: Orders, random: Random | None) -> Profile:
    """The profile, its ports wrapped.

    Args:
        role: `gateway`, `callstate` or `worker`; the same calls are other points in each.
        random: batches end, and topics interleave, as it says; None: as they do by themselves.
    """
    store = cast("StateStore", FaultyStore(profile.store, orders))
    return replace(
        profile,
        log=cast("EventLog", FaultyLog(profile.log, role, orders, random)),
        store=store,
        history=cast("HistoryStore", FaultyHistory(profile.history, orders)),
        commit=SeparateCommit(store),
    )


def bear(order: Order | None) -> None:
    """What an order means behind a call that went through: there is no answer."""
    if order is not None and order.action == "fail":
        raise Unavailable(f"no answer at {order.point}, as ordered")


class Through:
    """Passes on what is not wrapped."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class FaultyStore(Through):
    """`StateStore`, where writes stop half-way, land late, or are not answered."""

    def __init__(self, inner: StateStore, orders: Orders) -> None:
        super().__init__(inner)
        self._orders = orders
        self._late: set[asyncio.Task[None]] = set()

    async def save(self, documents: Sequence[Document]) -> None:
        order = self._orders.reach("saving")
        if order is not None and order.action == "late":
            self._land_late(order.seconds, lambda: self._inner.save(documents))
            raise Unavailable("the write was given up, as ordered")
        bear(order)
        half = len(documents) // 2
        order = self._orders.due("half saved") if half else None
        if order is not None:
            await self._inner.save(documents[:half])
            bear(obey(order))
            documents = documents[half:]
        await self._inner.save(documents)
        bear(self._orders.reach("saved"))

    def _land_late(self, seconds: float, write: Callable[[], Awaitable[None]]) -> None:
        async def land() -> None:
            await asyncio.sleep(seconds)
            with suppress(Retryable):
                await write()

        task = asyncio.create_task(land())
        self._late.add(task)
        task.add_done_callback(self._late.discard)


class FaultyHistory(Through):
    """`HistoryStore`, where some rows of an `upsert` stand and others do not."""

    def __init__(self, inner: HistoryStore, orders: Orders) -> None:
        super().__init__(inner)
        self._orders = orders

    async def upsert(self, entries: Sequence[Entry], outcomes: Sequence[OutcomeRow]) -> None:
        order = self._orders.due("history half written")
        if order is not None:
            await self._inner.upsert(entries, ())
            bear(obey(order))
        await self._inner.upsert(entries, outcomes)
        bear(self._orders.reach("history written"))


class FaultyLog(Through):
    """`EventLog`, whose consumers stop half-way; `append` is a point in gateway and timers."""

    def __init__(self, inner: EventLog, role: str, orders: Orders, random: Random | None) -> None:
        super().__init__(inner)
        self._role = role
        self._orders = orders
        self._random = random

    def consumer(self, group: str, topics: Sequence[str]) -> Consumer:
        consumer = self._inner.consumer(group, topics)
        prefix = "history " if group == HISTORY else ""
        faulty = FaultyConsumer(consumer, self._inner, prefix, self._orders)
        if self._random is None:
            return cast("Consumer", faulty)
        return cast("Consumer", ChoppyConsumer(faulty, topics, self._random))

    async def append(self, messages: Sequence[Message]) -> None:
        before, after = {
            "gateway": ("asking", "asked"),
            "callstate": ("sweeping", "swept"),
        }.get(self._role, ("", ""))
        bear(self._orders.reach(before))
        await self._inner.append(messages)
        bear(self._orders.reach(after))


class FaultyConsumer(Through):
    """`Consumer`, stopped around each step of `publish_and_advance`, and inside of it."""

    def __init__(self, inner: Consumer, log: EventLog, prefix: str, orders: Orders) -> None:
        super().__init__(inner)
        self._log = log
        self._prefix = prefix
        self._orders = orders

    async def poll(self, *, records_max: int, wait_s: float) -> list[Record]:
        records: list[Record] = await self._inner.poll(records_max=records_max, wait_s=wait_s)
        if records:
            bear(self._orders.reach(self._prefix + "polled"))
        return records

    async def publish_and_advance(self, messages: Sequence[Message], positions: Positions) -> None:
        bear(self._orders.reach(self._prefix + "publishing"))
        order = self._orders.due(self._prefix + "half published") if messages else None
        if order is not None:
            half = (len(messages) + 1) // 2
            await self._log.append(messages[:half])
            bear(obey(order))
            messages = messages[half:]
        order = self._orders.due(self._prefix + "published") if messages else None
        if order is not None:
            await self._log.append(messages)
            bear(obey(order))
            messages = ()
        await self._inner.publish_and_advance(messages, positions)
        bear(self._orders.reach(self._prefix + "advanced"))


class ChoppyConsumer(Through):
    """`Consumer`, whose batches end anywhere, and where at times one topic comes late."""

    def __init__(self, inner: FaultyConsumer, topics: Sequence[str], random: Random) -> None:
        super().__init__(inner)
        self._topics = topics
        self._random = random
        self._held: list[Record] = []
        self._held_topic: str | None = None
        self._polls = 0

    async def poll(self, *, records_max: int, wait_s: float) -> list[Record]:
        if self._held_topic is not None and self._polls == 0:
            held, self._held, self._held_topic = self._held, [], None
            if held:
                return held
        self._polls = max(0, self._polls - 1)
        if self._random.random() < FEW:
            records_max = min(records_max, self._random.randint(1, FEW_MAX))
        try:
            records: list[Record] = await self._inner.poll(records_max=records_max, wait_s=wait_s)
        except Retryable:
            self._drop()
            raise
        if self._held_topic is None and len(self._topics) > 1 and self._random.random() < HELD_BACK:
            self._held_topic = self._random.choice(self._topics)
            self._polls = self._random.randint(1, HELD_POLLS_MAX)
        self._held += [record for record in records if record.topic == self._held_topic]
        return [record for record in records if record.topic != self._held_topic]

    async def rewind(self) -> None:
        self._drop()
        await self._inner.rewind()

    def _drop(self) -> None:
        self._held, self._held_topic, self._polls = [], None, 0
