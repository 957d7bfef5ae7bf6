"""Counts dispositions by day, code and agent from the topics, exactly once. Yours to take away.

    pip install aiokafka
    python reporting_consumer.py --bootstrap 127.0.0.1:9092 --file counts.db [--once]
    sqlite3 counts.db 'SELECT code, agent_id, SUM(calls) FROM counts GROUP BY code, agent_id'

Each call and agent counts once, by its latest disposition, as in the gateway's
`GET /v1/reports/dispositions?group_by=code,agent_id`. Three things make it so:

* **What is final, and what it replaces.** A disposition becomes final by `disposition.saved` or
  `disposition.corrected` on `disposition.events`, or, after the call's release, by an
  `EventUserEvent` of origin `late` on `user.events`; other user events repeat what was saved. Each
  names as `previous` the one that it replaces. So the new one is added and the previous one taken
  back, and it does not matter which of the two topics is read first.
* **Aftercall's crashes.** A record that is written again after one has a new offset and its old
  `sequence` (1, 2, 3 ... for each topic and key): what is not above the last one seen is skipped.
  One that is missing in between was lost; to go on would be to count wrong, so this stops.
* **Its own crashes.** Counts, sequences and offsets change in one transaction of one file. Kafka
  keeps no position for it: it reads all partitions, and one runs at a time.

It begins with what Kafka still has, a week by default: run it from the first day on.
"""

import argparse
import asyncio
import json
import sqlite3
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

TOPICS = ("disposition.events", "user.events")
FINAL = ("disposition.saved", "disposition.corrected")
LATE = ("EventUserEvent", "late")  # type and origin
SCHEMA = """
PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
CREATE TABLE IF NOT EXISTS counts (tenant, day, code, agent_id, calls,
  PRIMARY KEY (tenant, day, code, agent_id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS seen (topic, key, sequence, day, PRIMARY KEY (topic, key)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS places (topic, partition, next, PRIMARY KEY (topic, partition));
-- A sequence is kept for longer than its record could be written again.
DELETE FROM seen WHERE day < (SELECT date(MAX(day), '-30 days') FROM seen);
"""


class RecordLost(Exception):
    """A sequence is missing. Find out why; then count anew, into another file."""


class Counts:
    """The counts in their file. What was applied since the last `commit` is gone with a crash."""

    def __init__(self, path: Path) -> None:
        self._file = sqlite3.connect(path)
        self._file.executescript(SCHEMA)

    def apply(self, record: ConsumerRecord) -> None:
        """Fold one record in, and remember its place. RecordLost: the one before never came."""
        headers, told = dict(record.headers), json.loads(record.value)
        if self._is_new(record, int(headers["ce_sequence"]), told["decided_at"][:10]):
            type_ = headers["ce_type"].decode()
            if type_ in FINAL or (type_, told.get("origin")) == LATE:
                self._add(told, told, 1)
                if "previous" in told:
                    self._add(told, told["previous"], -1)
        place = (record.topic, record.partition, record.offset + 1)
        self._file.execute("INSERT OR REPLACE INTO places VALUES (?, ?, ?)", place)

    def _is_new(self, record: ConsumerRecord, sequence: int, day: str) -> bool:
        of = (record.topic, record.key)
        query = "SELECT sequence FROM seen WHERE topic = ? AND key = ?"
        (last,) = self._file.execute(query, of).fetchone() or (None,)
        if last is not None and sequence <= last:
            return False
        if last is not None and sequence > last + 1:
            raise RecordLost(f"{record.topic} {record.key!r}: {sequence} comes after {last}")
        self._file.execute("INSERT OR REPLACE INTO seen VALUES (?, ?, ?, ?)", (*of, sequence, day))
        return True

    def _add(self, told: dict[str, Any], disposition: dict[str, Any], calls: int) -> None:
        day, code = disposition["decided_at"][:10], disposition["code"]
        self._file.execute(
            "INSERT INTO counts VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT DO UPDATE SET calls = calls + excluded.calls",
            (told["tenant"], day, code, told["agent_id"], calls),
        )

    def commit(self) -> None:
        """Make all that was applied durable, at once."""
        self._file.commit()

    def places(self) -> dict[TopicPartition, int]:
        """Where to read on."""
        rows = self._file.execute("SELECT topic, partition, next FROM places")
        return {TopicPartition(topic, partition): offset for topic, partition, offset in rows}


async def partitions(bootstrap: str, prefix: str) -> list[TopicPartition]:
    """All partitions of the topics."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        found = await admin.describe_topics([prefix + topic for topic in TOPICS])
    finally:
        await admin.close()
    return [TopicPartition(t["topic"], p["partition"]) for t in found for p in t["partitions"]]


async def follow(counts: Counts, given: argparse.Namespace) -> None:
    """Read on from where the file stands; for ever, or once to the present end."""
    every, known = await partitions(given.bootstrap, given.prefix), counts.places()
    # "none": an offset that Kafka no longer has is an error, not a jump over what is gone.
    consumer = AIOKafkaConsumer(bootstrap_servers=given.bootstrap, auto_offset_reset="none")
    await consumer.start()
    try:
        consumer.assign(every)
        for place, offset in known.items():
            consumer.seek(place, offset)
        if fresh := set(every) - set(known):
            await consumer.seek_to_beginning(*fresh)
        ends = await consumer.end_offsets(every)
        while not given.once or any([await consumer.position(p) < ends[p] for p in every]):
            for records in (await consumer.getmany(timeout_ms=500, max_records=1000)).values():
                for record in records:
                    counts.apply(record)
                counts.commit()
    finally:
        await consumer.stop()


if __name__ == "__main__":
    options = argparse.ArgumentParser(description="Counts dispositions by day, code and agent.")
    options.add_argument("--bootstrap", required=True, help="Kafka's addresses, host:port")
    options.add_argument("--file", required=True, type=Path, help="where the counts are kept")
    options.add_argument("--prefix", default="", help="AFTERCALL_TOPIC_PREFIX, where one is set")
    options.add_argument("--once", action="store_true", help="end when the present end is reached")
    arguments = options.parse_args()
    asyncio.run(follow(Counts(arguments.file), arguments))
