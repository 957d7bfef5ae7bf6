"""The worker put together: processor, callbacks, projections."""

import asyncio

from services.worker.history import HistoryProjection
from services.worker.letters import LetterProjection
from services.worker.timers import CALL_CALLBACKS, SUBJECT_CALLBACKS
from services.worker.topology import WorkerTopology
from shared.contracts.topics import DISPOSITION_REQUESTS
from shared.observability.metrics import Metrics
from shared.runtime.processor import Processor
from shared.runtime.profile import Profile
from shared.runtime.projection import Projection
from shared.runtime.timers import TimerSweep, run_sweeps, share_of


def processor(profile: Profile, metrics: Metrics) -> Processor:
    """The processor of `disposition.requests` and `calls.changed`."""
    return Processor(
        WorkerTopology(),
        event_log=profile.log,
        store=profile.store,
        commit=profile.commit,
        replies=profile.replies,
        observe=metrics.turn,
    )


async def run_callbacks(profile: Profile, worker: Processor, stopping: asyncio.Event) -> None:
    """Sweep the callbacks of the processor's share until told to stop.

    Raises:
        Exception: whatever a sweep raised.
    """
    owns = share_of(worker, profile.log, DISPOSITION_REQUESTS)
    sweeps = [
        TimerSweep(timers, profile.store, profile.log, profile.clock, owns)
        for timers in (CALL_CALLBACKS, SUBJECT_CALLBACKS)
    ]
    await run_sweeps(sweeps, stopping)


def projections(profile: Profile) -> list[Projection]:
    """Those that history and reports, and the letters, are read from."""
    return [
        HistoryProjection(profile.log, profile.history),
        LetterProjection(profile.log, profile.letters),
    ]
