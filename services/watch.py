"""How far each group is behind, and whether its loop still turns: readiness, lag, watchdog."""

import asyncio
from collections.abc import Mapping
from typing import Final

import structlog

from shared.contracts.errors import Bug, Retryable
from shared.observability.metrics import Metrics
from shared.runtime.ports import EventLog
from shared.runtime.processor import Processor

LOOK_S: Final = 1.0
STANDSTILL_S: Final = 60.0  # polls return twice a second, even when there is nothing
STORE_S: Final = 1.0
LAG_MAX: Final = 20_000  # records; beyond it answers come late enough to take traffic elsewhere

log = structlog.get_logger()


class Watch:
    """Looks at the processors once a second."""

    def __init__(
        self, event_log: EventLog, processors: Mapping[str, Processor], metrics: Metrics
    ) -> None:
        self._event_log = event_log
        self._processors = processors
        self._metrics = metrics
        self._seen = dict.fromkeys(processors, (-1, 0.0))

    async def run(self, stopping: asyncio.Event) -> None:
        """Look until told to stop.

        Raises:
            Bug: a loop has stood still for `STANDSTILL_S`; a restart is better than silence.
        """
        while not stopping.is_set():
            await self._look()
            try:
                await asyncio.wait_for(stopping.wait(), LOOK_S)
            except TimeoutError:
                continue

    async def _look(self) -> None:
        now = asyncio.get_running_loop().time()
        for name, processor in self._processors.items():
            turns, since = self._seen[name]
            if processor.turns != turns:
                self._seen[name] = (processor.turns, now)
            elif now - since > STANDSTILL_S:
                raise Bug(f"{name} has not polled for {STANDSTILL_S:.0f} s")
            await self._measure(name, processor)

    async def _measure(self, name: str, processor: Processor) -> None:
        """A store that does not answer is no reason to stop: the loops go on asking it, too."""
        try:
            behind = await self._behind(processor)
        except Retryable as error:
            log.warning("lag_unknown", group=name, error=repr(error))
        else:
            self._metrics.lag.labels(name).set(behind)

    async def _behind(self, processor: Processor) -> int:
        ends = await self._event_log.ends(processor.topics)
        positions = await self._event_log.positions(processor.group, processor.topics)
        return sum(end - positions.get(place, 0) for place, end in ends.items())

    async def readiness(self) -> dict[str, str]:
        """By part: `ok`, or why it is not."""
        parts = {}
        for name, processor in self._processors.items():
            try:
                async with asyncio.timeout(STORE_S):
                    behind = await self._behind(processor)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is the answer
                parts[name] = f"log not to be had: {type(error).__name__}"
            else:
                parts[name] = "ok" if behind <= LAG_MAX else f"{behind} records behind"
        return parts
