"""Waiting that ends, and writes that nobody takes back."""

import asyncio

import pymongo
import pytest
from pymongo.errors import AutoReconnect

from shared.adapters.cluster import mongo_waiting
from shared.adapters.cluster.mongo_waiting import Writes, answered
from shared.contracts.errors import Unavailable

pytestmark = pytest.mark.asyncio


class Write:
    """A write that takes as long as the test wants."""

    def __init__(self) -> None:
        self.landing = asyncio.Event()
        self.begun = asyncio.Event()
        self.landed = False
        self.error: Exception | None = None

    async def run(self) -> str:
        self.begun.set()
        await self.landing.wait()
        if self.error is not None:
            raise self.error
        self.landed = True
        return "landed"


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mongo_waiting, "OPERATION_S", 0.1)
    monkeypatch.setattr(mongo_waiting, "SPARE_S", 0.1)


async def test_the_outcome_of_a_write_is_told() -> None:
    write = Write()
    write.landing.set()
    assert await Writes().settled("save", write.run()) == "landed"
    write.error = AutoReconnect("gone")
    with pytest.raises(Unavailable, match="save: AutoReconnect: gone"):
        await Writes().settled("save", write.run())


async def test_a_write_without_an_outcome_in_time_is_unavailable_and_goes_on() -> None:
    write, writes = Write(), Writes()
    with pytest.raises(Unavailable, match="no outcome in time"):
        await writes.settled("save", write.run())
    write.landing.set()
    await writes.all_settled()
    assert write.landed


async def test_who_is_cancelled_waits_for_the_outcome_first() -> None:
    write, writes = Write(), Writes()
    saving = asyncio.create_task(writes.settled("save", write.run()))
    await write.begun.wait()
    saving.cancel()
    await asyncio.sleep(0)
    assert not saving.done()
    write.landing.set()
    with pytest.raises(asyncio.CancelledError):
        await saving
    assert write.landed


async def test_who_is_cancelled_does_not_wait_without_end_either() -> None:
    write, writes = Write(), Writes()
    saving = asyncio.create_task(writes.settled("save", write.run()))
    await write.begun.wait()
    saving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await saving
    assert not write.landed
    write.error = AutoReconnect("gone")  # nobody is left to hear of it, and nobody complains
    write.landing.set()
    await writes.all_settled()


async def test_waiting_for_all_has_an_end() -> None:
    write, writes = Write(), Writes()
    saving = asyncio.create_task(writes.settled("save", write.run()))
    await write.begun.wait()
    await writes.all_settled()
    assert not write.landed
    write.landing.set()
    with pytest.raises(Unavailable):
        await saving
    await writes.all_settled()
    assert write.landed


async def test_a_question_that_is_not_answered_is_given_up() -> None:
    write = Write()
    with pytest.raises(Unavailable, match="load: TimeoutError"):
        await answered("load", write.run, within_s=0.05)
    assert not write.landed


async def test_a_question_is_asked_under_its_deadline() -> None:
    async def ask() -> float | None:
        return pymongo._csot.remaining()

    remaining = await answered("load", ask, within_s=3.0)
    assert remaining is not None
    assert 0 < remaining <= 3.0
