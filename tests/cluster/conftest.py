"""Topics on the shared broker, and a broker that a test may kill."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from tests.cluster.kafka_parts import Place, make_place, unmake
from tests.support.parts import KafkaBroker, or_skipped

# Started anew, it is told apart from the one that was killed only when that one's time is over.
IMPATIENT = "broker.session.timeout.ms=3000\nbroker.heartbeat.interval.ms=500\n"


@pytest_asyncio.fixture
async def place(kafka: str) -> AsyncIterator[Place]:
    place = await make_place(kafka)
    yield place
    await unmake(place)


@pytest.fixture(scope="module")
def _broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaBroker]:
    with or_skipped():
        broker = KafkaBroker(tmp_path_factory.mktemp("broker"))
    with broker._config.open("a") as config:
        config.write(IMPATIENT)
    broker.start()
    try:
        yield broker
    finally:
        broker.end()


@pytest.fixture
def broker(_broker: KafkaBroker) -> KafkaBroker:
    """One of the module's own, running; whatever the test before did to it."""
    assert _broker.process is not None
    if _broker.process.poll() is not None:
        _broker.start()
    _broker.thaw()
    return _broker


@pytest.fixture
def fragile(broker: KafkaBroker) -> Place:
    """Topics on that broker."""
    return asyncio.run(make_place(broker.bootstrap))
