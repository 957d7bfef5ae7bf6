"""The gateway under test."""

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.unit.services.gateway.floor import Floor, open_floor


@pytest_asyncio.fixture
async def floor() -> AsyncIterator[Floor]:
    async with open_floor() as opened:
        yield opened
