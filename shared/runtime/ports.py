"""The ports of the runtime. Each docstring is the contract that its conformance suite tests.

Adapters implement them per profile: SQLite (one process) and, in memory, for tests.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, NamedTuple, Protocol

import msgspec
from msgspec import Struct

from shared.contracts.envelope import Message, Record, ReplyTo


class TopicPartition(NamedTuple):
    """One partition of one topic."""

    topic: str
    partition: int


Positions = Mapping[TopicPartition, int]
"""For each partition the offset of the next record to read."""


class Effect(Struct, frozen=True):
    """A message and the input record that caused it. Ordered as it must be published."""

    source: tuple[str, int, int]  # topic, partition, offset
    message: Message


_encode: Final = msgspec.msgpack.Encoder().encode
_parts: Final = msgspec.msgpack.Decoder(tuple[bytes, ...]).decode
_decode: Final = msgspec.msgpack.Decoder(tuple[Effect, ...]).decode


def part(effects: Sequence[Effect]) -> bytes:
    """What one batch has caused, as a part of an outbox; nothing has no bytes."""
    return _encode(effects) if effects else b""


def pack(*parts: bytes) -> bytes:
    """An outbox of these parts, in order; an empty one has no bytes."""
    some = [one for one in parts if one]
    return _encode(some) if some else b""


def unpack(outbox: bytes) -> tuple[Effect, ...]:
    """The effects in an outbox.

    Raises:
        msgspec.DecodeError: it was not packed by us.
    """
    return tuple(effect for one in _parts(outbox) for effect in _decode(one)) if outbox else ()


class Index(Struct, frozen=True, kw_only=True):
    """What a stored document can be found by, besides its key.

    Attributes:
        phase: one word; `""` when it has none.
        due_ms: the earliest deadline it waits for; None when it waits for nothing.
        created_ms: fixed at the first write; lists are ordered by it, newest first.
        tags: `agent:agent-1`, `customer:77` ...; tags are only ever added.
    """

    created_ms: int
    phase: str = ""
    due_ms: int | None = None
    tags: tuple[str, ...] = ()


class Document(Struct, frozen=True, kw_only=True, rename={"outbox": "effects"}):
    """A stored document.

    Attributes:
        revision: 1 after the insert, one more with each write; the compare-and-set value.
        state: JSON of the aggregate's state.
        watermarks: per source topic the highest offset applied.
        sequences: per topic (and key, where it is not the document's own) the last number given.
        outbox: effects caused and perhaps not yet published, in order, as `pack` writes them:
            many read a document, and hardly ever one of them has to look inside.
    """

    collection: str
    key: str
    revision: int
    state: bytes
    watermarks: dict[str, int]
    sequences: dict[str, int]
    index: Index
    outbox: bytes = b""


class Tagged(NamedTuple):
    """Documents of one tenant that carry one tag."""

    tenant: str
    tag: str


class Page(Struct, frozen=True):
    """One page of documents, newest first, and the cursor that continues it (None: the end)."""

    documents: tuple[Document, ...]
    next: str | None


class StateStore(Protocol):
    """Documents by collection and key, written by compare-and-set.

    Before: nothing is assumed; a document that was never written does not exist.
    After `save` returns: every write is durable and every reader sees it. After it raises
    `WriteConflict`: a document had another revision; any of the *other* writes may have landed.
    After it raises `Unavailable`: any of them may have landed, now or later.
    After a crash: each document is wholly as before or wholly as written.
    """

    async def load(
        self, collection: str, keys: Sequence[str], *, outboxes: bool = True
    ) -> dict[str, Document]:
        """The documents that exist among these keys, in one query, each at its newest.

        Without `outboxes` these may be left out, and look empty.
        """
        ...

    async def save(self, documents: Sequence[Document]) -> None:
        """Write all in one bulk: revision 1 inserts, revision n replaces revision n - 1.

        Raises:
            WriteConflict: a document has another revision in the store.
            Unavailable: the store did not answer.
        """
        ...

    async def find(
        self,
        collection: str,
        tenant: str,
        *,
        phase: str | None = None,
        tag: str | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> Page:
        """One tenant's documents, newest first; outboxes may be left out.

        Raises:
            ValueError: the cursor is not one of ours.
        """
        ...

    async def tagged(
        self, collection: str, wanted: Sequence[Tagged], *, each_max: int
    ) -> dict[Tagged, list[Document]]:
        """For each tenant and tag that documents carry the newest few of them, newest first.

        At most `each_max` each; nothing for a tag that none carries. Outboxes may be left out.
        """
        ...

    async def due(
        self, collection: str, now_ms: int, *, after: tuple[int, str] = (-1, ""), limit: int = 1000
    ) -> list[Document]:
        """Documents whose `due_ms` is not after now, by (due_ms, key), beyond `after`.

        Outboxes may be left out.
        """
        ...


class Consumer(Protocol):
    """One member of a group, reading the partitions it owns.

    `poll` gives each record once per assignment, in offset order within a partition. Positions are
    durable only by `publish_and_advance`. When partitions are assigned anew, the next call raises
    `PartitionsMoved` once; the consumer then stands at the committed positions again.
    After a crash: a new consumer stands at the committed positions.
    """

    async def committed(self) -> dict[TopicPartition, int]:
        """The durable positions of the owned partitions; 0 where nothing was committed."""
        ...

    async def poll(self, *, records_max: int, wait_s: float) -> list[Record]:
        """The next records, at once if there are any, else within `wait_s`, else none.

        With `wait_s` 0 only those that have arrived here, which may be none while the log has more.
        So asked, it may be called while `publish_and_advance` is under way.

        Raises:
            PartitionsMoved: see above.
            Unavailable: the log did not answer.
        """
        ...

    async def publish_and_advance(self, messages: Sequence[Message], positions: Positions) -> None:
        """Append the messages in order, then make the positions durable.

        After a crash in between: messages may stand in the log and the positions not. Positions
        never stand without the messages.

        Raises:
            PartitionsMoved: a partition is no longer owned; positions were not moved.
            Unavailable: the log did not answer; messages may have landed.
        """
        ...

    async def rewind(self) -> None:
        """Drop what was polled beyond the committed positions; the next poll gives it again."""
        ...

    async def close(self) -> None:
        """Leave the group. Never raises, never hangs."""
        ...


class EventLog(Protocol):
    """Topics of ordered partitions. Records of one key stand in one partition, in append order.

    After `append` returns: the records are durable. After it raises `Unavailable`: any of them may
    stand there, now or later. After a crash: no record that `append` returned for is missing, and
    offsets go on without a gap.
    """

    @property
    def appends_whole(self) -> bool:
        """Whether all messages of one `append` stand there, or none, whatever happens."""
        ...

    async def append(self, messages: Sequence[Message]) -> None:
        """Append, durably.

        Raises:
            Unavailable: the log did not answer.
        """
        ...

    def consumer(self, group: str, topics: Sequence[str]) -> Consumer:
        """A new member of this group."""
        ...

    def partition(self, key: str) -> int:
        """The partition that records of this key stand in, on every topic."""
        ...

    async def ends(self, topics: Sequence[str]) -> dict[TopicPartition, int]:
        """For each partition the offset that the next record will have."""
        ...

    async def read(self, place: TopicPartition, offset: int, limit: int) -> list[Record]:
        """Records from this offset on, without a group; none only where there is none.

        Where the oldest are no longer kept, it begins with the first that is.
        """
        ...

    async def positions(self, group: str, topics: Sequence[str]) -> dict[TopicPartition, int]:
        """The committed positions of a group; 0 where nothing was committed."""
        ...

    async def grown(self, topics: Sequence[str], seen: Positions, wait_s: float) -> bool:
        """Wait until some topic ends beyond what was seen; False after `wait_s`."""
        ...


class Answer(Struct, frozen=True):
    """An answer for whoever waits: JSON of the verdict, or of the events' outcome."""

    reply_to: ReplyTo
    body: bytes


class Replies(Protocol):
    """The way back to the gateway that waits. Best effort: an answer may get lost, never altered.

    Nothing depends on it but latency: the answer stands in the store before it is sent.
    """

    async def send(self, answers: Sequence[Answer]) -> None:
        """Hand over. Never raises for an address that is gone."""
        ...


class Batch(Struct, frozen=True):
    """What one turn of the processor has decided.

    Attributes:
        documents: changed, each at its new revision, outbox as `publish` still needs it.
        messages: to append, in order: recovered effects, new ones, dead letters.
        positions: to make durable, after all of the above.
    """

    documents: tuple[Document, ...]
    messages: tuple[Message, ...]
    positions: dict[TopicPartition, int]


class Commit(Protocol):
    """Makes a batch durable.

    Calls `stored` once the documents are durable, and publishes nothing, if that comes later,
    before it has returned. After the commit returns: documents, messages and positions all are
    durable. After a crash inside: documents may stand without messages and positions, messages
    without positions; never positions without both.
    """

    async def __call__(
        self, consumer: Consumer, batch: Batch, stored: Callable[[], Awaitable[None]]
    ) -> None:
        """Make durable.

        Raises:
            WriteConflict, PartitionsMoved, Unavailable: as the store, the consumer and `stored` do.
        """
        ...


class Clock(Protocol):
    """The wall clock, in milliseconds since the epoch; injected so that tests own time."""

    def now_ms(self) -> int:
        """Now."""
        ...
