"""Every page in light and dark, wide and on a telephone: axe finds nothing, and nothing is cut."""

import json
import os
from collections.abc import AsyncIterator
from typing import Any, Final, Literal

import aiohttp
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from tests.support.browser import chromium, faults, keep
from tests.support.parts import PartMissing
from tests.support.product import AGENT, SWITCH, Product, cloud_event

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

WAIT_MS: Final = 15_000
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
        async with aiohttp.ClientSession(product.url) as http:
            for call, agent in ((CALL, "agent-1"), (OVER, "agent-2")):
                await tell(http, call, "call.started", direction="inbound", customer_id="c-1")
                await tell(http, call, "call.agent_joined", agent_id=agent)
                note = {"note": "in one word " + "x" * 200}
                await tell(http, call, "call.data_attached", user_data=note)
                url, body = f"/v1/calls/{call}/disposition", {"agent_id": agent, "code": "Sale"}
                async with http.post(url, json=body, headers=AGENT) as answer:
                    assert answer.status == 200, await answer.text()
            await tell(http, OVER, "call.disconnected", by="caller")
        yield product


async def tell(http: aiohttp.ClientSession, call: str, event_type: str, **data: Any) -> None:
    headers = SWITCH | {"Content-Type": "application/cloudevents+json"}
    body = json.dumps(cloud_event(call, event_type, data))
    async with http.post("/v1/events", data=body, headers=headers) as answer:
        assert answer.status == 200, await answer.text()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    try:
        async with chromium() as opened:
            yield opened
    except PartMissing as missing:
        if os.environ.get("CI") == "true":
            pytest.fail(str(missing))
        pytest.skip(str(missing))


async def looks_right(page: Page) -> None:
    """Without a fault, and without scrolling sideways on any screen."""
    for width, height in (PHONE, DESK):
        await page.set_viewport_size({"width": width, "height": height})
        assert await faults(page) == [], (page.url, width)
        assert await page.evaluate(WIDER) == [], (page.url, width)


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_documents_on_any_screen(
    product: Product, browser: Browser, scheme: Literal["light", "dark"]
) -> None:
    context = await browser.new_context(color_scheme=scheme)
    page = await context.new_page()
    for path in DOCUMENTS:
        await page.goto(f"{product.url}/{path}")
        await expect(page.locator("main")).not_to_have_attribute("aria-busy", "true")
        await expect(page.locator("h1")).to_be_visible(timeout=WAIT_MS)
        await looks_right(page)
        await keep(page, f"{path.replace('/', '-')}-{scheme}")
    await context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_console_on_any_screen(
    product: Product, browser: Browser, scheme: Literal["light", "dark"]
) -> None:
    context = await browser.new_context(color_scheme=scheme)
    page = await context.new_page()
    await page.goto(f"{product.url}/console#key=demo-key")
    await expect(page.locator("#connection")).to_have_text("Live", timeout=WAIT_MS)
    for number, address in enumerate(CONSOLE):
        await page.goto(f"{product.url}/console#{address}")
        await expect(page.locator("#page h2").first).to_be_attached()
        if address in ("/", "/board", f"/calls/{CALL}"):
            shown = page.locator("#page").get_by_text(CALL).first
            await expect(shown).to_be_attached(timeout=WAIT_MS)
        await looks_right(page)
        await keep(page, f"screen-{number}-{scheme}")
    await context.close()
