"""The topics on the broker: made, checked, never changed behind anybody's back."""

from shared.contracts.errors import AftercallError


class TopicsRefused(AftercallError):
    """The topics on the broker are not as they must be: a person has to look."""


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
    raise NotImplementedError(bootstrap, partitions, replication, prefix, broker_time)
