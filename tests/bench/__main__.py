"""`make bench`: the whole embedded path against a bare handler, and how long a verdict takes.

Everything runs on this machine at the same time, load generator included, so only the ratios and
the order of magnitude mean something elsewhere.
"""

import asyncio
import json
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any, Final

import aiohttp

from tests.support.product import AGENT, ROOT, SWITCH, Product, cloud_event, free_port

CALLS: Final = 5_000
ROUNDS: Final = 3
SECONDS: Final = 6
CONNECTIONS: Final = 128
PACES: Final = (100, 500)  # requests a second
PACED_S: Final = 10


async def prepare(http: aiohttp.ClientSession, url: str) -> None:
    """So many calls, each with agent-1 on it."""
    headers = SWITCH | {"Content-Type": "application/cloudevents-batch+json"}
    for first in range(0, CALLS, 500):
        events = [
            cloud_event(f"b{number}", event_type, data)
            for number in range(first, first + 500)
            for event_type, data in (
                ("call.started", {"direction": "inbound"}),
                ("call.agent_joined", {"agent_id": "agent-1"}),
            )
        ]
        async with http.post(f"{url}/v1/events", json=events, headers=headers) as answer:
            assert answer.status == 200, await answer.text()


def wrk(port: int, seconds: int = SECONDS) -> float:
    """Requests a second; every answer must be a success."""
    done = subprocess.run(
        [
            "wrk",
            "-t1",
            f"-c{CONNECTIONS}",
            f"-d{seconds}s",
            "-s",
            "tests/bench/dispose.lua",
            f"http://127.0.0.1:{port}",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "Non-2xx" not in done.stdout, done.stdout
    found = re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)
    assert found is not None, done.stdout
    return float(found.group(1))


async def paced(http: aiohttp.ClientSession, url: str, rate: int) -> list[float]:
    """Verdict times in ms at this many requests a second, from when each was due to be sent."""
    loop = asyncio.get_running_loop()
    began = loop.time() + 0.1
    taken: list[float] = []
    body = b'{"agent_id":"agent-1","code":"Interested"}'
    headers = AGENT | {"Content-Type": "application/json"}

    async def ask(number: int) -> None:
        due = began + number / rate
        await asyncio.sleep(due - loop.time())
        sent = perf_counter()
        path = f"/v1/calls/b{number % CALLS}/disposition"
        async with http.post(url + path, data=body, headers=headers) as answer:
            assert answer.status == 200, await answer.text()
            await answer.read()
        taken.append((perf_counter() - sent) * 1000)

    await asyncio.gather(*(ask(number) for number in range(rate * PACED_S)))
    return sorted(taken)


def measure_throughput(product: Product) -> dict[str, float]:
    """The whole path and the bare handler in turn, so that a drifting machine hits both."""
    port = free_port()
    bare = subprocess.Popen([sys.executable, "-m", "tests.bench.bare", str(port)], cwd=ROOT)
    try:
        wrk(product.port, 2)
        wrk(port, 2)
        pairs = [(wrk(product.port), wrk(port)) for _ in range(ROUNDS)]
    finally:
        bare.kill()
        bare.wait()
    whole, alone = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = statistics.median(mine / yardstick for mine, yardstick in pairs)
    return {"whole_path_per_s": whole, "bare_per_s": alone, "ratio": ratio}


async def run() -> dict[str, Any]:
    folder = Path(tempfile.mkdtemp(prefix="aftercall-bench-"))
    product = Product(folder / "data")
    try:
        await product.start()
        connector = aiohttp.TCPConnector(limit=256)
        async with aiohttp.ClientSession(connector=connector) as http:
            await prepare(http, product.url)
            verdicts = {}
            for rate in PACES:
                taken = await paced(http, product.url, rate)
                verdicts[f"{rate}/s"] = {
                    "p50_ms": round(taken[len(taken) // 2], 2),
                    "p99_ms": round(taken[int(len(taken) * 0.99)], 2),
                }
        throughput = await asyncio.to_thread(measure_throughput, product)
        assert product.stop() == 0
        return {"throughput": throughput, "verdict": verdicts}
    finally:
        product.end()
        shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    if shutil.which("wrk") is None:
        sys.exit("make bench needs wrk: apt-get install wrk")
    found = asyncio.run(run())
    throughput = found["throughput"]
    print(f"dispositions through the whole path  {throughput['whole_path_per_s']:8.0f} /s")
    print(f"bare aiohttp handler, same parsing   {throughput['bare_per_s']:8.0f} /s")
    print(f"ratio, median of {ROUNDS} pairs             {throughput['ratio']:8.2f}")
    for rate, times in found["verdict"].items():
        print(f"verdict at {rate:6}  p50 {times['p50_ms']:6.2f} ms   p99 {times['p99_ms']:6.2f} ms")
    report = ROOT / ".cache" / "bench.json"
    report.parent.mkdir(exist_ok=True)
    report.write_text(json.dumps(found, indent=2) + "\n")
    print(f"written to {report.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
