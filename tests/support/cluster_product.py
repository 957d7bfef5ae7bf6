"""The cluster profile as it runs: a broker, a mongod, and services as processes of their own.

Each process can be killed, frozen, thawed and stopped. Who ends by itself is started again, as
compose or systemd would, and its end is kept, for it has to be explained.
"""

import asyncio
import os
import secrets
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import aiohttp
from typing_extensions import override

from shared.adapters.cluster.topics import apply_topics
from tests.support.parts import ROOT, KafkaBroker, MongoServer, Part
from tests.support.ports import free_port
from tests.support.product import DEMO_TENANTS

PARTITIONS: Final = 4
READY_S: Final = 90.0
DRAIN_S: Final = 40.0
LOOK_S: Final = 0.02
RESTART_S: Final = 0.1  # as systemd waits
TAIL_CHARS: Final = 2500
KIBIBYTES_IN_MEBIBYTE: Final = 1024


@dataclass(frozen=True)
class End:
    """How one life of a process has ended.

    Attributes:
        code: as the system has it; -9 for SIGKILL.
        meant: whether the harness brought it about.
        said: the last that it has written.
    """

    process: str
    code: int
    meant: bool
    said: str


@dataclass(frozen=True)
class Use:
    """What a process takes of the machine."""

    memory_mib: int
    descriptors: int


def never() -> bool:
    """No."""
    return False


