"""Topics on a real broker: made once, refused when they are not as they must be."""

import asyncio
import secrets
import time
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import InvalidReplicationFactorError, TopicAuthorizationFailedError
from structlog.testing import capture_logs

from shared.adapters.cluster import kafka as kafka_module
from shared.adapters.cluster import topics as topics_module
from shared.adapters.cluster.kafka import open_kafka
from shared.adapters.cluster.names import ALL_TOPICS
from shared.adapters.cluster.topics import TopicsRefused, apply_topics, check_topics
from shared.contracts.errors import Bug, Unavailable
from tests.cluster.kafka_parts import PARTITIONS, TOPIC, Place, persist, said
from tests.support.clock import FakeClock
from tests.support.ports import free_ports

pytestmark = [pytest.mark.asyncio, pytest.mark.cluster]


@pytest.fixture
def prefix() -> str:
    return f"t{secrets.token_hex(6)}."


async def make(kafka: str, name: str, settings: dict[str, str], partitions: int = 2) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, partitions, 1, topic_configs=settings)])
    finally:
        await admin.close()


async def add_partitions(kafka: str, name: str, total: int) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        await admin.create_partitions({name: NewPartitions(total)})
        while len((await admin.describe_topics([name]))[0]["partitions"]) < total:
            await asyncio.sleep(0.02)  # the broker learns of it a moment later
    finally:
        await admin.close()


async def settings_of(kafka: str, name: str) -> dict[str, str]:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        asked = ConfigResource(ConfigResourceType.TOPIC, name)
        (response,) = await admin.describe_configs([asked])
        ((_, _, _, _, entries),) = response.resources
        return {entry[0]: entry[1] for entry in entries}
    finally:
        await admin.close()


async def test_topics_are_made_once(kafka: str, prefix: str) -> None:
    made = await apply_topics(kafka, partitions=2, replication=1, prefix=prefix)
    assert sorted(made) == sorted(prefix + name for name in ALL_TOPICS)
    assert await apply_topics(kafka, partitions=2, replication=1, prefix=prefix) == []
    assert await check_topics(kafka, prefix=prefix) == 2


async def test_only_what_is_missing_is_made(kafka: str, prefix: str) -> None:
    settings = {"message.timestamp.type": "LogAppendTime", "retention.ms": "12345678"}
    await make(kafka, prefix + TOPIC, settings)
    made = await apply_topics(kafka, partitions=2, replication=1, prefix=prefix)
    assert sorted(made) == sorted(prefix + name for name in ALL_TOPICS if name != TOPIC)
    assert (await settings_of(kafka, prefix + TOPIC))["retention.ms"] == "12345678"


async def test_another_number_of_partitions_is_refused(kafka: str, prefix: str) -> None:
    await make(kafka, prefix + TOPIC, {"message.timestamp.type": "LogAppendTime"}, 3)
    with pytest.raises(TopicsRefused, match="has 3 partitions, not 2"):
        await apply_topics(kafka, partitions=2, replication=1, prefix=prefix)


async def test_a_topic_that_believes_its_writers_clock_is_refused(kafka: str, prefix: str) -> None:
    await make(kafka, prefix + TOPIC, {"message.timestamp.type": "CreateTime"})
    with pytest.raises(TopicsRefused, match="CreateTime, not LogAppendTime"):
        await apply_topics(kafka, partitions=2, replication=1, prefix=prefix)


async def test_two_who_apply_at_the_same_time_make_each_topic_once(kafka: str, prefix: str) -> None:
    made = await asyncio.gather(
        *(apply_topics(kafka, partitions=2, replication=1, prefix=prefix) for _ in range(3))
    )
    names = [name for some in made for name in some]
    assert sorted(names) == sorted(prefix + name for name in ALL_TOPICS)


async def test_more_copies_than_brokers_are_refused(kafka: str, prefix: str) -> None:
    with pytest.raises(TopicsRefused, match="can't be made"):
        await apply_topics(kafka, partitions=2, replication=3, prefix=prefix)


class FencedAtFirst(AIOKafkaAdminClient):  # type: ignore[misc]
    """A broker that has only just come up says this, as Kafka 4.1 was seen to."""

    fenced: ClassVar[int]

    async def create_topics(self, topics: Sequence[NewTopic], **settings: Any) -> Any:
        """Refuse all as long as it is fenced off."""
        if not type(self).fenced:
            return await super().create_topics(topics, **settings)
        type(self).fenced -= 1
        said = "Unable to replicate the partition 1 time(s): All brokers are currently fenced."
        errors = [(topic.name, InvalidReplicationFactorError.errno, said) for topic in topics]
        return SimpleNamespace(topic_errors=errors)


