"""How far the log reaches is remembered on the side: nothing that fails there may end it."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from shared.adapters.cluster import _join, _remember_now
from shared.contracts.errors import Unavailable, WriteConflict
from tests.support.memory import MemoryLog


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "error", [Unavailable("gone"), WriteConflict("two wrote a new row"), ZeroDivisionError()]
)
async def test_what_the_store_refuses_is_left_to_the_next_time(error: Exception) -> None:
    async def refuse(_: Mapping[str, int]) -> None:
        raise error

    kafka: Any = SimpleNamespace(log=MemoryLog())
    mongo: Any = SimpleNamespace(remember_ends=refuse)
    await _remember_now(kafka, mongo)


@pytest.mark.asyncio
async def test_both_are_closed_whatever_goes_wrong_on_the_way() -> None:
    closed: list[str] = []

    class Stop(BaseException):
        """As a cancellation is."""

    async def refuse(_: Mapping[str, int]) -> None:
        raise Stop

    async def close_kafka() -> None:
        closed.append("kafka")
        raise ZeroDivisionError

    async def close_mongo() -> None:
        closed.append("mongo")

    parts = dict.fromkeys(("store", "history", "letters", "overlays", "ping")) | {
        "remember_ends": refuse
    }
    kafka: Any = SimpleNamespace(log=MemoryLog(), replies=None, register=None, close=close_kafka)
    mongo: Any = SimpleNamespace(**parts, close=close_mongo)
    with pytest.raises(ZeroDivisionError):
        await _join(kafka, mongo).close()
    assert closed == ["kafka", "mongo"]
