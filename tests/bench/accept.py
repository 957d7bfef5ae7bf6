"""(c) Events taken durably: the gateway and the broker behind it, against a bare aiohttp handler.

202 means that the event stands in the log, acknowledged by all copies. Nobody reads it meanwhile:
callstate and worker would be measured, too.
"""

import asyncio
import statistics
from typing import Any, Final

from tests.bench.place import fresh_place, prepared
from tests.bench.trio import running
from tests.bench.wrk import bare_handler, wrk

ROUNDS: Final = 3
WARM_S: Final = 2
SCRIPT: Final = "accept.lua"


async def measure(bootstrap: str, mongo_url: str) -> dict[str, Any]:
    place = fresh_place(bootstrap, mongo_url)
    async with prepared(place), running(place, ("gateway",)) as processes:
        return await asyncio.to_thread(_measure, processes["gateway"].port)


def _measure(gateway: int) -> dict[str, Any]:
    """The gateway and the bare handler in turn, so that a drifting machine hits both."""
    with bare_handler() as bare:
        for port in (gateway, bare):
            wrk(port, SCRIPT, WARM_S)
        pairs = [(wrk(gateway, SCRIPT), wrk(bare, SCRIPT)) for _ in range(ROUNDS)]
    ours, theirs = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratios = [mine / yardstick for mine, yardstick in pairs]
    return {
        "accepted_per_s": round(ours),
        "bare_per_s": round(theirs),
        "ratio": round(statistics.median(ratios), 3),
        "ratios": [round(ratio, 3) for ratio in ratios],
    }


def tell(found: dict[str, Any]) -> None:
    print(
        f"events taken durably       {found['accepted_per_s']:7} /s"
        f"   bare handler {found['bare_per_s']:7} /s   ratio {found['ratio']:.2f} {found['ratios']}"
    )
