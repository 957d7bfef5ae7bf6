"""The newest records: as two leaders of one partition may tell of them, and how many are kept."""

import asyncio
from typing import Any

import pytest

from shared.adapters.cluster.broker import Fetched
from shared.adapters.cluster.following import RECORDS_MAX, Following
from shared.adapters.cluster.names import Names
from shared.contracts.envelope import Record
from shared.runtime.ports import Positions, TopicPartition

SPOT = TopicPartition("calls.changed", 0)


def record(offset: int) -> Record:
    return Record(
        topic=SPOT.topic,
        partition=0,
        offset=offset,
        timestamp_ms=0,
        key="demo:k",
        headers=(),
        value=b"",
    )


class TwoLeaders:
    """A partition changes hands while the old leader's answer is on its way.

    Stands for a `Broker`: the first gives records 0 to 2, the second those from 0 again, and more.
    """

    def __init__(self) -> None:
        self.leader = 1
        self.first_may_answer = asyncio.Event()
        self.second_may_answer = asyncio.Event()

    async def open(self) -> None:
        """Nothing to open."""

    async def ends(self, places: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(places, 0)

    def leaders(self, _: list[TopicPartition]) -> dict[int, list[TopicPartition]]:
        return {self.leader: [SPOT], 3: []}

    async def fetch_from(
        self, node: int, offsets: Positions, *, wait_s: float
    ) -> dict[TopicPartition, Fetched]:
        if node == 3:  # any answer lets the leaders be looked at again
            await asyncio.sleep(0.001)
            return {}
        first = offsets[SPOT]
        await (self.first_may_answer if node == 1 else self.second_may_answer).wait()
        last = 3 if node == 1 else 5
        if first >= last:
            await asyncio.sleep(wait_s)
        return {SPOT: Fetched(tuple(map(record, range(first, last))), max(first, last), last)}

    async def close(self) -> None:
        """Nothing is open."""


@pytest.mark.asyncio
async def test_what_two_leaders_tell_is_kept_once_and_in_order() -> None:
    broker: Any = TwoLeaders()
    following = Following(broker, Names("", 1))
    assert not await following.grown([SPOT.topic], {SPOT: 0}, 0)
    await asyncio.sleep(0.02)
    broker.leader = 2
    await asyncio.sleep(0.02)  # the second is asked, from where the first was
    broker.first_may_answer.set()
    async with asyncio.timeout(5):
        while following.tails.end(SPOT) < 3:
            await asyncio.sleep(0)
        broker.second_may_answer.set()
        while following.tails.end(SPOT) < 5:
            await asyncio.sleep(0)
    kept = following.tails.take(SPOT, 0, 10)
    await following.close()
    assert kept is not None
    assert [one.offset for one in kept] == [0, 1, 2, 3, 4]


class OneLeader(TwoLeaders):
    """Gives what there is, and counts how often it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.end = 0
        self.asked = 0

    async def ends(self, places: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(places, self.end)

    def leaders(self, places: list[TopicPartition]) -> dict[int, list[TopicPartition]]:
        return {1: places} if places else {}

    async def fetch_from(
        self, node: int, offsets: Positions, *, wait_s: float
    ) -> dict[TopicPartition, Fetched]:
        del node, wait_s
        self.asked += 1
        await asyncio.sleep(0.001)
        first = offsets[SPOT]
        return {SPOT: Fetched(tuple(map(record, range(first, self.end))), self.end, self.end)}


@pytest.mark.slow
@pytest.mark.asyncio
async def test_nothing_is_fetched_or_kept_when_nobody_asks_any_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("shared.adapters.cluster.following.IDLE_S", 0.05)
    broker: Any = OneLeader()
    following = Following(broker, Names("", 1))
    for _ in range(2):
        assert not await following.grown([SPOT.topic], {SPOT: broker.end}, 0.2)  # goes on so long
        before = broker.end
        broker.end += 5
        assert await following.grown([SPOT.topic], {SPOT: before}, 5)
        assert following.tails.take(SPOT, before, 10)
        async with asyncio.timeout(5):
            while following.tails.places():
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.02)  # an answer that was under way
        asked = broker.asked
        await asyncio.sleep(0.1)
        assert broker.asked == asked
        assert following.tails.places() == []
    await following.close()


@pytest.mark.asyncio
async def test_so_many_records_of_a_partition_are_kept_at_most() -> None:
    broker: Any = OneLeader()
    following = Following(broker, Names("", 1))
    seen = 0
    while seen < 3 * RECORDS_MAX:
        await following.grown([SPOT.topic], {SPOT: seen}, 0)
        broker.end = seen + 50
        assert await following.grown([SPOT.topic], {SPOT: seen}, 5)
        seen = following.tails.end(SPOT)
        oldest = max(0, seen - RECORDS_MAX - 1)
        assert following.tails.take(SPOT, oldest, 1) == (None if oldest else [record(0)])
        assert following.tails.take(SPOT, seen - 1, 1) == [record(seen - 1)]
    await following.close()
