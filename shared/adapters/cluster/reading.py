"""Everything on the broker and in the store, for whoever checks it. Never writes, joins no group.

Log and store share no moment. But nothing is written to either unless a record is read, and whoever
has read one moves a position when it is done. So where no partition has grown and no position has
moved from before the store was read until after, all that was read stood there together. Where
moreover everybody has read everything, nothing was under way at all.

Records are held in memory as they are, at about two kilobytes each.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from shared.adapters.cluster.broker import Broker
from shared.adapters.cluster.log_reading import Groups, LogReading, Look
from shared.adapters.cluster.mongo_client import Connection, MongoDriver
from shared.adapters.cluster.mongo_reading import Stored, open_store, read_stored
from shared.adapters.cluster.names import Names
from shared.adapters.cluster.quiet import quiet_client
from shared.adapters.cluster.topics import check_topics
from shared.contracts.errors import AftercallError
from shared.contracts.topics import TELEPHONY_EVENTS
from shared.runtime.contents import Contents

LOOK_S: Final = 0.5  # between two looks that must see the same


class Unrest(AftercallError):
    """What was read did not stand there together; the message says what was going on."""


async def read_contents(
    bootstrap: str,
    mongo_url: str,
    groups: Groups,
    *,
    driver: MongoDriver = "motor",
    prefix: str = "",
    at_rest: bool = True,
    within_s: float,
) -> Contents:
    """Everything, as it stood at one moment.

    Args:
        bootstrap: as of `open_kafka`.
        mongo_url: as of `open_mongo`.
        driver: same.
        prefix: as of `open_kafka`.
        groups: whose positions are read.
        at_rest: wait until every group has read everything; else it is enough that nothing moves
            while it is read.
        within_s: for how long to wait for that. Reading itself takes as long as it takes.

    Raises:
        Unrest: there was no such moment.
        TopicsRefused, StoreRefused: what is there is not for this version.
        Unavailable: the broker or the store did not answer.
    """
    async with (
        open_log(bootstrap, prefix) as (broker, names),
        open_store(mongo_url, driver) as store,
    ):
        reading = LogReading(broker, names)
        look, stored = await _together(reading, store, groups, at_rest=at_rest, within_s=within_s)
    return Contents(
        records=reading.by_topic(look.ends),
        ends=look.ends,
        positions=look.positions,
        documents=stored.documents,
        entries=stored.entries,
        outcomes=stored.outcomes,
        letters=stored.letters,
        unreadable=stored.unreadable,
        home=names.partition,
        starts=reading.starts,
        gaps=frozenset({TELEPHONY_EVENTS}),
        apart=True,
    )


@asynccontextmanager
async def open_log(bootstrap: str, prefix: str) -> AsyncIterator[tuple[Broker, Names]]:
    """The broker, to be asked and not written to.

    Raises:
        TopicsRefused: topics are missing, or uneven.
        Unavailable: the broker did not answer.
    """
    quiet_client()
    names = Names(prefix, await check_topics(bootstrap, prefix=prefix))
    broker = Broker(bootstrap, names)
    try:
        await broker.open()
        yield broker, names
    finally:
        await broker.close()


async def _together(
    reading: LogReading, store: Connection, groups: Groups, *, at_rest: bool, within_s: float
) -> tuple[Look, Stored]:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within_s
    before: Look | None = None
    while True:
        look = await reading.look(groups)
        await reading.read_to(look.ends)
        unrest = _behind(reading, look, groups) if at_rest else ""
        if look == before and not unrest:
            stored = await read_stored(store)
            if await reading.look(groups) == look:
                return look, stored
            unrest = "records came, or were read, while the store was read"
        if loop.time() >= deadline:
            still = ", and nobody reads on" if look == before and unrest else ""
            raise Unrest((unrest or "records come, or are read, all the time") + still)
        before = look
        await asyncio.sleep(LOOK_S)


def _behind(reading: LogReading, look: Look, groups: Groups) -> str:
    """Who has records to read, and how many."""
    counts = {
        group: reading.behind(look.positions[group], topics) for group, topics in groups.items()
    }
    return ", ".join(
        f"{group} is {count:,} record{'' if count == 1 else 's'} behind"
        for group, count in counts.items()
        if count
    )
