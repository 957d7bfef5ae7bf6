"""What the doctor says of a machine that is well, and of each thing that can be wrong with it."""

import asyncio
import json
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import NamedTuple

import pytest

from services.cli.doctor import machine, place
from services.cli.doctor.findings import Finding
from shared.adapters.embedded.engine import FILE, SqliteEngine
from tests.support.clock import START_MS
from tests.unit.services.cli.typed import typed

DEMO = Path(__file__).parents[4] / "deploy" / "demo" / "tenants.yaml"
GIB = 1024**3


class Usage(NamedTuple):
    free: int


def usage(free: int) -> Callable[[Path], Usage]:
    return lambda _: Usage(free)


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that another program has."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def ours() -> Iterator[int]:
    """A port that answers `/healthz` as we do."""
    server = HTTPServer(("127.0.0.1", 0), _Health)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()


class _Health(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/healthz" else 404)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(b'{"status":"ok"}')

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the parent's name
        """Say nothing."""


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


# level, a word of the detail, how one looks
MACHINE: list[tuple[str, str, Callable[[Path], Finding]]] = [
    ("ok", "Python 3.11.2", lambda _: machine.python((3, 11, 2))),
    ("fail", "Python 3.10.9", lambda _: machine.python((3, 10, 9))),
    ("ok", "2 import", lambda _: machine.libraries(("json", "sqlite3"))),
    ("fail", "no_such_library", lambda _: machine.libraries(("json", "no_such_library"))),
    ("ok", "is writable", machine.writable),
    ("ok", "will be created", lambda path: machine.writable(path / "a" / "b")),
    ("fail", "no directory", lambda path: machine.writable(_file(path))),
    ("fail", "can't be written", lambda _: machine.writable(Path("/proc/1"))),
    ("ok", "2.0 GiB", lambda path: machine.disk(path, usage(2 * GIB))),
    ("ok", "1.0 GiB", lambda path: machine.disk(path, usage(GIB))),
    ("warn", "GiB free", lambda path: machine.disk(path, usage(GIB - 1))),
    ("warn", "GiB free", lambda path: machine.disk(path, usage(100 * 1024**2))),
    ("fail", "GiB free", lambda path: machine.disk(path, usage(100 * 1024**2 - 1))),
    ("ok", "write-ahead log works", machine.sqlite),
    ("fail", "SQLite 3.36.9", lambda path: machine.sqlite(path, (3, 36, 9))),
    ("fail", "SQLite", lambda _: machine.sqlite(Path("/proc/1"))),
    ("ok", "2026-11-21", lambda _: machine.clock(START_MS, None)),
    ("ok", "2026-11-21", lambda _: machine.clock(START_MS, START_MS + 5_000)),
    ("warn", "newest record", lambda _: machine.clock(START_MS, START_MS + 5_001)),
    ("fail", "1970-01-01", lambda _: machine.clock(0, None)),
    ("ok", "nothing stored", place.data),
    ("ok", "empty", lambda path: place.data(_stored(path))),
    ("fail", "can't be read", lambda path: place.data(_file(path, FILE).parent)),
    ("ok", "free", place.lock),
    ("ok", "1 in", lambda _: place.tenants(DEMO, "127.0.0.1")),
    ("fail", "does not exist", lambda path: place.tenants(path / "none", "127.0.0.1")),
    ("fail", "file", lambda path: place.tenants(_file(path), "127.0.0.1")),
    ("fail", "demo", lambda _: place.tenants(DEMO, "0.0.0.0")),
    ("warn", "demo", lambda _: place.tenants(DEMO, "0.0.0.0", allow_demo=True)),
]


def _file(path: Path, name: str = "file") -> Path:
    """Something that is neither a directory, nor SQLite, nor tenants."""
    (path / name).write_text("nonsense: [" * 100)
    return path / name


def _stored(path: Path) -> Path:
    """A directory in which nothing has happened yet."""

    async def open_and_close() -> None:
        await SqliteEngine(path).close()

    asyncio.run(open_and_close())
    return path


@pytest.mark.parametrize(("level", "word", "look"), MACHINE)
def test_a_finding_has_its_level_and_its_fix(
    level: str, word: str, look: Callable[[Path], Finding], tmp_path: Path
) -> None:
    finding = look(tmp_path)
    assert (finding.level, word in finding.detail) == (level, True), finding
    assert bool(finding.fix) == (level != "ok")


def test_looking_leaves_nothing_behind(tmp_path: Path) -> None:
    machine.writable(tmp_path)
    machine.sqlite(tmp_path)
    place.lock(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_free_ports_are_free() -> None:
    assert machine.ports("127.0.0.1", _free_port(), _free_port()).level == "ok"


def test_a_port_of_another_program_is_named(taken: int) -> None:
    finding = machine.ports("127.0.0.1", taken, _free_port())
    assert (finding.level, str(taken) in finding.detail) == ("fail", True)


def test_ports_that_we_serve_ourselves_are_well(taken: int, ours: int) -> None:
    finding = machine.ports("127.0.0.1", taken, ours)
    assert (finding.level, finding.detail.endswith("the service is running")) == ("ok", True)


@pytest.mark.asyncio
async def test_the_lock_names_who_holds_it(tmp_path: Path) -> None:
    engine = SqliteEngine(tmp_path)
    held = place.lock(tmp_path)
    await engine.close()
    assert held.level == "ok"
    assert held.detail.startswith("held by process ")
    assert place.lock(tmp_path).detail == "free"


def test_a_data_directory_that_is_played_on_says_how_new_it_is(data_dir: Path) -> None:
    assert place.data(data_dir).detail.startswith("newest record of 2026-11-21T14:")
    newest = place.newest_record(data_dir)
    assert newest is not None
    assert newest > START_MS
    assert place.newest_record(data_dir / "none") is None


def test_the_command_shows_every_finding(tmp_path: Path) -> None:
    settings = {"AFTERCALL_DATA_DIR": str(tmp_path), "AFTERCALL_PORT": str(_free_port())}
    shown = typed("doctor", "--json", **settings)
    rows = json.loads(shown.stdout)
    assert [row["name"] for row in rows] == [
        "python",
        "libraries",
        "data directory",
        "disk",
        "sqlite",
        "data",
        "lock",
        "clock",
        "ports",
        "tenants",
    ]
    assert shown.exit_code == int(any(row["level"] == "fail" for row in rows))


def test_the_command_fails_when_something_does(tmp_path: Path) -> None:
    shown = typed("doctor", "--data-dir", str(_file(tmp_path)), AFTERCALL_PORT="0")
    assert shown.exit_code == 1
    assert "is no directory" in shown.stdout
