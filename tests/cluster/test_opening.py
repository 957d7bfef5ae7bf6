"""What is checked of both parts together before a service starts on them."""

import secrets

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from shared.adapters.clock import SystemClock
from shared.adapters.cluster import LogShorter, open_cluster
from shared.adapters.cluster.topics import apply_topics
from shared.contracts.envelope import Message
from shared.contracts.topics import TELEPHONY_EVENTS
from tests.conformance.adapters import database_url

pytestmark = [pytest.mark.cluster, pytest.mark.asyncio]


async def apply(kafka: str, prefix: str) -> None:
    await apply_topics(kafka, partitions=2, replication=1, prefix=prefix)


async def test_a_topic_made_anew_under_documents_that_remember_the_old_one_is_refused(
    kafka: str, mongo_url: str
) -> None:
    name = f"t{secrets.token_hex(6)}"
    url, prefix = database_url(mongo_url, name), f"{name}."
    await apply(kafka, prefix)
    message = Message(TELEPHONY_EVENTS, "demo:call-1", (), b"{}")
    cluster = await open_cluster(kafka, url, SystemClock(), prefix=prefix)
    await cluster.log.append([message, message, message])
    await cluster.close()

    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    await admin.delete_topics([f"{prefix}{TELEPHONY_EVENTS}"])
    await admin.close()
    await apply(kafka, prefix)

    with pytest.raises(LogShorter, match="ends at 0, and once ended at 3"):
        await open_cluster(kafka, url, SystemClock(), prefix=prefix)
