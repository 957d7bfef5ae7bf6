"""The topics on the broker: made, checked, never changed behind anybody's back."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import aiokafka.errors as kafka_errors
import structlog
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from shared.adapters.cluster.closing import bounded
from shared.adapters.cluster.names import ALL_TOPICS
from shared.contracts.errors import AftercallError, Unavailable
from shared.contracts.limits import DEAD_KEPT_MS, LOG_KEPT_MS
from shared.contracts.topics import GATEWAY_REPLIES, TOPICS, dead

REQUEST_S: Final = 10.0
APPEAR_S: Final = 10.0  # until every broker knows of what was made
APPEAR_EVERY_S: Final = 0.05
CLOSE_S: Final = 2.0

RECORD_BYTES_MAX: Final = 2 * 1024 * 1024
DEAD_RECORD_BYTES_MAX: Final = RECORD_BYTES_MAX + 64 * 1024  # the record, and why it is there
REPLIES_KEPT_MS: Final = 10 * 60 * 1000  # nobody waits for longer than seconds
FOR_EVER_MS: Final = 2**63 - 1
COPIES_FOR_TWO_IN_SYNC: Final = 3

_TIME: Final = "message.timestamp.type"
_MAY_NOT: Final = (
    kafka_errors.TopicAuthorizationFailedError,
    kafka_errors.ClusterAuthorizationFailedError,
)
HINT: Final = "run `aftercall topics apply`"

log = structlog.get_logger()


class TopicsRefused(AftercallError):
    """The topics on the broker are not such that a process may start."""


async def apply_topics(
    bootstrap: str,
    *,
    partitions: int,
    replication: int,
    prefix: str = "",
    broker_time: bool = True,
) -> list[str]:
    """Make the topics that are missing; those that are right stay as they are.

    Args:
        bootstrap: the broker's addresses, `host:port`, with commas.
        partitions: of every topic; never changed later.
        replication: copies of every record.
        prefix: before every topic's name.
        broker_time: stamp records with the broker's clock (`LogAppendTime`) as it takes them, and
            not with the writer's, which tests set.

    Returns:
        The names of those made now.

    Raises:
        TopicsRefused: a topic has another partition count, or its records another time.
        Unavailable: the broker did not answer.
    """
    async with _admin(bootstrap) as admin:
        found = await _partition_counts(admin, prefix)
        _check_counts(found, partitions)
        await _check_time(admin, list(found), broker_time=broker_time)
        missing = [
            NewTopic(
                prefix + name,
                partitions,
                replication,
                topic_configs=_settings(name, replication, broker_time=broker_time),
            )
            for name in ALL_TOPICS
            if prefix + name not in found
        ]
        if not missing:
            return []
        made = await _make(admin, missing)
        await _wait_for(admin, prefix, partitions)
        others = [topic.name for topic in missing if topic.name not in made]
        await _check_time(admin, others, broker_time=broker_time)
    return made


async def check_topics(bootstrap: str, *, prefix: str = "", broker_time: bool | None = None) -> int:
    """See that every topic is there, all with the same number of partitions; says how many.

    Args:
        bootstrap: as of `apply_topics`.
        prefix: as of `apply_topics`.
        broker_time: see that their records have this time, too, where we may look.

    Raises:
        TopicsRefused: they are not.
        Unavailable: the broker did not answer.
    """
    async with _admin(bootstrap) as admin:
        found = await _partition_counts(admin, prefix)
        missing = [name for name in ALL_TOPICS if prefix + name not in found]
        if missing:
            raise TopicsRefused(f"no topic {prefix}{missing[0]} on the broker: {HINT}")
        count = found[prefix + ALL_TOPICS[0]]
        _check_counts(found, count)
        if broker_time is not None:
            await _check_time_if_allowed(admin, list(found), broker_time=broker_time)
    return count


async def _check_time_if_allowed(
    admin: AIOKafkaAdminClient, topics: Sequence[str], *, broker_time: bool
) -> None:
    try:
        await _check_time(admin, topics, broker_time=broker_time)
    except _MAY_NOT as error:
        log.warning("time_of_topics_not_checked", error=repr(error))


def _settings(name: str, replication: int, *, broker_time: bool) -> dict[str, str]:
    """What a topic is made with.

    `uncompressed`: the broker unpacks what foreign writers have packed, so that no reader needs
    their codec, and no small record turns out to be a huge one.
    """
    is_dead = name not in TOPICS
    settings = {
        "cleanup.policy": "delete",
        "compression.type": "uncompressed",
        "max.message.bytes": str(DEAD_RECORD_BYTES_MAX if is_dead else RECORD_BYTES_MAX),
        "min.insync.replicas": "2" if replication >= COPIES_FOR_TWO_IN_SYNC else "1",
        _TIME: _time(broker_time=broker_time),
        "retention.ms": str(DEAD_KEPT_MS if is_dead else LOG_KEPT_MS),
    }
    if name in (GATEWAY_REPLIES, dead(GATEWAY_REPLIES)):
        settings["retention.ms"] = settings["segment.ms"] = str(REPLIES_KEPT_MS)
    if not broker_time:  # a test's clock may stand long ago, and leap far ahead
        settings["retention.ms"] = "-1"
        settings["message.timestamp.after.max.ms"] = str(FOR_EVER_MS)
    return settings


def _time(*, broker_time: bool) -> str:
    return "LogAppendTime" if broker_time else "CreateTime"


def _check_counts(found: dict[str, int], partitions: int) -> None:
    for topic, count in found.items():
        if count != partitions:
            raise TopicsRefused(f"{topic} has {count} partitions, not {partitions}")


async def _check_time(
    admin: AIOKafkaAdminClient, topics: Sequence[str], *, broker_time: bool
) -> None:
    if not topics:
        return
    asked = [ConfigResource(ConfigResourceType.TOPIC, name, {_TIME: ""}) for name in topics]
    wanted = _time(broker_time=broker_time)
    for response in await admin.describe_configs(asked):
        for code, message, _, topic, entries in response.resources:
            _check(code, message)
            for _, value, *_ in entries:
                if value != wanted:
                    raise TopicsRefused(f"{topic} has {_TIME}={value}, not {wanted}")


async def _partition_counts(admin: AIOKafkaAdminClient, prefix: str) -> dict[str, int]:
    """Of those of our topics that there are.

    Every topic is asked for: a broker may be set to make those it is asked for by name.
    """
    ours = {prefix + name for name in ALL_TOPICS}
    counts: dict[str, int] = {}
    for topic in await admin.describe_topics():
        if topic["topic"] in ours:
            _check(topic["error_code"], topic["topic"])
            counts[topic["topic"]] = len(topic["partitions"])
    return counts


async def _make(admin: AIOKafkaAdminClient, topics: Iterable[NewTopic]) -> list[str]:
    """The names of those made; not those that somebody else has made an instant ago.

    A broker that has only just come up answers, but is fenced off until it has caught up with its
    controller: nothing can be placed on it yet, and that is waited for.
    """
    made: list[str] = []
    left = {topic.name: topic for topic in topics}
    async with asyncio.timeout(APPEAR_S):
        while left:
            response = await admin.create_topics(list(left.values()))
            for name, code, *message in response.topic_errors:
                if _is_fenced(code, message):
                    continue
                del left[name]
                if _is_made(name, code, message):
                    made.append(name)
            if left:
                await asyncio.sleep(APPEAR_EVERY_S)
    return made


def _is_fenced(code: int, message: Sequence[Any]) -> bool:
    """Whether no broker takes part yet; Kafka says it with the code of too few brokers."""
    too_few = kafka_errors.InvalidReplicationFactorError.errno
    return code == too_few and "currently fenced" in str(message)


def _is_made(name: str, code: int, message: Sequence[Any]) -> bool:
    """Whether it was made now, or else is there."""
    if code == kafka_errors.TopicAlreadyExistsError.errno:
        return False
    error = kafka_errors.for_code(code)
    if not error.retriable and code:
        raise TopicsRefused(f"{name} can't be made: {error.message} {message}")
    _check(code, name)
    return True


async def _wait_for(admin: AIOKafkaAdminClient, prefix: str, partitions: int) -> None:
    """A broker learns of new topics a moment after they were made."""
    async with asyncio.timeout(APPEAR_S):
        while True:
            found = await _partition_counts(admin, prefix)
            if len(found) == len(ALL_TOPICS):
                break
            await asyncio.sleep(APPEAR_EVERY_S)
    _check_counts(found, partitions)


def _check(code: int, what: Any) -> None:
    if code:
        raise kafka_errors.for_code(code)(what)


@asynccontextmanager
async def _admin(bootstrap: str) -> AsyncIterator[AIOKafkaAdminClient]:
    """Connected; what goes wrong inside is `Unavailable`."""
    admin = AIOKafkaAdminClient(
        bootstrap_servers=bootstrap,
        client_id="aftercall-topics",
        request_timeout_ms=int(REQUEST_S * 1000),
    )
    try:
        await admin.start()
        yield admin
    except (kafka_errors.KafkaError, TimeoutError) as error:
        raise Unavailable(f"the broker at {bootstrap} did not answer: {error!r}") from error
    finally:
        await bounded(admin.close(), CLOSE_S)
