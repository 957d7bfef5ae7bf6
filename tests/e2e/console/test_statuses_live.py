"""A status that is set without a call stands among the last dispositions, told or read alike."""

from pathlib import Path
from typing import Final

import aiohttp
import pytest
from playwright.async_api import Browser, expect

from tests.support.browser import open_console, watched
from tests.support.line import Line
from tests.support.product import Product

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

CRM: Final = {"x-api-key": "demo-key", "x-api-secret": "demo-secret", "x-tenant-id": "demo"}


async def test_a_status_set_without_a_call_is_listed_live_and_after_a_reload(
    browser: Browser, tmp_path: Path
) -> None:
    async with (
        Product(tmp_path / "data") as product,
        watched(browser, product.url) as page,
        aiohttp.ClientSession(product.url) as http,
    ):
        await open_console(page, product.url)
        line = Line(product, http)
        await line.tell("names", "call.started", direction="inbound", customer_id="c-7")
        path = "/api/v1/partner/ingest/disposition-status"
        body = {"customer_id": "c-7", "disposition_status": "interested"}
        headers = CRM | {"x-subtenant-id": "main"}
        async with http.put(path, json=body, headers=headers) as answer:
            assert answer.status == 200, await answer.text()
        row = page.locator("#dispositions tbody tr")
        for _ in range(2):
            await expect(row).to_have_count(1)
            for text in ("interested", "customer:c-7", "set by a client"):
                await expect(row).to_contain_text(text)
            await page.reload()
