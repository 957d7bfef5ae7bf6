"""The example of a reporting consumer on a real broker, killed with kill -9 while it counts."""

import asyncio
import json
import secrets
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from random import Random
from typing import Any, Final, NamedTuple

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from deploy.examples.reporting_consumer import TOPICS
from tests.deploy.checkers import DEPLOY, run

pytestmark = [pytest.mark.cluster, pytest.mark.asyncio, pytest.mark.timeout(300)]

PARTITIONS: Final = 4
CALLS: Final = 6_000
CODES: Final = ("Sale", "Interested", "Referred")
KILLS_AT: Final = (0.05, 0.2, 0.4, 0.6, 0.8)  # of all records
PROGRESS_S: Final = 60.0

Counted = Counter[tuple[str, str]]


class Message(NamedTuple):
    topic: str
    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]]


def told(topic: str, type_: str, sequence: int, **data: Any) -> Message:
    value = {"tenant": "demo", "decided_at": "2026-11-21T14:06:40.000Z", **data}
    headers = [("ce_type", type_.encode()), ("ce_sequence", str(sequence).encode())]
    return Message(topic, f"demo:{data['call_id']}".encode(), json.dumps(value).encode(), headers)


def one_call(number: int, random: Random) -> tuple[list[Message], tuple[str, str]]:
    """What is told of one call, repeats included, and its agent's last word."""
    who = {"call_id": f"call-{number}", "agent_id": f"agent-{number % 7}"}
    codes = [random.choice(CODES) for _ in range(random.randint(1, 3))]
    saved, user = TOPICS
    messages = []
    for revision, code in enumerate(codes, 1):
        previous = {"code": codes[revision - 2], "decided_at": "2026-11-21T14:06:40.000Z"}
        more = {"previous": previous} if revision > 1 else {}
        late = revision == 3
        origin = "late" if late else "wrap_up"
        topic, type_ = (user, "EventUserEvent") if late else (saved, "disposition.saved")
        sequence = 1 if late else revision
        messages.append(told(topic, type_, sequence, **who, code=code, origin=origin, **more))
    if random.random() < 0.3:
        messages += messages
    return messages, (codes[-1], who["agent_id"])


async def publish(bootstrap: str, prefix: str, calls: int) -> tuple[int, Counted]:
    """Make the topics and write all calls; how many records that is, and the right answer."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(prefix + topic, PARTITIONS, 1) for topic in TOPICS])
    await admin.close()
    expected: Counted = Counter()
    sent: list[Awaitable[Any]] = []
    random = Random(prefix)
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", linger_ms=5) as producer:
        for number in range(calls):
            messages, last = one_call(number, random)
            expected[last] += 1
            for message in messages:
                topic, key, value, headers = message
                sending = await producer.send(prefix + topic, value, key, headers=headers)
                sent.append(sending)
        await asyncio.gather(*sent)
    return len(sent), expected


@contextmanager
def consumer(*options: object) -> Iterator["subprocess.Popen[bytes]"]:
    """The program as a process; killed at the end of the block."""
    program = DEPLOY / "examples" / "reporting_consumer.py"
    process = subprocess.Popen([sys.executable, program, *map(str, options)])
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def read(path: Path, query: str) -> list[Any]:
    try:
        with closing(sqlite3.connect(path)) as file:
            return file.execute(query).fetchall()
    except sqlite3.OperationalError:  # not made yet
        return []


def progress(path: Path) -> int:
    """How many records its file says were read."""
    return sum(offset for (offset,) in read(path, "SELECT next FROM places"))


def wait_until(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PROGRESS_S
    while not reached():
        assert time.monotonic() < deadline, "no progress"
        time.sleep(0.001)


async def test_it_counts_the_same_when_it_is_killed(kafka: str, tmp_path: Path) -> None:
    prefix = f"t{secrets.token_hex(6)}."
    records, expected = await publish(kafka, prefix, CALLS)
    path = tmp_path / "counts.db"
    options = ("--bootstrap", kafka, "--prefix", prefix, "--file", path)
    killed_at, moments = [], Random(prefix)
    for share in KILLS_AT:
        with consumer(*options) as process:
            wait_until(lambda: progress(path) >= share * records)  # noqa: B023 - called at once
            time.sleep(moments.uniform(0, 0.05))  # into the next batch, or not
            assert process.poll() is None
        killed_at.append(progress(path))
    print(f"killed at {killed_at} of {records:,} records")
    assert killed_at[1] < records, "killed in the middle, more than once"
    program = DEPLOY / "examples" / "reporting_consumer.py"
    ended = run(sys.executable, program, *options, "--once")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert progress(path) == records
    rows = read(path, "SELECT code, agent_id, SUM(calls) FROM counts GROUP BY code, agent_id")
    assert {(code, agent): calls for code, agent, calls in rows} == expected
