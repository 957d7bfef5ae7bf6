"""Reading the told topics onwards from a position, without a group.

Partitions are read side by side and merged by the time at which the log took the records: within
a partition the order is the log's, across partitions it is close to what happened.
"""

import asyncio
import heapq
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Final

from services.gateway.push.position import Position
from shared.contracts.envelope import Record
from shared.runtime.ports import EventLog, TopicPartition

CHUNK_RECORDS_MAX: Final = 100  # per partition and round: what one turn of the loop may carry


@dataclass(frozen=True, slots=True)
class Round:
    """What one round of reading gave.

    Attributes:
        start: where it was read from; beyond what was asked for if records are no longer kept.
        lost: whether that is so.
        records: in order; their places are all at or after `start` and before the target.
    """

    start: Position
    lost: bool
    records: Sequence[Record]


async def read_round(
    log: EventLog, position: Position, target: Position, topics: Collection[str]
) -> Round:
    """Read one chunk of every partition of these topics that is behind the target.

    Raises:
        Unavailable: the log did not answer.
    """
    places = position.behind(target, topics)
    chunks = await asyncio.gather(
        *(log.read(place, position[place], CHUNK_RECORDS_MAX) for place in places)
    )
    start = position
    for place, chunk in zip(places, chunks, strict=True):
        # An empty chunk below the end: retention has taken even the newest of them.
        kept = min(chunk[0].offset, target[place]) if chunk else target[place]
        start = start.moved(place, kept) if kept > position[place] else start
    wanted = (
        [record for record in chunk if record.offset < target[place]]
        for place, chunk in zip(places, chunks, strict=True)
    )
    records = list(heapq.merge(*wanted, key=attrgetter("timestamp_ms")))
    return Round(start, start != position, records)


def after(position: Position, record: Record) -> Position:
    """Where one stands after this record."""
    return position.moved(TopicPartition(record.topic, record.partition), record.offset + 1)