class ServiceProcess(Part):
    """One service. `main` is the module that is run, with the role as its argument."""

    def __init__(self, name: str, role: str, folder: Path, main: Sequence[str]) -> None:
        super().__init__(name, folder)
        self.name = name
        self.role = role
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.admin_url = f"http://127.0.0.1:{self.port + 1}"
        self.wanted = False  # running: else nobody starts it again
        self.meant = False  # its end is the harness's doing
        self.excused: Callable[[], bool] = never  # so is a SIGKILL that this says yes to, once
        self.lives = 0
        self._main = main
        self._said_from = 0

    @override
    def command(self) -> list[str]:
        return [sys.executable, "-m", *self._main, self.role]

    @override
    def spawn(self) -> None:
        self._said_from = self.log_path.stat().st_size if self.log_path.exists() else 0
        self.meant = False
        self.wanted = True
        self.lives += 1
        named = {"AFTERCALL_TENANTS_FILE": str(DEMO_TENANTS)}  # unless another one was
        self.environment = named | (os.environ if self.environment is None else self.environment)
        super().spawn()

    def said(self, chars: int = TAIL_CHARS) -> str:
        """The last that this life has written."""
        if not self.log_path.exists():
            return ""
        with self.log_path.open("rb") as log:
            log.seek(self._said_from)
            return log.read().decode(errors="replace")[-chars:]

    def send(self, number: signal.Signals) -> None:
        """A signal, if it lives."""
        if self.process is not None:
            self.process.send_signal(number)

    def reap(self) -> End | None:
        """How it has ended, if it has."""
        code = None if self.process is None else self.process.poll()
        if code is None:
            return None
        self.process = None
        meant = self.meant
        if not meant and code == -signal.SIGKILL and self.excused():
            meant, self.excused = True, never
        return End(self.name, code, meant, self.said())

    def use(self) -> Use:
        """What it takes now."""
        assert self.process is not None
        place = Path(f"/proc/{self.process.pid}")
        rows = dict(
            row.split(":", 1) for row in (place / "status").read_text().splitlines() if ":" in row
        )
        memory_kib = int(rows["VmRSS"].split()[0])
        return Use(memory_kib // KIBIBYTES_IN_MEBIBYTE, len(list((place / "fd").iterdir())))


class Cluster:
    """The services between one broker and one mongod, with topics and a database of their own.

    Args:
        main: what runs a service; the product's own command by default.
        settings: of every process, by the names of the product's settings.
    """

    def __init__(
        self,
        broker: KafkaBroker,
        mongod: MongoServer,
        folder: Path,
        *,
        main: Sequence[str] = ("services.cli",),
        **settings: object,
    ) -> None:
        self.broker = broker
        self.mongod = mongod
        self.folder = folder
        self.prefix = f"{secrets.token_hex(4)}."
        self.processes: dict[str, ServiceProcess] = {}
        self.ends: list[End] = []
        self._main = main
        self._settings = settings
        self._supervising: asyncio.Task[None] | None = None

    def environment(self, **more: object) -> dict[str, str]:
        """Of a process; also of a command that looks at the same cluster."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith("AFTERCALL_")}
        host, _, query = self.mongod.url.partition("/?")
        ours = {
            "PROFILE": "cluster",
            "KAFKA_BOOTSTRAP": self.broker.bootstrap,
            "MONGO_URL": f"{host}/f{self.prefix.rstrip('.')}?{query}",
            "TOPIC_PREFIX": self.prefix,
            "TOPIC_PARTITIONS": PARTITIONS,
            "LOG_LEVEL": "warning",
            **self._settings,
            **more,
        }
        named = {f"AFTERCALL_{name.upper()}": str(value) for name, value in ours.items()}
        return kept | {"PYTHONPATH": str(ROOT)} | named

    def add(self, name: str, role: str, **settings: object) -> ServiceProcess:
        """One more service, not yet started."""
        process = ServiceProcess(name, role, self.folder / name, self._main)
        process.environment = self.environment(
            port=process.port, admin_port=process.port + 1, **settings
        )
        self.processes[name] = process
        return process

    def of_role(self, role: str) -> list[ServiceProcess]:
        """Those that are to be running."""
        return [one for one in self.processes.values() if one.role == role and one.wanted]

    async def start(self, *processes: ServiceProcess) -> None:
        """Start, and wait until all say that they are ready."""
        for process in processes:
            process.spawn()
        await self.ready(*processes)

    async def ready(self, *processes: ServiceProcess) -> None:
        """Wait until these, or all that are to be running, say that they are ready."""
        waited = processes or tuple(one for one in self.processes.values() if one.wanted)
        timeout = aiohttp.ClientTimeout(total=5)
        async with aiohttp.ClientSession(timeout=timeout) as http:
            for process in waited:
                try:
                    async with asyncio.timeout(READY_S):
                        while not await _is_ready(http, process):
                            await asyncio.sleep(LOOK_S)
                except TimeoutError:
                    raise AssertionError(f"{process.name} is not ready in {READY_S} s") from None

    async def stop(self, process: ServiceProcess) -> End:
        """SIGTERM, and nobody starts it again."""
        process.wanted = False
        process.meant = True
        process.send(signal.SIGTERM)
        async with asyncio.timeout(DRAIN_S):
            while process.process is not None:
                await asyncio.sleep(LOOK_S)
        return next(end for end in reversed(self.ends) if end.process == process.name)

    async def end_all(self) -> None:
        """SIGTERM to all that run, gateways first; each must end well."""
        for role in ("gateway", "callstate", "worker"):
            for end in await asyncio.gather(*(self.stop(one) for one in self.of_role(role))):
                assert end.code == 0, f"{end.process} was told to stop: {end.code} {end.said}"

    def kill(self, process: ServiceProcess) -> None:
        """kill -9; it comes back by itself."""
        process.meant = True
        process.send(signal.SIGKILL)

    async def back(self, part: Part) -> None:
        """Start a broker or a mongod again after a kill."""
        part.spawn()  # here, for it dies with the thread that started it
        await asyncio.to_thread(part.wait)

    async def _supervise(self) -> None:
        while True:
            for process in self.processes.values():
                end = process.reap()
                if end is None:
                    continue
                self.ends.append(end)
                if process.wanted:
                    await asyncio.sleep(RESTART_S)
                    process.spawn()
            await asyncio.sleep(LOOK_S)

    def account(self) -> Iterator[str]:
        """What each process was and said last, for whoever looks for the reason of a failure."""
        for process in self.processes.values():
            ends = [end.code for end in self.ends if end.process == process.name]
            yield f"--- {process.name}: {process.lives} lives, ended with {ends}\n{process.said()}"
        for end in self.ends:
            if not end.meant:
                yield f"--- {end.process} ended by itself with {end.code}\n{end.said}"

    async def __aenter__(self) -> Self:
        await apply_topics(
            self.broker.bootstrap, partitions=PARTITIONS, replication=1, prefix=self.prefix
        )
        self._supervising = asyncio.create_task(self._supervise())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._supervising is not None:
            self._supervising.cancel()
            with suppress(asyncio.CancelledError):
                await self._supervising
        for process in self.processes.values():
            process.end()


async def _is_ready(http: aiohttp.ClientSession, process: ServiceProcess) -> bool:
    try:
        async with http.get(f"{process.admin_url}/readyz") as answer:
            return answer.status == 200
    except (aiohttp.ClientError, TimeoutError):
        return False
