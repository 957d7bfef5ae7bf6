"""A real Kamailio, real SIP calls by sipp, and a cable between Kamailio and us that can be cut.

Kamailio runs the configuration that users get, on free ports of loopback, told by its defines.
Every process is ended by its pid, and nothing waits longer than its limit.
"""

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Self

from services.callstate.resync import http_snapshot
from tests.support.parts import skip_or_fail
from tests.support.ports import HOST, free_port

ROOT: Final = Path(__file__).parents[2]
CONFIGURATION: Final = ROOT / "deploy" / "kamailio" / "kamailio.cfg"
SCENARIOS: Final = ROOT / "tests" / "e2e" / "sip" / "scenarios"
START_S: Final = 15.0
STOP_S: Final = 10.0
CALL_S: Final = 25
CONFIRMED: Final = 4  # the state of a dialog whose ACK has come


def require_parts() -> None:
    """Skip where the parts are not to be had; with CI=true that is a failure."""
    missing = [name for name in ("kamailio", "sipp") if which(name) is None]
    if missing:
        skip_or_fail(f"{', '.join(missing)} not installed (tests/support/parts.sh installs)")


def which(name: str) -> str | None:
    """Where a program is; Debian keeps servers off an ordinary user's path."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin")


class Kamailio:
    """One Kamailio; after `stop` or `kill` it may be started again on the same ports."""

    def __init__(self, directory: Path, *, ring_ms: int = 20_000) -> None:
        self.sip_port = free_port()
        self.agents_port = free_port()
        self.evapi_port = free_port()
        self.http_port = free_port()
        self.dialogs_url = f"http://{HOST}:{self.http_port}/dialogs"
        self.log_path = directory / "kamailio.log"
        self._directory = directory
        self._ring_ms = ring_ms
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        """Start, and wait until it takes connections."""
        defines = {
            "SIP_LISTEN": f"udp:{HOST}:{self.sip_port}",
            "HTTP_LISTEN": f"tcp:{HOST}:{self.http_port}",
            "EVAPI_LISTEN": f'"{HOST}:{self.evapi_port}"',
            "AGENTS": f'"sip:{HOST}:{self.agents_port}"',
            "RING_MS": str(self._ring_ms),
        }
        command = [which("kamailio") or "kamailio", "-DD", "-E", "-f", str(CONFIGURATION)]
        command += ["-Y", str(self._directory), "-m", "32", "-M", "4"]
        for name, value in defines.items():
            command += ["-A", f"{name}={value}"]
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True
            )
        self._wait_until_ready(self._process)
        return self

    def stop(self) -> None:
        """End it and its children."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it and its children at once; every dialog is forgotten."""
        self._end(signal.SIGKILL)

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        until = time.monotonic() + START_S
        while time.monotonic() < until:
            if process.poll() is not None:
                break
            with suppress(OSError):
                with socket.create_connection((HOST, self.http_port), timeout=1):
                    pass
                with socket.create_connection((HOST, self.evapi_port), timeout=1):
                    return
            time.sleep(0.05)
        self.kill()
        raise RuntimeError(f"kamailio did not start: {self.log_path.read_text()[-2000:]}")

    def _end(self, number: signal.Signals) -> None:
        """Signal the process group that this one process leads."""
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(STOP_S)


