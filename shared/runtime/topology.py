"""What a service tells the processor: its topics, how a record finds its document, its decider."""

from collections.abc import Mapping
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
    look: bool = False


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
        """The rules. `beside` is what `Topology.read_beside` made of the other document."""
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
        beside: the collection whose document of the same key is read with each; None for none.
    """

    group: str
    source: str
    topics: tuple[str, ...]
    aggregates: Mapping[str, Aggregate]
    beside: str | None

    def route(self, record: Record) -> Routed:
        """Understand a record.

        Raises:
            Poison: it can never be processed.
        """
        ...

    def read_beside(self, state: bytes) -> tuple[Any, int]:
        """The document read beside, and its version."""
        ...
