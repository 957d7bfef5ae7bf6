"""The product as a process of its own: started, asked over HTTP, stopped or killed by pid."""

import asyncio
import os
import secrets
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Final, Self

import aiohttp
from typing_extensions import override

from shared.adapters.cluster.topics import apply_topics
from tests.support.ports import free_port

ROOT: Final = Path(__file__).parents[2]
DEMO_TENANTS: Final = ROOT / "deploy" / "demo" / "tenants.yaml"
READY_S: Final = 60.0
STOP_S: Final = 30.0

SWITCH: Final = {"Authorization": "Bearer demo-switch-key"}
AGENT: Final = {"Authorization": "Bearer demo-key"}


class Product:
    """One process on one data directory; may be started again after a stop or a kill."""

    profile = "embedded"

    def __init__(self, data_dir: Path, **settings: object) -> None:
        self.port = free_port()
        self.data_dir = data_dir
        self.log_path = data_dir.parent / f"{data_dir.name}.log"
        self.url = f"http://127.0.0.1:{self.port}"
        self.admin_url = f"http://127.0.0.1:{self.port + 1}"
        self.process: subprocess.Popen[bytes] | None = None
        self._settings = settings

    def environment(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith("AFTERCALL_")}
        ours = {
            "PORT": self.port,
            "DATA_DIR": self.data_dir,
            "DEMO_TRAFFIC": 0,
            "LOG_LEVEL": "warning",
            **self._settings,
        }
        return kept | {f"AFTERCALL_{name.upper()}": str(value) for name, value in ours.items()}

    def spawn(self) -> None:
        """Start the process, without waiting for it."""
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "services"],
                cwd=ROOT,
                env=self.environment(),
                stdout=log,
                stderr=log,
            )

    async def start(self) -> None:
        """Start, and wait until it says it is ready."""
        self.spawn()
        assert self.process is not None
        async with aiohttp.ClientSession() as http:
            await self._ready(http, self.process, self.admin_url)

    async def _ready(
        self, http: aiohttp.ClientSession, process: subprocess.Popen[bytes], admin_url: str
    ) -> None:
        deadline = asyncio.get_running_loop().time() + READY_S
        while asyncio.get_running_loop().time() < deadline:
            assert process.poll() is None, self.log_path.read_text()[-2000:]
            try:
                async with http.get(f"{admin_url}/readyz") as answer:
                    if answer.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.02)
        raise TimeoutError(self.log_path.read_text()[-2000:])

    def kill(self) -> None:
        """kill -9."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """SIGTERM; the exit code after the drain."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_S)

    def end(self) -> None:
        """Whatever state it is in: gone."""
        if self.process is not None and self.process.poll() is None:
            self.kill()

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            self.end()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self.end()


class ClusterProduct(Product):
    """The three services as processes of their own, on a broker and a store that run already."""

    profile = "cluster"
    roles: Final = ("callstate", "worker", "gateway")

    def __init__(self, data_dir: Path, kafka: str, mongo_url: str, **settings: object) -> None:
        name = f"p{secrets.token_hex(4)}"
        host, _, query = mongo_url.partition("/?")
        super().__init__(
            data_dir,
            profile="cluster",
            kafka_bootstrap=kafka,
            mongo_url=f"{host}/{name}?{query}",
            topic_prefix=f"{name}.",
            topic_partitions=4,
            **{"tenants_file": DEMO_TENANTS, **settings},
        )
        self._kafka = kafka
        self._prefix = f"{name}."
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._admin_ports = {"gateway": self.port + 1} | {
            role: free_port() for role in ("callstate", "worker")
        }

    @override
    async def start(self) -> None:
        await apply_topics(self._kafka, partitions=4, replication=1, prefix=self._prefix)
        for role in self.roles:
            self._spawn(role)
        async with aiohttp.ClientSession() as http:
            for role, port in self._admin_ports.items():
                await self._ready(http, self._processes[role], f"http://127.0.0.1:{port}")

    def _spawn(self, role: str) -> None:
        own = {"AFTERCALL_ADMIN_PORT": str(self._admin_ports[role])}
        with self.log_path.open("ab") as log:
            self._processes[role] = subprocess.Popen(
                [sys.executable, "-m", "services.cli", role],
                cwd=ROOT,
                env=self.environment() | own | {"AFTERCALL_INSTANCE": f"{self._prefix}{role}"},
                stdout=log,
                stderr=log,
            )

    @override
    def kill(self) -> None:
        for process in self._processes.values():
            process.kill()
        for process in self._processes.values():
            process.wait()

    @override
    def stop(self) -> int:
        codes = []
        for role in reversed(self.roles):
            process = self._processes[role]
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            codes.append(process.wait(STOP_S))
        return max(codes, key=abs)

    @override
    def end(self) -> None:
        self.kill()


def cloud_event(call_id: str, event_type: str, data: dict[str, Any], event_id: str = "") -> Any:
    """A telephony event in structured mode."""
    return {
        "specversion": "1.0",
        "id": event_id or f"{call_id}-{event_type}",
        "source": "/tests/switch",
        "type": event_type,
        "subject": call_id,
        "data": data,
    }
