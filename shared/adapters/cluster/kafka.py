"""One Kafka cluster behind the ports of the log and the replies."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import structlog

from shared.adapters.cluster.broker import Broker
from shared.adapters.cluster.following import Following
from shared.adapters.cluster.log import KafkaLog
from shared.adapters.cluster.names import Names
from shared.adapters.cluster.publisher import Publisher
from shared.adapters.cluster.quiet import quiet_client
from shared.adapters.cluster.replies import KafkaReplies, Listener
from shared.adapters.cluster.topics import check_topics
from shared.contracts.errors import Unavailable
from shared.runtime.ports import Clock, EventLog, Replies
from shared.runtime.profile import Deliver

START_S: Final = 30.0  # a broker that starts together with us is waited for
RETRY_S: Final = 0.5
SAY_EVERY_S: Final = 10.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Kafka:
    """Open.

    Attributes:
        register: answers for this address are delivered here; returns once none can be missed.
    """

    log: EventLog
    replies: Replies
    register: Callable[[str, Deliver], Awaitable[None]]
    close: Callable[[], Awaitable[None]]


async def open_kafka(
    bootstrap: str,
    clock: Clock,
    *,
    prefix: str = "",
    instance: str | None = None,
    broker_time: bool = True,
) -> Kafka:
    """Connect, and check the topics.

    Args:
        bootstrap: the broker's addresses, `host:port`, with commas.
        clock: stamps records, where the topics believe the writer.
        prefix: before every topic and group name, so that several can share a broker.
        instance: this process's name within its groups; a restart under the same name takes its
            partitions back at once. Two live processes must never share one.
        broker_time: whose time the topics must have, see `apply_topics`.

    Raises:
        TopicsRefused: topics are missing, or are not as `apply_topics` makes them.
        Unavailable: the broker did not answer.
    """
    quiet_client()
    partitions = await awaited(
        lambda: check_topics(bootstrap, prefix=prefix, broker_time=broker_time)
    )
    parts = _Parts(bootstrap, Names(prefix, partitions), clock, instance)
    try:
        await parts.open()
    except BaseException:
        await parts.close()
        raise
    return Kafka(parts.log, parts.replies, parts.register, parts.close)


async def awaited(check: Callable[[], Awaitable[int]]) -> int:
    """What the check gives; it is asked again while nobody answers, for `START_S`.

    Raises:
        TopicsRefused, Unavailable: as the check; the latter once the time is over.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + START_S
    say_at = loop.time()
    while True:
        try:
            return await check()
        except Unavailable as error:
            if loop.time() > deadline:
                raise
            if loop.time() >= say_at:
                say_at = loop.time() + SAY_EVERY_S
                log.warning("broker_awaited", error=str(error))
            await asyncio.sleep(RETRY_S)


class _Parts:
    """Everything that is open."""

    def __init__(self, bootstrap: str, names: Names, clock: Clock, instance: str | None) -> None:
        self._bootstrap = bootstrap
        self._names = names
        self._broker = Broker(bootstrap, names)
        self._publisher = Publisher(bootstrap, names, clock)
        self._following = Following(Broker(bootstrap, names), names)
        self._listeners: list[Listener] = []
        self.log = KafkaLog(
            bootstrap, names, self._broker, self._publisher, self._following, instance
        )
        self.replies = KafkaReplies(Publisher(bootstrap, names, clock))

    async def open(self) -> None:
        await self._broker.open()
        await self._publisher.open()

    async def register(self, address: str, deliver: Deliver) -> None:
        """See `Kafka`."""
        broker = Broker(self._bootstrap, self._names)
        listener = Listener(broker, self._names, address, deliver)
        self._listeners.append(listener)
        await listener.start()

    async def close(self) -> None:
        """Give everything back. Never raises, never hangs."""
        await asyncio.gather(
            *(consumer.close() for consumer in self.log.consumers),
            *(listener.close() for listener in self._listeners),
            self._following.close(),
            self.replies.close(),
        )
        await self._publisher.close()
        await self._broker.close()
