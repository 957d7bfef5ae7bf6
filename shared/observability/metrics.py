"""Metrics: every name, unit and label on one screen. Labels are bounded: no call, no agent."""

from functools import cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from shared.runtime.deciding import Turn


class Metrics:
    """The product's metrics, in a registry of their own."""

    def __init__(self) -> None:
        registry = CollectorRegistry()
        self.registry = registry
        self.records = Counter(
            "aftercall_records", "Records processed", ["group"], registry=registry
        )
        self.documents = Counter(
            "aftercall_documents_written", "Documents written", ["group"], registry=registry
        )
        self.messages = Counter(
            "aftercall_effects_published", "Effects published", ["group"], registry=registry
        )
        self.dead = Counter(
            "aftercall_dead_letters",
            "Records that could not be processed",
            ["group"],
            registry=registry,
        )
        self.recovered = Counter(
            "aftercall_effects_recovered",
            "Effects published again after a crash",
            ["group"],
            registry=registry,
        )
        self.moved = Counter(
            "aftercall_records_moved",
            "Records that a foreign partitioner had put elsewhere, moved to their own partition",
            ["group"],
            registry=registry,
        )
        self.batch = Histogram(
            "aftercall_batch_records",
            "Records in a batch",
            ["group"],
            registry=registry,
            buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 4000),
        )
        self.requests = Counter(
            "aftercall_http_requests", "HTTP requests", ["route", "status"], registry=registry
        )
        self.seconds = Histogram(
            "aftercall_http_seconds",
            "How long HTTP requests took",
            ["route"],
            registry=registry,
            buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5),
        )
        self.lag = Gauge(
            "aftercall_lag_records", "Records not yet processed", ["group"], registry=registry
        )
        self.oldest = Gauge(
            "aftercall_oldest_waiting_seconds",
            "Age of the oldest record not yet processed, from when it was first seen waiting",
            ["group"],
            registry=registry,
        )
        # Finding what counts for these labels takes longer than counting.
        self._requests = cache(lambda route, status: self.requests.labels(route, str(status)))
        self._seconds = cache(self.seconds.labels)

    def turn(self, turn: Turn) -> None:
        """Count one turn of a processor."""
        self.records.labels(turn.group).inc(turn.records)
        self.documents.labels(turn.group).inc(turn.documents)
        self.messages.labels(turn.group).inc(turn.messages)
        self.dead.labels(turn.group).inc(turn.dead)
        self.recovered.labels(turn.group).inc(turn.recovered)
        self.moved.labels(turn.group).inc(turn.moved)
        self.batch.labels(turn.group).observe(turn.records)

    def request(self, route: str, status: int, seconds: float) -> None:
        """Count one HTTP request."""
        self._requests(route, status).inc()
        self._seconds(route).observe(seconds)
