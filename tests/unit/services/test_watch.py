"""The watch: a loop that stands still ends the process; a store not to be had does not."""

import asyncio
from collections.abc import Sequence

import pytest
import structlog
from typing_extensions import override

from services import watch
from services.watch import LAG_MAX, Watch
from shared.contracts.errors import Bug, Unavailable
from shared.contracts.topics import TELEPHONY_EVENTS
from shared.observability.metrics import Metrics
from shared.runtime.commit import SeparateCommit
from shared.runtime.ports import TopicPartition
from shared.runtime.processor import Processor
from tests.support.clock import FakeClock
from tests.support.memory import MemoryLog, MemoryReplies, MemoryStateStore
from tests.support.tally import TallyTopology, said

pytestmark = pytest.mark.asyncio


class DeafLog(MemoryLog):
    """A log that may be deaf to those who ask how far a group is."""

    deaf = False
    asked = 0

    @override
    async def positions(self, group: str, topics: Sequence[str]) -> dict[TopicPartition, int]:
        self.asked += 1
        if self.deaf:
            raise Unavailable("disk I/O error")
        return await super().positions(group, topics)


class Watched:
    """A watch over one processor, looking all the time."""

    def __init__(self) -> None:
        self.log = DeafLog(FakeClock())
        store = MemoryStateStore()
        self.processor = Processor(
            TallyTopology(),
            event_log=self.log,
            store=store,
            commit=SeparateCommit(store),
            replies=MemoryReplies(),
        )
        self.metrics = Metrics()
        self.processor.owned = frozenset(self.log.places([TELEPHONY_EVENTS]))
        self.store_errors: list[Exception] = []
        self.watch = Watch(self.log, self.ping, {"tally": self.processor}, self.metrics)
        self.stopping = asyncio.Event()

    async def ping(self) -> None:
        if self.store_errors:
            raise self.store_errors[0]

    async def looks(self, number: int) -> None:
        """Return once it has looked so often, or has failed."""
        running = asyncio.ensure_future(self.watch.run(self.stopping))
        until = self.log.asked + number
        while self.log.asked < until and not running.done():
            await asyncio.sleep(0)
        self.stopping.set()
        await running

    def oldest(self) -> float | None:
        name = "aftercall_oldest_waiting_seconds"
        return self.metrics.registry.get_sample_value(name, {"group": "tally"})

    def lag(self) -> float | None:
        return self.metrics.registry.get_sample_value("aftercall_lag_records", {"group": "tally"})


@pytest.fixture(autouse=True)
def restless(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "LOOK_S", 0.0)


async def test_it_tells_how_far_behind_a_group_is() -> None:
    watched = Watched()
    await watched.log.append([said(TELEPHONY_EVENTS, "t:k", "1.1")] * 3)
    await watched.looks(2)
    assert watched.lag() == 3


async def test_a_loop_that_stands_still_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "STANDSTILL_S", 0.0)
    with pytest.raises(Bug, match="tally has not polled"):
        await Watched().looks(1_000)


async def test_a_log_that_does_not_answer_is_asked_again() -> None:
    watched = Watched()
    watched.log.deaf = True
    with structlog.testing.capture_logs() as lines:
        await watched.looks(3)
    assert {line["event"] for line in lines} == {"lag_unknown"}
    assert watched.lag() is None


@pytest.mark.parametrize(
    ("behind", "said_of_it"), [(LAG_MAX, "ok"), (LAG_MAX + 1, f"{LAG_MAX + 1} records behind")]
)
async def test_a_group_too_far_behind_is_not_ready(behind: int, said_of_it: str) -> None:
    watched = Watched()
    watched.log.put([said(TELEPHONY_EVENTS, "t:k", "1.1")] * behind)
    assert await watched.watch.readiness() == {"tally": said_of_it, "store": "ok"}


async def test_without_a_log_nothing_is_ready() -> None:
    watched = Watched()
    watched.log.deaf = True
    assert await watched.watch.readiness() == {
        "tally": "log not to be had: Unavailable",
        "store": "ok",
    }


async def test_without_a_store_nothing_is_ready() -> None:
    watched = Watched()
    watched.store_errors = [Unavailable("no primary")]
    assert await watched.watch.readiness() == {
        "tally": "ok",
        "store": "store not to be had: Unavailable",
    }


async def test_a_loop_without_a_share_is_not_ready() -> None:
    watched = Watched()
    watched.processor.owned = None
    said_of_it = (await watched.watch.readiness())["tally"]
    assert said_of_it == "has no share of the partitions yet"


async def test_what_waits_is_seen_where_nobody_has_a_share() -> None:
    watched = Watched()
    watched.processor.owned = None
    await watched.log.append([said(TELEPHONY_EVENTS, "t:k", "1.1")] * 3)
    await watched.looks(2)
    assert watched.lag() == 3


async def test_a_process_without_loops_asks_the_log_itself() -> None:
    log = DeafLog(FakeClock())
    watched = Watch(log, Watched().ping, {}, Metrics())
    assert await watched.readiness() == {"log": "ok", "store": "ok"}
    log.ends = unavailable  # type: ignore[method-assign]
    assert (await watched.readiness())["log"] == "log not to be had: Unavailable"


async def unavailable(topics: Sequence[str]) -> dict[TopicPartition, int]:
    raise Unavailable(f"asked for {len(topics)} topics") if topics else AssertionError("nothing")


async def test_a_standby_that_owns_nothing_is_ready() -> None:
    watched = Watched()
    watched.log.put([said(TELEPHONY_EVENTS, "t:k", "1.1")] * (LAG_MAX + 1))
    watched.processor.owned = frozenset()
    assert (await watched.watch.readiness())["tally"] == "ok"


async def test_the_age_of_what_waits_grows_until_it_is_reached() -> None:
    watched = Watched()
    await watched.log.append([said(TELEPHONY_EVENTS, "t:k", "1.1")])
    await watched.looks(3)
    waiting = watched.oldest()
    assert waiting is not None
    assert waiting > 0
    for place in watched.log.places([TELEPHONY_EVENTS]):
        watched.log.committed["tally", place] = len(watched.log.records[place])
    watched.stopping.clear()
    await watched.looks(1)
    assert watched.oldest() == 0
