"""The cluster profile: the log on Apache Kafka, the store on MongoDB."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import structlog

from shared.adapters.cluster.kafka import Kafka, open_kafka
from shared.adapters.cluster.mongo import Mongo, MongoDriver, StoreRefused, open_mongo
from shared.adapters.cluster.mongo_url import UrlRefused
from shared.adapters.cluster.topics import TopicsRefused
from shared.contracts.errors import AftercallError, Retryable
from shared.contracts.topics import CALLS_CHANGED, DISPOSITION_REQUESTS, TELEPHONY_EVENTS
from shared.runtime.commit import SeparateCommit
from shared.runtime.history import HistoryStore
from shared.runtime.letters import LetterStore
from shared.runtime.overlays import OverlayStore
from shared.runtime.ports import Clock, Commit, EventLog, Replies, StateStore
from shared.runtime.profile import Deliver

WATERMARKED: Final = (TELEPHONY_EVENTS, DISPOSITION_REQUESTS, CALLS_CHANGED)
"""The topics whose offsets documents remember."""

REMEMBER_S: Final = 60.0
CLOSE_S: Final = 3.0  # what is not remembered by then was, a minute ago

log = structlog.get_logger()


class LogShorter(AftercallError):
    """A partition ends before an offset that it once had: a person has to look."""


ClusterRefused = (TopicsRefused, StoreRefused, LogShorter, UrlRefused)
"""What is meant, or is on the broker or in the store, is not for this version: a person has to
look."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """Both, open, behind the ports."""

    log: EventLog
    store: StateStore
    history: HistoryStore
    letters: LetterStore
    overlays: OverlayStore
    commit: Commit
    replies: Replies
    register: Callable[[str, Deliver], Awaitable[None]]
    ping: Callable[[], Awaitable[None]]
    close: Callable[[], Awaitable[None]]


async def open_cluster(
    bootstrap: str,
    mongo_url: str,
    clock: Clock,
    *,
    driver: MongoDriver = "motor",
    prefix: str = "",
    instance: str | None = None,
) -> Cluster:
    """Connect to both; see `open_kafka` and `open_mongo`.

    Raises:
        TopicsRefused, StoreRefused, LogShorter: what is there is not for this version, or not what
            it was.
        UrlRefused: the store's URL is none, or asks for what can't be had.
        Unavailable: the broker or the store does not answer.
    """
    mongo = await open_mongo(mongo_url, driver)
    try:
        kafka = await open_kafka(bootstrap, clock, prefix=prefix, instance=instance)
        try:
            await _refuse_a_shorter_log(kafka, mongo)
        except BaseException:
            await kafka.close()
            raise
    except BaseException:
        await mongo.close()
        raise
    return _join(kafka, mongo)


async def _refuse_a_shorter_log(kafka: Kafka, mongo: Mongo) -> None:
    """Documents would take the records of a topic made anew for some that they have applied."""
    remembered, ends = await mongo.remembered_ends(), await _ends(kafka)
    for name, end in ends.items():
        if end < remembered.get(name, 0):
            raise LogShorter(
                f"{name} ends at {end}, and once ended at {remembered[name]}: the topic was made "
                "anew, or lost records; see deploy/README.md"
            )
    await mongo.remember_ends(ends)


async def _ends(kafka: Kafka) -> dict[str, int]:
    ends = await kafka.log.ends(WATERMARKED)
    return {f"{place.topic}/{place.partition}": end for place, end in ends.items()}


async def _remember(kafka: Kafka, mongo: Mongo) -> None:
    """Keep in the store how far the log reaches, for the next start."""
    while True:
        await asyncio.sleep(REMEMBER_S)
        await _remember_now(kafka, mongo)


async def _remember_now(kafka: Kafka, mongo: Mongo) -> None:
    try:
        async with asyncio.timeout(CLOSE_S):
            await mongo.remember_ends(await _ends(kafka))
    except (Retryable, TimeoutError) as error:
        log.warning("ends_not_remembered", error=repr(error))
    except Exception:
        log.exception("ends_not_remembered")  # a bug, and no reason to end, or to end badly


def _join(kafka: Kafka, mongo: Mongo) -> Cluster:
    remembering = asyncio.ensure_future(_remember(kafka, mongo))

    async def close() -> None:
        remembering.cancel()
        try:
            await asyncio.wait({remembering}, timeout=CLOSE_S)
            await _remember_now(kafka, mongo)
        finally:
            try:
                await kafka.close()
            finally:
                await mongo.close()

    return Cluster(
        log=kafka.log,
        store=mongo.store,
        history=mongo.history,
        letters=mongo.letters,
        overlays=mongo.overlays,
        commit=SeparateCommit(mongo.store),
        replies=kafka.replies,
        register=kafka.register,
        ping=mongo.ping,
        close=close,
    )
