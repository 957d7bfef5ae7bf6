"""The profiles that golden rows run on: real adapters, on the test's own clock."""

import secrets
from pathlib import Path

import pytest

from shared.adapters.cluster.kafka import Kafka, open_kafka
from shared.adapters.cluster.mongo import Mongo, open_mongo
from shared.adapters.cluster.topics import apply_topics
from shared.adapters.embedded import open_embedded
from shared.runtime.commit import SeparateCommit
from shared.runtime.profile import Deliver, Profile
from tests.conformance.adapters import database_url
from tests.support.clock import FakeClock

PARTITIONS = 4


async def open_row_profile(
    request: pytest.FixtureRequest, folder: Path
) -> tuple[Profile, FakeClock]:
    """The profile that the fixture's parameter names, and its clock."""
    clock = FakeClock()
    if request.param == "embedded":
        return await _embedded(folder, clock), clock
    kafka, mongo_url = request.getfixturevalue("kafka"), request.getfixturevalue("mongo_url")
    return await open_real(kafka, mongo_url, clock), clock


async def _embedded(folder: Path, clock: FakeClock) -> Profile:
    embedded = await open_embedded(folder, clock)

    async def register(address: str, deliver: Deliver) -> None:
        embedded.replies.register(address, deliver)

    return Profile(
        clock=clock,
        log=embedded.log,
        store=embedded.store,
        history=embedded.history,
        letters=embedded.letters,
        overlays=embedded.overlays,
        commit=embedded.commit,
        replies=embedded.replies,
        register=register,
        ping=_fine,
        prune=embedded.log.prune,
        close=embedded.close,
    )


async def open_real(bootstrap: str, mongo_url: str, clock: FakeClock) -> Profile:
    """Kafka and MongoDB: topics and a database of the test's own."""
    name = f"t{secrets.token_hex(6)}"
    prefix = f"{name}."
    await apply_topics(
        bootstrap, partitions=PARTITIONS, replication=1, prefix=prefix, broker_time=False
    )
    mongo = await open_mongo(database_url(mongo_url, name), "motor")
    try:
        kafka = await open_kafka(bootstrap, clock, prefix=prefix, broker_time=False)
    except BaseException:
        await mongo.close()
        raise
    return _joined(kafka, mongo, clock)


def _joined(kafka: Kafka, mongo: Mongo, clock: FakeClock) -> Profile:
    async def close() -> None:
        try:
            await kafka.close()
        finally:
            await mongo.close()

    return Profile(
        clock=clock,
        log=kafka.log,
        store=mongo.store,
        history=mongo.history,
        letters=mongo.letters,
        overlays=mongo.overlays,
        commit=SeparateCommit(mongo.store),
        replies=kafka.replies,
        register=kafka.register,
        ping=mongo.ping,
        prune=_none,
        close=close,
    )


async def _fine() -> None:
    return


async def _none(_: int, __: int) -> int:
    return 0
