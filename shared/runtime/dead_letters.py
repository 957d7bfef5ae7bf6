"""Dead letters: what could not be processed, whole, with where it stood and why."""

from typing import Final

from shared.contracts.envelope import Message, Record
from shared.contracts.errors import Poison
from shared.contracts.topics import dead

REASON: Final = "dead_reason"
DETAIL: Final = "dead_detail"
ORIGIN: Final = "dead_origin"  # topic/partition/offset: also what makes a repeated one known
OURS: Final = frozenset({REASON, DETAIL, ORIGIN})


def dead_letter(record: Record, poison: Poison) -> Message:
    """The record as it came, for `<topic>.dead`, with its reason in the headers."""
    headers = (
        *(header for header in record.headers if header[0] not in OURS),
        (REASON, poison.reason.encode()),
        (DETAIL, poison.detail.encode(errors="replace")),
        (ORIGIN, f"{record.topic}/{record.partition}/{record.offset}".encode()),
    )
    return Message(dead(record.topic), record.key, headers, record.value)


def put_back(letter: Record) -> Message:
    """The record as it was, for the topic it came from.

    Raises:
        ValueError: it is not one of our dead letters.
    """
    headers = dict(letter.headers)
    if ORIGIN not in headers or not letter.topic.endswith(".dead"):
        raise ValueError("not a dead letter")
    kept = tuple(header for header in letter.headers if header[0] not in OURS)
    return Message(letter.topic.removesuffix(".dead"), letter.key, kept, letter.value)
