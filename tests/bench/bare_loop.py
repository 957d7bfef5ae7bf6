"""The yardstick of a drain: aiokafka and MongoDB in a loop, as one would write it by hand.

It does what the processor must: polls as many records, reads their documents by one `$in` (and the
calls beside them, where the worker does), writes as many bodies of the same size in one unordered
bulk, majority and journal, sends as many messages of the same size and headers, waits for all, and
commits the positions. It decides nothing, decodes nothing but the key, keeps no outbox, checks no
watermark, and loses or repeats records as it pleases when it dies.

It sends by key, as one does. The client then hashes each key in plain Python; told beforehand which
partition a record goes to (`knows_partitions`), the loop is spared that, and is a second yardstick.
"""

import asyncio
import json
import sys
from typing import Any, Final

import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from bson.binary import Binary
from motor.motor_asyncio import AsyncIOMotorClient
from pymongo import InsertOne, ReplaceOne, WriteConcern
from pymongo.read_concern import ReadConcern

from services.processes import calm_collector
from shared.contracts.limits import BATCH_RECORDS_MAX
from shared.contracts.topics import (
    CALLS_CHANGED,
    DISPOSITION_EVENTS,
    DISPOSITION_REQUESTS,
    TELEPHONY_EVENTS,
)
from tests.bench.stopwatch import Stopwatch
from tests.support.clock import START_MS

READS: Final = {
    "callstate": (TELEPHONY_EVENTS,),
    "worker": (DISPOSITION_REQUESTS, CALLS_CHANGED),
}
COLLECTIONS: Final = {"callstate": "calls", "worker": "dispositions"}
WRITES: Final = {"callstate": CALLS_CHANGED, "worker": DISPOSITION_EVENTS}
SHOWN: Final = {"body": 1, "v": 1}

Row = dict[str, Any]


class Share:
    """So many of each, spread evenly: the n-th time it says how many more there are to be."""

    def __init__(self, of_each: float) -> None:
        self._of_each = of_each
        self._owed = 0.0

    def take(self, number: int = 1) -> int:
        self._owed += self._of_each * number
        taken = int(self._owed)
        self._owed -= taken
        return taken


class BareLoop:
    """See the module. `does` is what the product did for each record, on the average."""

    def __init__(self, given: dict[str, Any]) -> None:
        self._service: str = given["service"]
        self._knows_partitions: bool = given["knows_partitions"]
        self._topics = [given["prefix"] + name for name in READS[self._service]]
        self._out = given["out_prefix"] + WRITES[self._service]
        self._consumer = AIOKafkaConsumer(
            *self._topics,
            bootstrap_servers=given["bootstrap"],
            group_id=given["out_prefix"] + self._service,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
        )
        self._producer = AIOKafkaProducer(
            bootstrap_servers=given["bootstrap"],
            enable_idempotence=True,
            acks="all",
            linger_ms=0,
            max_batch_size=256 * 1024,
        )
        concerns = {
            "write_concern": WriteConcern(w="majority", j=True),
            "read_concern": ReadConcern("majority"),
        }
        client: Any = AsyncIOMotorClient(given["url"])
        name = COLLECTIONS[self._service]
        self._own = client.get_default_database(**concerns)[name]
        client = AsyncIOMotorClient(given["beside_url"])
        self._beside = client.get_default_database(**concerns)["calls"]
        does = given["does"]
        self._body = Binary(b"x" * does["document_bytes"])
        self._value = b"x" * does["message_bytes"]
        self._headers = [(name, value.encode()) for name, value in does["headers"]]
        self._messages = Share(does["messages"])
        self._with_deadline = Share(does["with_deadline"])
        self._documents = Share(does["documents"])
        self.written = self.sent = 0

    async def run(self, records: int) -> dict[str, Any]:
        stopwatch = Stopwatch()
        await self._producer.start()
        await self._consumer.start()
        try:
            while stopwatch.records < records:
                stopwatch.batch(await self._batch())
            return stopwatch.read()
        finally:
            await self._consumer.stop()
            await self._producer.stop()

    async def _batch(self) -> int:
        found = await self._consumer.getmany(timeout_ms=500, max_records=BATCH_RECORDS_MAX)
        records = [record for some in found.values() for record in some]
        if not records:
            return 0
        keys = list({record.key: record.key.decode() for record in records}.values())
        known = await self._load(keys)
        await self._write(keys, known, len(records))
        await self._send(records)
        await self._consumer.commit({place: some[-1].offset + 1 for place, some in found.items()})
        return len(records)

    async def _load(self, keys: list[str]) -> dict[str, int]:
        wanted, many = {"_id": {"$in": keys}}, len(keys) + 1
        if self._service == "worker":
            await self._beside.find(wanted, SHOWN, batch_size=many).to_list(None)
        rows = await self._own.find(wanted, SHOWN, batch_size=many).to_list(None)
        return {row["_id"]: row["v"] for row in rows}

    async def _write(self, keys: list[str], known: dict[str, int], records: int) -> None:
        number = min(len(keys), self._documents.take(records))
        bulk = [self._row(key, known.get(key, 0)) for key in keys[:number]]
        if bulk:
            await self._own.bulk_write(bulk, ordered=False)
            self.written += len(bulk)

    def _row(self, key: str, revision: int) -> InsertOne[Row] | ReplaceOne[Row]:
        """With the fields that the product's indexes need, where it has some."""
        row: Row = {"_id": key, "v": revision + 1, "body": self._body}
        if self._service == "callstate":
            row["tenant"] = "demo"
            row["created_ms"] = START_MS
            row["found"] = ["", "phase:released", "agent:agent-1", f"customer:{key}"]
            if self._with_deadline.take():
                row["due_ms"] = START_MS + revision
        return ReplaceOne({"_id": key, "v": revision}, row) if revision else InsertOne(row)

    async def _send(self, records: list[Any]) -> None:
        sent = [
            await self._producer.send(
                self._out,
                self._value,
                record.key,
                partition=record.partition if self._knows_partitions else None,
                headers=self._headers,
            )
            for record in records
            for _ in range(self._messages.take())
        ]
        await asyncio.gather(*sent)
        self.sent += len(sent)


async def drain(given: dict[str, Any]) -> dict[str, Any]:
    loop = BareLoop(given)
    calm_collector()
    found = await loop.run(given["records"])
    counted = {"documents": loop.written, "messages": loop.sent}
    return found | {"does": {name: number / found["records"] for name, number in counted.items()}}


if __name__ == "__main__":
    print(json.dumps(uvloop.run(drain(json.loads(sys.argv[1])))))
