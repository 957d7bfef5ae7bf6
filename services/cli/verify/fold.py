"""Deciding everything once more, from the first record on: what should stand, and be told."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

from msgspec import Struct

from shared.contracts.envelope import Message, Record
from shared.contracts.errors import Poison
from shared.runtime.ports import TopicPartition
from shared.runtime.slot import Slot
from shared.runtime.topology import Routed, Topology

Adapt = Callable[[Routed], Any]
"""Gives a record's input what the log does not hold, such as rules fixed when a call began."""


class Refolded(Struct):
    """What the rules make of one document's records.

    Attributes:
        partition: where its records stand.
        state: as it should be stored; None if no record changes anything.
        watermark: offset of the last record that changed something; -1 for none.
        messages: all that should have been told, in order.
    """

    partition: int
    state: bytes | None
    watermark: int
    messages: list[Message]


class Routes(Struct):
    """The records of a topic by the document they decide on, and those that nobody understands."""

    by_key: dict[str, list[tuple[Record, Routed]]]
    poison: list[tuple[Record, Poison]]


def sort(topology: Topology, records: Iterable[Record]) -> Routes:
    """Understand each record as the service does."""
    by_key: dict[str, list[tuple[Record, Routed]]] = defaultdict(list)
    poison = []
    for record in records:
        try:
            routed = topology.route(record)
        except Poison as error:
            poison.append((record, error))
        else:
            by_key[routed.key].append((record, routed))
    return Routes(by_key, poison)


def refold(topology: Topology, routes: list[tuple[Record, Routed]], adapt: Adapt) -> Refolded:
    """Decide one document's records from zero. Only for documents decided by their records alone.

    Raises:
        Bug, or whatever the rules raise: they must not, for a record that was decided before.
    """
    first, routed = routes[0]
    aggregate = topology.aggregates[routed.collection]
    slot = Slot(aggregate, None, None)
    messages = []
    for record, item in routes:
        decision = aggregate.decide(slot.state, adapt(item), None)
        if decision.state is slot.state and not decision.effects:
            continue
        slot.state = decision.state
        slot.changed[record.topic] = record.offset
        messages += [slot.cause(p, item, record, topology.source) for p in decision.effects]
    return Refolded(
        partition=first.partition,
        state=None if slot.state is None else aggregate.encode(slot.state),
        watermark=max(slot.changed.values(), default=-1),
        messages=messages,
    )


def partition_of(record: Record) -> TopicPartition:
    """Where a record stands."""
    return TopicPartition(record.topic, record.partition)
