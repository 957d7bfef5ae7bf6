"""What a process writes to standard error: JSON, whoever says it."""

import json
import socket
import subprocess
import sys
from typing import Any, Final

SAYS: Final = """
import asyncio, gc, logging, warnings
import structlog
from shared.observability.logging import configure_logging

async def leave_a_task_alone():
    async def fail():
        raise ConnectionError("nobody waits")
    task = asyncio.ensure_future(fail())
    await asyncio.sleep(0.01)
    del task
    gc.collect()

configure_logging()
structlog.get_logger().info("ours", call="one")
logging.getLogger("theirs").warning("line %d\\nand another", 2)
logging.getLogger("theirs").info("not worth it")
try:
    raise ValueError("why")
except ValueError:
    logging.getLogger("theirs").exception("it broke")
warnings.warn("an odd option")
asyncio.run(leave_a_task_alone())
"""


LINES: Final = 5
PACKET_BYTES: Final = 64 * 1024


def written(code: str) -> list[dict[str, Any]]:
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == ""
    return [json.loads(line) for line in ran.stderr.splitlines()]


def test_every_line_is_one_json_object_whoever_says_it() -> None:
    lines = written(SAYS)
    assert [line.get("logger") for line in lines] == [
        None,
        "theirs",
        "theirs",
        "py.warnings",
        "asyncio",
    ]
    assert [line["level"] for line in lines] == ["info", "warning", "error", "warning", "error"]
    assert all(line["timestamp"].endswith("Z") for line in lines)
    ours, theirs, broke, warned, alone = lines
    assert (ours["event"], ours["call"]) == ("ours", "one")
    assert theirs["event"] == "line 2\nand another"
    assert broke["exception"].endswith("ValueError: why")
    assert "an odd option" in warned["event"]
    assert alone["event"].startswith("Task exception was never retrieved")
    assert alone["exception"].endswith("ConnectionError: nobody waits")


def test_each_line_is_written_at_once_however_little_python_buffers() -> None:
    """To a socket of packets every write is one of them."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        unbuffered = [sys.executable, "-u", "-c", SAYS]
        subprocess.run(unbuffered, stderr=theirs.fileno(), check=True)
        theirs.close()
        writes = list(iter(lambda: ours.recv(PACKET_BYTES), b""))
    assert len(writes) == LINES
    assert [write for write in writes if write.count(b"\n") != 1 or not write.endswith(b"\n")] == []
