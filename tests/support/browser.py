"""A real browser: Debian's Chromium, driven by playwright, and the rules of axe for its pages."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from playwright.async_api import Browser, Page, async_playwright

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
