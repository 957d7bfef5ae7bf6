"""Telephony events, and a switch that writes them straight to the topic with a plain client."""

import asyncio
import json
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final, Self

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.partitioner import murmur2

from shared.contracts.envelope import Event, to_message
from shared.contracts.ids import call_key
from shared.contracts.topics import TELEPHONY_EVENTS
from tests.support.cluster_product import PARTITIONS, Cluster

WRITTEN_S: Final = 6.0
AGAIN_S: Final = 0.05
SOURCE: Final = "/tests/switch"


def event(call: str, kind: str, data: dict[str, Any], *, ago_ms: int = 0) -> Event:
    """One event; the same kind of a call is the same event, however often it is told."""
    return Event(
        id=f"{call}-{kind}",
        source=SOURCE,
        type=f"call.{kind}",
        subject=call,
        time_ms=int(time.time() * 1000) - ago_ms,
        tenant="demo",
        data=json.dumps(data).encode(),
    )


def home(key: str) -> int:
    """The partition where the records of a key belong."""
    return int((murmur2(key.encode()) & 0x7FFFFFFF) % PARTITIONS)


def poison(call: str) -> Event:
    """An event that can't be understood."""
    return event(call, "started", {"no such field": 1})


def life(call: str, agent: str) -> list[Event]:
    """A whole call."""
    return [
        event(call, "started", {"direction": "inbound", "agent_id": agent}, ago_ms=3),
        event(call, "answered", {}, ago_ms=2),
        event(call, "disconnected", {"by": "caller"}),
    ]


class Switch:
    """Writes events to the topic with a plain Kafka client, until they are acknowledged."""

    def __init__(self, cluster: Cluster) -> None:
        self._topic = cluster.prefix + TELEPHONY_EVENTS
        self._bootstrap = cluster.broker.bootstrap
        self._producer: AIOKafkaProducer | None = None

    async def __aenter__(self) -> Self:
        self._producer = AIOKafkaProducer(
            bootstrap_servers=self._bootstrap, acks="all", request_timeout_ms=5000
        )
        await self._producer.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._producer is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._producer.stop(), WRITTEN_S)

    async def write(self, events: Sequence[Event], *, astray: bool = False) -> None:
        """All, in this order; some may stand there twice.

        Args:
            astray: each in another partition than its key's, as by a foreign partitioner.
        """
        assert self._producer is not None
        messages = [
            to_message(event, TELEPHONY_EVENTS, call_key(event.tenant, event.subject))
            for event in events
        ]
        while True:
            with suppress(KafkaError, TimeoutError):
                async with asyncio.timeout(WRITTEN_S):
                    sent = [
                        await self._producer.send(
                            self._topic,
                            key=message.key.encode(),
                            value=message.value,
                            headers=list(message.headers),
                            partition=(home(message.key) + astray) % PARTITIONS,
                        )
                        for message in messages
                    ]
                    await asyncio.gather(*sent)
                    return
            await asyncio.sleep(AGAIN_S)
