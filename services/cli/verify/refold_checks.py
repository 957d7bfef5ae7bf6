"""The check that decides dispositions once more; how is told in `disposition_folds`."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Final

import msgspec
from msgspec.structs import replace

from services.callstate.model import COLLECTION as CALLS
from services.cli.verify.call_checks import TOPOLOGY as CALLSTATE
from services.cli.verify.call_checks import beside_the_state, calls_by_version
from services.cli.verify.disposition_folds import (
    TOLD_BY_WORKER,
    TOPOLOGY,
    Inputs,
    Point,
    Replay,
    is_timer,
    stamp,
)
from services.cli.verify.fold import Item, routes
from services.cli.verify.result import Result
from services.cli.verify.snapshot import History, place
from services.worker.model import DispositionsState
from services.worker.topology import COLLECTION
from shared.contracts.calls import Call
from shared.contracts.envelope import Record, from_record
from shared.contracts.errors import Poison
from shared.contracts.ids import is_subject_name
from shared.contracts.topics import CALLS_CHANGED, DISPOSITION_REQUESTS, TELEPHONY_EVENTS
from shared.runtime.ports import Document

READ: Final = (DISPOSITION_REQUESTS, CALLS_CHANGED)


def dispositions_refold(history: History) -> Result:
    """Stored dispositions are what the rules make of their records, and so is all that was told.

    Requests and changes are decided once more, each on the version of the call that was read then.
    """
    result = Result(of="calls")
    told = _told_by_worker(history)
    requests, changes = (routes(history, TOPOLOGY, topic).of(COLLECTION) for topic in READ)
    events = routes(history, CALLSTATE, TELEPHONY_EVENTS).by_key
    stored = {d.key: d for d in history.snapshot.documents.get(COLLECTION, ())}
    calls = {d.key: d for d in history.snapshot.documents.get(CALLS, ())}
    pruned = behind = 0
    for key in stored.keys() | requests.keys() | changes.keys() | told.keys():
        document, call = stored.get(key), calls.get(key)
        if not _whole(history, key, document, call):
            pruned += 1
        elif _ahead(history, document, call):
            behind += 1
        else:
            result.counted += 1
            versions = _calls_by_version(call, events.get(key, []))
            if versions is None:
                continue  # what is wrong with the call is another check's to say
            asked = requests.get(key, [])
            given = Inputs(
                requests=[item for item in asked if not is_timer(item)],
                timers=[item for item in asked if is_timer(item)],
                changes=changes.get(key, []),
                calls=versions,
                told=told.get(key, defaultdict(list)),
            )
            _judge(f"dispositions of {key}", given, document, result)
    result.note(pruned, "skipped: some of their records are no longer kept")
    result.note(behind, "skipped: stored, and not yet committed")
    return result


def _told_by_worker(history: History) -> dict[str, dict[str, list[Record]]]:
    """By call key and topic what the worker told, each record once."""
    found: dict[str, dict[str, list[Record]]] = defaultdict(lambda: defaultdict(list))
    for topic in TOLD_BY_WORKER:
        seen: set[tuple[str, str]] = set()
        for record in history.snapshot.records.get(topic, ()):
            if topic == TELEPHONY_EVENTS and ("ce_source", _SOURCE) not in record.headers:
                continue
            if is_subject_name(record.key.partition(":")[2]):
                continue
            name = (record.key, _id(record))
            if name not in seen:
                seen.add(name)
                found[record.key][topic].append(record)
    return found


_SOURCE: Final = TOPOLOGY.source.encode()


def _id(record: Record) -> str:
    try:
        return from_record(record).id
    except Poison:
        return ""


def _whole(history: History, key: str, document: Document | None, call: Document | None) -> bool:
    """Whether every record that the worker had of this call is still kept."""
    told = (*TOLD_BY_WORKER, *READ)
    if document is None and call is None:
        return history.since_ms(*told, partition=history.snapshot.home(key)) == 0
    if document is not None and not history.whole(document, *told):
        return False
    return call is None or history.whole(call, *told)


def _ahead(history: History, document: Document | None, call: Document | None) -> bool:
    """Whether one of them has a record in it that its service is not done with."""
    if document is not None and history.ahead(TOPOLOGY.group, document):
        return True
    return call is not None and history.ahead(CALLSTATE.group, call)


def _calls_by_version(call: Document | None, events: list[Item]) -> dict[int, Call | None] | None:
    try:
        return calls_by_version(call, events)
    except Exception:  # noqa: BLE001 - whatever the rules raise is the finding of `calls refold`
        return None


def _judge(name: str, given: Inputs, document: Document | None, result: Result) -> None:
    """Judge all that was told, and what is stored of it.

    Records of one time may have been taken in several orders; one that leads to what is stored will
    do. Where none does, the likeliest is told of.
    """
    replay = Replay(given)
    first: list[str] | None = None
    for point in replay.ways():
        found = list(_faults(name, point, replay.unanswered(point), given, document))
        if not found:
            return
        first = first or found
    stuck = replay.stuck
    if first is None and stuck is not None:
        first = [f"{place(stuck)} follows from no record, by the rules"]
    for sentence in first or ():
        result.wrong(sentence)


def _faults(
    name: str, point: Point, unanswered: int, given: Inputs, document: Document | None
) -> Iterator[str]:
    """What does not agree at the end of one way."""
    for record, routed in given.requests[unanswered:]:
        yield f"{place(record)} ({routed.input.request.request_id}) was never decided"
    for kind, topic in _owed(point, given):
        yield f"{name}: {kind} is owed on {topic}, and was never told"
    if document is None or point.fold.state is None:
        if (document is None) != (point.fold.state is None):
            yield f"{name} are {'not ' if document is None else ''}stored, wrongly"
        return
    stored = msgspec.json.decode(document.state, type=DispositionsState)
    if _as_read(point, given, stored) != stored:
        yield f"{name} are stored otherwise than what was told says"
    if not _reached(point, given, document.watermarks):
        yield f"{name} were last changed by {point.fold.watermarks}, not as stored"
    yield from beside_the_state(name, point.fold, document, point.fold.applied + point.unsure)


def _owed(point: Point, given: Inputs) -> list[tuple[str, str]]:
    """Once the worker has seen the newest change, and every timer, nothing is left to follow."""
    if not given.changes:
        return []
    seen = max(routed.input.version for _, routed in given.changes)
    state: DispositionsState | None = point.fold.state
    call = given.calls.get(max(seen, 0 if state is None else state.call_version))
    owed = [_follows(point, item, call) for item in (given.changes[-1], *given.timers)]
    return list(dict.fromkeys(pair for pairs in owed for pair in pairs))


def _follows(point: Point, item: Item, call: Call | None) -> list[tuple[str, str]]:
    """The types, and the topics, of what would follow from this record now."""
    record, routed = item
    step = None if call is None else point.fold.attempt(record, routed, routed.input, call)
    messages = () if step is None else step.messages
    return [(dict(m.headers)["ce_type"].decode(), m.topic) for m in messages]


def _as_read(point: Point, given: Inputs, stored: DispositionsState) -> DispositionsState:
    """A release names no version: on which call it was decided last is known to the store."""
    state: DispositionsState = point.fold.state
    messages = () if point.last is None else point.last.step.messages
    silent = all(message.topic == TELEPHONY_EVENTS for message in messages)
    if silent and stored.call_version in given.calls:
        return replace(state, call_version=max(state.call_version, stored.call_version))
    return state


def _reached(point: Point, given: Inputs, watermarks: dict[str, int]) -> bool:
    """Of changes of one time any may have been the one that the worker took."""
    requests = point.fold.watermarks.get(DISPOSITION_REQUESTS, -1)
    if watermarks.get(DISPOSITION_REQUESTS, -1) != requests:
        return False
    stored = watermarks.get(CALLS_CHANGED, -1)
    if stored == -1:
        return CALLS_CHANGED not in point.fold.watermarks
    return any(
        record.offset == stored and stamp(record) in point.moved for record, _ in given.changes
    )
