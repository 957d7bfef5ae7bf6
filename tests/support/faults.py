"""Crashes at named points of a batch, for any store and any log."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

from shared.contracts.envelope import Message, Record
from shared.runtime.ports import (
    Consumer,
    Document,
    EventLog,
    Positions,
    StateStore,
    Tagged,
    TopicPartition,
)

POINTS = (
    "polled",
    "before_save",
    "after_save",
    "before_publish",
    "half_published",
    "published_not_advanced",
    "advanced",
)


class Crash(BaseException):
    """The process is gone: nothing after this line of it ever runs."""


@dataclass
class Fault:
    """Crashes the first time the armed point is reached; from then on everything does.

    Attributes:
        waits: how many turns of the loop each step may take at most.
    """

    point: str | None = None
    fired: list[str] = field(default_factory=list)
    waits: int = 0
    random: Random = field(default_factory=lambda: Random(0))

    def reach(self, point: str) -> None:
        if self.fired or point == self.point:
            self.point = None
            self.fired.append(point)
            raise Crash(point)

    async def pause(self) -> None:
        """A step takes its time, in which other steps go on."""
        for _ in range(self.random.randint(0, self.waits)):
            await asyncio.sleep(0)
        if self.fired:
            raise Crash("gone")


class FaultyStore:
    """A store that crashes around `save`; all else goes through."""

    def __init__(self, store: StateStore, fault: Fault) -> None:
        self._store = store
        self._fault = fault

    async def load(
        self, collection: str, keys: Sequence[str], *, outboxes: bool = True
    ) -> dict[str, Document]:
        return await self._store.load(collection, keys, outboxes=outboxes)

    async def tagged(
        self, collection: str, wanted: Sequence[Tagged], *, each_max: int
    ) -> dict[Tagged, list[Document]]:
        return await self._store.tagged(collection, wanted, each_max=each_max)

    async def save(self, documents: Sequence[Document]) -> None:
        await self._fault.pause()
        self._fault.reach("before_save")
        await self._store.save(documents)
        self._fault.reach("after_save")
        await self._fault.pause()


class FaultyConsumer:
    """A consumer that crashes around `publish_and_advance`, in the middle of it too."""

    def __init__(self, consumer: Consumer, log: EventLog, fault: Fault, random: Random) -> None:
        self._consumer = consumer
        self._log = log
        self._fault = fault
        self._random = random

    async def committed(self) -> dict[TopicPartition, int]:
        return await self._consumer.committed()

    async def poll(self, *, records_max: int, wait_s: float) -> list[Record]:
        records = await self._consumer.poll(
            records_max=self._random.randint(1, records_max), wait_s=wait_s
        )
        if records:
            self._fault.reach("polled")
        return records

    async def publish_and_advance(self, messages: Sequence[Message], positions: Positions) -> None:
        await self._fault.pause()
        self._fault.reach("before_publish")
        if self._fault.point == "half_published":
            await self._log.append(messages[: self._random.randint(0, len(messages))])
            self._fault.reach("half_published")
        if self._fault.point == "published_not_advanced":
            await self._log.append(messages)
            self._fault.reach("published_not_advanced")
        await self._fault.pause()
        await self._consumer.publish_and_advance(messages, positions)
        self._fault.reach("advanced")

    async def rewind(self) -> None:
        await self._consumer.rewind()

    async def close(self) -> None:
        await self._consumer.close()


class FaultyLog:
    """A log whose consumers crash."""

    def __init__(self, log: EventLog, fault: Fault, random: Random) -> None:
        self._log = log
        self._fault = fault
        self._random = random

    def consumer(self, group: str, topics: Sequence[str]) -> FaultyConsumer:
        return FaultyConsumer(
            self._log.consumer(group, topics), self._log, self._fault, self._random
        )

    def partition(self, key: str) -> int:
        return self._log.partition(key)
