"""What this service stands on: its lock, its log, its tenants, its settings."""

import fcntl
import os
import sqlite3
from pathlib import Path

from services.cli.doctor.findings import Finding, fail, ok, warn
from shared.adapters.embedded.engine import LOCK_FILE
from shared.adapters.embedded.reading import newest_ms
from shared.adapters.embedded.schema import SchemaRefused
from shared.adapters.tenants_file import FileTenantDirectory, read_tenants, refuse_demo
from shared.contracts.instants import to_wire


def holder(data_dir: Path) -> str | None:
    """The process that works on the data directory, if any; `unknown` if it left no name."""
    try:
        lock = os.open(data_dir / LOCK_FILE, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return os.read(lock, 32).decode(errors="replace").strip() or "unknown"
    else:
        return None
    finally:
        os.close(lock)


def lock(data_dir: Path) -> Finding:
    """Whether a process works on the data directory."""
    try:
        process = holder(data_dir)
    except OSError as error:
        return fail(
            "lock",
            f"{data_dir / LOCK_FILE} can't be read: {error.strerror}",
            "run as the user that owns the data directory",
        )
    return ok("lock", "free" if process is None else f"held by process {process}")


def tenants(path: Path, host: str, *, allow_demo: bool = False) -> Finding:
    """The tenants file can be read, makes sense, and keeps demo secrets on loopback."""
    try:
        found = read_tenants(path)
        FileTenantDirectory(found)
    except FileNotFoundError:
        return fail("tenants", f"{path} does not exist", "correct AFTERCALL_TENANTS_FILE")
    except (OSError, ValueError) as error:
        return fail("tenants", str(error), "correct the tenants file")
    try:
        refuse_demo(found, host)
    except ValueError as error:
        if allow_demo:
            return warn("tenants", f"{error}, but AFTERCALL_ALLOW_DEMO forces it", "unset it")
        return fail("tenants", str(error), "set AFTERCALL_HOST=127.0.0.1, or take the demo out")
    return ok("tenants", f"{len(found)} in {path}")


def newest_record(data_dir: Path) -> int | None:
    """When the log took its newest record; None where there is no log to ask."""
    try:
        return newest_ms(data_dir)
    except (OSError, SchemaRefused, sqlite3.Error):
        return None  # what is wrong with it is another finding


def data(data_dir: Path) -> Finding:
    """What is stored can be read by this version."""
    try:
        newest = newest_ms(data_dir)
    except FileNotFoundError:
        return ok("data", f"nothing stored in {data_dir} yet")
    except SchemaRefused as error:
        return fail("data", str(error), "use the version that wrote it, or another data directory")
    except (OSError, sqlite3.Error) as error:
        return fail("data", f"can't be read: {error}", "see whether the disk or the user is right")
    return ok("data", "empty" if newest is None else f"newest record of {to_wire(newest)}")
