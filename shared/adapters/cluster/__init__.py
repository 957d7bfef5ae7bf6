"""The cluster profile: the log on Apache Kafka, the store on MongoDB."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from shared.adapters.cluster.kafka import Kafka, open_kafka
from shared.adapters.cluster.mongo import Mongo, MongoDriver, StoreRefused, open_mongo
from shared.adapters.cluster.topics import TopicsRefused
from shared.runtime.commit import SeparateCommit
from shared.runtime.history import HistoryStore
from shared.runtime.ports import Clock, Commit, EventLog, Replies, StateStore
from shared.runtime.profile import Deliver

ClusterRefused = (TopicsRefused, StoreRefused)
"""What is on the broker or in the store is not for this version: a person has to look."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """Both, open, behind the ports."""

    log: EventLog
    store: StateStore
    history: HistoryStore
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
        TopicsRefused, StoreRefused: what is there is not for this version.
        Unavailable: the broker or the store does not answer.
    """
    mongo = await open_mongo(mongo_url, driver)
    try:
        kafka = await open_kafka(bootstrap, clock, prefix=prefix, instance=instance)
    except BaseException:
        await mongo.close()
        raise
    return _join(kafka, mongo)


def _join(kafka: Kafka, mongo: Mongo) -> Cluster:
    async def close() -> None:
        try:
            await kafka.close()
        finally:
            await mongo.close()

    return Cluster(
        log=kafka.log,
        store=mongo.store,
        history=mongo.history,
        commit=SeparateCommit(mongo.store),
        replies=kafka.replies,
        register=kafka.register,
        ping=mongo.ping,
        close=close,
    )
