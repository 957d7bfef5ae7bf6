"""A status that is set without a call stands among the last dispositions, told or read alike."""

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import aiohttp
import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from tests.support.browser import chromium
from tests.support.parts import PartMissing
from tests.support.product import SWITCH, Product, cloud_event

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio]

CLOUD_EVENT: Final = {"Content-Type": "application/cloudevents+json"}
CRM: Final = {"x-api-key": "demo-key", "x-api-secret": "demo-secret", "x-tenant-id": "demo"}


@pytest_asyncio.fixture
async def browser() -> AsyncIterator[Browser]:
    try:
        async with chromium() as opened:
            yield opened
    except PartMissing as missing:
        if os.environ.get("CI") == "true":
            pytest.fail(str(missing))
        pytest.skip(str(missing))


async def test_a_status_set_without_a_call_is_listed_live_and_after_a_reload(
    browser: Browser, tmp_path: Path
) -> None:
    async with Product(tmp_path / "data") as product:
        page = await browser.new_page()
        await page.goto(f"{product.url}/console#key=demo-key")
        await expect(page.locator("#connection")).to_have_text("Live", timeout=15_000)
        async with aiohttp.ClientSession(product.url) as http:
            event = cloud_event(
                "names", "call.started", {"direction": "inbound", "customer_id": "c-7"}
            )
            async with http.post("/v1/events", json=event, headers=SWITCH | CLOUD_EVENT) as answer:
                assert answer.status == 200, await answer.text()
            path = "/api/v1/partner/ingest/disposition-status"
            body = {"customer_id": "c-7", "disposition_status": "interested"}
            headers = CRM | {"x-subtenant-id": "main"}
            async with http.put(path, json=body, headers=headers) as answer:
                assert answer.status == 200, await answer.text()
        row = page.locator("#dispositions tbody tr")
        for _ in range(2):
            await expect(row).to_have_count(1, timeout=15_000)
            for text in ("interested", "customer:c-7", "set by a client"):
                await expect(row).to_contain_text(text)
            await page.reload()
