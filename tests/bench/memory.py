"""(d) Memory of the three processes: idle, and under load, stretch by stretch.

One client follows the stream, so that the gateway keeps what it keeps for those who do. Caches and
buffers fill during the first stretch; from then on nothing has a reason to grow.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import aiohttp

from tests.bench.paced import dispose, prepare
from tests.bench.place import fresh_place, prepared
from tests.bench.trio import running
from tests.support.cluster_product import ServiceProcess
from tests.support.product import AGENT

IDLE_S: Final = 6.0
RATE: Final = 300
STRETCH_S: Final = 12.0
STRETCHES: Final = 5
FLAT: Final = 1.05  # the last stretch's end to the first's


async def measure(bootstrap: str, mongo_url: str) -> dict[str, Any]:
    place = fresh_place(bootstrap, mongo_url)
    async with prepared(place), running(place) as processes:
        began = _memory(processes)
        await asyncio.sleep(IDLE_S)
        idle = _memory(processes)
        loaded = []
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=512)) as http:
            url = processes["gateway"].url
            await prepare(http, url)
            async with _follower(http, url):
                for _ in range(STRETCHES):
                    await dispose(http, url, RATE, STRETCH_S)
                    loaded.append(_memory(processes))
    return {
        role: {
            "start_mib": began[role],
            "idle_mib": idle[role],
            "loaded_mib": [stretch[role] for stretch in loaded],
            "flat": loaded[-1][role] <= loaded[0][role] * FLAT,
        }
        for role in processes
    }


@asynccontextmanager
async def _follower(http: aiohttp.ClientSession, url: str) -> AsyncIterator[None]:
    """A client that reads whatever is told, and must not have ended before us."""
    timeout = aiohttp.ClientTimeout(total=None)
    async with http.get(f"{url}/v1/stream", headers=AGENT, timeout=timeout) as told:
        assert told.status == 200, await told.text()

        async def read() -> None:
            async for _ in told.content.iter_any():
                pass

        reading = asyncio.create_task(read())
        yield
        assert not reading.done(), "the stream has ended"
        reading.cancel()


def _memory(processes: dict[str, ServiceProcess]) -> dict[str, int]:
    return {role: process.use().memory_mib for role, process in processes.items()}


def tell(found: dict[str, Any]) -> None:
    for role, one in found.items():
        print(
            f"memory, {role:9}  {one['start_mib']} MiB at start, {one['idle_mib']} idle,"
            f" {one['loaded_mib']} after each stretch of {STRETCH_S:.0f} s at {RATE}/s:"
            f" {'flat' if one['flat'] else 'GROWS'}"
        )
