"""One service's processor as a process of its own: drains what stands there, and says how fast."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import uvloop

import services.callstate.__main__ as callstate
import services.worker.__main__ as worker
from services.processes import calm_collector
from services.profile import open_profile
from services.settings import read_settings
from shared.adapters.tenants_file import FileTenantDirectory
from shared.contracts.envelope import Headers
from shared.observability.logging import configure_logging
from shared.observability.metrics import Metrics
from shared.runtime.deciding import Turn
from shared.runtime.ports import Batch, Commit, Consumer
from shared.runtime.processor import Processor
from shared.runtime.profile import Profile
from tests.bench.stopwatch import Stopwatch
from tests.bench.workload import TENANTS


class Counted(Metrics):
    """The product's metrics, which also tell a stopwatch and stop at the last record."""

    def __init__(self, stopwatch: Stopwatch, records: int, stopping: asyncio.Event) -> None:
        super().__init__()
        self._stopwatch = stopwatch
        self._records = records
        self._stopping = stopping

    def turn(self, turn: Turn) -> None:
        super().turn(turn)
        self._stopwatch.batch(turn.records)
        if self._stopwatch.records >= self._records:
            self._stopping.set()


class Weighed:
    """The profile's commit, which notes what it is given: the bare loop is to write as much."""

    def __init__(self, commit: Commit) -> None:
        self._commit = commit
        self._documents = self._with_deadline = self._document_bytes = 0
        self._messages = self._message_bytes = 0
        self._headers: Headers = ()

    async def __call__(
        self, consumer: Consumer, batch: Batch, stored: Callable[[], Awaitable[None]]
    ) -> None:
        self._documents += len(batch.documents)
        self._messages += len(batch.messages)
        documents, messages = batch.documents, batch.messages
        self._document_bytes += sum([len(one.state) + len(one.outbox) for one in documents])
        self._with_deadline += sum([one.index.due_ms is not None for one in documents])
        self._message_bytes += sum([len(one.value) for one in messages])
        self._headers = messages[-1].headers if messages else self._headers
        await self._commit(consumer, batch, stored)

    def read(self, records: int) -> dict[str, Any]:
        """On the average: documents and messages of a record, and how large each is."""
        return {
            "documents": self._documents / records,
            "document_bytes": round(self._document_bytes / max(1, self._documents)),
            "with_deadline": self._with_deadline / max(1, self._documents),
            "messages": self._messages / records,
            "message_bytes": round(self._message_bytes / max(1, self._messages)),
            "headers": [[name, value.decode()] for name, value in self._headers],
        }


def processor(service: str, profile: Profile, metrics: Metrics) -> Processor:
    """As the service itself makes it."""
    if service == "callstate":
        return callstate.processor(profile, FileTenantDirectory(TENANTS), metrics)
    return worker.processor(profile, metrics)


async def drain(given: dict[str, str]) -> dict[str, Any]:
    settings = read_settings(
        profile="cluster",
        kafka_bootstrap=given["bootstrap"],
        mongo_url=given["url"],
        topic_prefix=given["prefix"],
        mongo_driver=given.get("driver", "motor"),
    )
    profile = await open_profile(settings)
    try:
        weighed, stopwatch, stopping = Weighed(profile.commit), Stopwatch(), asyncio.Event()
        topics = processor(given["service"], profile, Metrics()).topics
        records = sum((await profile.log.ends(topics)).values())
        metrics = Counted(stopwatch, records, stopping)
        calm_collector()
        await processor(given["service"], replace(profile, commit=weighed), metrics).run(stopping)
        return stopwatch.read() | {"does": weighed.read(stopwatch.records)}
    finally:
        await profile.close()


if __name__ == "__main__":
    configure_logging("warning")
    print(json.dumps(uvloop.run(drain(json.loads(sys.argv[1])))))
