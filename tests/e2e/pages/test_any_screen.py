"""Every page in light and dark, wide and on a telephone: axe finds nothing, and nothing is cut."""

from collections.abc import AsyncIterator
from typing import Final

import aiohttp
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from tests.support.browser import Scheme, faults, keep, open_console, watched
from tests.support.line import Line
from tests.support.product import Product

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

CALL: Final = "a-call-of-a-switch-that-likes-long-names-" + "0123456789" * 8
OVER: Final = CALL.replace("call", "talk")
# Cards are as wide as their column; tables and code may be moved in a frame of their own.
WIDER: Final = """() => [document.documentElement, ...document.querySelectorAll("#phases ol")]
  .filter((one) => one.scrollWidth > one.clientWidth).map((one) => one.tagName)"""
PHONE: Final = (360, 740)
DESK: Final = (1280, 800)
DOCUMENTS: Final = ("docs", "docs/topics", "toolbar/demo")
CONSOLE: Final = ("/", "/board", "/charts", "/codes", f"/calls/{CALL}", "/subjects/customer/c-1")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def product(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Product]:
    """With calls whose ids have no end, and much that was attached to them."""
    async with Product(tmp_path_factory.mktemp("screens") / "data") as product:
        async with aiohttp.ClientSession() as http:
            line = Line(product, http)
            for call, agent in ((CALL, "agent-1"), (OVER, "agent-2")):
                await line.tell(call, "call.started", direction="inbound", customer_id="c-1")
                await line.tell(call, "call.agent_joined", agent_id=agent)
                note = {"note": "in one word " + "x" * 200}
                await line.tell(call, "call.data_attached", user_data=note)
                await line.dispose(call, agent, "Sale")
            await line.tell(OVER, "call.disconnected", by="caller")
        yield product


async def looks_right(page: Page) -> None:
    """Without a fault, and without scrolling sideways on any screen."""
    for width, height in (PHONE, DESK):
        await page.set_viewport_size({"width": width, "height": height})
        assert await faults(page) == [], (page.url, width)
        assert await page.evaluate(WIDER) == [], (page.url, width)


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_documents_on_any_screen(
    product: Product, browser: Browser, scheme: Scheme
) -> None:
    async with watched(browser, product.url, scheme) as page:
        for path in DOCUMENTS:
            await page.goto(f"{product.url}/{path}")
            await expect(page.locator("main")).not_to_have_attribute("aria-busy", "true")
            await expect(page.locator("h1")).to_be_visible()
            await looks_right(page)
            await keep(page, f"{path.replace('/', '-')}-{scheme}")


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_console_on_any_screen(
    product: Product, browser: Browser, scheme: Scheme
) -> None:
    async with watched(browser, product.url, scheme) as page:
        await open_console(page, product.url)
        for number, address in enumerate(CONSOLE):
            await page.goto(f"{product.url}/console#{address}")
            await expect(page.locator("#page h2").first).to_be_attached()
            if address in ("/", "/board", f"/calls/{CALL}"):
                await expect(page.locator("#page").get_by_text(CALL).first).to_be_attached()
            await looks_right(page)
            await keep(page, f"screen-{number}-{scheme}")
