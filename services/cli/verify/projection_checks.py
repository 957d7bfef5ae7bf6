"""Checks of what follows from all else: nothing left unpublished, and reports equal the topics."""

from typing import Final

from services.cli.verify.call_checks import TOPOLOGY as CALLSTATE
from services.cli.verify.disposition_checks import TOPOLOGY as WORKER
from services.cli.verify.result import Result
from services.cli.verify.snapshot import History
from services.gateway.dialects.ozonetel.tokens import COLLECTION as TOKENS
from services.worker.entries import READERS, read
from services.worker.history import GROUP
from shared.contracts.envelope import Record
from shared.contracts.errors import Poison
from shared.runtime.history import Entry, OutcomeRow
from shared.runtime.ports import Document, unpack
from shared.runtime.topology import Topology

# Written by gateways, by compare-and-set; no record decides on it.
GATEWAYS_OWN: Final = frozenset({TOKENS})

Place = tuple[str, str, str]  # tenant, call, agent


def quiescence(history: History) -> Result:
    """No document is ahead of the committed positions, no effect waits to be published."""
    result = Result(of="documents")
    owners: dict[str, Topology] = {
        collection: topology
        for topology in (CALLSTATE, WORKER)
        for collection in topology.aggregates
    }
    for collection, documents in history.snapshot.documents.items():
        if collection in GATEWAYS_OWN:
            continue
        owner = owners.get(collection)
        for document in documents:
            result.counted += 1
            if owner is None:
                result.wrong(f"{collection} {document.key} belongs to nobody")
            else:
                _at_rest(history, owner.group, document, result)
    return result


def _at_rest(history: History, group: str, document: Document, result: Result) -> None:
    name = f"{document.collection} {document.key}"
    partition = history.partitions.get(document.key)
    for topic, offset in document.watermarks.items():
        if partition is None:
            continue  # its records are all pruned
        position = history.position_at(group, topic, partition)
        if offset >= position:
            result.wrong(f"{name} has offset {offset} of {topic} in it, {group} is at {position}")
    for effect in unpack(document.outbox):
        topic, part, offset = effect.source
        if offset >= history.position_at(group, topic, part):
            result.wrong(f"{name} holds an effect of {topic}/{part}/{offset}, not yet published")


def entries(history: History) -> Result:
    """A call's history has one line for each record of its topics, and no other."""
    result = Result(of="history entries")
    snapshot = history.snapshot
    stored = {(entry.tenant, entry.id): entry for entry in snapshot.entries}
    expected: dict[tuple[str, str], Entry] = {}
    for topic in READERS:
        for record in snapshot.records.get(topic, ()):
            entry = _entry(record)
            if entry is None or (entry.tenant, entry.id) in expected:
                continue
            expected[entry.tenant, entry.id] = entry
            result.counted += 1
            found = stored.get((entry.tenant, entry.id))
            if found is None and record.offset < snapshot.position(GROUP, record):
                result.wrong(f"{entry.id} has no line in the history")
            elif found is not None and found != entry:
                result.wrong(f"{entry.id} has another line in the history than its record says")
    strange = stored.keys() - expected.keys()
    if _cut(history):
        result.note(len(strange), "of records no longer kept")
    else:
        for _, name in sorted(strange):
            result.wrong(f"{name} is a line of the history, and no record of the log")
    return result


def outcomes(history: History) -> Result:
    """Reports count each call and agent once, by the newest disposition that was told."""
    result = Result(of="outcomes")
    told = _told(history)
    stored = {_place(row): row for row in history.snapshot.outcomes}
    for place, row in _due(history).items():
        if place not in stored or stored[place].revision < row.revision:
            result.wrong(f"{_named(place)}: revision {row.revision} is not in the reports")
    gone = 0
    for place, row in stored.items():
        result.counted += 1
        same = told.get((place, row.revision))
        if same is None and _cut(history):
            gone += 1
        elif row != same:
            result.wrong(f"{_named(place)}: revision {row.revision} was not told as reported")
    result.note(gone, "told so long ago that it is no longer kept")
    return result


def _told(history: History) -> dict[tuple[Place, int], OutcomeRow]:
    """Every outcome that the log tells of."""
    found: dict[tuple[Place, int], OutcomeRow] = {}
    for topic in READERS:
        for record in history.snapshot.records.get(topic, ()):
            row = _outcome(record)
            if row is not None:
                found.setdefault((_place(row), row.revision), row)
    return found


def _due(history: History) -> dict[Place, OutcomeRow]:
    """The newest of those that the projection is done with: what reports must show by now."""
    found: dict[Place, OutcomeRow] = {}
    for topic in READERS:
        for record in history.snapshot.below(GROUP, topic):
            row = _outcome(record)
            if row is None:
                continue
            newest = found.get(_place(row))
            if newest is None or newest.revision < row.revision:
                found[_place(row)] = row
    return found


def _cut(history: History) -> bool:
    return any(place.topic in READERS for place in history.kept)


def _entry(record: Record) -> Entry | None:
    try:
        return read(record).entry
    except Poison:
        return None


def _outcome(record: Record) -> OutcomeRow | None:
    try:
        return read(record).outcome
    except Poison:
        return None


def _place(row: OutcomeRow) -> Place:
    return row.tenant, row.call_id, row.agent_id


def _named(place: Place) -> str:
    tenant, call_id, agent_id = place
    return f"{agent_id} of {tenant}:{call_id}"
