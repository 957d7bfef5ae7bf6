"""The processor's guarantee, with a crash at every point of a batch, over and over.

Each run feeds inputs on two topics, crashes at random points with random batch sizes, and starts
again until all is processed. Whatever happened: every input is told exactly once per effect (after
dropping repeats by sequence), in order, with contiguous sequences, and a repeat is byte-equal.
"""

from collections import defaultdict
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import msgspec
import pytest
import pytest_asyncio

from shared.adapters.embedded import open_embedded
from shared.contracts.envelope import Record
from shared.contracts.topics import CALLS_CHANGED, DISPOSITION_REQUESTS, TELEPHONY_EVENTS, dead
from shared.runtime import deciding
from shared.runtime.commit import SeparateCommit
from shared.runtime.ports import EventLog, StateStore, TopicPartition
from shared.runtime.processor import Processor
from tests.support.clock import FakeClock
from tests.support.faults import POINTS, Crash, Fault, FaultyLog, FaultyStore
from tests.support.memory import MemoryLog, MemoryReplies, MemoryStateStore
from tests.support.tally import Tallied, TallyTopology, Told, said

KEYS = tuple(f"t:k{number}" for number in range(5))
INPUTS = 40


@pytest_asyncio.fixture
async def parts(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[tuple[EventLog, StateStore]]:
    if request.param == "memory":
        yield MemoryLog(FakeClock()), MemoryStateStore()
        return
    embedded = await open_embedded(tmp_path, FakeClock())
    yield embedded.log, embedded.store
    await embedded.close()


async def live(log: EventLog, store: StateStore, seed: int, crashes: int) -> list[str]:
    """Feed and process, crashing on the way; returns the points that were hit."""
    random = Random(seed)
    fault = Fault()
    inputs = [f"{number}.{random.randint(0, 9)}" for number in range(INPUTS)]
    for number, value in enumerate(inputs):
        topic = random.choice((TELEPHONY_EVENTS, DISPOSITION_REQUESTS))
        text = "poison" if number % 17 == 5 else value
        await log.append([said(topic, random.choice(KEYS), text)])
    fired: list[str] = []
    for life in range(crashes + 1):
        point = random.choice(POINTS) if life < crashes else None
        fault = Fault(point, waits=random.choice((0, 3, 9)), random=random)
        processor = Processor(
            TallyTopology(),
            event_log=FaultyLog(log, fault, random),  # type: ignore[arg-type]  # what it calls
            store=FaultyStore(store, fault),  # type: ignore[arg-type]  # what it calls
            commit=SeparateCommit(FaultyStore(store, fault)),  # type: ignore[arg-type]  # save
            replies=MemoryReplies(),
            records_max=random.randint(1, 12),
            wait_s=0,
            much=random.choice((1, 3, 256)),  # mostly the next batch is decided ahead
        )
        consumer = FaultyLog(log, fault, random).consumer("tally", TallyTopology.topics)
        try:
            for _ in range(INPUTS + 5):
                await processor.turn(consumer)
        except Crash:
            fired += fault.fired[:1]
    return fired


async def told(log: EventLog, topic: str) -> list[Record]:
    found: list[Record] = []
    for place, end in (await log.ends([topic])).items():
        found += await log.read(TopicPartition(*place), 0, end)
    return found


def once_per_sequence(records: list[Record]) -> dict[str, list[Told]]:
    """What a consumer counts that skips sequences it has seen; asserts the promise on the way."""
    seen: dict[str, dict[int, Record]] = defaultdict(dict)
    counted: dict[str, list[Told]] = defaultdict(list)
    for record in records:
        headers = dict(record.headers)
        sequence = int(headers["ce_sequence"])
        before = seen[record.key]
        if sequence in before:
            assert before[sequence].value == record.value
            assert before[sequence].headers == record.headers
            continue
        assert sequence == len(before) + 1, "a gap, or an effect overtook an older one"
        before[sequence] = record
        counted[record.key].append(msgspec.json.decode(record.value, type=Told))
    return counted


@pytest.mark.parametrize(
    ("parts", "seed"),
    [("memory", seed) for seed in range(150)] + [("sqlite", seed) for seed in range(40)],
    indirect=["parts"],
)
@pytest.mark.asyncio
async def test_nothing_lost_reordered_or_altered(
    parts: tuple[EventLog, StateStore], seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deciding, "AT_ONCE", 1 + seed % 5)
    log, store = parts
    await live(log, store, seed, crashes=seed % 12)
    counted = once_per_sequence(await told(log, CALLS_CHANGED))
    documents = await store.load("tallies", KEYS)
    for key in KEYS:
        stored = (
            msgspec.json.decode(documents[key].state, type=Tallied) if key in documents else None
        )
        inputs = stored.inputs if stored else ()
        assert len(set(inputs)) == len(inputs), "an input was decided twice"
        expected = [
            Told(value, count, index)
            for count, value in enumerate(inputs, start=1)
            for index in range(3 if value.endswith("3") else 1)
        ]
        assert counted[key] == expected
    decided = {
        value
        for d in documents.values()
        for value in msgspec.json.decode(d.state, type=Tallied).inputs
    }
    sources = [r for t in TallyTopology.topics for r in await told(log, t)]
    wanted = {
        r.value.decode() for r in sources if r.value != b"poison" and not r.value.endswith(b"0")
    }
    assert decided == wanted
    origins = {
        dict(r.headers)["dead_origin"]
        for t in TallyTopology.topics
        for r in await told(log, dead(t))
    }
    assert len(origins) == sum(r.value == b"poison" for r in sources)
    assert await log.positions("tally", TallyTopology.topics) == await log.ends(
        TallyTopology.topics
    )


@pytest.mark.asyncio
async def test_every_point_is_hit_by_some_seed() -> None:
    hit: set[str] = set()
    for seed in range(30):
        hit.update(await live(MemoryLog(FakeClock()), MemoryStateStore(), seed, crashes=8))
    assert hit == set(POINTS)
