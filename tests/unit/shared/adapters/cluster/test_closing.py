"""What goes wrong after everybody has gone is seen, and goes no further."""

import asyncio
import gc
from typing import Any

import pytest

from shared.adapters.cluster.closing import seen

pytestmark = pytest.mark.asyncio


@pytest.mark.slow
async def test_a_request_that_fails_after_whoever_asked_was_cancelled_is_seen() -> None:
    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    begun, failing = asyncio.Event(), asyncio.Event()

    async def request(what: str) -> None:
        begun.set()
        await failing.wait()
        raise ConnectionError(what)

    async def ask() -> None:
        await asyncio.shield(seen(request)("no answer"))

    asking = asyncio.ensure_future(ask())
    await begun.wait()
    asking.cancel()
    await asyncio.wait({asking})
    failing.set()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    gc.collect()
    assert asking.cancelled()
    assert told == []


async def test_whoever_stays_is_told() -> None:
    async def request() -> None:
        raise ConnectionError

    with pytest.raises(ConnectionError):
        await asyncio.shield(seen(request)())
