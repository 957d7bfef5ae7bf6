"""Checks of dispositions: each queued one is settled once, and what is stored is what was told."""

from collections import defaultdict
from typing import Final

from msgspec import Struct

from services.cli.verify.call_checks import started
from services.cli.verify.result import Result
from services.cli.verify.snapshot import History, Told, place
from services.worker.topology import WorkerTopology
from shared.contracts.calls import CallChanged, Phase
from shared.contracts.dispositions import (
    AgentDispositions,
    DispositionTold,
    Origin,
    Outcome,
)
from shared.contracts.envelope import Record, from_record
from shared.contracts.errors import Poison
from shared.contracts.instants import to_wire
from shared.contracts.telephony import CALL_RELEASED, CallReleased, decode_data
from shared.contracts.topics import (
    CALLS_CHANGED,
    DISPOSITION_EVENTS,
    TELEPHONY_EVENTS,
    USER_EVENTS,
)

TOPOLOGY: Final = WorkerTopology()
FINAL: Final = frozenset({"disposition.saved", "disposition.corrected"})
ON_CALL: Final = frozenset({Phase.RINGING, Phase.ACTIVE})
APPLIED: Final = frozenset({"queue_applied", "queue_corrects"})


class _Waiting(Struct):
    """A disposition that was queued, and not yet settled."""

    told: Told
    data: DispositionTold


def queued(history: History) -> Result:
    """A queued disposition is applied once, when its agent has left, unless it was replaced."""
    result = Result(of="queued dispositions")
    changes = history.changes
    pruned = 0
    for key, rows in history.disposition_events.items():
        waiting: dict[str, _Waiting] = {}
        cut = (rows[0][0].event.sequence or 1) > 1
        for told, data in rows:
            if told.event.type == "disposition.queued":
                result.counted += 1
                waiting[data.agent_id] = _Waiting(told, data)
            elif told.event.type in FINAL:
                pruned += _settle(told, data, waiting, _at(changes.get(key, [])), cut, result)
        for left in waiting.values():
            _still_waiting(history, key, left, changes.get(key, []), result)
    result.note(pruned, "skipped: queued so long ago that it is no longer kept")
    return result


def _at(changes: list[tuple[Told, CallChanged]]) -> dict[int, CallChanged]:
    return {data.version: data for _, data in changes}


def _settle(
    told: Told,
    data: DispositionTold,
    waiting: dict[str, _Waiting],
    versions: dict[int, CallChanged],
    cut: bool,  # noqa: FBT001 - whether the beginning of this call's log is gone
    result: Result,
) -> bool:
    """Judge a final disposition against what waits; True if its queueing is no longer kept."""
    entry = waiting.get(data.agent_id)
    from_queue = data.origin is Origin.QUEUE or data.rule in APPLIED
    if entry is not None and entry.data.request_id == data.request_id:
        del waiting[data.agent_id]
        if data.code != entry.data.code:
            result.wrong(f"{place(told.record)} applies another code than was queued")
        if _stayed(versions, data.agent_id, entry.data.call_version, data.call_version):
            result.wrong(f"{place(told.record)} applies while {data.agent_id} is on the call")
        return False
    if not from_queue or (cut and entry is None):
        return from_queue
    result.wrong(f"{place(told.record)} applies {data.request_id}, which was not waiting")
    return False


def _stayed(versions: dict[int, CallChanged], agent_id: str, since: int, until: int) -> bool:
    """Whether the agent is on the call, and had not left it since; who comes back had left."""
    if _phase(versions.get(until), agent_id) not in ON_CALL:
        return False
    between = (_phase(versions.get(version), agent_id) for version in range(since + 1, until))
    return all(phase in ON_CALL for phase in between)


def _phase(change: CallChanged | None, agent_id: str) -> Phase | None:
    for agent in () if change is None else change.agents:
        if agent.agent_id == agent_id:
            return agent.phase
    return None


def _still_waiting(
    history: History,
    key: str,
    left: _Waiting,
    changes: list[tuple[Told, CallChanged]],
    result: Result,
) -> None:
    """It may wait only as long as the worker has not been told that the agent left."""
    seen = [
        data
        for told, data in changes
        if told.record.offset < history.snapshot.position(TOPOLOGY.group, told.record)
    ]
    newest = seen[-1] if seen else None
    if newest is None or _phase(newest, left.data.agent_id) in ON_CALL:
        return
    if newest.version < left.data.call_version:
        return  # the worker decided by a newer call than it has been told of
    result.wrong(
        f"{place(left.told.record)} queued {left.data.request_id} of {key}, whose agent "
        f"{left.data.agent_id} has left, and it was never applied"
    )


def revisions(history: History) -> Result:
    """The dispositions of a call and agent count 1, 2, 3 ..., each told once, in order."""
    result = Result(of="dispositions")
    finals = finals_told(history)
    for (key, agent_id), rows in finals.items():
        numbers = [data.revision or 0 for _, data in rows]
        result.counted += len(rows)
        cut = _cut(history, key)
        expected = sorted(set(numbers)) if cut else list(range(1, len(numbers) + 1))
        if numbers != expected:
            result.wrong(f"{agent_id} of {key} has revisions {numbers}, not {expected}")
    for topic in (DISPOSITION_EVENTS, USER_EVENTS):
        _ascending([row for rows in finals.values() for row in rows], topic, result)
    return result


