"""Deciders: `decide(state, input, ...) -> Decision`.

This is the fused form (state and event in, state and effects out); what the Decider pattern calls
`evolve` is inside it. A decider reads no clock, no store and no dice: `now` and ids come with the
input, so the same input on the same state gives the same bytes, today and on replay.
"""

from typing import Generic, TypeVar

from msgspec import Struct

State = TypeVar("State")


class Publish(Struct, frozen=True):
    """An effect: tell this on a topic.

    The runtime gives it an id and, per topic and key, the next sequence number. `key` defaults to
    the document's own key and `subject` to the call id in it.
    """

    topic: str
    type: str
    data: Struct
    key: str | None = None
    subject: str | None = None


class Decision(Struct, Generic[State], frozen=True):
    """What follows from one input.

    Attributes:
        state: the new state; the very same object when nothing changed.
        effects: to be published, in this order, after the state is durable.
        answer: for whoever waits for this input, once the state is durable.
    """

    state: State
    effects: tuple[Publish, ...] = ()
    answer: Struct | None = None
