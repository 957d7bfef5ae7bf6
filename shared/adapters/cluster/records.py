"""Records as the client gives them, made ours.

A foreign writer's record may lack a key or a value, or have bytes in its key that are no text. It
is taken as near to what it is as ours can be; what reads it finds it poisonous by itself.
"""

from typing import Any

from shared.contracts.envelope import Record


def to_record(topic: str, found: Any) -> Record:
    """The record, of the topic as the ports call it."""
    headers = found.headers
    for _, value in headers:  # none of ours has a header without a value
        if value is None:
            headers = tuple((name, value or b"") for name, value in headers)
            break
    return Record(
        topic,
        found.partition,
        found.offset,
        found.timestamp,
        (found.key or b"").decode(errors="replace"),
        headers,
        found.value or b"",
    )
