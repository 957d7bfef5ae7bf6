"""A real browser: Debian's Chromium, driven by playwright, and the rules of axe for its pages."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from playwright.async_api import Browser, Page, async_playwright, expect

from tests.support.chromium import chromium as where_chromium_is
from tests.support.parts import PartMissing

ROOT: Final = Path(__file__).parents[2]
AXE: Final = ROOT / ".cache" / "axe" / "node_modules" / "axe-core" / "axe.min.js"
PICTURES: Final = ROOT / ".cache" / "pictures"
# As root it has no sandbox; and nothing of its own to fetch or to report.
FLAGS: Final = (
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
)
Scheme = Literal["light", "dark"]
WAIT_MS: Final = 15_000
expect.set_options(timeout=WAIT_MS)  # of every page, however busy the machine


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """One browser until the block ends.

    Raises:
        PartMissing: it is not on this machine.
    """
    path = where_chromium_is()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        try:
            yield browser
        finally:
            await browser.close()


def watch(page: Page, hosts: set[str], complaints: list[str]) -> None:
    """Collect whom the page asks, and what it or the browser complains of from now on."""
    page.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda told: complaints.append(told.text) if _bad(told.text) else None)


def _bad(complaint: str) -> bool:
    """That nothing answers, or that something is refused, is none: tests see to that on purpose."""
    return "Failed to load resource" not in complaint


@asynccontextmanager
async def watched(
    browser: Browser, url: str, scheme: Scheme = "light", *, time_zone: str | None = None
) -> AsyncIterator[Page]:
    """A page for what is served at this URL; the time zone is this machine's by default.

    At the end nothing may have been complained of, and no other host asked.
    """
    hosts: set[str] = set()
    complaints: list[str] = []
    async with await browser.new_context(color_scheme=scheme, timezone_id=time_zone) as context:
        page = await context.new_page()
        watch(page, hosts, complaints)
        yield page
    assert not complaints
    assert hosts == {urlsplit(url).netloc}


async def open_console(
    page: Page, url: str, address: str = "", *, key: str = "demo-key", says: str = "Live"
) -> None:
    """The console at this address behind its "#", once it has taken the key and says so."""
    await page.goto(f"{url}/console#key={key}")
    await expect(page.locator("#connection")).to_have_text(says)
    if address:
        await page.goto(f"{url}/console#{address}")


async def set_clock(page: Page, ahead_ms: int) -> None:
    """From its next document on the page's clock is wrong by so much."""
    await page.add_init_script(f"const now = Date.now; Date.now = () => now() + ({ahead_ms});")


async def keep(page: Page, name: str) -> None:
    """A picture of the page, for people to look at after the run."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    await page.screenshot(path=PICTURES / f"{name}.png", full_page=True)


async def faults(page: Page) -> list[dict[str, Any]]:
    """What axe finds wrong with the page as it is now: the rule, and where.

    Raises:
        PartMissing: axe is not on this machine.
    """
    if not AXE.is_file():
        raise PartMissing("no axe: run tests/support/parts.sh")
    await page.evaluate(AXE.read_text("utf-8"))
    found = await page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
    return [
        {"rule": one["id"], "where": [node["target"] for node in one["nodes"]]}
        for one in found["violations"]
    ]
