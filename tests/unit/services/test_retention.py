"""Old records go once everybody has read them; what is told, stored and checked goes on."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
import structlog

from services import retention
from services.cli.verify.checks import CHECKS
from services.cli.verify.reading import read_snapshot
from services.cli.verify.snapshot import History
from services.gateway.push.follower import follow
from services.gateway.push.hub import Hub
from services.gateway.push.position import Position
from services.retention import keep, keep_letters
from shared.adapters.embedded import Embedded, open_embedded
from shared.contracts.envelope import Message, Record
from shared.contracts.errors import Unavailable
from shared.contracts.limits import DEAD_KEPT_MS, IDEMPOTENCY_KEPT_MS, LOG_KEPT_MS
from shared.contracts.topics import CALLS_CHANGED, TELEPHONY_EVENTS, TOLD, TOPICS, dead
from tests.support.clock import FakeClock
from tests.unit.services.cli.shift import Shift

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]


class Kept:
    """What retention asked to be pruned, and how the log takes it."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, int]] = []
        self.full = False
        self.stopping = asyncio.Event()

    async def prune(self, before_ms: int, dead_before_ms: int) -> int:
        self.asked.append((before_ms, dead_before_ms))
        if len(self.asked) == 3:
            self.stopping.set()
        if self.full:
            raise Unavailable("disk full")
        return 7


@pytest.fixture(autouse=True)
def restless(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "EVERY_S", 0.0)


async def test_it_prunes_again_and_again_what_is_older_than_a_week_and_letters_after_a_month() -> (
    None
):
    kept, clock = Kept(), FakeClock()
    with structlog.testing.capture_logs() as lines:
        await asyncio.wait_for(keep(kept.prune, clock, kept.stopping), 5)
    day_ms = 24 * 3600 * 1000
    assert kept.asked == [(clock.now_ms() - 7 * day_ms, clock.now_ms() - 30 * day_ms)] * 3
    assert [(line["event"], line["what"], line["records"]) for line in lines] == [
        ("pruned", "log", 7)
    ] * 3


async def test_a_full_disk_does_not_end_it() -> None:
    kept = Kept()
    kept.full = True
    with structlog.testing.capture_logs() as lines:
        await asyncio.wait_for(keep(kept.prune, FakeClock(), kept.stopping), 5)
    assert [line["event"] for line in lines] == ["not_pruned"] * 3


async def test_it_waits_first_so_that_every_group_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "EVERY_S", 60.0)
    kept = Kept()
    running = asyncio.ensure_future(keep(kept.prune, FakeClock(), kept.stopping))
    await asyncio.sleep(0)
    kept.stopping.set()
    await asyncio.wait_for(running, 5)
    assert kept.asked == []


async def test_the_log_is_kept_longer_than_a_key_may_come_again() -> None:
    assert LOG_KEPT_MS > IDEMPOTENCY_KEPT_MS


class Centre:
    """Shifts on one embedded store, with time in between."""

    def __init__(self, embedded: Embedded, clock: FakeClock, data_dir: Path) -> None:
        self.embedded = embedded
        self.clock = clock
        self.data_dir = data_dir
        parts = (embedded.log, embedded.store, embedded.history, embedded.letters)
        self.shift = Shift(clock, *parts, embedded.commit)

    async def a_week_later(self) -> int:
        """Let a week pass, and prune what has become too old."""
        self.clock.advance(LOG_KEPT_MS + 1)
        now_ms = self.clock.now_ms()
        return await self.embedded.log.prune(now_ms - LOG_KEPT_MS, now_ms - DEAD_KEPT_MS)

    async def offsets(self, topic: str) -> int:
        """How many records of a topic are kept."""
        places = await self.embedded.log.ends([topic])
        return sum([len(await self.embedded.log.read(place, 0, 10_000)) for place in places])

    def violations(self) -> dict[str, list[str]]:
        history = History(read_snapshot(self.data_dir, self.clock.now_ms()))
        found = {name: check(history).violations for name, check in CHECKS.items()}
        return {name: sentences for name, sentences in found.items() if sentences}


