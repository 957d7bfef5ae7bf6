"""The topics as they are on the broker, and the brokers themselves, for whoever looks at them."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final

import aiokafka
import aiokafka.errors as kafka_errors
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.protocol.admin import DescribeGroupsRequest_v2
from aiokafka.protocol.api import Request
from msgspec import Struct

from shared.adapters.cluster.closing import bounded
from shared.adapters.cluster.names import ALL_TOPICS
from shared.adapters.cluster.quiet import quiet_client
from shared.contracts.errors import Unavailable

REQUEST_S: Final = 4.0
CLOSE_S: Final = 2.0
OF_A_GROUP: Final = 0  # a coordinator, and not of a transaction
TIME: Final = "message.timestamp.type"
CLEANUP: Final = "cleanup.policy"


class TopicFound(Struct, frozen=True):
    """One topic.

    Attributes:
        replication: copies of the partition that has the fewest.
        in_sync: of these, how many are up to date, in the partition that has the fewest.
        leaderless: how many partitions nobody leads.
        settings: those of `TIME` and `CLEANUP`.
    """

    partitions: int
    replication: int
    in_sync: int
    leaderless: int
    settings: dict[str, str]


async def found_brokers(bootstrap: str) -> list[str]:
    """The brokers' addresses, `host:port`.

    Raises:
        Unavailable: none answered.
    """
    async with _admin(bootstrap) as admin:
        cluster = await admin.describe_cluster()
    return sorted(f"{broker['host']}:{broker['port']}" for broker in cluster["brokers"])


async def found_topics(bootstrap: str, prefix: str) -> dict[str, TopicFound]:
    """Those of our topics that there are, by their names without the prefix.

    Raises:
        Unavailable: the broker did not answer.
    """
    ours = {prefix + name: name for name in ALL_TOPICS}
    async with _admin(bootstrap) as admin:
        described = [t for t in await admin.describe_topics() if t["topic"] in ours]
        settings = await _settings(admin, [topic["topic"] for topic in described])
    return {
        ours[topic["topic"]]: _found(topic["partitions"], settings[topic["topic"]])
        for topic in described
    }


async def found_members(bootstrap: str, groups: list[str]) -> dict[str, int]:
    """How many processes each group has, by its name on the broker.

    Raises:
        Unavailable: the broker did not answer.
    """
    client = aiokafka.AIOKafkaClient(
        bootstrap_servers=bootstrap,
        client_id="aftercall-doctor",
        request_timeout_ms=int(REQUEST_S * 1000),
    )
    try:
        with _told(bootstrap):
            await client.bootstrap()
            return {group: await _members(client, group) for group in groups}
    finally:
        await bounded(client.close(), CLOSE_S)


async def _members(client: aiokafka.AIOKafkaClient, group: str) -> int:
    node = await client.coordinator_lookup(OF_A_GROUP, group)
    response = await client.send(node, _Describe(group))
    ((code, _, _, _, _, members),) = response.groups
    _check(code, group)
    return len(members)


class _Describe(Request[DescribeGroupsRequest_v2]):  # type: ignore[misc] # ships no types
    """The client's own request can't read the answer of the version that it takes."""

    API_KEY = DescribeGroupsRequest_v2.API_KEY

    def __init__(self, group: str) -> None:
        self._group = group

    def build(self, shape: type[DescribeGroupsRequest_v2]) -> DescribeGroupsRequest_v2:
        return shape([self._group])


def _found(partitions: list[dict[str, Any]], settings: dict[str, str]) -> TopicFound:
    return TopicFound(
        partitions=len(partitions),
        replication=min(len(one["replicas"]) for one in partitions),
        in_sync=min(len(one["isr"]) for one in partitions),
        leaderless=sum(one["leader"] < 0 for one in partitions),
        settings=settings,
    )


async def _settings(admin: AIOKafkaAdminClient, topics: list[str]) -> dict[str, dict[str, str]]:
    if not topics:
        return {}
    found: dict[str, dict[str, str]] = {}
    asked = {TIME: "", CLEANUP: ""}
    resources = [ConfigResource(ConfigResourceType.TOPIC, name, asked) for name in topics]
    for response in await admin.describe_configs(resources):
        for code, message, _, topic, entries in response.resources:
            _check(code, message)
            found[topic] = {name: value for name, value, *_ in entries}
    return found


def _check(code: int, what: Any) -> None:
    if code:
        raise kafka_errors.for_code(code)(what)


@asynccontextmanager
async def _admin(bootstrap: str) -> AsyncIterator[AIOKafkaAdminClient]:
    """Connected; what goes wrong inside is `Unavailable`."""
    quiet_client()
    admin = AIOKafkaAdminClient(
        bootstrap_servers=bootstrap,
        client_id="aftercall-doctor",
        request_timeout_ms=int(REQUEST_S * 1000),
    )
    try:
        with _told(bootstrap):
            await admin.start()
            yield admin
    finally:
        await bounded(admin.close(), CLOSE_S)


@contextmanager
def _told(bootstrap: str) -> Iterator[None]:
    try:
        yield
    except (kafka_errors.KafkaError, TimeoutError) as error:
        raise Unavailable(f"the broker at {bootstrap} did not answer: {error!r}") from error
