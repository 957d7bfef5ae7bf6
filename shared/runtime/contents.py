"""Everything that log and store hold, read at one moment, for whoever checks a profile."""

from collections.abc import Callable

from msgspec import Struct

from shared.contracts.envelope import Record
from shared.runtime.history import Entry, OutcomeRow
from shared.runtime.letters import LetterRow
from shared.runtime.ports import Document, TopicPartition


class Contents(Struct, frozen=True, kw_only=True):
    """The whole of a profile.

    Attributes:
        records: by topic, each by partition and offset.
        ends: the offset that the next record of each partition will have.
        starts: the oldest offset kept of each partition; nothing where the first record says it.
        positions: by group; nothing where nothing was committed.
        home: the partition that records of a key belong in, on every topic.
        gaps: topics whose offsets may have gaps, for strangers write there in transactions, and
            the marks of these take offsets, too.
        apart: log and store share no transaction, so that a document may be ahead of the committed
            positions until its record is read again.
        unreadable: sentences on what is in the store and none of ours.
    """

    records: dict[str, list[Record]]
    ends: dict[TopicPartition, int]
    positions: dict[str, dict[TopicPartition, int]]
    documents: list[Document]
    entries: list[Entry]
    outcomes: list[OutcomeRow]
    letters: list[LetterRow]
    home: Callable[[str], int]
    starts: dict[TopicPartition, int] = {}
    gaps: frozenset[str] = frozenset()
    apart: bool = False
    unreadable: list[str] = []
