"""A broker that is away for longer than the client bears with one that does not fetch."""

import asyncio
import time
from contextlib import suppress

import pytest

from shared.adapters.cluster import membership as membership_module
from shared.adapters.cluster.membership import SESSION_S
from shared.contracts.errors import Retryable
from tests.cluster.kafka_parts import Place, after, persist, spread, take, values
from tests.support.parts import KafkaBroker

pytestmark = [pytest.mark.asyncio, pytest.mark.cluster]


async def test_a_broker_that_was_away_for_longer_than_anybody_fetches_is_joined_at_once(
    broker: KafkaBroker, fragile: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client forgets a consumer that has not fetched for so long; ours has asked all along."""
    monkeypatch.setattr(membership_module, "POLL_EVERY_S_MAX", 2.0)
    async with fragile.opened() as process:
        consumer = process.consumer()
        await persist(lambda: process.log.append(spread(8)))

        async def stand() -> None:
            await consumer.rewind()
            await consumer.publish_and_advance([], after(await take(consumer, 8)))

        await persist(stand)
        broker.kill()
        away_until = time.monotonic() + SESSION_S + 1
        while time.monotonic() < away_until:  # as the processor does
            with suppress(Retryable):
                await consumer.rewind()
                await consumer.committed()
            await asyncio.sleep(0.05)
        broker.spawn()  # on this thread, for it ends with the one that has started it
        await asyncio.to_thread(broker.wait)
        await persist(lambda: process.log.append(spread(8)))
        assert sorted(values(await take(consumer, 8)), key=int) == [f"{n}" for n in range(8)]
        assert consumer.rebuilt == 0
