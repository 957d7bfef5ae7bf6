"""The machine: interpreter, libraries, disk, clock, ports."""

import os
import shutil
import socket
import sqlite3
import tempfile
from collections.abc import Callable, Iterable
from http.client import HTTPConnection, HTTPException
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from services.cli.doctor.findings import Finding, fail, ok, warn
from shared.contracts.instants import to_wire

PYTHON_MIN: Final = (3, 11)
SQLITE_MIN: Final = (3, 37, 0)  # STRICT tables
DISK_NEEDED_BYTES: Final = 100 * 1024 * 1024
DISK_WISE_BYTES: Final = 1024 * 1024 * 1024
BUILT_MS: Final = 1_735_689_600_000  # 2025-01-01: no right clock shows less
CLOCK_BEHIND_MS: Final = 5_000
PROBE_TIMEOUT_S: Final = 1.0

LIBRARIES: Final = (
    "aiohttp",
    "aiokafka",
    "apscheduler",
    "cloudevents",
    "limits",
    "msgspec",
    "orjson",
    "prometheus_client",
    "pydantic",
    "pydantic_settings",
    "structlog",
    "uvloop",
    "yaml",
)


def python(version: tuple[int, ...]) -> Finding:
    """The interpreter is new enough."""
    shown = ".".join(str(number) for number in version[:3])
    if version < PYTHON_MIN:
        return fail("python", f"Python {shown}", "use Python 3.11 or newer")
    return ok("python", f"Python {shown}")


def libraries(names: Iterable[str] = LIBRARIES) -> Finding:
    """Every library can be imported; a broken one says why."""
    broken = []
    count = 0
    for name in names:
        count += 1
        try:
            import_module(name)
        except Exception as error:  # noqa: BLE001 - a broken library may raise anything
            broken.append(f"{name} ({error})")
    if broken:
        return fail("libraries", ", ".join(broken), "install anew: `make run` does it")
    return ok("libraries", f"{count} import")


def _existing(path: Path) -> Path:
    """The directory itself, or the nearest one above it that exists."""
    for candidate in (path, *path.absolute().parents):
        if candidate.exists():
            return candidate
    return Path("/")


def writable(data_dir: Path) -> Finding:
    """The data directory can be written, or created."""
    where = _existing(data_dir)
    if not where.is_dir():
        return fail("data directory", f"{where} is no directory", "set AFTERCALL_DATA_DIR")
    try:
        with tempfile.NamedTemporaryFile(dir=where):
            pass
    except OSError as error:
        return fail(
            "data directory",
            f"{where} can't be written: {error.strerror}",
            "set AFTERCALL_DATA_DIR, or give this user the right to write there",
        )
    made = "is writable" if where == data_dir else f"will be created under {where}"
    return ok("data directory", f"{data_dir} {made}")


def disk(data_dir: Path, usage: Callable[[Path], Any] = shutil.disk_usage) -> Finding:
    """There is room for the log to grow."""
    free = usage(_existing(data_dir)).free
    shown = f"{free / 1024**3:,.1f} GiB free"
    if free < DISK_NEEDED_BYTES:
        return fail("disk", shown, "make room: writing stops when the disk is full")
    if free < DISK_WISE_BYTES:
        return warn("disk", shown, "make room soon, at least 1 GiB")
    return ok("disk", shown)


def sqlite(data_dir: Path, version: tuple[int, ...] = sqlite3.sqlite_version_info) -> Finding:
    """SQLite is new enough, and its write-ahead log works on this file system."""
    shown = f"SQLite {'.'.join(str(number) for number in version)}"
    if version < SQLITE_MIN:
        return fail("sqlite", shown, "use a Python built with SQLite 3.37 or newer")
    try:
        mode = _journal_mode(_existing(data_dir))
    except (OSError, sqlite3.Error) as error:
        return fail("sqlite", f"{shown}: {error}", "set AFTERCALL_DATA_DIR to a local disk")
    if mode != "wal":
        return fail(
            "sqlite",
            f"{shown}: journal mode is {mode} here, not wal",
            "set AFTERCALL_DATA_DIR to a local disk, not a network share",
        )
    return ok("sqlite", f"{shown}, write-ahead log works here")


def _journal_mode(where: Path) -> str:
    with tempfile.TemporaryDirectory(dir=where, prefix=".doctor-") as scratch:
        connection = sqlite3.connect(Path(scratch) / "probe.sqlite3")
        try:
            (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
            connection.execute("CREATE TABLE probe (a INTEGER) STRICT")
        finally:
            connection.close()
    return str(mode)


def clock(now_ms: int, newest_ms: int | None) -> Finding:
    """The clock shows a believable time, not one before what the log has seen."""
    shown = to_wire(now_ms)
    if now_ms < BUILT_MS:
        return fail("clock", shown, "set the clock; let it be kept by NTP")
    if newest_ms is not None and now_ms < newest_ms - CLOCK_BEHIND_MS:
        return warn(
            "clock",
            f"{shown}, but the log's newest record is of {to_wire(newest_ms)}",
            "set the clock: deadlines are counted on it",
        )
    return ok("clock", shown)


def ports(host: str, port: int, admin_port: int) -> Finding:
    """Both ports are free, or it is us who serve them."""
    taken = [number for number in (port, admin_port) if not _free(host, number)]
    if not taken:
        return ok("ports", f"{host} {port} and {admin_port} are free")
    named = " and ".join(str(number) for number in taken)
    if _healthy(host, admin_port):
        return ok("ports", f"{host} {named}: the service is running")
    return fail(
        "ports",
        f"{host} {named} can't be had, and /healthz on {admin_port} does not answer as ours",
        "stop what uses it, or set AFTERCALL_PORT (and AFTERCALL_ADMIN_PORT)",
    )


def _free(host: str, port: int) -> bool:

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        if os.name == "posix":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def _healthy(host: str, admin_port: int) -> bool:
    """Whether something that answers like us is there."""
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - not bound
    connection = HTTPConnection(reachable, admin_port, timeout=PROBE_TIMEOUT_S)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status in (200, 503)
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
