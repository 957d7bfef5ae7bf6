"""The embedded profile: its whole path against a bare handler, and how long a verdict takes."""

import asyncio
import shutil
import statistics
import tempfile
from pathlib import Path
from typing import Any, Final

import aiohttp

from tests.bench.paced import dispose, percentile, prepare
from tests.bench.wrk import bare_handler, wrk
from tests.support.product import Product

SCRIPT: Final = "dispose.lua"
ROUNDS: Final = 3
WARM_S: Final = 2
PACES: Final = (100, 500)  # requests a second
PACED_S: Final = 10


def measure_throughput(product: Product) -> dict[str, float]:
    """The whole path and the bare handler in turn, so that a drifting machine hits both."""
    with bare_handler() as bare:
        for port in (product.port, bare):
            wrk(port, SCRIPT, WARM_S)
        pairs = [(wrk(product.port, SCRIPT), wrk(bare, SCRIPT)) for _ in range(ROUNDS)]
    whole, alone = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = statistics.median(mine / yardstick for mine, yardstick in pairs)
    return {"whole_path_per_s": whole, "bare_per_s": alone, "ratio": ratio}


async def measure() -> dict[str, Any]:
    folder = Path(tempfile.mkdtemp(prefix="aftercall-bench-"))
    product = Product(folder / "data")
    try:
        await product.start()
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=512)) as http:
            await prepare(http, product.url)
            verdicts = {}
            for rate in PACES:
                taken, pending = await dispose(http, product.url, rate, PACED_S)
                verdicts[f"{rate}/s"] = {
                    "p50_ms": percentile(taken, 0.5),
                    "p99_ms": percentile(taken, 0.99),
                    "pending": pending,
                }
        throughput = await asyncio.to_thread(measure_throughput, product)
        assert product.stop() == 0
        return {"throughput": throughput, "verdict": verdicts}
    finally:
        product.end()
        shutil.rmtree(folder, ignore_errors=True)


def tell(found: dict[str, Any]) -> None:
    throughput = found["throughput"]
    print(
        f"dispositions, embedded     {throughput['whole_path_per_s']:7.0f} /s"
        f"   bare handler {throughput['bare_per_s']:7.0f} /s   ratio {throughput['ratio']:.2f}"
    )
    for rate, times in found["verdict"].items():
        print(
            f"verdict, embedded, {rate:6}         p50 {times['p50_ms']:7.2f} ms"
            f"   p99 {times['p99_ms']:7.2f} ms"
        )
