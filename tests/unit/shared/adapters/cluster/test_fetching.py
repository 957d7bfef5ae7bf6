"""Records fetched ahead: what is asked for when, what is kept, what whoever takes is told."""

import asyncio
from typing import Any, Self

import pytest

from shared.adapters.cluster import fetching
from shared.adapters.cluster.broker import Fetched, Fetches, OutOfRange
from shared.adapters.cluster.fetching import Fetching
from shared.contracts.envelope import Record
from shared.contracts.errors import Bug, Unavailable
from shared.runtime.ports import Positions, TopicPartition

pytestmark = pytest.mark.asyncio

A, B = (TopicPartition("calls.changed", number) for number in range(2))


class OneNode:
    """Stands for a `Broker`: partitions whose records are known, and a request that waits.

    Attributes:
        asked: the offsets of each request.
        marker: how far beyond its last record a partition goes on.
        wrong: what the next request fails with.
    """

    def __init__(self) -> None:
        self.ends = {A: 0, B: 0}
        self.asked: list[Positions] = []
        self.at_once = 3
        self.marker = 0
        self.wrong: Exception | None = None
        self._more = asyncio.Event()

    def add(self, place: TopicPartition, number: int) -> None:
        self.ends[place] += number
        self._more.set()

    async def open(self) -> None:
        """Nothing to open."""

    async def close(self) -> None:
        """Nothing is open."""

    def leaders(self, places: list[TopicPartition]) -> dict[int, list[TopicPartition]]:
        return {1: places} if places else {}

    async def fetch_once(self, _: int, offsets: Positions, *, wait_s: float) -> Fetches:
        self.asked.append(offsets)
        if self.wrong is not None:
            wrong, self.wrong = self.wrong, None
            raise wrong
        if all(offset >= self.ends[place] for place, offset in offsets.items()):
            self._more.clear()
            try:
                await asyncio.wait_for(self._more.wait(), wait_s)
            except TimeoutError:
                return {}
        return {place: self._from(place, offset) for place, offset in offsets.items()}

    def _from(self, place: TopicPartition, first: int) -> Fetched:
        last = max(first, min(self.ends[place], first + self.at_once))
        records = tuple(
            Record(*place, offset, 0, "demo:k", (), b"") for offset in range(first, last)
        )
        return Fetched(records, last + self.marker, last)


class Rig:
    def __init__(self) -> None:
        self.node = OneNode()
        broker: Any = self.node
        self.fetching = Fetching(broker)

    async def __aenter__(self) -> Self:
        await self.fetching.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.fetching.close()

    async def take(self, number: int) -> list[tuple[int, int]]:
        """So many, in as many goes as it takes; partition and offset of each."""
        taken: list[Record] = []
        async with asyncio.timeout(5):
            while len(taken) < number:
                await self.fetching.come(1)
                await self.fetching.gather()
                taken += self.fetching.take(number - len(taken))
        return [(record.partition, record.offset) for record in taken]


async def rest() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_behind_much_more_is_asked_for_before_it_is_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fetching, "MUCH", 3)
    async with Rig() as rig:
        rig.node.add(A, 7)
        rig.fetching.begin({A: 0, B: 0})
        await rest()
        assert [offsets[A] for offsets in rig.node.asked] == [0, 3, 6, 7]
        rig.node.add(B, 1)
        assert sorted(await rig.take(8)) == [*((0, n) for n in range(7)), (1, 0)]


async def test_a_few_are_joined_by_what_has_come_since_when_they_are_taken() -> None:
    async with Rig() as rig:
        rig.node.add(A, 1)
        rig.fetching.begin({A: 0, B: 0})
        await rest()
        rig.node.add(B, 2)
        await rest()
        assert len(rig.node.asked) == 1
        await rig.fetching.gather()
        assert len(rig.node.asked) == 2
        assert len(rig.fetching.take(9)) == 3


async def test_what_is_not_here_is_not_gathered() -> None:
    async with Rig() as rig:
        rig.fetching.begin({A: 0, B: 0})
        await rest()
        await rig.fetching.gather()
        assert len(rig.node.asked) == 1


async def test_no_more_is_asked_for_than_is_allowed_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "MUCH", 2)
    monkeypatch.setattr(fetching, "AHEAD_RECORDS_MAX", 6)
    async with Rig() as rig:
        rig.node.add(A, 100)
        rig.fetching.begin({A: 0})
        await rest()
        assert [offsets[A] for offsets in rig.node.asked] == [0, 3]
        assert await rig.take(1) == [(0, 0)]
        await rest()
        assert len(rig.node.asked) == 3


async def test_what_came_before_another_beginning_is_dropped() -> None:
    async with Rig() as rig:
        rig.node.add(A, 5)
        rig.fetching.begin({A: 0})
        await rest()
        rig.fetching.begin({A: 4, B: 0})
        assert rig.fetching.take(9) == []
        rig.node.add(B, 1)
        assert sorted(await rig.take(2)) == [(0, 4), (1, 0)]


async def test_an_answer_to_an_earlier_question_is_none() -> None:
    async with Rig() as rig:
        rig.fetching.begin({A: 0})
        await rest()  # the question is out
        rig.fetching.begin({A: 2})
        rig.node.add(A, 3)
        assert await rig.take(1) == [(0, 2)]
        assert rig.fetching.take(9) == []


async def test_each_partition_has_its_turn_and_keeps_its_order() -> None:
    async with Rig() as rig:
        rig.node.add(A, 3)
        rig.node.add(B, 3)
        rig.fetching.begin({A: 0, B: 0})
        taken = await rig.take(1) + await rig.take(1) + await rig.take(4)
        assert {partition for partition, _ in taken[:2]} == {0, 1}
        for number in range(2):
            assert [offset for partition, offset in taken if partition == number] == [0, 1, 2]


async def test_a_partition_goes_on_behind_a_marker_once_all_before_it_was_taken() -> None:
    async with Rig() as rig:
        rig.node.marker = 1
        rig.node.add(A, 2)
        rig.fetching.begin({A: 0})
        await rest()
        assert rig.fetching.position(A, 0) == 0
        await rig.take(2)
        assert rig.fetching.position(A, 2) == 3


@pytest.mark.parametrize(
    ("wrong", "said"),
    [(OutOfRange(A), "deleted unread"), (UnicodeDecodeError("utf-8", b"", 0, 1, ""), "be read")],
)
async def test_what_can_never_be_read_is_told_behind_what_came_before(
    wrong: Exception, said: str
) -> None:
    async with Rig() as rig:
        rig.node.add(A, 2)
        rig.fetching.begin({A: 0})
        await rest()
        rig.node.wrong = wrong
        rig.node.add(A, 1)
        assert len(await rig.take(2)) == 2  # the third can't be had
        for _ in range(2):  # and it stays
            await rig.fetching.come(1)
            with pytest.raises(Bug, match=said):
                rig.fetching.take(1)
        rig.fetching.begin({A: 3})
        rig.node.add(A, 1)
        assert await rig.take(1) == [(0, 3)]


async def test_a_broker_that_does_not_answer_is_asked_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fetching, "RETRY_S", 0.01)
    async with Rig() as rig:
        rig.node.wrong = Unavailable("away")
        rig.node.add(A, 1)
        rig.fetching.begin({A: 0})
        assert await rig.take(1) == [(0, 0)]


async def test_waiting_has_an_end() -> None:
    async with Rig() as rig:
        rig.fetching.begin({A: 0})
        await rig.fetching.come(0.01)
        assert rig.fetching.take(1) == []
