"""Reads wait for those who follow the topics, and for nobody else, and not for ever."""

import asyncio
from collections.abc import Sequence

import pytest
from typing_extensions import override

from services.gateway.settling import CALLSTATE, HISTORY, WORKER, Settling
from shared.contracts.envelope import Message
from shared.contracts.topics import (
    CALLS_CHANGED,
    DISPOSITION_EVENTS,
    DISPOSITION_REQUESTS,
    TELEPHONY_EVENTS,
    USER_EVENTS,
)
from shared.runtime.ports import TopicPartition
from tests.support.clock import FakeClock
from tests.support.memory import MemoryLog

pytestmark = pytest.mark.asyncio


class WatchedLog(MemoryLog):
    """Counts how often positions are asked for, and lets a reader catch up meanwhile."""

    def __init__(self) -> None:
        super().__init__(FakeClock(), partitions=2)
        self.asked = 0
        self.catches_up_at = 0

    @override
    async def positions(self, group: str, topics: Sequence[str]) -> dict[TopicPartition, int]:
        self.asked += 1
        if self.asked == self.catches_up_at:
            self.catch_up(group, *topics)
        return await super().positions(group, topics)

    def catch_up(self, group: str, *topics: str) -> None:
        for place in self.places(topics):
            self.committed[group, place] = len(self.records[place])

    def tell(self, *topics: str) -> None:
        self.put([Message(topic, "demo:c", (), b"{}") for topic in topics])


async def test_nothing_on_the_topics_is_settled_at_once() -> None:
    log = WatchedLog()
    assert await Settling(log).calls()
    assert await Settling(log).history()
    assert log.asked == 7


@pytest.mark.parametrize("topic", [CALLS_CHANGED, DISPOSITION_REQUESTS])
async def test_a_call_waits_for_the_worker(topic: str) -> None:
    log = WatchedLog()
    log.tell(topic)
    assert not await Settling(log, timeout_s=0.01).calls()
    log.catch_up(WORKER, CALLS_CHANGED, DISPOSITION_REQUESTS)
    assert await Settling(log).calls()


async def test_a_call_waits_for_the_release_that_the_worker_has_just_asked_for() -> None:
    log = WatchedLog()
    log.tell(DISPOSITION_REQUESTS)
    waiting = asyncio.create_task(Settling(log, timeout_s=5).calls())
    await asyncio.sleep(0)
    log.tell(TELEPHONY_EVENTS)  # what the worker makes of the request
    log.catch_up(WORKER, DISPOSITION_REQUESTS)
    while log.asked < 4 and not waiting.done():
        await asyncio.sleep(0)
    assert not waiting.done()
    log.catch_up(CALLSTATE, TELEPHONY_EVENTS)
    assert await waiting


@pytest.mark.parametrize("topic", [DISPOSITION_EVENTS, USER_EVENTS])
async def test_a_call_waits_for_no_other_topic(topic: str) -> None:
    log = WatchedLog()
    log.tell(topic)
    assert await Settling(log).calls()


@pytest.mark.parametrize(
    "topic", [CALLS_CHANGED, DISPOSITION_REQUESTS, DISPOSITION_EVENTS, USER_EVENTS]
)
async def test_the_history_waits_for_the_others_then_for_itself(topic: str) -> None:
    log = WatchedLog()
    log.tell(topic)
    log.catch_up(WORKER, CALLS_CHANGED, DISPOSITION_REQUESTS)
    assert not await Settling(log, timeout_s=0.01).history()
    log.catch_up(HISTORY, CALLS_CHANGED, DISPOSITION_REQUESTS, DISPOSITION_EVENTS, USER_EVENTS)
    assert await Settling(log).history()


async def test_it_goes_on_as_soon_as_the_worker_is_there() -> None:
    log = WatchedLog()
    log.tell(CALLS_CHANGED)
    log.catches_up_at = 4
    assert await Settling(log, timeout_s=5).calls()
    assert log.asked == 5


async def test_what_comes_later_is_not_waited_for() -> None:
    log = WatchedLog()
    log.tell(CALLS_CHANGED)
    waiting = asyncio.create_task(Settling(log, timeout_s=5).calls())
    await asyncio.sleep(0)
    log.catch_up(WORKER, CALLS_CHANGED)
    log.tell(CALLS_CHANGED)
    assert await waiting
