"""kill -9 while many write: whatever was acknowledged stands, and every commit stands whole."""

import asyncio
import random
import sys
from pathlib import Path

import pytest

from shared.adapters.embedded import Embedded, open_embedded
from shared.runtime.ports import TopicPartition
from tests.conformance.appending import APPENDED, CALLERS, COMMITTED
from tests.support.clock import FakeClock

pytestmark = [pytest.mark.asyncio, pytest.mark.crash]

ROUNDS = 6
ROOT = Path(__file__).parents[2]


async def run_and_kill(data_dir: Path, turn: int, after_lines: int) -> list[str]:
    """Every whole line that the process has said before it was killed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.conformance.appending",
        str(data_dir),
        str(turn),
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
    )
    assert process.stdout is not None
    said = [await process.stdout.readline() for _ in range(after_lines)]
    process.kill()
    said += (await process.stdout.read()).splitlines(keepends=True)
    await process.wait()
    return [line.decode().strip() for line in said if line.endswith(b"\n")]


async def check(embedded: Embedded, acknowledged: list[str]) -> None:
    appended: set[str] = set()
    for place, end in (await embedded.log.ends([APPENDED])).items():
        records = await embedded.log.read(place, 0, 1_000_000)
        assert [record.offset for record in records] == list(range(end))
        lines = [record.value.decode() for record in records]
        assert len(lines) == len(set(lines))
        appended.update(lines)
    assert {line for line in acknowledged if line.startswith("a")} <= appended
    for caller in range(CALLERS):
        told = [int(line.split()[2]) for line in acknowledged if line.startswith(f"c {caller} ")]
        assert await committed(embedded, caller) >= max(told, default=0)


async def committed(embedded: Embedded, caller: int) -> int:
    """The revision that document, message and position agree on."""
    key = f"demo:{caller}"
    documents = await embedded.store.load("calls", [key])
    revision = documents[key].revision if documents else 0
    place = TopicPartition(COMMITTED, embedded.log.partition(key))
    records = await embedded.log.read(place, 0, 1_000_000)
    messages = [int(record.value) for record in records if record.key == key]
    assert messages == list(range(1, revision + 1))
    positions = await embedded.log.positions(f"group-{caller}", [APPENDED])
    assert positions[TopicPartition(APPENDED, caller % 4)] == revision
    return revision


async def test_what_was_acknowledged_survives_kill_9(tmp_path: Path) -> None:
    chance = random.Random(1)
    acknowledged: list[str] = []
    for turn in range(ROUNDS):
        said = await run_and_kill(tmp_path, turn, chance.randrange(1, 2_000))
        assert said
        acknowledged += said
        embedded = await open_embedded(tmp_path, FakeClock())
        await check(embedded, acknowledged)
        await embedded.close()
