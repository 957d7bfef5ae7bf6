"""Ends of the client's parts that never hang.

The client's own `stop` waits for whatever is under way, and with the broker gone that is for ever.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

from aiokafka.errors import ProducerClosed

T = TypeVar("T")

LEAVE_S: Final = 3.0
CUT_S: Final = 1.0


async def bounded(ending: Coroutine[Any, Any, Any], within_s: float) -> bool:
    """Run to the end, or to the deadline; False where it did not end well. Never raises."""
    task = asyncio.ensure_future(ending)
    await asyncio.wait({task}, timeout=within_s)
    if not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=within_s)
    return task.done() and not task.cancelled() and task.exception() is None


async def end_producer(producer: Any) -> bool:
    """Stop at once, without delivering what waits; whoever waits for it is told.

    Its sender is told to stop before its connections are cut, so that nothing is sent again; what
    is on the wire may still land. It is given a moment to see that, then cut short.
    """
    producer._closed = True  # noqa: SLF001 - its own stop would wait for deliveries
    sender = producer._sender.sender_task  # noqa: SLF001
    if sender is not None:
        sender.remove_done_callback(producer._sender._fail_all)  # noqa: SLF001 - it can't
        sender.add_done_callback(retrieve)
        sender.cancel()
    _fail(producer._message_accumulator)  # noqa: SLF001
    ended = await bounded(producer.client.close(), CUT_S)
    if sender is not None:
        await asyncio.wait({sender}, timeout=CUT_S)
        sender.cancel()
    return ended


def _fail(accumulator: Any) -> None:
    """Tell all who wait. What is to be sent again is in neither of its books; it must be in one."""
    accumulator._closed = True  # noqa: SLF001
    for batches in accumulator._batches.values():  # noqa: SLF001
        accumulator._pending_batches.update(batches)  # noqa: SLF001
    for batch in accumulator._pending_batches:  # noqa: SLF001
        batch.future.add_done_callback(retrieve)
        batch._drain_waiter.add_done_callback(retrieve)  # noqa: SLF001
    accumulator.fail_all(ProducerClosed())


def retrieve(future: "asyncio.Future[Any]") -> None:
    """A callback: what went wrong is seen, also where nobody waits for it any more."""
    if not future.cancelled():
        future.exception()


def seen(
    begin: Callable[..., Coroutine[Any, Any, T]],
) -> Callable[..., "asyncio.Future[T]"]:
    """The same, with what goes wrong seen where whoever waited was cancelled.

    The client shields its requests, so they go on by themselves then, and fail unseen.
    """

    def begun(*given: Any) -> "asyncio.Future[T]":
        task = asyncio.ensure_future(begin(*given))
        task.add_done_callback(retrieve)
        return task

    return begun


async def end_consumer(consumer: Any) -> None:
    """Leave the group if that goes at once; then let go of everything."""
    if await bounded(consumer.stop(), LEAVE_S):
        return
    coordinator, fetcher = consumer._coordinator, consumer._fetcher  # noqa: SLF001
    if coordinator is not None:
        coordinator._coordination_task.cancel()  # noqa: SLF001
        await bounded(coordinator._stop_heartbeat_task(), CUT_S)  # noqa: SLF001
        await bounded(coordinator._stop_commit_offsets_refresh_task(), CUT_S)  # noqa: SLF001
    if fetcher is not None:
        await bounded(fetcher.close(), CUT_S)
    await bounded(consumer._client.close(), CUT_S)  # noqa: SLF001
