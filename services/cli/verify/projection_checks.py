"""Checks of the projection: the history and the reports say what the topics say."""

from collections import defaultdict

from services.cli.verify.result import Result
from services.cli.verify.snapshot import History
from services.worker.entries import READERS, read
from services.worker.history import GROUP
from shared.contracts.callbacks import CALLBACK_SCHEDULED
from shared.contracts.dispositions import DispositionTold
from shared.contracts.envelope import Record
from shared.contracts.errors import Poison
from shared.contracts.instants import from_wire
from shared.contracts.subjects import StatusTold
from shared.contracts.topics import DISPOSITION_EVENTS
from shared.runtime.history import Entry, OutcomeRow

Place = tuple[str, str, str]  # tenant, call, agent


def entries(history: History) -> Result:
    """A call's history has one line for each record of its topics, and no other."""
    result = Result(of="history entries")
    snapshot = history.snapshot
    stored = {(entry.tenant, entry.id): entry for entry in snapshot.entries}
    expected: dict[tuple[str, str], list[Entry]] = defaultdict(list)
    for topic in READERS:
        for record in snapshot.records.get(topic, ()):
            for entry in _entries(record):
                name = (entry.tenant, entry.id)
                result.counted += name not in expected
                expected[name].append(entry)
                if name not in stored and record.offset < snapshot.position(GROUP, record):
                    result.wrong(f"{entry.id} has no line in the history")
    for name, lines in expected.items():
        # Of a request that was told twice, or moved, either may have been read first.
        if name in stored and stored[name] not in lines:
            result.wrong(f"{name[1]} has another line in the history than its record says")
    strange = stored.keys() - expected.keys()
    if _cut(history):
        result.note(len(strange), "of records no longer kept")
    else:
        for _, line in sorted(strange):
            result.wrong(f"{line} is a line of the history, and no record of the log")
    return result


def outcomes(history: History) -> Result:
    """Reports count each call and agent once, by the newest disposition that was told, or a miss.

    And there is a callback where one was told to be scheduled, and nowhere else.
    """
    result = Result(of="outcomes")
    told, scheduled = _told(history), _scheduled(history)
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
        elif row.callback_ms != scheduled.get((place, row.revision)) and not _cut(history):
            result.wrong(
                f"{_named(place)}: revision {row.revision} has not scheduled this callback"
            )
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


def _scheduled(history: History) -> dict[tuple[Place, int], int]:
    """Every callback that the log tells of, by what has scheduled it: read from other records."""
    found: dict[tuple[Place, int], int] = {}
    for told in history.first_told(DISPOSITION_EVENTS):
        data = told.data
        if told.event.type != CALLBACK_SCHEDULED or not isinstance(
            data, DispositionTold | StatusTold
        ):
            continue
        agent_id = data.agent_id if isinstance(data, DispositionTold) else ""
        place = (told.event.tenant, told.event.subject, agent_id)
        if data.callback_at is not None:
            found[place, data.revision or 0] = from_wire(data.callback_at)
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


def _entries(record: Record) -> tuple[Entry, ...]:
    try:
        return read(record).entries
    except Poison:
        return ()


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
