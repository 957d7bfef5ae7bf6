"""A toy topology for the processor's own tests: every input is told once or more, with a count."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from shared.contracts.envelope import Message, Record, ReplyTo
from shared.contracts.errors import Poison
from shared.contracts.topics import CALLS_CHANGED, DISPOSITION_REQUESTS, TELEPHONY_EVENTS
from shared.kernel import Decision, Publish
from shared.runtime.ports import Index
from shared.runtime.topology import Aggregate, Beside, Routed


class Tallied(Struct, frozen=True):
    """State: what was counted, in the order it was decided."""

    inputs: tuple[str, ...] = ()


class Told(Struct, frozen=True):
    """Output: the input, how many there were by then, which of its effects this is."""

    input: str
    count: int
    index: int


class TallyAggregate:
    """Counts inputs; an input ending in 3 is told three times, one ending in 0 is passed over."""

    def decode(self, state: bytes) -> Tallied:
        return msgspec.json.decode(state, type=Tallied)

    def encode(self, state: Tallied) -> bytes:
        return msgspec.json.encode(state)

    def decide(self, state: Tallied | None, given: str, beside: Any) -> Decision[Any]:
        del beside
        if given.endswith("0"):
            return Decision(state, answer=Told(given, 0, 0))
        before = state or Tallied()
        after = Tallied((*before.inputs, given))
        times = 3 if given.endswith("3") else 1
        effects = tuple(
            Publish(CALLS_CHANGED, "told", Told(given, len(after.inputs), index))
            for index in range(times)
        )
        return Decision(after, effects, Told(given, len(after.inputs), 0))

    def again(self, state: Tallied, given: str, _beside: Any) -> Decision[Any]:
        known = given in state.inputs
        return Decision(state, (), Told(given, state.inputs.index(given) + 1, 0) if known else None)

    def index(self, state: Tallied) -> Index:
        return Index(created_ms=len(state.inputs))


class TallyTopology:
    """Two source topics, one document per key; a value of `poison` can't be processed."""

    group = "tally"
    source = "/tests/tally"
    topics: tuple[str, ...] = (TELEPHONY_EVENTS, DISPOSITION_REQUESTS)
    beside: Mapping[str, Beside] = {}

    def __init__(self) -> None:
        self.aggregates: Mapping[str, Aggregate] = {
            "tallies": TallyAggregate(),
            "others": TallyAggregate(),  # never routed to: not even asked for
        }

    def route(self, record: Record) -> Routed:
        if record.value == b"poison":
            raise Poison("test", "not to be processed")
        headers = dict(record.headers)
        waiting = headers.get("reply_to")
        return Routed(
            collection="tallies",
            key=record.key,
            tenant="t",
            subject=record.key,
            input=record.value.decode(),
            reply_to=None if waiting is None else ReplyTo(waiting.decode(), "1"),
        )

    def read_beside(self, state: bytes) -> tuple[Any, int]:
        return state, 0

    def read_tagged(self, states: Sequence[bytes]) -> Any:
        return tuple(states)


def said(topic: str, key: str, value: str, *, reply_to: str | None = None) -> Message:
    """An input record."""
    headers = (
        ()
        if reply_to is None
        else (
            ("reply_to", reply_to.encode()),
            ("correlation_id", b"1"),
        )
    )
    return Message(topic, key, headers, value.encode())
