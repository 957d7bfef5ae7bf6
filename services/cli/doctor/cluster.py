"""What the doctor looks at with the cluster profile; no question waits longer than seconds."""

import asyncio
from collections.abc import Awaitable, Mapping
from typing import Any, Final, TypeVar

from msgspec import Struct

from services.cli.doctor import broker, store
from services.cli.doctor.findings import Finding, fail
from services.cli.verify.reading import GROUPS
from services.settings import Settings
from shared.adapters.cluster import WATERMARKED
from shared.adapters.cluster.broker import Broker, OutOfRange
from shared.adapters.cluster.log_reading import LogReading, Look
from shared.adapters.cluster.mongo_client import Connection
from shared.adapters.cluster.mongo_ends import Ends
from shared.adapters.cluster.mongo_waiting import Writes, answered
from shared.adapters.cluster.names import Names
from shared.adapters.cluster.reading import open_log
from shared.adapters.cluster.topics_found import found_brokers, found_members, found_topics
from shared.contracts.errors import AftercallError, Unavailable
from shared.runtime.ports import Clock, TopicPartition

T = TypeVar("T")

BROKER_S: Final = 5.0
STORE_S: Final = 3.0


class LogSeen(Struct):
    """What the broker has shown.

    Attributes:
        ends: of what documents remember, by `topic/partition`; None where it could not be asked.
        newest_ms: what the broker stamped its newest record with.
    """

    findings: list[Finding]
    ends: dict[str, int] | None = None
    newest_ms: int | None = None


class StoreSeen(Struct):
    """What the store has shown. `now_ms` is what its clock did."""

    findings: list[Finding]
    now_ms: int | None = None


async def look(configured: Settings, clock: Clock) -> list[Finding]:
    """Every finding on broker and store."""
    log = await _look_at_log(configured)
    stored = await _look_at_store(configured, log.ends)
    clocks = store.clocks(clock.now_ms(), stored.now_ms, log.newest_ms)
    return [*log.findings, *stored.findings, clocks]


async def _look_at_log(configured: Settings) -> LogSeen:
    bootstrap, prefix = configured.kafka_bootstrap or "", configured.topic_prefix
    seen = LogSeen([])
    try:
        nodes = await _within(found_brokers(bootstrap))
        seen.findings.append(broker.brokers(nodes))
        topics = broker.topics(await _within(found_topics(bootstrap, prefix)), prefix, len(nodes))
        seen.findings.append(topics)
        if topics.level == "fail":
            return seen
        async with open_log(bootstrap, prefix) as (asked, names):
            now = await _within(LogReading(asked, names).look(GROUPS))
            groups = [names.group(group) for group in GROUPS]
            members = await _within(found_members(bootstrap, groups))
            await _look_inside(seen, asked, names, now, members)
    except (AftercallError, TimeoutError) as error:
        fix = "start it, or correct AFTERCALL_KAFKA_BOOTSTRAP"
        seen.findings.append(fail("broker", str(error) or f"{bootstrap} is slow to answer", fix))
    return seen


async def _look_inside(
    seen: LogSeen, asked: Broker, names: Names, now: Look, members: Mapping[str, int]
) -> None:
    starts = await _within(asked.starts(list(now.ends)))
    for group, topics in GROUPS.items():
        behind = _behind(now, group, names.places(topics), starts)
        seen.findings.append(
            broker.lag(group, members[names.group(group)], behind, names.partitions)
        )
    kept = names.places(WATERMARKED)
    seen.ends = {f"{place.topic}/{place.partition}": now.ends[place] for place in kept}
    stamps = [await _newest_ms(asked, place, now.ends[place]) for place in kept]
    seen.newest_ms = max((stamp for stamp in stamps if stamp is not None), default=None)


def _behind(
    now: Look, group: str, places: list[TopicPartition], starts: Mapping[TopicPartition, int]
) -> int:
    """In offsets: where strangers write in transactions their marks count, too."""
    positions = now.positions[group]
    return sum(
        max(0, now.ends[place] - max(positions.get(place, 0), starts[place])) for place in places
    )


async def _newest_ms(asked: Broker, place: TopicPartition, end: int) -> int | None:
    try:
        fetched = await _within(asked.fetch(place, max(0, end - 1), limit=1))
    except OutOfRange:
        return None
    return fetched.records[0].timestamp_ms if fetched.records else None


async def _look_at_store(configured: Settings, ends: dict[str, int] | None) -> StoreSeen:
    seen = StoreSeen([])
    fix = "start it, or correct AFTERCALL_MONGO_URL"
    try:
        connection = Connection(configured.mongo_url or "", configured.mongo_driver)
    except AftercallError as error:
        seen.findings.append(fail("store", str(error), fix))
        return seen
    try:
        await _ask_store(seen, connection, ends)
    except AftercallError as error:
        seen.findings.append(fail("store", str(error), fix))
    finally:
        await connection.close()
    return seen


async def _ask_store(seen: StoreSeen, connection: Connection, ends: dict[str, int] | None) -> None:
    admin, meta = connection.admin, connection.database["meta"]
    hello: Mapping[str, Any] = await answered(
        "hello", lambda: admin.command("hello"), within_s=STORE_S
    )
    seen.now_ms = store.server_ms(hello)
    build = await answered("version", lambda: admin.command("buildInfo"), within_s=STORE_S)
    seen.findings.append(store.server(hello, str(build.get("version", "?"))))
    stored = await answered("schema", lambda: meta.find_one({"_id": "schema"}), within_s=STORE_S)
    seen.findings.append(store.schema(stored))
    if ends is not None:
        remembered = await Ends(connection.database, Writes()).remembered()
        seen.findings.append(broker.length(ends, remembered))


async def _within(asked: Awaitable[T]) -> T:
    try:
        async with asyncio.timeout(BROKER_S):
            return await asked
    except TimeoutError:
        raise Unavailable(f"the broker was silent for {BROKER_S:.0f} s") from None
