"""Deciding dispositions once more, from the order of what was told.

The log does not say in which order the worker took the records of its two topics, nor which version
of the call it had read beside each. What it told says both: every effect carries the time of the
record that it follows from, and every event the version of the call. So the decisions are found one
after another: each must account for what is told next, byte for byte, on each topic.

Where two records could come next, the one that was decided on the older call did. On one call both
fit only where they are of one time: a request catches up with its call before it is decided, so
what the change might have done, it may have done itself.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Final, Literal

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from services.cli.verify.fold import Fold, Item, Step
from services.cli.verify.snapshot import message_of
from services.worker.dispositions import TABLE
from services.worker.model import CallbackTimed, CallMoved, Requested
from services.worker.topology import COLLECTION, WorkerTopology, seen_again
from shared.contracts.calls import Call
from shared.contracts.dispositions import DispositionTold
from shared.contracts.envelope import Record
from shared.contracts.errors import WriteConflict
from shared.contracts.instants import to_wire
from shared.contracts.topics import (
    DISPOSITION_EVENTS,
    DISPOSITION_REQUESTS,
    SWITCH_COMMANDS,
    TELEPHONY_EVENTS,
    USER_EVENTS,
)
from shared.runtime.topology import Routed

TOPOLOGY: Final = WorkerTopology()
TOLD_BY_WORKER: Final = (DISPOSITION_EVENTS, USER_EVENTS, SWITCH_COMMANDS, TELEPHONY_EVENTS)
TRIED_MAX: Final = 20_000  # choices; nearly always there is but one
UNASKED: Final = frozenset(row.rule for row in TABLE if row.given != "request")

_decode_told: Final = msgspec.json.Decoder(DispositionTold).decode


class Inputs(Struct, kw_only=True):
    """What the worker was given of one call, and what it told.

    Attributes:
        timers: of its callbacks; they stand among the requests.
        calls: the call after each of its changes, by version; 0 is None.
        told: by topic, each record once, in order.
    """

    requests: list[Item]
    changes: list[Item]
    calls: dict[int, Call | None]
    told: dict[str, list[Record]]
    timers: list[Item] = []


class Choice(Struct, frozen=True):
    """A record that may have been decided next, on which version of the call, with what.

    Attributes:
        at: among the records of its kind; of no matter for a timer.
        again: it came again, and raised no watermark.
    """

    version: int
    kind: Literal["request", "timer", "change"]
    at: int
    step: Step
    again: bool = False


class Point(Struct, frozen=True):
    """How far it has been decided.

    Attributes:
        request, change: the next record of each; timers are taken as they are told of.
        accounted: by topic how much of what was told follows from records up to here.
        last: the decision before.
        moved: the times of changes that may have been the last to be taken.
        unsure: how many records may have found done by a change what they seem to have done.
    """

    fold: Fold
    request: int = 0
    change: int = 0
    accounted: dict[str, int] = {}
    last: Choice | None = None
    moved: frozenset[bytes] = frozenset()
    unsure: int = 0


class Replay:
    """Finds the decisions on one call's dispositions."""

    def __init__(self, inputs: Inputs) -> None:
        self._inputs = inputs
        self.furthest = Point(Fold(TOPOLOGY, COLLECTION))

    def ways(self) -> Iterator[Point]:
        """Every way to account for all that was told: the point at its end, the likeliest first.

        A choice that leads nowhere is taken back. Where there is no way, `furthest` is how far one
        leads, and `stuck` what was told next.
        """
        point = Point(Fold(TOPOLOGY, COLLECTION))
        self.furthest, path = point, [(point, self._choices(point))]
        if self._head(point) is None:
            yield point
        for _ in range(TRIED_MAX):
            while path and not path[-1][1]:
                path.pop()
            if not path:
                return
            before, choices = path[-1]
            point = self._after(before, choices.pop(0))
            if self._head(point) is None:
                yield point
            path.append((point, self._choices(point)))
            self.furthest = max(self.furthest, point, key=_reach)

    @property
    def stuck(self) -> Record | None:
        """What was told where the search came no further."""
        return self._head(self.furthest)

    def _head(self, point: Point) -> Record | None:
        """The next record told, of any topic, that nothing accounts for yet."""
        return next(filter(None, (self._next(point, topic) for topic in TOLD_BY_WORKER)), None)

    def _next(self, point: Point, topic: str) -> Record | None:
        told, accounted = self._inputs.told[topic], point.accounted.get(topic, 0)
        return told[accounted] if accounted < len(told) else None

    def _choices(self, point: Point) -> list[Choice]:
        """What may have been decided next, the likeliest first."""
        found = list(self._asked(point))
        event = self._next(point, DISPOSITION_EVENTS)
        told = None if event is None else _read(event)
        if event is not None and told is not None and told.rule in UNASKED:
            found += self._unasked(point, _time(event), (told.call_version,))
        release = self._next(point, TELEPHONY_EVENTS)
        if release is not None:
            found += self._unasked(point, _time(release), sorted(self._inputs.calls))
        return sorted(found, key=lambda choice: (choice.version, choice.kind == "change"))

    def _unasked(self, point: Point, time: bytes, versions: Sequence[int]) -> Iterator[Choice]:
        """What may have been decided at this time that nobody has asked for."""
        yield from self._moved(point, time, versions)
        yield from self._timed(point, time, versions)

    def unanswered(self, point: Point) -> int:
        """The next request that was not answered before; any other one changes nothing."""
        at, requests = point.request, self._inputs.requests
        verdicts = {} if point.fold.state is None else point.fold.state.verdicts
        while at < len(requests) and requests[at][1].input.request.idempotency_key in verdicts:
            at += 1
        return at

    def _asked(self, point: Point) -> Iterator[Choice]:
        """The next request, on the call that its verdict names."""
        at = self.unanswered(point)
        if at == len(self._inputs.requests):
            return
        record, routed = self._inputs.requests[at]
        given: Requested = routed.input
        for version in self._versions.get(given.request.request_id, ()):
            step = self._step(point, record, routed, version)
            if step is not None:
                yield Choice(version, kind="request", at=at, step=step)

    @cached_property
    def _versions(self) -> dict[str, set[int]]:
        """By request the versions of the call that what was told of it names."""
        found: dict[str, set[int]] = defaultdict(set)
        for topic in (DISPOSITION_EVENTS, USER_EVENTS):
            for record in self._inputs.told[topic]:
                told = _read(record)
                if told is not None and told.request_id and told.rule not in UNASKED:
                    found[told.request_id].add(told.call_version)
        return found

    def _moved(self, point: Point, time: bytes, versions: Sequence[int]) -> Iterator[Choice]:
        """The first change of this time that accounts for what is told next."""
        for at in range(point.change, len(self._inputs.changes)):
            record, routed = self._inputs.changes[at]
            given: CallMoved = routed.input
            fitting = [version for version in versions if version >= given.version]
            if stamp(record) != time or not fitting:
                continue
            steps = [(version, self._step(point, record, routed, version)) for version in fitting]
            found = [
                Choice(version, kind="change", at=at, step=step)
                for version, step in steps
                if step is not None
            ]
            if found:
                yield from found
                break
        yield from self._again(point, time, versions)

    def _timed(self, point: Point, time: bytes, versions: Sequence[int]) -> Iterator[Choice]:
        """A timer of this time, behind every request that was decided, and before the next."""
        taken = point.fold.watermarks.get(DISPOSITION_REQUESTS, -1)
        following = self._inputs.requests[self.unanswered(point) :]
        for record, routed in self._inputs.timers:
            if stamp(record) != time or record.offset <= taken:
                continue
            if following and following[0][0].offset < record.offset:
                return
            for version in versions:
                step = self._step(point, record, routed, version)
                if step is not None:
                    yield Choice(version, kind="timer", at=0, step=step)

    def _again(self, point: Point, time: bytes, versions: Sequence[int]) -> Iterator[Choice]:
        """A record of before, come again once its late write had landed and the call moved on."""
        taken = point.fold.watermarks.get(DISPOSITION_REQUESTS, -1)
        before = (
            *self._inputs.requests[: point.request],
            *(item for item in self._inputs.timers if item[0].offset <= taken),
            *self._inputs.changes[: point.change],
        )
        for record, routed in before:
            if stamp(record) != time:
                continue
            looked = replace(routed, input=seen_again(routed.input))
            for version in versions:
                step = self._step(point, record, looked, version)
                if step is not None:
                    at = point.change - 1
                    yield Choice(version, kind="change", at=at, step=step, again=True)

    def _step(self, point: Point, record: Record, routed: Routed, version: int) -> Step | None:
        """The decision, if all that it tells is what was told next on each topic."""
        if version not in self._inputs.calls:
            return None
        call = self._inputs.calls[version]
        try:
            step = point.fold.attempt(record, routed, routed.input, call)
        except WriteConflict:  # decided on a newer call before
            return None
        if step is None or not step.messages:
            return None
        for topic in TOLD_BY_WORKER:
            expected = [message for message in step.messages if message.topic == topic]
            begin = point.accounted.get(topic, 0)
            told = self._inputs.told[topic][begin : begin + len(expected)]
            if expected != [message_of(record) for record in told]:
                return None
        return step

    def _after(self, point: Point, choice: Choice) -> Point:
        accounted = dict(point.accounted)
        for message in choice.step.messages:
            accounted[message.topic] = accounted.get(message.topic, 0) + 1
        time = stamp(choice.step.record)
        left = self._inputs.changes[point.change :]
        is_change = choice.kind == "change"
        unsure = not is_change and any(stamp(record) == time for record, _ in left)
        moved = frozenset({time}) if unsure or is_change else frozenset()
        if choice.again:
            moved = point.moved
        return Point(
            fold=point.fold.after(choice.step),
            request=choice.at + 1 if choice.kind == "request" else self.unanswered(point),
            change=choice.at + 1 if is_change else point.change,
            accounted=accounted,
            last=choice,
            moved=moved if is_change else point.moved | moved,
            unsure=point.unsure + unsure,
        )


def _reach(point: Point) -> int:
    return sum(point.accounted.values())


def _read(record: Record) -> DispositionTold | None:
    """What was told; None where that can't be read, which is another check's finding."""
    try:
        return _decode_told(record.value)
    except msgspec.DecodeError:
        return None


def _time(told: Record) -> bytes:
    """Of the record that it follows from."""
    return dict(told.headers)["ce_time"]


def stamp(record: Record) -> bytes:
    """Its time, as what follows from it names it."""
    return to_wire(record.timestamp_ms).encode()


def is_timer(item: Item) -> bool:
    """Whether a record of the requests' topic is a timer, and asks for nothing."""
    return isinstance(item[1].input, CallbackTimed)