class Phone:
    """One run of sipp: an agent's phone, or a caller."""

    def __init__(self, directory: Path, scenario: str, arguments: Sequence[str], port: int) -> None:
        self.port = port
        self._errors = directory / f"{scenario}-{port}.log"
        self.process = subprocess.Popen(
            [
                which("sipp") or "sipp",
                *("-sf", str(SCENARIOS / f"{scenario}.xml"), "-i", HOST, "-p", str(port)),
                *("-nostdin", "-timeout", str(CALL_S), "-timeout_error"),
                *("-trace_err", "-error_file", str(self._errors), *arguments),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
            cwd=directory,
        )

    def go_on(self, sip_call_id: str) -> None:
        """Tell the scenario to go on; it waits for an INFO in the call."""
        about = [
            "INFO sip:test SIP/2.0",
            f"Via: SIP/2.0/UDP {HOST}:9;branch=z9hG4bK-hang-up",
            "From: <sip:test@localhost>;tag=test",
            "To: <sip:test@localhost>",
            f"Call-ID: {sip_call_id}",
            "CSeq: 1 INFO",
            "Content-Length: 0",
        ]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto("\r\n".join([*about, "", ""]).encode(), (HOST, self.port))

    async def done(self) -> None:
        """Wait for the end of its scenario, which must have gone as written."""
        code = await asyncio.to_thread(self.process.wait, CALL_S + 5)
        told = self._errors.read_text()[-2000:] if self._errors.exists() else ""
        assert code == 0, f"sipp ended with {code}: {told}"

    def end(self) -> None:
        """Gone, however far it is."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(STOP_S)


class CallFloor:
    """Agents' phones behind one Kamailio, and callers in front of it."""

    def __init__(self, directory: Path, kamailio: Kamailio) -> None:
        self.kamailio = kamailio
        self._directory = directory
        self._phones: list[Phone] = []

    async def agents(self, scenario: str = "agent", *, calls: int = 1, talk_ms: int = 100) -> Phone:
        """Put agents' phones on the port that Kamailio relays to; back when they listen."""
        arguments = ["-m", str(calls), "-d", str(talk_ms)]
        phone = self._keep(Phone(self._directory, scenario, arguments, self.kamailio.agents_port))
        async with asyncio.timeout(10):
            while not _is_taken(phone.port):
                assert phone.process.poll() is None, "sipp did not start"
                await asyncio.sleep(0.02)
        return phone

    def call(
        self,
        scenario: str = "caller",
        *,
        agent: str = "agent-7",
        talk_ms: int = 100,
        more: Sequence[str] = (),
    ) -> Phone:
        """Let somebody call an agent."""
        to = f"{HOST}:{self.kamailio.sip_port}"
        arguments = [to, "-s", agent, "-m", "1", "-d", str(talk_ms), *more]
        port = free_port()
        return self._keep(Phone(self._directory, scenario, arguments, port))

    async def hang_up(self, caller: Phone, sip_call_id: str) -> None:
        """Let a caller hang up, once it has acknowledged the answer: sooner, sipp would stumble."""
        await self.until_up(sip_call_id)
        caller.go_on(sip_call_id)

    async def until_up(self, *sip_call_ids: str) -> None:
        """Wait until Kamailio has seen the ACK of each of these calls."""
        async with asyncio.timeout(10):
            while not set(sip_call_ids) <= set(await self.up()):
                await asyncio.sleep(0.02)

    async def up(self) -> list[str]:
        """The Call-IDs of the calls that are up, as Kamailio has it."""
        dialogs = json.loads(await http_snapshot(self.kamailio.dialogs_url)())["result"]
        return [dialog["call-id"] for dialog in dialogs if dialog["state"] == CONFIRMED]

    def end(self) -> None:
        """End every phone."""
        for phone in self._phones:
            phone.end()

    def _keep(self, phone: Phone) -> Phone:
        self._phones.append(phone)
        return phone


class Cable:
    """A TCP connection to somewhere, through a port of its own, that can be cut and joined."""

    def __init__(self, port: int) -> None:
        self.port = free_port()
        self._far_port = port
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def join(self) -> None:
        """Take connections, from now on."""
        self._server = await asyncio.start_server(self._carry, HOST, self.port)

    async def cut(self) -> None:
        """Break what goes through and take no more."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        for writer in tuple(self._writers):
            writer.transport.abort()
        while self._writers:
            await asyncio.sleep(0.01)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(HOST, self._far_port)
        self._writers |= {writer, far_writer}
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(_pump(reader, far_writer))
                both.create_task(_pump(far_reader, writer))
        finally:
            writer.close()
            far_writer.close()
            self._writers -= {writer, far_writer}


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.transport.abort()


def _is_taken(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((HOST, port))
        except OSError:
            return True
    return False


def source_entry(kamailio: Kamailio, **changed: Any) -> dict[str, Any]:
    """The entry under `sources:` of a tenant that listens to this Kamailio."""
    return {
        "kind": "kamailio",
        "host": HOST,
        "port": kamailio.evapi_port,
        "dialogs": kamailio.dialogs_url,
        **changed,
    }
