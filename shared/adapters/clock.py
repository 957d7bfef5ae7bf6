"""The system clock: the only place that reads it."""

import time


class SystemClock:
    """`Clock` by the machine's wall clock."""

    def now_ms(self) -> int:
        """Milliseconds since the epoch, UTC."""
        return time.time_ns() // 1_000_000
