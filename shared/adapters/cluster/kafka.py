"""One Kafka cluster behind the ports of the log and the replies."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from shared.runtime.ports import Clock, EventLog, Replies
from shared.runtime.profile import Deliver


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
    bootstrap: str, clock: Clock, *, prefix: str = "", instance: str | None = None
) -> Kafka:
    """Connect, and check the topics.

    Args:
        bootstrap: the broker's addresses, `host:port`, with commas.
        clock: stamps records, where the topics believe the writer.
        prefix: before every topic and group name, so that several can share a broker.
        instance: this process's name within its groups; a restart under the same name takes its
            partitions back at once. Two live processes must never share one.

    Raises:
        TopicsRefused: topics are missing, or are not as `apply_topics` makes them.
        Unavailable: the broker did not answer.
    """
    raise NotImplementedError(bootstrap, clock, prefix, instance)
