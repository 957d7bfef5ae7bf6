"""The product on the cluster profile, as it is run: its commands, a process each."""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import aiohttp

from tests.bench.place import Place
from tests.support.cluster_product import ServiceProcess
from tests.support.parts import ROOT

ROLES: Final = ("gateway", "callstate", "worker")
READY_S: Final = 60.0


@asynccontextmanager
async def running(
    place: Place, roles: Sequence[str] = ROLES
) -> AsyncIterator[dict[str, ServiceProcess]]:
    """These services, each one process, ready."""
    with tempfile.TemporaryDirectory(prefix="aftercall-bench-") as folder:
        processes = {role: _process(place, role, Path(folder)) for role in roles}
        try:
            for process in processes.values():
                process.spawn()
            async with aiohttp.ClientSession() as http:
                for process in processes.values():
                    await _ready(http, process)
            yield processes
        finally:
            for process in processes.values():
                process.end()


def _process(place: Place, role: str, folder: Path) -> ServiceProcess:
    process = ServiceProcess(role, role, folder / role, ("services.cli",))
    kept = {k: v for k, v in os.environ.items() if not k.startswith("AFTERCALL_")}
    ours = {
        "PROFILE": "cluster",
        "KAFKA_BOOTSTRAP": place.bootstrap,
        "MONGO_URL": place.url,
        "TOPIC_PREFIX": place.prefix,
        "PORT": process.port,
        "ADMIN_PORT": process.port + 1,
        "LOG_LEVEL": "warning",
    }
    process.environment = (
        kept
        | {"PYTHONPATH": str(ROOT)}
        | {f"AFTERCALL_{name}": str(value) for name, value in ours.items()}
    )
    return process


async def _ready(http: aiohttp.ClientSession, process: ServiceProcess) -> None:
    async with asyncio.timeout(READY_S):
        while True:
            assert process.process is not None
            assert process.process.poll() is None, process.said()
            try:
                async with http.get(f"{process.admin_url}/readyz") as answer:
                    if answer.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.05)
