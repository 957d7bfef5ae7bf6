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


PRODUCT: Final = "product"
BARE: Final = {"bare": False, "bare-told": True}  # the latter is told each record's partition
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


def drain(place: Place, service: str) -> dict[str, dict[str, Any]]:
    """The product's drain of what stands there for this service, then each bare loop's."""
    common = {"bootstrap": place.bootstrap, "prefix": place.prefix, "service": service}
    ours = run_process("tests.bench.drained", common | {"url": place.url})
    found = {PRODUCT: ours}
    for name, knows_partitions in BARE.items():
        beside = place.beside(name)
        found[name] = run_process(
            "tests.bench.bare_loop",
            common
            | {
                "url": beside.url,
                "beside_url": place.url,
                "out_prefix": beside.prefix,
                "does": ours["does"],
                "records": ours["records"],
                "knows_partitions": knows_partitions,
            },
        )
    return found


async def measure_scale(bootstrap: str, mongo_url: str, scale: Scale) -> dict[str, Any]:
    """Both services at one scale, product and bare loops in turn."""
    rounds: dict[str, list[dict[str, dict[str, Any]]]] = {"callstate": [], "worker": []}
    for _ in range(scale.rounds):
        place = fresh_place(bootstrap, mongo_url)
        async with prepared(place, *(place.beside(name) for name in BARE)):
            await preload(place, scale)
            for service, found in rounds.items():
                found.append(drain(place, service))
    return {service: _summary(found) for service, found in rounds.items()}


def _summary(rounds: list[dict[str, dict[str, Any]]]) -> dict[str, Any]:
    def median(who: str, name: str) -> float:
        return float(statistics.median(one[who][name] for one in rounds))

    summary: dict[str, Any] = {"records": rounds[0][PRODUCT]["records"]}
    for who in (PRODUCT, *BARE):
        summary[who] = {
            "per_s": round(median(who, "per_s")),
            "cpu_us": round(median(who, "cpu_us"), 1),
            "records_per_batch": round(median(who, "records_per_batch")),
            "does": rounds[0][who]["does"],
        }
    for who in BARE:
        ratios = [one[PRODUCT]["per_s"] / one[who]["per_s"] for one in rounds]
        summary[who]["ratio"] = round(statistics.median(ratios), 3)
        summary[who]["ratios"] = [round(ratio, 3) for ratio in ratios]
    return summary


async def measure(bootstrap: str, mongo_url: str) -> dict[str, Any]:
    """Every scale."""
    return {
        f"{scale.open_at_once} open": await measure_scale(bootstrap, mongo_url, scale)
        for scale in SCALES
    }


def tell(found: dict[str, Any]) -> None:
    for scale, services in found.items():
        for service, one in services.items():
            print(f"drain, {scale:10} {service:9} {one[PRODUCT]['per_s']:7} /s", end="")
            for who in BARE:
                print(f"   {who} {one[who]['per_s']:7} /s, ratio {one[who]['ratio']:.2f}", end="")
            print()
