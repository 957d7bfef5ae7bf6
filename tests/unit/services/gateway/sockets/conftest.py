from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from services.gateway.push import listening
from services.gateway.sockets import route
from tests.unit.services.gateway.sockets.place import Place, opened


@pytest_asyncio.fixture
async def place(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Place]:
    monkeypatch.setattr(listening, "LOOK_S", 0.01)
    monkeypatch.setattr(route, "CLOSE_S", 0.1)
    async with opened(Place()) as there:
        yield there
