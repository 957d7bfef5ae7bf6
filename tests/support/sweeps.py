"""Every sweep of the product, as one."""

from services.callstate.timers import CALL_TIMERS
from services.worker.timers import CALL_CALLBACKS, SUBJECT_CALLBACKS
from shared.runtime.ports import Clock, EventLog, StateStore
from shared.runtime.timers import TimerSweep


class Sweeps:
    """Looks for whatever has come due: in calls, on calls, of subjects."""

    def __init__(self, store: StateStore, log: EventLog, clock: Clock) -> None:
        self._sweeps = [
            TimerSweep(timers, store, log, clock)
            for timers in (CALL_TIMERS, CALL_CALLBACKS, SUBJECT_CALLBACKS)
        ]

    async def sweep(self) -> int:
        """How many deadlines were published."""
        return sum([await sweep.sweep() for sweep in self._sweeps])
