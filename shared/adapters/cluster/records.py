"""Records as the client gives them, made ours.

A foreign writer's record may lack a key or a value, or have bytes in its key that are no text. It
is taken as near to what it is as ours can be; what reads it finds it poisonous by itself.
"""

from typing import Any

from shared.contracts.envelope import Record


def to_record(topic: str, found: Any) -> Record:
    """The record, of the topic as the ports call it."""
    key = found.key
    return Record(
        topic=topic,
        partition=found.partition,
        offset=found.offset,
        timestamp_ms=found.timestamp,
        key="" if key is None else key.decode(errors="replace"),
        headers=tuple((name, value or b"") for name, value in found.headers),
        value=found.value or b"",
    )
