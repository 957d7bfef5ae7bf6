"""The one SQLite file: a single writer thread that commits in groups, readers beside it.

Whoever writes hands over a job, a function of the connection. The writer takes all jobs that wait,
runs them in one transaction, each in a savepoint of its own, and commits once: one disk flush for
all of them. While it flushes, the next jobs gather; so groups grow with the load by themselves.
Readers have connections of their own (WAL: they never wait for the writer, nor it for them).
"""

import asyncio
import contextlib
import fcntl
import os
import sqlite3
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import monotonic
from typing import Any, Final, TypeVar

from shared.adapters.embedded import schema
from shared.contracts.errors import AftercallError, TooLong, Unavailable

T = TypeVar("T")
Job = Callable[[sqlite3.Connection], T]

FILE: Final = "aftercall.sqlite3"
LOCK_FILE: Final = "lock"
GROUP_JOBS_MAX: Final = 256
JOBS_WAITING_MAX: Final = 16_384
READERS: Final = 2
REPORT_S: Final = 20.0
STEPS_BETWEEN_LOOKS: Final = 1_000_000  # at the clock; some 30 ms of a report's own thread
BUSY_TIMEOUT_MS: Final = 5_000  # only a person with the sqlite3 shell could hold the lock
WAL_PAGES: Final = 8_000
WAL_BYTES_MAX: Final = 64 * 1024 * 1024  # what is kept on disk after a long reader has held it


class DataDirLocked(AftercallError):
    """Another process works on the data directory."""


class _Waiting:
    """A job, what follows on the loop once it is durable, and whoever waits for it."""

    __slots__ = ("done", "error", "future", "job", "result")

    def __init__(
        self, job: Job[Any], done: Callable[[Any], None] | None, future: asyncio.Future[Any]
    ) -> None:
        self.job = job
        self.done = done
        self.future = future
        self.result: Any = None
        self.error: Exception | None = None

    def resolve(self) -> None:
        """On the loop. A caller who has gone changes nothing: the write stands."""
        try:
            if self.error is None and self.done is not None:
                self.done(self.result)
        except Exception as error:  # noqa: BLE001 - its own caller is told; the group goes on
            self.error = error
        if self.future.done():
            return
        if self.error is None:
            self.future.set_result(self.result)
        else:
            self.future.set_exception(self.error)


