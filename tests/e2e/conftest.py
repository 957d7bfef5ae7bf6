"""What the tests of the product as a process may ask for."""

from collections.abc import AsyncIterator

import pytest_asyncio
from playwright.async_api import Browser

from tests.support.browser import chromium
from tests.support.parts import or_skipped


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    """One for the tests of a module."""
    with or_skipped():
        async with chromium() as opened:
            yield opened
