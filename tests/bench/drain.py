"""(a) A backlog drained: the product's processors against a bare loop on the same broker and store.

Each service is one process, put together as the product does it (`open_profile`, and the service's
own `processor`), without what else runs beside it: timers, watch, history. Its backlog stands in
the log before it starts. The bare loop then reads the very same records; see `bare_loop`.
"""

import json
import statistics
import subprocess
import sys
from typing import Any, Final

from msgspec import Struct

from shared.adapters.clock import SystemClock
from shared.adapters.cluster.kafka import open_kafka
from tests.bench.place import Place, fresh_place, prepared
from tests.bench.workload import messages
from tests.support.parts import ROOT

APPENDED_AT_ONCE: Final = 1_000
RUN_S_MAX: Final = 120


class Scale(Struct, frozen=True):
    """How much is drained."""

    calls: int
    open_at_once: int
    rounds: int


SCALES: Final = (Scale(10_000, 1_000, 3), Scale(20_000, 20_000, 2))


async def preload(place: Place, scale: Scale) -> None:
    """The whole backlog of both topics, in the order in which gateways would have written it."""
    kafka = await open_kafka(place.bootstrap, SystemClock(), prefix=place.prefix)
    try:
        waiting = list(messages(scale.calls, scale.open_at_once))
        for first in range(0, len(waiting), APPENDED_AT_ONCE):
            await kafka.log.append(waiting[first : first + APPENDED_AT_ONCE])
    finally:
        await kafka.close()


def run_process(module: str, given: dict[str, Any]) -> dict[str, Any]:
    """What a process of its own has measured."""
    done = subprocess.run(
        [sys.executable, "-m", module, json.dumps(given)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=RUN_S_MAX,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def drain(place: Place, service: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The product's drain of what stands there for this service, then the bare loop's."""
    common = {"bootstrap": place.bootstrap, "prefix": place.prefix, "service": service}
    ours = run_process("tests.bench.drained", common | {"url": place.url})
    theirs = run_process(
        "tests.bench.bare_loop",
        common
        | {
            "url": place.beside().url,
            "beside_url": place.url,
            "out_prefix": place.beside().prefix,
            "does": ours["does"],
            "records": ours["records"],
        },
    )
    return ours, theirs


async def measure_scale(bootstrap: str, mongo_url: str, scale: Scale) -> dict[str, Any]:
    """Both services at one scale, product and bare loop in turn."""
    pairs: dict[str, list[tuple[dict[str, Any], dict[str, Any]]]] = {"callstate": [], "worker": []}
    for _ in range(scale.rounds):
        place = fresh_place(bootstrap, mongo_url)
        async with prepared(place, place.beside()):
            await preload(place, scale)
            for service, found in pairs.items():
                found.append(drain(place, service))
    return {service: _summary(found) for service, found in pairs.items()}


def _summary(pairs: list[tuple[dict[str, Any], dict[str, Any]]]) -> dict[str, Any]:
    def median(side: int, name: str) -> float:
        return float(statistics.median(pair[side][name] for pair in pairs))

    ratios = [ours["per_s"] / theirs["per_s"] for ours, theirs in pairs]
    return {
        "records": pairs[0][0]["records"],
        "product_per_s": round(median(0, "per_s")),
        "bare_per_s": round(median(1, "per_s")),
        "ratio": round(statistics.median(ratios), 3),
        "ratios": [round(ratio, 3) for ratio in ratios],
        "product_cpu_us": round(median(0, "cpu_us"), 1),
        "bare_cpu_us": round(median(1, "cpu_us"), 1),
        "records_per_batch": [round(median(side, "records_per_batch")) for side in (0, 1)],
        "does": pairs[0][0]["does"],
        "bare_does": pairs[0][1]["does"],
    }


async def measure(bootstrap: str, mongo_url: str) -> dict[str, Any]:
    """Every scale."""
    return {
        f"{scale.open_at_once} open": await measure_scale(bootstrap, mongo_url, scale)
        for scale in SCALES
    }


def tell(found: dict[str, Any]) -> None:
    for scale, services in found.items():
        for service, one in services.items():
            print(
                f"drain, {scale:10} {service:9} {one['product_per_s']:7} /s"
                f"   bare loop {one['bare_per_s']:7} /s   ratio {one['ratio']:.2f} {one['ratios']}"
            )