async def test_a_broker_that_has_only_just_come_up_is_waited_for(
    kafka: str, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(topics_module, "AIOKafkaAdminClient", FencedAtFirst)
    FencedAtFirst.fenced = 3
    made = await apply_topics(kafka, partitions=2, replication=1, prefix=prefix)
    assert sorted(made) == sorted(prefix + name for name in ALL_TOPICS)


async def test_but_not_without_end(
    kafka: str, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(topics_module, "AIOKafkaAdminClient", FencedAtFirst)
    monkeypatch.setattr(topics_module, "APPEAR_S", 0.3)
    FencedAtFirst.fenced = 1_000
    with pytest.raises(Unavailable, match="did not answer"):
        await apply_topics(kafka, partitions=2, replication=1, prefix=prefix)


@pytest.mark.parametrize(
    ("topic", "kept_ms", "bytes_max"),
    [
        ("calls.changed", "604800000", "2097152"),
        ("gateway.replies", "600000", "2097152"),
        ("telephony.events.dead", "2592000000", "2162688"),
    ],
)
async def test_what_a_topic_is_made_with(
    kafka: str, prefix: str, topic: str, kept_ms: str, bytes_max: str
) -> None:
    await apply_topics(kafka, partitions=1, replication=1, prefix=prefix)
    found = await settings_of(kafka, prefix + topic)
    assert {name: found[name] for name in ("retention.ms", "max.message.bytes")} == {
        "retention.ms": kept_ms,
        "max.message.bytes": bytes_max,
    }
    assert found["message.timestamp.type"] == "LogAppendTime"
    assert found["compression.type"] == "uncompressed"
    assert found["cleanup.policy"] == "delete"


async def test_a_process_does_not_start_without_its_topics(kafka: str, prefix: str) -> None:
    with pytest.raises(TopicsRefused, match="run `aftercall topics apply`"):
        await open_kafka(kafka, FakeClock(), prefix=prefix)
    assert await apply_topics(kafka, partitions=1, replication=1, prefix=prefix)  # none was made


async def test_a_process_does_not_start_where_records_have_their_writers_time(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(TopicsRefused, match=r"timestamp\.type=CreateTime, not LogAppendTime"):
        await open_kafka(place.bootstrap, FakeClock(), prefix=place.prefix)

    async def refuse(*_: object, **__: object) -> None:
        raise TopicAuthorizationFailedError

    monkeypatch.setattr(topics_module, "_check_time", refuse)
    with capture_logs() as lines:
        opened = await open_kafka(place.bootstrap, FakeClock(), prefix=place.prefix)
        await opened.close()
    assert [line["event"] for line in lines] == ["time_of_topics_not_checked"]


async def test_a_process_does_not_start_on_uneven_topics(place: Place) -> None:
    await add_partitions(place.bootstrap, place.prefix + TOPIC, PARTITIONS + 1)
    with pytest.raises(TopicsRefused, match=f"not {PARTITIONS + 1}|has {PARTITIONS + 1}"):
        await open_kafka(place.bootstrap, FakeClock(), prefix=place.prefix)


async def test_a_process_stops_when_keys_would_change_their_place(place: Place) -> None:
    async with place.opened() as process:
        consumer = process.consumer()
        await persist(consumer.committed)
        await process.log.append([said("before")])
        await add_partitions(place.bootstrap, place.prefix + TOPIC, PARTITIONS + 1)
        publisher = process.log._publisher
        assert publisher._producer is not None
        await publisher._producer.client.force_metadata_update()
        with pytest.raises(Bug, match=f"{PARTITIONS + 1} partitions now"):
            await process.log.append([said("after")])
        with pytest.raises(Bug, match=f"{PARTITIONS + 1} partitions now"):
            await consumer.poll(records_max=10, wait_s=0.01)


async def test_the_broker_stamps_by_its_own_clock(kafka: str, prefix: str) -> None:
    await apply_topics(kafka, partitions=1, replication=1, prefix=prefix)
    opened = await open_kafka(kafka, FakeClock(1_000), prefix=prefix)
    try:
        begun_ms = time.time_ns() // 1_000_000
        await opened.log.append([said("now")])
        (place,) = await opened.log.ends([TOPIC])
        (record,) = await opened.log.read(place, 0, 1)
    finally:
        await opened.close()
    assert abs(record.timestamp_ms - begun_ms) < 60_000


async def test_a_broker_that_is_away_is_awaited_and_then_reported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(kafka_module, "START_S", 0.5)
    (port,) = free_ports(1)
    async with asyncio.timeout(10):
        with pytest.raises(Unavailable, match="did not answer"):
            await open_kafka(f"127.0.0.1:{port}", FakeClock())
