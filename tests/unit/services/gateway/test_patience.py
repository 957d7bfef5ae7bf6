"""Many waits of one length, each with a deadline of its own."""

import asyncio

import pytest

from services.gateway.patience import Patience

pytestmark = pytest.mark.asyncio

NEVER = 60.0
SOON = 0.02


async def given(value: str, after_s: float = 0.0) -> str:
    await asyncio.sleep(after_s)
    return value


async def test_what_is_there_in_time_is_given() -> None:
    patience = Patience(NEVER)
    found = await asyncio.gather(*(patience.within(given(f"{n}", n / 1000)) for n in range(5)))
    assert found == ["0", "1", "2", "3", "4"]


async def test_what_is_not_there_in_time_is_cancelled() -> None:
    ended: list[str] = []

    async def slow() -> None:
        try:
            await asyncio.sleep(NEVER)
        finally:
            ended.append("slow")

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(Patience(SOON).within(slow()), NEVER / 2)
    assert ended == ["slow"]
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_each_wait_has_its_own_deadline() -> None:
    patience = Patience(0.1)
    loop = asyncio.get_running_loop()

    async def wait() -> float:
        began = loop.time()
        with pytest.raises(TimeoutError):
            await patience.within(asyncio.sleep(NEVER))
        return loop.time() - began

    first = asyncio.ensure_future(wait())
    assert await patience.within(given("between")) == "between"
    await asyncio.sleep(0.05)
    second = asyncio.ensure_future(wait())
    assert await asyncio.wait_for(patience.within(given("yes")), NEVER) == "yes"
    for taken in await asyncio.wait_for(asyncio.gather(first, second), NEVER / 2):
        assert taken >= 0.09
    with pytest.raises(TimeoutError):  # and it goes on when all of them are over
        await asyncio.wait_for(patience.within(asyncio.sleep(NEVER)), NEVER / 2)


async def test_who_is_cancelled_by_somebody_else_is_cancelled() -> None:
    task = asyncio.ensure_future(Patience(NEVER).within(asyncio.sleep(NEVER)))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_who_is_late_and_cancelled_is_cancelled() -> None:
    began = asyncio.Event()

    async def stubborn() -> None:
        try:
            await asyncio.sleep(NEVER)
        except asyncio.CancelledError:
            began.set()
            await asyncio.sleep(NEVER)

    task = asyncio.ensure_future(Patience(SOON).within(stubborn()))
    await asyncio.wait_for(began.wait(), NEVER / 2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, NEVER / 2)


async def test_what_it_awaits_may_fail() -> None:
    async def fail() -> None:
        raise LookupError

    with pytest.raises(LookupError):
        await Patience(NEVER).within(fail())


async def test_nothing_is_kept_of_waits_that_are_over() -> None:
    patience = Patience(NEVER)
    slow = asyncio.ensure_future(patience.within(asyncio.sleep(NEVER)))
    await asyncio.sleep(0)
    await asyncio.gather(*(patience.within(given("quick")) for _ in range(100)))
    slow.cancel()
    await asyncio.wait({slow})
    assert not patience._waits
