"""How far each loop is behind, and whether it still turns: readiness, lag, watchdog.

A process is ready when each of its loops knows its share of the partitions and is not far behind
on it, and the store answers. Lag is of the share alone, so that the sum over all processes is the
lag of the group. Lag in records may rest at one for ever where a foreign writer uses transactions
(their marks take offsets, too); so alert on the age of the oldest record waiting.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, Protocol

import structlog

from shared.contracts.errors import Bug, Retryable
from shared.contracts.topics import TELEPHONY_EVENTS
from shared.observability.metrics import Metrics
from shared.runtime.ports import EventLog, Positions, TopicPartition

LOOK_S: Final = 1.0
STANDSTILL_S: Final = 60.0  # polls return twice a second, even when there is nothing
ANSWER_S: Final = 2.0
LAG_MAX: Final = 20_000  # records; beyond it answers come late enough to take traffic elsewhere
LOOKS_KEPT_MAX: Final = 600  # ages beyond ten minutes are told as ten minutes
OK: Final = "ok"

log = structlog.get_logger()


class Loop(Protocol):
    """What is watched: a processor or a projection."""

    @property
    def group(self) -> str:
        """Whose positions it moves."""
        ...

    @property
    def topics(self) -> Sequence[str]:
        """What it reads."""
        ...

    @property
    def turns(self) -> int:
        """Grows with every turn, also with those that fail."""
        ...

    @property
    def owned(self) -> frozenset[TopicPartition] | None:
        """The partitions it works on; None while that is not known."""
        ...


class _Seen:
    """What earlier looks at one loop have shown."""

    def __init__(self) -> None:
        self.turns = -1
        self.turned = 0.0
        self.ends: deque[tuple[float, Positions]] = deque(maxlen=LOOKS_KEPT_MAX)

    def age_s(self, now: float, ends: Positions, positions: Positions) -> float:
        """For how long the oldest record waiting has been known to wait."""
        self.ends.append((now, ends))
        while self.ends and all(
            positions.get(place, 0) >= end for place, end in self.ends[0][1].items()
        ):
            self.ends.popleft()
        return now - self.ends[0][0] if self.ends else 0.0


class Watch:
    """Looks at the loops of this process once a second.

    Args:
        ping: raises `Retryable` when the store does not answer.
    """

    def __init__(
        self,
        event_log: EventLog,
        ping: Callable[[], Awaitable[None]],
        loops: Mapping[str, Loop],
        metrics: Metrics,
    ) -> None:
        self._event_log = event_log
        self._ping = ping
        self._loops = loops
        self._metrics = metrics
        self._seen = {name: _Seen() for name in loops}

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
        for name, loop in self._loops.items():
            self._see_it_turn(name, loop)
            await self._measure(name, loop)

    def _see_it_turn(self, name: str, loop: Loop) -> None:
        now, seen = asyncio.get_running_loop().time(), self._seen[name]
        if loop.turns != seen.turns:
            seen.turns, seen.turned = loop.turns, now
        elif now - seen.turned > STANDSTILL_S:
            raise Bug(f"{name} has not polled for {STANDSTILL_S:.0f} s")

    async def _measure(self, name: str, loop: Loop) -> None:
        """A log that does not answer is no reason to stop: the loops go on asking it, too."""
        try:
            async with asyncio.timeout(ANSWER_S):
                ends, positions = await self._places(loop)
        except (Retryable, TimeoutError) as error:
            log.warning("lag_unknown", group=name, error=repr(error))
            return
        now = asyncio.get_running_loop().time()
        self._metrics.lag.labels(name).set(_behind(ends, positions))
        self._metrics.oldest.labels(name).set(self._seen[name].age_s(now, ends, positions))

    async def _places(self, loop: Loop) -> tuple[Positions, Positions]:
        """Where the share of a loop ends, and where its group stands; of all that is nobody's."""
        ends = await self._event_log.ends(loop.topics)
        positions = await self._event_log.positions(loop.group, loop.topics)
        if loop.owned is None:  # what waits must be seen where nobody works on it
            return ends, positions
        return {place: end for place, end in ends.items() if place in loop.owned}, positions

    async def readiness(self) -> dict[str, str]:
        """By part: `ok`, or why it is not."""
        parts = {
            name: await _answer("log", self._ready(loop)) for name, loop in self._loops.items()
        }
        if not self._loops:
            parts["log"] = await _answer("log", self._log_answers())
        return {**parts, "store": await _answer("store", self._store_answers())}

    async def _ready(self, loop: Loop) -> str:
        behind = _behind(*await self._places(loop))
        if loop.owned is None:
            return "has no share of the partitions yet"
        return OK if behind <= LAG_MAX else f"{behind} records behind"

    async def _log_answers(self) -> str:
        await self._event_log.ends((TELEPHONY_EVENTS,))
        return OK

    async def _store_answers(self) -> str:
        await self._ping()
        return OK


def _behind(ends: Positions, positions: Positions) -> int:
    return sum(max(0, end - positions.get(place, 0)) for place, end in ends.items())


async def _answer(part: str, asked: Awaitable[str]) -> str:
    try:
        async with asyncio.timeout(ANSWER_S):
            return await asked
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the answer
        return f"{part} not to be had: {type(error).__name__}"