def finals_told(history: History) -> dict[tuple[str, str], list[tuple[Told, DispositionTold]]]:
    """Per call key and agent every saved, corrected or late disposition, by revision."""
    found: dict[tuple[str, str], list[tuple[Told, DispositionTold]]] = defaultdict(list)
    for source in (history.disposition_events, history.user_events):
        for key, rows in source.items():
            for told, data in rows:
                if told.event.type in FINAL or data.outcome is Outcome.USER_EVENT:
                    found[key, data.agent_id].append((told, data))
    for rows in found.values():
        rows.sort(key=lambda row: row[1].revision or 0)
    return found


def _ascending(rows: list[tuple[Told, DispositionTold]], topic: str, result: Result) -> None:
    """A topic tells them in the order in which they were decided."""
    last: dict[tuple[str, str], Told] = {}
    for told, data in rows:
        if told.record.topic != topic:
            continue
        before = last.get((told.record.key, data.agent_id))
        if before is not None and before.record.offset > told.record.offset:
            result.wrong(f"{place(told.record)} is a later revision than {place(before.record)}")
        last[told.record.key, data.agent_id] = told


def _cut(history: History, key: str) -> bool:
    """Whether something that was told of this call may no longer be kept."""
    document, _ = history.dispositions.get(key, (None, None))
    return document is None or not history.whole(document, DISPOSITION_EVENTS, USER_EVENTS)


def stored(history: History) -> Result:
    """What is stored of an agent's dispositions is what was told of them last."""
    result = Result(of="agents")
    finals = finals_told(history)
    marks = _marks(history)
    cut = 0
    for key, (document, state) in history.dispositions.items():
        if history.ahead(TOPOLOGY.group, document) or _cut(history, key):
            cut += 1
            continue
        for agent in state.agents:
            result.counted += 1
            about = (key, agent.agent_id)
            _compare(key, agent, finals.get(about, []), marks.get(about, _Marks()), result)
    result.note(cut, "calls skipped: some of what was told is no longer kept")
    return result


class _Marks(Struct):
    """What was told of one agent besides final dispositions."""

    waiting: str | None = None
    missed: bool = False


def _marks(history: History) -> dict[tuple[str, str], _Marks]:
    found: dict[tuple[str, str], _Marks] = defaultdict(_Marks)
    for key, rows in history.disposition_events.items():
        for told, data in rows:
            mark = found[key, data.agent_id]
            if told.event.type == "disposition.queued":
                mark.waiting = data.request_id
            elif told.event.type in FINAL and mark.waiting == data.request_id:
                mark.waiting = None
            elif told.event.type == "disposition.missed":
                mark.missed = True
    return found


def _compare(
    key: str,
    agent: AgentDispositions,
    finals: list[tuple[Told, DispositionTold]],
    marks: _Marks,
    result: Result,
) -> None:
    about = f"{agent.agent_id} of {key}"
    kept = agent.disposition
    last = finals[-1][1] if finals else None
    told = last and (last.code, last.origin, last.revision, last.request_id, last.decided_at)
    if told != (
        kept and (kept.code, kept.origin, kept.revision, kept.request_id, to_wire(kept.decided_ms))
    ):
        result.wrong(f"{about}: another disposition is stored than was told last")
    if marks.waiting != (agent.queued and agent.queued.request_id):
        result.wrong(f"{about}: {marks.waiting} was told to wait, the store says otherwise")
    if marks.missed != agent.missed:
        result.wrong(f"{about}: missed is {agent.missed} in the store, not as told")


def missed(history: History) -> Result:
    """A disposition is missed once at most, after the release, and only where there is none."""
    result = Result(of="missed dispositions")
    changes = history.changes
    for key, rows in history.disposition_events.items():
        versions = _at(changes.get(key, []))
        disposed: set[str] = set()
        gone: set[str] = set()
        for told, data in rows:
            if told.event.type in FINAL:
                disposed.add(data.agent_id)
            if told.event.type != "disposition.missed":
                continue
            result.counted += 1
            if data.agent_id in gone:
                result.wrong(f"{place(told.record)}: {data.agent_id} has missed {key} before")
            if data.agent_id in disposed:
                result.wrong(f"{place(told.record)}: {data.agent_id} has disposed of {key} before")
            if _phase(versions.get(data.call_version), data.agent_id) not in (None, Phase.RELEASED):
                result.wrong(f"{place(told.record)}: {data.agent_id} is not released yet in {key}")
            gone.add(data.agent_id)
    return result


def releases(history: History) -> Result:
    """An agent is released by a disposition once at most for each wrap-up."""
    result = Result(of="releases asked for")
    begun = {key: started(changes) for key, changes in history.changes.items()}
    asked: dict[tuple[str, str], set[str]] = defaultdict(set)
    for record in history.snapshot.records.get(TELEPHONY_EVENTS, ()):
        agent_id, event_id = _release(record)
        if agent_id is not None:
            asked[record.key, agent_id].add(event_id)
    for (key, agent_id), ids in asked.items():
        result.counted += len(ids)
        wrap_ups = begun.get(key, {}).get(agent_id, 0)
        partition = history.snapshot.home(key)
        pruned = history.since_ms(CALLS_CHANGED, partition=partition) > 0
        if len(ids) > wrap_ups and not pruned:
            result.wrong(f"{agent_id} of {key}: {len(ids)} releases in {wrap_ups} wrap-ups")
    return result


def _release(record: Record) -> tuple[str | None, str]:
    """The agent whose wrap-up the worker ends by this record, and the record's id."""
    try:
        event = from_record(record)
        if (event.type, event.source) != (CALL_RELEASED, TOPOLOGY.source):
            return None, ""
        data = decode_data(event.type, event.data)
    except Poison:
        return None, ""
    return (data.agent_id if isinstance(data, CallReleased) else None), event.id
