"""Hits in the store: as few writes as can be, and none that nobody knows of."""

import asyncio
from collections.abc import Sequence

import pytest
from typing_extensions import override

from services.gateway.hits import StoredHits
from shared.contracts.errors import Unavailable, WriteConflict
from shared.runtime.ports import Document
from tests.support.clock import FakeClock
from tests.support.memory import MemoryStateStore

pytestmark = pytest.mark.asyncio

KEY = "demo:carecycle/credential/key"


class CountedStore(MemoryStateStore):
    """Counts how often it is asked; a write lets others have their turn first."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    @override
    async def save(self, documents: Sequence[Document]) -> None:
        self.asked += 1
        await asyncio.sleep(0)
        await super().save(documents)

    @override
    async def load(
        self, collection: str, keys: Sequence[str], *, outboxes: bool = True
    ) -> dict[str, Document]:
        self.asked += 1
        return await super().load(collection, keys, outboxes=outboxes)


async def test_a_hit_is_one_write_and_a_refusal_none() -> None:
    store = CountedStore()
    hits = StoredHits(FakeClock(), store)
    for expected in (True, True, False, False):
        assert await hits.acquire_entry(KEY, 2, 60) is expected
    assert store.asked == 2


async def test_many_at_once_are_two_writes() -> None:
    store = CountedStore()
    hits = StoredHits(FakeClock(), store)
    taken = await asyncio.gather(*(hits.acquire_entry(KEY, 100, 60) for _ in range(120)))
    assert (taken.count(True), store.asked) == (100, 2)


async def test_what_another_has_written_is_read_once() -> None:
    clock, store = FakeClock(), CountedStore()
    one, other = StoredHits(clock, store), StoredHits(clock, store)
    assert await one.acquire_entry(KEY, 2, 60)
    assert await other.acquire_entry(KEY, 2, 60)
    assert store.asked == 4  # written, refused, read, written
    assert not await one.acquire_entry(KEY, 2, 60)
    assert await one.get_moving_window(KEY, 2, 60) == (clock.now_ms() / 1000, 2)


async def test_a_clock_behind_another_s_counts_all_that_are_not_old_enough() -> None:
    store, ahead, behind = CountedStore(), FakeClock(), FakeClock()
    ahead.advance(2_000)
    assert await StoredHits(ahead, store).acquire_entry(KEY, 3, 60)
    hits = StoredHits(behind, store)
    assert await hits.acquire_entry(KEY, 3, 60)
    behind.advance(60_000)  # now the later of the two in the row is old, and the first is not
    assert await hits.acquire_entry(KEY, 2, 60)
    assert not await hits.acquire_entry(KEY, 2, 60)


async def test_a_store_that_fails_fails_everybody_who_waits_and_nobody_after() -> None:
    store = CountedStore()
    hits = StoredHits(FakeClock(), store)
    store.fail_next("save", error=Unavailable("away"))
    first = asyncio.create_task(hits.acquire_entry(KEY, 9, 60))
    outcomes = await asyncio.gather(
        first, *(hits.acquire_entry(KEY, 9, 60) for _ in range(3)), return_exceptions=True
    )
    assert [type(outcome) for outcome in outcomes].count(Unavailable) >= 1
    assert all(outcome is True or isinstance(outcome, Unavailable) for outcome in outcomes)
    assert await hits.acquire_entry(KEY, 9, 60)


async def test_a_window_that_changes_all_the_time_is_given_up() -> None:
    store = MemoryStateStore()
    for _ in range(8):
        store.fail_next("save", error=WriteConflict("another was faster"))
    with pytest.raises(Unavailable):
        await StoredHits(FakeClock(), store).acquire_entry(KEY, 9, 60)
