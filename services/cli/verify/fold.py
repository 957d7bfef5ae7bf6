"""Deciding everything once more, from the first record on: what should stand, and be told."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

from msgspec import Struct

from services.cli.verify.snapshot import History, place
from shared.contracts.envelope import Message, Record
from shared.contracts.errors import Poison
from shared.runtime.ports import Index
from shared.runtime.slot import Slot
from shared.runtime.topology import Aggregate, Routed, Topology

Adapt = Callable[[Routed], Any]
"""Gives a record's input what the log does not hold, such as rules fixed when a call began."""

Item = tuple[Record, Routed]


class Routes(Struct):
    """The records of a topic that a service is done with.

    Attributes:
        by_key: by the document that they decide on.
        poison: those that nobody understands.
        moved: those that a stranger put into another partition than their key's; they are not
            decided there, but put where they belong.
    """

    by_key: dict[str, list[Item]]
    poison: list[tuple[Record, Poison]]
    moved: list[Record]

    def of(self, collection: str) -> dict[str, list[Item]]:
        """Those that decide on documents of this collection; no two have one key."""
        return {
            key: items for key, items in self.by_key.items() if items[0][1].collection == collection
        }


@lru_cache(maxsize=4)
def routes(history: History, topology: Topology, topic: str) -> Routes:
    """Understand each record as the service does; those that it has put aside stay aside."""
    by_key: dict[str, list[Item]] = defaultdict(list)
    poison, moved = [], []
    for record in history.snapshot.below(topology.group, topic):
        if place(record) in history.dead:
            continue
        try:
            routed = topology.route(record)
        except Poison as error:
            poison.append((record, error))
            continue
        if history.snapshot.home(record.key) == record.partition:
            by_key[routed.key].append((record, routed))
        else:
            moved.append(record)
    return Routes(by_key, poison, moved)


class Step(Struct, frozen=True):
    """One record that changes a document: the state after it, what follows, the numbers given."""

    record: Record
    state: Any
    messages: tuple[Message, ...]
    sequences: dict[str, int]


class Fold(Struct, frozen=True):
    """One document, decided from zero up to here.

    Attributes:
        state: as it is by now; None before the first change.
        sequences: the numbers given to effects.
        watermarks: by topic the offset of the last record that changed something.
        applied: how many records have.
    """

    topology: Topology
    collection: str
    state: Any = None
    sequences: dict[str, int] = {}
    watermarks: dict[str, int] = {}
    applied: int = 0

    @property
    def body(self) -> bytes | None:
        """The state as it should be stored."""
        return None if self.state is None else self._aggregate.encode(self.state)

    @property
    def index(self) -> Index:
        """What the document should be found by. Only of a state."""
        return self._aggregate.index(self.state)

    @property
    def _aggregate(self) -> Aggregate:
        return self.topology.aggregates[self.collection]

    def attempt(self, record: Record, routed: Routed, given: Any, beside: Any) -> Step | None:
        """What the record changes; None for nothing.

        Raises:
            Bug, or whatever the rules raise: they must not, for a record that was decided before.
        """
        decision = self._aggregate.decide(self.state, given, beside)
        if decision.state is self.state and not decision.effects:
            return None
        slot = Slot(self._aggregate, None, None)
        slot.sequences = dict(self.sequences)
        source = self.topology.source
        messages = tuple(slot.cause(p, routed, record, source) for p in decision.effects)
        return Step(record, decision.state, messages, slot.sequences)

    def after(self, step: Step) -> "Fold":
        """The document after this change."""
        topic, offset = step.record.topic, step.record.offset
        return Fold(
            topology=self.topology,
            collection=self.collection,
            state=step.state,
            sequences=step.sequences,
            watermarks=self.watermarks | {topic: max(offset, self.watermarks.get(topic, -1))},
            applied=self.applied + 1,
        )


def refold(fold: Fold, items: Iterable[Item], adapt: Adapt) -> tuple[Fold, list[Step]]:
    """Decide a document by its records alone, in their order.

    Raises:
        Bug, or whatever the rules raise: they must not, for a record that was decided before.
    """
    steps = []
    for record, routed in items:
        step = fold.attempt(record, routed, adapt(routed), None)
        if step is not None:
            fold = fold.after(step)
            steps.append(step)
    return fold, steps
