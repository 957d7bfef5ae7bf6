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

DRAIN_S: Final = 14.0  # of all stages together
CUT_S: Final = 1.5  # of these, for each stage: what is cut short may take so long to end

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

    async def stop(self, within_s: float) -> list[Exception]:
        """Stop the stage; what does not finish in time is cut short. Returns what has failed.

        What does not even end then is left behind.
        """
        self.stopping.set()
        if not self.tasks:
            return []
        cut_s = min(CUT_S, within_s / 2)
        _, late = await asyncio.wait(self.tasks, timeout=within_s - cut_s)
        for task in late:
            log.warning("drain_cut_short", part=self.tasks[task])
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=cut_s)
        failures = [self._failure(task) for task in self.tasks]
        return [failure for failure in failures if failure is not None]

    def _failure(self, task: "asyncio.Task[None]") -> Exception | None:
        name = self.tasks[task]
        if not task.done():
            log.error("part_left_behind", part=name)
            task.add_done_callback(_see)
            return None
        error = None if task.cancelled() else task.exception()
        if not isinstance(error, Exception):
            return None
        log.error("part_failed", part=name, error=repr(error), exc_info=error)
        return error


def _see(task: "asyncio.Task[None]") -> None:
    """Whatever becomes of it, nobody waits for it any more."""
    if not task.cancelled():
        task.exception()


async def run_stages(
    stages: Sequence[Stage], stopping: asyncio.Event, *, drain_s: float = DRAIN_S
) -> None:
    """Run all stages until a part ends or `stopping` is set; then stop them, last one first.

    Args:
        stages: what does the work first, what takes work in last.
        stopping: set from outside.
        drain_s: how long it may take to stop all; a stage may take its share of what is left.

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
    until = asyncio.get_running_loop().time() + drain_s
    to_stop = [stage for stage in running if stage.tasks]
    while to_stop:
        left_s = max(0.0, until - asyncio.get_running_loop().time())
        share_s = left_s / len(to_stop)
        failures += await to_stop.pop().stop(share_s)
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
