"""The running product against its own /openapi.json: requests made of it, good ones and bad.

Whatever is sent, the answer is one that the documents name, in the shape they give it, and never a
500; what breaks the documents is refused, and nothing of it stays behind: the logs of the calls
verify, nobody had to write a dead letter, and the process has not a word of trouble to tell.
"""

import asyncio
import base64
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support.product import AGENT, ROOT, SWITCH, Product

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio]

SEED = 19
EXAMPLES_MAX = 8
PARTNER = {
    "x-api-key": "demo-key",
    "x-api-secret": "demo-secret",
    "x-tenant-id": "demo",
    "x-subtenant-id": "main",
}
BASIC = {"Authorization": f"Basic {base64.b64encode(b'agent-1:demo').decode()}"}
ACCOUNT = {"Authorization": f"Basic {base64.b64encode(b'demo:demo-key').decode()}"}

# A cursor is good only if we gave it, a code only if the tenant has it: no schema says so.
OPAQUE = "positive_data_acceptance"
# This vendor says 200 to everybody, and in the body who is refused.
SAYS_200 = "ignored_auth,negative_data_rejection,missing_required_header"

ROWS = [
    ("an agent", "^/v1/(?!stream)", AGENT, OPAQUE),
    ("a switch", "^/v1/events", SWITCH, OPAQUE),
    ("a Genesys client", "^/api/v2", BASIC, OPAQUE),
    ("a VCC Live client", "^/v2/projects", ACCOUNT, OPAQUE),
    ("an Ozonetel client", "^/ca_apis", {}, f"{OPAQUE},{SAYS_200}"),
    ("a Zipteams client", "/partner", PARTNER, OPAQUE),
    ("a reader", "^/(docs|console|openapi|toolbar)", {}, OPAQUE),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def product(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Product]:
    async with Product(tmp_path_factory.mktemp("product") / "data") as started:
        yield started


def run(command: list[str], cwd: Path, env: dict[str, str] | None = None) -> str | None:
    """What it said, if it did not end well."""
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    return None if done.returncode == 0 else done.stdout[-6_000:] + done.stderr[-2_000:]


def asking(url: str, paths: str, headers: dict[str, str], without: str) -> list[str]:
    given = [part for name, value in headers.items() for part in ("-H", f"{name}: {value}")]
    return [
        *(str(Path(sys.executable).with_name("schemathesis")), "run", f"{url}/openapi.json"),
        *("--include-path-regex", paths, "--checks", "all", "--exclude-checks", without),
        *("--phases", "coverage,fuzzing", "--max-examples", str(EXAMPLES_MAX)),
        *("--seed", str(SEED), "--generation-database", "none", "--request-timeout", "5"),
        *("--no-color", *given),
    ]


@pytest.mark.parametrize(
    ("paths", "headers", "without"), [pytest.param(*row[1:], id=row[0]) for row in ROWS]
)
async def test_the_documents_hold(
    product: Product, tmp_path: Path, paths: str, headers: dict[str, str], without: str
) -> None:
    command = asking(product.url, paths, headers, without)
    assert await asyncio.to_thread(run, command, tmp_path) is None


async def test_nothing_of_it_stays_behind(product: Product) -> None:
    """Last in this file: it stops the product."""
    assert await asyncio.to_thread(product.stop) == 0
    told = product.log_path.read_text()
    assert "Traceback" not in told
    assert '"level": "error"' not in told
    command = [sys.executable, "-m", "services.cli", "verify"]
    assert await asyncio.to_thread(run, command, ROOT, product.environment()) is None
    dead = [sys.executable, "-m", "services.cli", "dead-letters", "list", "--json"]
    done = subprocess.run(
        dead, cwd=ROOT, env=product.environment(), capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
