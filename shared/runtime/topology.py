"""What a service tells the processor: its topics, how a record finds its document, its decider."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from msgspec import Struct

from shared.contracts.envelope import Record, ReplyTo
from shared.kernel import Decision
from shared.runtime.ports import Index


class Routed(Struct, frozen=True, kw_only=True):
    """A record, understood.

    Attributes:
        collection, key: the one document that it decides on.
        input: for the decider; holds `now`.
        tenant, subject: for the envelope of what follows from it.
        beside_version: the version that the document read beside must have reached.
        alone: what stands beside the document is not asked for; it is not read for this input.
        look: the input is nothing but a reason to look at the document read beside, so that with
            nothing decided in between a second look does nothing.
    """

    collection: str
    key: str
    tenant: str
    subject: str
    input: Any
    reply_to: ReplyTo | None = None
    beside_version: int = 0
    alone: bool = False
    look: bool = False


class Beside(Struct, frozen=True):
    """What is read beside the documents of one collection.

    Attributes:
        collection: that of the document of the same key; or, `by_tag`, of the newest few documents
            that carry the key, without its tenant, as a tag.
    """

    collection: str
    by_tag: bool = False


class Aggregate(Protocol):
    """One kind of document and its rules. `state` is its own model, or None before the first."""

    def decode(self, state: bytes) -> Any:
        """The stored state.

        Raises:
            msgspec.ValidationError: the stored document is not of this kind: a bug.
        """
        ...

    def encode(self, state: Any) -> bytes:
        """The state to store; the same state gives the same bytes."""
        ...

    def decide(self, state: Any, given: Any, beside: Any) -> Decision[Any]:
        """The rules. `beside` is what the topology made of the documents read beside."""
        ...

    def again(self, state: Any, given: Any, beside: Any) -> Decision[Any]:
        """An input that is applied already: its answer, and what has become due beside it.

        A write may land late, after its writer was given up: then a change of what is read beside
        was taken before, by a document that did not know this input yet, and nothing followed.
        """
        ...

    def index(self, state: Any) -> Index:
        """What the document can be found by."""
        ...


class Topology(Protocol):
    """One processor.

    Attributes:
        group: its consumer group; also its name in logs and metrics.
        source: CloudEvents `source` of what it writes.
        topics: what it reads.
        aggregates: by collection.
        beside: by collection of an aggregate what is read with each of its documents, if anything.
    """

    group: str
    source: str
    topics: tuple[str, ...]
    aggregates: Mapping[str, Aggregate]
    beside: Mapping[str, Beside]

    def route(self, record: Record) -> Routed:
        """Understand a record.

        Raises:
            Poison: it can never be processed.
        """
        ...

    def read_beside(self, state: bytes) -> tuple[Any, int]:
        """The document read beside, and its version."""
        ...

    def read_tagged(self, states: Sequence[bytes]) -> Any:
        """The documents read beside by their tag; there may be none."""
        ...