class SqliteEngine:
    """Jobs in, durable results out. Open by `SqliteEngine(data_dir)`, end by `close`.

    One event loop uses an engine at a time.

    Attributes:
        rolled_back: called on the writer thread after anything was rolled back, for whoever
            remembers what only the rolled back job has written.
    """

    def __init__(self, data_dir: Path) -> None:
        """Take the directory and open the file, creating both where they are missing.

        Raises:
            DataDirLocked: another process has it.
            SchemaRefused: the file is not for this version.
        """
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.rolled_back: list[Callable[[], None]] = []
        self._path = data_dir / FILE
        self._lock = _take_lock(data_dir)
        try:
            self._connection = _connect(self._path)
            schema.prepare(self._connection)
        except BaseException:
            os.close(self._lock)
            raise
        self._waiting: deque[_Waiting] = deque()
        self._changed = threading.Condition()
        self._closing = False
        self._thread = threading.local()
        self._readers: list[sqlite3.Connection] = []
        self._pool = ThreadPoolExecutor(READERS, "sqlite-reader")
        self._reports = ThreadPoolExecutor(1, "sqlite-report")
        self._writer = threading.Thread(target=self._run, name="sqlite-writer", daemon=True)
        self._writer.start()

    async def read(self, query: Job[T]) -> T:
        """Run a query on a reader; it sees everything that was durable when it began.

        Raises:
            Unavailable: the file can't be read.
        """
        return await self._read_on(self._pool, query)

    async def report(self, query: Job[T]) -> T:
        """Run a query that may take seconds: one after another, in nobody's way but each other's.

        Raises:
            TooLong: it had no result within `REPORT_S`, the wait for others included.
            Unavailable: the file can't be read.
        """
        end_s = monotonic() + REPORT_S
        return await self._read_on(
            self._reports, lambda connection: _until(end_s, connection, query)
        )

    async def _read_on(self, pool: ThreadPoolExecutor, query: Job[T]) -> T:
        if self._closing:
            raise Unavailable("the store is closed")
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(pool, lambda: query(self._reader()))
        except sqlite3.OperationalError as error:
            raise _told(error) from None

    def read_here(self, query: Job[T]) -> T:
        """Run a short query, by primary key, on the caller's own thread.

        The way to a reader and back costs two turns of a busy loop, many times what such a query
        takes; the processor, whose documents are on every request's way, can't afford that.

        Raises:
            Unavailable: the file can't be read.
        """
        if self._closing:
            raise Unavailable("the store is closed")
        try:
            return query(self._reader())
        except sqlite3.OperationalError as error:
            raise _told(error) from None

    def _reader(self) -> sqlite3.Connection:
        """This thread's connection."""
        connection: sqlite3.Connection | None = getattr(self._thread, "connection", None)
        if connection is None:
            connection = _connect(self._path)
            connection.execute("PRAGMA query_only = ON")
            self._thread.connection = connection
            self._readers.append(connection)
        return connection

    async def write(self, job: Job[T], done: Callable[[T], None] | None = None) -> T:
        """Run a job on the writer and return its result once that is durable.

        The job's own exception rolls back that job alone. `done` runs on the loop, in the order of
        commits, before anyone is told; also when the caller was cancelled meanwhile.

        Raises:
            Unavailable: the disk failed, too many jobs wait, or the engine is closed.
        """
        waiting = _Waiting(job, done, asyncio.get_running_loop().create_future())
        with self._changed:
            if self._closing:
                raise Unavailable("the store is closed")
            if len(self._waiting) >= JOBS_WAITING_MAX:
                raise Unavailable(f"{JOBS_WAITING_MAX} writes wait already")
            self._waiting.append(waiting)
            self._changed.notify()
        result: T = await waiting.future
        return result

    async def close(self) -> None:
        """Write what waits, then let go of the file and the directory."""
        with self._changed:
            if self._closing:
                return
            self._closing = True
            self._changed.notify()
        await asyncio.to_thread(self._shut)

    def _shut(self) -> None:
        self._writer.join()
        self._pool.shutdown()
        self._reports.shutdown()
        for connection in self._readers:
            connection.close()
        self._connection.close()  # the last to close, so that the writer alone ever checkpoints
        os.close(self._lock)

    def _run(self) -> None:
        while group := self._take_group():
            self._commit(group)
            try:
                group[0].future.get_loop().call_soon_threadsafe(_resolve, group)
            except RuntimeError:
                continue  # the loop has ended; what was written stands all the same

    def _take_group(self) -> list[_Waiting]:
        """All that wait, bounded; nothing when the engine closes."""
        with self._changed:
            while not self._waiting and not self._closing:
                self._changed.wait()
            count = min(len(self._waiting), GROUP_JOBS_MAX)
            return [self._waiting.popleft() for _ in range(count)]

    def _commit(self, group: list[_Waiting]) -> None:
        connection = self._connection
        try:
            connection.execute("BEGIN IMMEDIATE")
            for waiting in group:
                self._run_job(waiting)
            connection.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 - the callers are told; the writer lives on
            self._fail(group, _told(error))

    def _run_job(self, waiting: _Waiting) -> None:
        connection = self._connection
        connection.execute("SAVEPOINT job")
        try:
            waiting.result = waiting.job(connection)
        except Exception as error:
            if not connection.in_transaction:
                raise  # SQLite itself has rolled back the whole group: disk full, I/O error
            connection.execute("ROLLBACK TO job")
            self._forget()
            waiting.error = _told(error)
        connection.execute("RELEASE job")

    def _fail(self, group: list[_Waiting], error: Exception) -> None:
        """Nothing of the group stands, so nothing that a job has concluded holds either."""
        with contextlib.suppress(sqlite3.Error):
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        self._forget()
        for waiting in group:
            waiting.error = error

    def _forget(self) -> None:
        for forget in self.rolled_back:
            forget()


def _resolve(group: list[_Waiting]) -> None:
    for waiting in group:
        waiting.resolve()


def _until(end_s: float, connection: sqlite3.Connection, query: Job[T]) -> T:
    """What a query gives before this time of `monotonic`.

    Raises:
        TooLong: it gives nothing before.
    """
    late = TooLong(f"SQLite: no answer within {REPORT_S:.0f} s")
    if monotonic() >= end_s:
        raise late
    connection.set_progress_handler(lambda: monotonic() >= end_s, STEPS_BETWEEN_LOOKS)
    try:
        return query(connection)
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
            raise
    finally:
        connection.set_progress_handler(None, 0)
    raise late


def _told(error: Exception) -> Exception:
    """`Unavailable` when the disk or the file failed; a wrong statement stays what it is: a bug."""
    code = getattr(error, "sqlite_errorcode", None)
    if isinstance(error, sqlite3.OperationalError) and code != sqlite3.SQLITE_ERROR:
        return Unavailable(f"SQLite: {error}")
    return error


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    for pragma in (
        f"busy_timeout = {BUSY_TIMEOUT_MS}",
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = ON",
        "trusted_schema = OFF",
        f"wal_autocheckpoint = {WAL_PAGES}",
        "cache_size = -65536",
        f"journal_size_limit = {WAL_BYTES_MAX}",
    ):
        connection.execute(f"PRAGMA {pragma}")
    return connection


def _take_lock(data_dir: Path) -> int:
    """The lock file, open and locked; the process id in it is for people."""
    path = data_dir / LOCK_FILE
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.read(lock, 32).decode(errors="replace").strip() or "unknown"
        os.close(lock)
        raise DataDirLocked(f"{data_dir} is in use by process {owner}") from None
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    return lock
