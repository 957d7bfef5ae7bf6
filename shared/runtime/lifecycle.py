"""From start to a clean stop: parts run in stages, and stop stage by stage, each one bounded.

What takes work in stops first and what does the work stops last, so that a request that was let
in still gets its answer. A part that fails stops the whole: a half-dead process helps nobody.
"""

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

import structlog

from shared.contracts.errors import Bug

DRAIN_S: Final = 10.0

Part = Callable[[asyncio.Event], Awaitable[None]]
"""A long-running part: runs until the event is set, then finishes what it has begun."""

Stage = Mapping[str, Part]

log = structlog.get_logger()


def until_stopped(run: Callable[[], Awaitable[None]]) -> Part:
    """A part of something that runs until it is cancelled."""

    async def part(stopping: asyncio.Event) -> None:
        running = asyncio.ensure_future(run())
        stop = asyncio.ensure_future(stopping.wait())
        await asyncio.wait({running, stop}, return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        if not running.done():
            running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running

    return part


class _Running:
    """One stage while it runs."""

    def __init__(self, stage: Stage) -> None:
        self.stopping = asyncio.Event()
        self.tasks = {
            asyncio.ensure_future(part(self.stopping)): name for name, part in stage.items()
        }

    def ended(self) -> list[str]:
        """The parts that have come to their end, if not to grief."""
        done = [task for task in self.tasks if task.done() and not task.cancelled()]
        return [self.tasks[task] for task in done if task.exception() is None]

    async def stop(self, drain_s: float) -> list[Exception]:
        """Stop the stage; what does not finish in time is cut short. Returns what has failed."""
        self.stopping.set()
        if not self.tasks:
            return []
        _, late = await asyncio.wait(self.tasks, timeout=drain_s)
        for task in late:
            log.warning("drain_cut_short", part=self.tasks[task])
            task.cancel()
        results = await asyncio.gather(*self.tasks, return_exceptions=True)
        failures = []
        for name, result in zip(self.tasks.values(), results, strict=True):
            if isinstance(result, Exception):
                log.error("part_failed", part=name, error=repr(result), exc_info=result)
                failures.append(result)
        return failures


async def run_stages(
    stages: Sequence[Stage], stopping: asyncio.Event, *, drain_s: float = DRAIN_S
) -> None:
    """Run all stages until a part ends or `stopping` is set; then stop them, last one first.

    Raises:
        Exception: whatever the first failing part raised; the others were stopped before.
        Bug: a part has ended that nobody had told to.
    """
    running = [_Running(stage) for stage in stages]
    stop = asyncio.ensure_future(stopping.wait())
    tasks = {task for stage in running for task in stage.tasks}
    await asyncio.wait({*tasks, stop}, return_when=asyncio.FIRST_COMPLETED)
    stop.cancel()
    early = [] if stopping.is_set() else [name for stage in running for name in stage.ended()]
    failures: list[Exception] = []
    for stage in reversed(running):
        failures += await stage.stop(drain_s)
    if failures:
        raise failures[0]
    if early:
        raise Bug(f"{early[0]} has ended, and nobody had told it to")


def stop_on_signals(stopping: asyncio.Event) -> None:
    """Set the event on SIGTERM or SIGINT; a second signal ends the process the ordinary way."""
    loop = asyncio.get_running_loop()

    def stop(number: signal.Signals) -> None:
        log.info("stopping", signal=number.name)
        stopping.set()
        loop.remove_signal_handler(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, number)
