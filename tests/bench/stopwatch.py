"""How fast batches go by: from the end of the first to the end of the last."""

import resource
from time import perf_counter, process_time
from typing import Any


class Stopwatch:
    """Told of each batch when its positions are durable."""

    def __init__(self) -> None:
        self.records = 0
        self.batches = 0
        self._first = 0
        self._began_s = self._began_cpu_s = 0.0
        self._ended_s = self._ended_cpu_s = 0.0

    def batch(self, records: int) -> None:
        self.records += records
        self.batches += 1
        self._ended_s, self._ended_cpu_s = perf_counter(), process_time()
        if self.batches == 1:
            self._first = records
            self._began_s, self._began_cpu_s = self._ended_s, self._ended_cpu_s

    def read(self) -> dict[str, Any]:
        """Records a second, and this process's own CPU time for each in microseconds."""
        counted = self.records - self._first
        return {
            "records": self.records,
            "per_s": counted / (self._ended_s - self._began_s),
            "cpu_us": (self._ended_cpu_s - self._began_cpu_s) / counted * 1e6,
            "records_per_batch": self.records / self.batches,
            "rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        }
