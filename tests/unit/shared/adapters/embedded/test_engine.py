"""The engine: jobs apart from each other, commits in groups, a disk that fails, one owner."""

import asyncio
import os
import resource
import sqlite3
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import pytest_asyncio

from shared.adapters.embedded import engine as engine_module
from shared.adapters.embedded import schema
from shared.adapters.embedded.engine import (
    FILE,
    GROUP_JOBS_MAX,
    JOBS_WAITING_MAX,
    DataDirLocked,
    SqliteEngine,
)
from shared.adapters.embedded.schema import SchemaRefused
from shared.contracts.errors import Unavailable, WriteConflict

pytestmark = pytest.mark.asyncio

Job = Callable[[sqlite3.Connection], object]


@pytest_asyncio.fixture
async def engine(tmp_path: Path) -> AsyncIterator[SqliteEngine]:
    opened = SqliteEngine(tmp_path)
    await opened.write(create)
    yield opened
    await opened.close()


def create(connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE notes (n INTEGER PRIMARY KEY, body BLOB)")


def note(number: int, body: bytes = b"") -> Callable[[sqlite3.Connection], int]:
    def job(connection: sqlite3.Connection) -> int:
        connection.execute("INSERT INTO notes VALUES (?, ?)", (number, body))
        return number

    return job


def note_then(number: int, error: Exception) -> Callable[[sqlite3.Connection], None]:
    def job(connection: sqlite3.Connection) -> None:
        note(number)(connection)
        raise error

    return job


def numbers(connection: sqlite3.Connection) -> list[int]:
    return [number for (number,) in connection.execute("SELECT n FROM notes ORDER BY n")]


class Gate:
    """Holds the writer inside a job, so that what is written meanwhile makes one group."""

    def __init__(self, engine: SqliteEngine) -> None:
        self._open = threading.Event()
        self._entered = threading.Event()
        self.held = asyncio.create_task(engine.write(self._hold))

    def _hold(self, _: sqlite3.Connection) -> None:
        self._entered.set()
        self._open.wait(10)

    async def entered(self) -> None:
        await asyncio.to_thread(self._entered.wait, 10)

    def open(self) -> None:
        self._open.set()


async def in_one_group(engine: SqliteEngine, *jobs: Job) -> list[object]:
    """What each job gave or raised, when all are committed together."""
    gate = Gate(engine)
    await gate.entered()
    tasks = [asyncio.create_task(engine.write(job)) for job in jobs]
    await asyncio.sleep(0)
    gate.open()
    await gate.held
    return list(await asyncio.gather(*tasks, return_exceptions=True))


@contextmanager
def statements(engine: SqliteEngine) -> Iterator[list[str]]:
    """What the writer tells SQLite."""
    heard: list[str] = []
    engine._connection.set_trace_callback(heard.append)
    yield heard
    engine._connection.set_trace_callback(None)


async def test_a_job_gives_its_result_when_it_is_durable(engine: SqliteEngine) -> None:
    assert await engine.write(note(7)) == 7
    assert await engine.read(numbers) == [7]


async def test_jobs_that_wait_together_are_committed_together(engine: SqliteEngine) -> None:
    with statements(engine) as heard:
        gave = await in_one_group(engine, *(note(number) for number in range(50)))
    assert gave == list(range(50))
    assert heard.count("COMMIT") == 2  # the one that held the writer, and the group


@pytest.mark.parametrize(("count", "commits"), [(GROUP_JOBS_MAX, 1), (GROUP_JOBS_MAX + 1, 2)])
async def test_a_group_is_bounded(engine: SqliteEngine, count: int, commits: int) -> None:
    with statements(engine) as heard:
        await in_one_group(engine, *(note(number) for number in range(count)))
    assert heard.count("COMMIT") == 1 + commits


async def test_the_loop_is_woken_once_for_a_group(
    engine: SqliteEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = asyncio.get_running_loop()
    woken: list[str] = []
    wake = loop.call_soon_threadsafe

    def counted(callback: Callable[..., object], *args: object) -> object:
        if threading.current_thread().name == "sqlite-writer":
            woken.append("once")
        return wake(callback, *args)

    monkeypatch.setattr(loop, "call_soon_threadsafe", counted)
    await in_one_group(engine, *(note(number) for number in range(50)))
    assert len(woken) == 2


@pytest.mark.parametrize("error", [WriteConflict("late"), ValueError("wrong"), KeyError("bug")])
async def test_a_job_that_raises_takes_back_itself_alone(
    engine: SqliteEngine, error: Exception
) -> None:
    gave = await in_one_group(engine, note(1), note_then(2, error), note(3), note(4))
    assert gave == [1, error, 3, 4]
    assert await engine.read(numbers) == [1, 3, 4]


async def test_a_wrong_statement_is_a_bug_not_an_outage(engine: SqliteEngine) -> None:
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        await engine.write(lambda connection: connection.execute("INSERT INTO nowhere VALUES (1)"))
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        await engine.read(lambda connection: connection.execute("SELECT * FROM nowhere"))


async def test_a_reader_can_write_nothing(engine: SqliteEngine) -> None:
    with pytest.raises(Unavailable, match="readonly"):
        await engine.read(note(1))


async def test_nobody_waits_for_reports_however_many_go_on(engine: SqliteEngine) -> None:
    going_on = threading.Event()
    reports = [
        asyncio.create_task(engine.report(lambda _: going_on.wait(10)))
        for _ in range(2 * engine_module.READERS)
    ]
    await asyncio.sleep(0)
    assert await asyncio.wait_for(engine.read(numbers), 5) == []
    going_on.set()
    assert all(await asyncio.gather(*reports))


async def test_readers_do_not_wait_for_the_writer(engine: SqliteEngine) -> None:
    await engine.write(note(1))
    gate = Gate(engine)
    await gate.entered()
    assert await engine.read(numbers) == [1]
    assert not gate.held.done()
    gate.open()
    await gate.held


async def test_one_long_read_does_not_hold_up_the_next(engine: SqliteEngine) -> None:
    going_on = threading.Event()
    long = asyncio.create_task(engine.read(lambda _: going_on.wait(10)))
    await asyncio.sleep(0)
    assert await engine.read(numbers) == []
    assert not long.done()
    going_on.set()
    assert await long


async def test_a_write_stands_though_its_caller_has_gone(engine: SqliteEngine) -> None:
    shown: list[int] = []
    gate = Gate(engine)
    await gate.entered()
    task = asyncio.create_task(engine.write(note(1), shown.append))
    await asyncio.sleep(0)
    task.cancel()
    gate.open()
    assert await engine.write(note(2), shown.append) == 2
    assert task.cancelled()
    assert await engine.read(numbers) == shown == [1, 2]


async def test_what_follows_runs_in_order_of_commits_and_before_the_caller(
    engine: SqliteEngine,
) -> None:
    order: list[str] = []

    async def caller(number: int) -> None:
        await engine.write(note(number), lambda n: order.append(f"done {n}"))
        order.append(f"told {number}")

    await asyncio.gather(*(caller(number) for number in range(20)))
    assert [line for line in order if line.startswith("done")] == [f"done {n}" for n in range(20)]
    for number in range(20):
        assert order.index(f"done {number}") < order.index(f"told {number}")


async def test_nothing_follows_a_job_that_was_rolled_back(engine: SqliteEngine) -> None:
    followed: list[None] = []
    with pytest.raises(WriteConflict):
        await engine.write(note_then(1, WriteConflict("late")), followed.append)
    assert followed == []


async def test_what_follows_may_fail_for_its_own_caller_only(engine: SqliteEngine) -> None:
    def wrong(_: int) -> None:
        raise ValueError("wrong")

    async def failing() -> int:
        return await engine.write(note(1), wrong)

    gave = await asyncio.gather(failing(), engine.write(note(2)), return_exceptions=True)
    assert isinstance(gave[0], ValueError)
    assert gave[1] == 2


async def test_whoever_remembers_is_told_of_a_rollback(engine: SqliteEngine) -> None:
    told: list[str] = []
    engine.rolled_back.append(lambda: told.append("forget"))
    await engine.write(note(1))
    assert told == []
    with pytest.raises(WriteConflict):
        await engine.write(note_then(2, WriteConflict("late")))
    assert told == ["forget"]


def pages(limit: int) -> Callable[[sqlite3.Connection], None]:
    """Bound the file: beyond it SQLite itself says that the disk is full."""
    return lambda connection: connection.execute(f"PRAGMA max_page_count = {limit}").fetchone()


async def test_a_full_disk_is_unavailable_and_passes(engine: SqliteEngine) -> None:
    await engine.write(pages(1))  # the least it takes: what the file has already
    gave = await in_one_group(engine, note(1), note(2, b"x" * 1_000_000), note(3))
    assert any(isinstance(given, Unavailable) and "full" in str(given) for given in gave)
    assert await engine.read(numbers) == [given for given in gave if isinstance(given, int)]
    await engine.write(pages(1_000_000))
    assert await engine.write(note(9, b"x" * 1_000_000)) == 9


async def test_a_failing_commit_takes_back_the_whole_group(
    engine: SqliteEngine, tmp_path: Path
) -> None:
    told: list[str] = []
    engine.rolled_back.append(lambda: told.append("forget"))
    wal = (tmp_path / f"{FILE}-wal").stat().st_size
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (wal, before[1]))
    try:
        gave = await in_one_group(
            engine, note(1), note_then(2, WriteConflict("late")), note(3, b"x" * 20_000)
        )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [type(given) for given in gave] == [Unavailable] * 3
    assert told
    assert await engine.write(note(4)) == 4
    assert await engine.read(numbers) == [4]


async def test_an_io_error_in_a_job_is_unavailable(engine: SqliteEngine) -> None:
    with pytest.raises(Unavailable, match="disk I/O error"):
        await engine.write(note_then(1, sqlite3.OperationalError("disk I/O error")))
    assert await engine.write(note(2)) == 2
    assert await engine.read(numbers) == [2]


async def test_a_job_that_ends_the_transaction_fails_its_group_only(engine: SqliteEngine) -> None:
    def spoil(connection: sqlite3.Connection) -> None:
        connection.execute("ROLLBACK")
        raise ValueError("spoilt")

    gave = await in_one_group(engine, note(1), spoil, note(2))
    assert [type(given) for given in gave] == [ValueError] * 3
    assert await engine.write(note(3)) == 3
    assert await engine.read(numbers) == [3]


async def test_only_so_many_writes_may_wait(
    engine: SqliteEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert JOBS_WAITING_MAX > 10
    monkeypatch.setattr(engine_module, "JOBS_WAITING_MAX", 10)
    gate = Gate(engine)
    await gate.entered()
    tasks = [asyncio.create_task(engine.write(note(number))) for number in range(10)]
    await asyncio.sleep(0)
    with pytest.raises(Unavailable, match="10 writes wait"):
        await engine.write(note(10))
    gate.open()
    assert await asyncio.gather(*tasks) == list(range(10))
    assert await engine.write(note(11)) == 11


async def test_closing_writes_what_waits(tmp_path: Path) -> None:
    engine = SqliteEngine(tmp_path)
    await engine.write(create)
    gate = Gate(engine)
    await gate.entered()
    tasks = [asyncio.create_task(engine.write(note(number))) for number in range(600)]
    await asyncio.sleep(0)
    closing = asyncio.create_task(engine.close())
    await asyncio.sleep(0)
    gate.open()
    await closing
    assert await asyncio.gather(*tasks) == list(range(600))
    for use in (engine.write(note(1)), engine.read(numbers), engine.report(numbers)):
        with pytest.raises(Unavailable, match="closed"):
            await use
    await engine.close()


async def test_the_file_is_as_durable_as_it_says(engine: SqliteEngine) -> None:
    def pragmas(connection: sqlite3.Connection) -> list[object]:
        names = ("journal_mode", "synchronous")
        return [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in names]

    assert await engine.write(pragmas) == ["wal", 2]


async def test_the_directory_is_made_and_is_nobody_elses(tmp_path: Path) -> None:
    engine = SqliteEngine(tmp_path / "new" / "data")
    await engine.close()
    assert (tmp_path / "new" / "data").stat().st_mode & 0o777 == 0o700


async def test_a_second_owner_is_refused_by_name(engine: SqliteEngine, tmp_path: Path) -> None:
    del engine
    with pytest.raises(DataDirLocked, match=rf"{tmp_path} is in use by process {os.getpid()}$"):
        SqliteEngine(tmp_path)


OPEN = """
import sys
from pathlib import Path
from shared.adapters.embedded.engine import DataDirLocked, SqliteEngine
try:
    SqliteEngine(Path(sys.argv[1]))
except DataDirLocked as error:
    sys.exit(f"refused: {error}")
"""


@pytest.mark.slow
async def test_a_second_process_is_refused_until_the_first_has_closed(tmp_path: Path) -> None:
    def second() -> str:
        command = [sys.executable, "-c", OPEN, str(tmp_path)]
        return subprocess.run(command, check=False, capture_output=True, text=True).stderr

    engine = SqliteEngine(tmp_path)
    assert second() == f"refused: {tmp_path} is in use by process {os.getpid()}\n"
    await engine.close()
    assert second() == ""


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (f"PRAGMA user_version = {schema.VERSION + 1}", "schema 3; this version knows up to 2"),
        ("UPDATE settings SET value = 8 WHERE name = 'partitions'", "8 partitions a topic, not 4"),
    ],
)
async def test_data_of_another_kind_is_refused_and_left_alone(
    tmp_path: Path, spoil: str, reason: str
) -> None:
    await SqliteEngine(tmp_path).close()
    connection = sqlite3.connect(tmp_path / FILE, isolation_level=None)
    connection.execute(spoil)
    connection.close()
    for _ in range(2):  # the refusal has let go of the directory
        with pytest.raises(SchemaRefused, match=reason):
            SqliteEngine(tmp_path)
