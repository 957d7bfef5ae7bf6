"""From start to a clean stop: SIGTERM and SIGINT drain, bounded; a failed part stops the whole."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import structlog

DRAIN_S: Final = 10.0

Part = Callable[[asyncio.Event], Awaitable[None]]
"""A long-running part: runs until the event is set, then finishes what it has begun."""

log = structlog.get_logger()


async def run_parts(
    parts: Mapping[str, Part], stopping: asyncio.Event, *, drain_s: float = DRAIN_S
) -> None:
    """Run all parts until one fails or `stopping` is set; then let them finish, at most `drain_s`.

    Raises:
        Exception: whatever the first failing part raised; the others were stopped first.
    """
    tasks = {asyncio.ensure_future(part(stopping)): name for name, part in parts.items()}
    stop = asyncio.ensure_future(stopping.wait())
    await asyncio.wait({*tasks, stop}, return_when=asyncio.FIRST_COMPLETED)
    stopping.set()
    await stop
    _, late = await asyncio.wait(tasks, timeout=drain_s)
    for task in late:
        log.warning("drain_cut_short", part=tasks[task])
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    failures = [r for r in results if isinstance(r, Exception)]
    for failure in failures:
        log.error("part_failed", error=repr(failure))
    if failures:
        raise failures[0]


def stop_on_signals(stopping: asyncio.Event) -> None:
    """Set the event on SIGTERM or SIGINT; a second signal ends the process the ordinary way."""
    loop = asyncio.get_running_loop()

    def stop(number: signal.Signals) -> None:
        log.info("stopping", signal=number.name)
        stopping.set()
        loop.remove_signal_handler(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, number)
