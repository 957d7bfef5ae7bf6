"""The admin port under test."""

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.unit.services.gateway.administration.office import Office, open_office


@pytest_asyncio.fixture
async def office() -> AsyncIterator[Office]:
    async with open_office() as opened:
        yield opened