@pytest_asyncio.fixture
async def centre(tmp_path: Path) -> AsyncIterator[Centre]:
    clock = FakeClock()
    embedded = await open_embedded(tmp_path, clock)
    try:
        yield Centre(embedded, clock, tmp_path)
    finally:
        await embedded.close()


async def test_a_pruned_log_verifies_and_calls_go_on_across_the_gap(centre: Centre) -> None:
    await centre.shift.play()
    before = await centre.offsets(CALLS_CHANGED)
    assert await centre.a_week_later() > 0
    assert await centre.offsets(CALLS_CHANGED) < before
    assert centre.violations() == {}
    # `demo:live` began a week ago and still has a code that waits.
    await centre.shift.tell("demo:live", "call.disconnected")
    await centre.shift.settle()
    await centre.shift.ask("demo:live", "agent-1", "Referred", request_id="a week later")
    await centre.shift.settle(after_s=31)
    assert centre.violations() == {}
    assert await centre.a_week_later() > 0
    assert centre.violations() == {}


async def test_history_outlives_the_log(centre: Centre) -> None:
    await centre.shift.play()
    before = await centre.embedded.history.entries("demo", "one")
    await centre.a_week_later()
    assert await centre.embedded.history.entries("demo", "one") == before
    assert len(before) > 5


async def test_what_callstate_has_not_read_is_not_pruned(centre: Centre) -> None:
    await centre.shift.play()
    await centre.a_week_later()
    for number in range(20):
        await centre.shift.tell(f"demo:new-{number}", "call.started", direction="inbound")
    await centre.a_week_later()
    assert await centre.offsets(TELEPHONY_EVENTS) == 20


async def test_a_stream_from_before_is_told_of_the_gap_and_goes_on(centre: Centre) -> None:
    await centre.shift.play()
    await centre.a_week_later()
    hub = Hub(centre.embedded.log, centre.clock)
    following = asyncio.ensure_future(hub.run())
    ends = Position.of(await centre.embedded.log.ends(TOLD))
    since = Position(tuple(tuple(0 for _ in group) for group in ends.offsets))
    await hub.ready()
    follower = await follow(hub, "demo", since=since)
    told = []
    while follower.position.behind(ends, TOLD):
        told += await follower.take(events_max=100, wait_s=1)
    assert told[0].event.type == "stream.gap"
    kept = [record for topic in TOLD for record in await _all(centre, topic)]
    assert len(told) - 1 == sum(record.key.startswith("demo:") for record in kept)
    following.cancel()


async def _all(centre: Centre, topic: str) -> list[Record]:
    found: list[Record] = []
    for place in await centre.embedded.log.ends([topic]):
        found += await centre.embedded.log.read(place, 0, 10_000)
    return found


async def test_every_topic_is_pruned_dead_letters_after_a_month(centre: Centre) -> None:
    await centre.shift.play()
    await centre.shift.log.append([Message(TELEPHONY_EVENTS, "demo:bad", (), b"what?")])
    await centre.shift.settle()
    await centre.a_week_later()
    for topic in TOPICS:
        for place in await centre.embedded.log.ends([topic]):
            assert len(await centre.embedded.log.read(place, 0, 10_000)) <= 1, topic
    assert await centre.offsets(dead(TELEPHONY_EVENTS)) == 2
    centre.clock.advance(DEAD_KEPT_MS - LOG_KEPT_MS)
    assert await centre.a_week_later() == 1
    assert await centre.offsets(dead(TELEPHONY_EVENTS)) == 1


async def test_letters_are_forgotten_when_their_topics_are_pruned(centre: Centre) -> None:
    await centre.shift.play()
    letters = centre.embedded.letters
    assert len((await letters.page(None)).lines) == 1
    stopping = asyncio.Event()
    with structlog.testing.capture_logs() as lines:
        running = asyncio.ensure_future(keep_letters(letters, centre.clock, stopping))
        await centre.a_week_later()
        assert len((await letters.page(None)).lines) == 1
        centre.clock.advance(DEAD_KEPT_MS)
        async with asyncio.timeout(10):
            while (await letters.page(None)).lines:
                await asyncio.sleep(0)
        stopping.set()
        await running
    assert [(line["what"], line["records"]) for line in lines] == [("letters", 1)]
    assert centre.violations() == {}
