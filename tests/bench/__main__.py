"""`make bench`, or parts of it: `python -m tests.bench drain latency accept memory embedded`.

Everything runs on this machine at the same time, broker, store and load generator included, so only
the ratios and the order of magnitude mean something elsewhere. Broker and store are started here,
unless `KAFKA_BOOTSTRAP_SERVERS` and `MONGODB_URL` name others.
"""

import json
import shutil
import sys
from types import ModuleType
from typing import Any, Final

import uvloop

from tests.bench import accept, drain, embedded, latency, memory
from tests.support.parts import ROOT, RealParts

CLUSTER: Final[dict[str, ModuleType]] = {
    "drain": drain,
    "latency": latency,
    "accept": accept,
    "memory": memory,
}
PARTS: Final = (*CLUSTER, "embedded")
REPORT: Final = ROOT / ".cache" / "bench.json"


def measure(names: list[str]) -> dict[str, Any]:
    """Each part's figures; told as they come."""
    found: dict[str, Any] = {}
    parts = RealParts()
    try:
        for name in names:
            if name == "embedded":
                found[name] = uvloop.run(embedded.measure())
                embedded.tell(found[name])
            else:
                part = CLUSTER[name]
                found[name] = uvloop.run(part.measure(parts.bootstrap, parts.mongo_url))
                part.tell(found[name])
            sys.stdout.flush()
    finally:
        parts.end()
    return found


def main() -> None:
    names = sys.argv[1:] or list(PARTS)
    if not set(names) <= set(PARTS):
        sys.exit(f"parts: {' '.join(PARTS)}")
    if shutil.which("wrk") is None and {"accept", "embedded"} & set(names):
        sys.exit("make bench needs wrk: apt-get install wrk")
    found = measure(names)
    REPORT.parent.mkdir(exist_ok=True)
    kept = json.loads(REPORT.read_text()) if REPORT.exists() and sys.argv[1:] else {}
    REPORT.write_text(json.dumps(kept | found, indent=2) + "\n")
    print(f"written to {REPORT.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
