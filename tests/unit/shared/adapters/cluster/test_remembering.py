"""How far the log reaches is remembered on the side: nothing that fails there may end it."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from shared.adapters.cluster import _remember_now
from shared.contracts.errors import Unavailable, WriteConflict
from tests.support.memory import MemoryLog


@pytest.mark.asyncio
@pytest.mark.parametrize("error", [Unavailable("gone"), WriteConflict("two wrote a new row")])
async def test_what_the_store_refuses_is_left_to_the_next_time(error: Exception) -> None:
    async def refuse(_: Mapping[str, int]) -> None:
        raise error

    kafka: Any = SimpleNamespace(log=MemoryLog())
    mongo: Any = SimpleNamespace(remember_ends=refuse)
    await _remember_now(kafka, mongo)
