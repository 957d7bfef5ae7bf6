"""(b) How long a verdict takes over HTTP, through three processes, a broker and a store."""

import asyncio
from typing import Any, Final

import aiohttp

from tests.bench.paced import dispose, percentile, prepare
from tests.bench.place import fresh_place, prepared
from tests.bench.trio import running

PACES: Final = (50, 500)  # requests a second
SECONDS: Final = 12.0
WARM_S: Final = 4.0
SETTLE_S: Final = 1.0


async def measure(bootstrap: str, mongo_url: str) -> dict[str, Any]:
    place = fresh_place(bootstrap, mongo_url)
    async with prepared(place), running(place) as processes:
        return await _measure(processes["gateway"].url)


async def _measure(url: str) -> dict[str, Any]:
    found = {}
    connector = aiohttp.TCPConnector(limit=512, keepalive_timeout=5)  # before the gateway does
    async with aiohttp.ClientSession(connector=connector) as http:
        await prepare(http, url)
        await dispose(http, url, PACES[-1], WARM_S)
        for rate in PACES:
            await asyncio.sleep(SETTLE_S)
            taken, pending = await dispose(http, url, rate, SECONDS)
            found[f"{rate}/s"] = {
                "p50_ms": percentile(taken, 0.5),
                "p99_ms": percentile(taken, 0.99),
                "max_ms": percentile(taken, 1.0),
                "asked": len(taken),
                "pending": pending,
            }
    return found


def tell(found: dict[str, Any]) -> None:
    for rate, one in found.items():
        print(
            f"verdict, three processes, {rate:6}  p50 {one['p50_ms']:7.2f} ms"
            f"   p99 {one['p99_ms']:7.2f} ms   ({one['asked']} asked, {one['pending']} pending)"
        )
