"""How far everybody is: what calls go on, how far each group is behind."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import aiohttp
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from shared.contracts.topics import (
    CALLS_CHANGED,
    DISPOSITION_EVENTS,
    DISPOSITION_REQUESTS,
    TELEPHONY_EVENTS,
    USER_EVENTS,
    WITH_LETTERS,
)
from tests.fault.client import get
from tests.support.cluster_product import PARTITIONS, Cluster

SETTLED_S: Final = 60.0
LOOK_S: Final = 0.2
READS: Final = {
    "callstate": (TELEPHONY_EVENTS,),
    "worker": (CALLS_CHANGED, DISPOSITION_REQUESTS),
    "history": (CALLS_CHANGED, DISPOSITION_REQUESTS, DISPOSITION_EVENTS, USER_EVENTS),
    "letters": WITH_LETTERS,
}


async def settled(cluster: Cluster, *, within_s: float = SETTLED_S) -> float:
    """Wait until no call goes on and no group is behind; the seconds that it took."""
    began = time.monotonic()
    left: dict[str, Any] = {}
    async with aiohttp.ClientSession() as http:
        (gateway,) = cluster.of_role("gateway")
        while time.monotonic() < began + within_s:
            left = await _left(http, gateway.url, cluster)
            if not left:
                return time.monotonic() - began
            await asyncio.sleep(LOOK_S)
    raise AssertionError(f"after {within_s} s there is still: {left}")


async def _left(http: aiohttp.ClientSession, url: str, cluster: Cluster) -> dict[str, Any]:
    left: dict[str, Any] = {}
    for phase in ("ringing", "active", "wrap_up"):
        page = await get(http, f"{url}/v1/calls?phase={phase}&limit=5")
        if page["calls"]:
            left[phase] = [call["id"] for call in page["calls"]]
    return left | await lag(cluster)


async def lag(cluster: Cluster) -> dict[str, int]:
    """By group and partition how many records wait; nothing where none do."""
    async with _asking(cluster) as (admin, consumer):
        ends = await _ends(consumer, cluster)
        return await _behind(admin, cluster, ends)


async def caught_up(cluster: Cluster, *groups: str) -> None:
    """Wait until these groups, or all, have done with what stands in their topics now."""
    async with _asking(cluster) as (admin, consumer):
        ends = await _ends(consumer, cluster)
        ends = {group: ends[group] for group in groups or ends}
        while await _behind(admin, cluster, ends):
            await asyncio.sleep(LOOK_S)


@asynccontextmanager
async def _asking(
    cluster: Cluster,
) -> AsyncIterator[tuple[AIOKafkaAdminClient, AIOKafkaConsumer]]:
    admin = AIOKafkaAdminClient(bootstrap_servers=cluster.broker.bootstrap)
    consumer = AIOKafkaConsumer(bootstrap_servers=cluster.broker.bootstrap)
    await admin.start()
    await consumer.start()
    try:
        yield admin, consumer
    finally:
        await consumer.stop()
        await admin.close()


Ends = dict[str, dict[TopicPartition, int]]
"""By group and partition that it reads: where the partition ends."""


async def _ends(consumer: AIOKafkaConsumer, cluster: Cluster) -> Ends:
    found: Ends = {}
    for group, topics in READS.items():
        places = [TopicPartition(cluster.prefix + t, n) for t in topics for n in range(PARTITIONS)]
        found[group] = await consumer.end_offsets(places)
    return found


async def _behind(admin: AIOKafkaAdminClient, cluster: Cluster, ends: Ends) -> dict[str, int]:
    behind: dict[str, int] = {}
    for group, places in ends.items():
        committed = await admin.list_consumer_group_offsets(cluster.prefix + group)
        for place, end in places.items():
            at = max(0, committed[place].offset) if place in committed else 0
            if at < end:
                behind[f"{group} {place.topic}/{place.partition}"] = end - at
    return behind
