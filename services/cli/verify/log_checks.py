"""Checks of the log alone: offsets, positions, sequences, envelopes."""

from services.cli.verify.result import Result
from services.cli.verify.snapshot import History, Told, name_told, place
from shared.contracts.envelope import Headers, Record
from shared.contracts.errors import Poison
from shared.contracts.ids import split_key
from shared.contracts.topics import TOLD
from shared.runtime.dead_letters import OURS, PUT_BACK
from shared.runtime.ports import TopicPartition


def offsets(history: History) -> Result:
    """No acknowledged record is missing: offsets are contiguous, from the first kept to the end."""
    result = Result(of="records")
    snapshot = history.snapshot
    following = dict(snapshot.starts)
    gaps = 0
    for topic, records in snapshot.records.items():
        for record in records:
            result.counted += 1
            where = TopicPartition(topic, record.partition)
            expected = following.get(where, record.offset)
            following[where] = record.offset + 1
            if record.offset == expected:
                continue
            if topic in snapshot.gaps and record.offset > expected:
                gaps += 1
            else:
                result.wrong(f"{place(record)} follows offset {expected - 1}")
    for where, end in snapshot.ends.items():
        last = following.get(where, end)
        if where.topic in snapshot.gaps and last < end:
            gaps += 1
        elif last != end:
            result.wrong(f"{_name(where)} ends at {end}, its last record is {last - 1}")
    result.note(gaps, "gaps where strangers may have written in transactions")
    return result


def _all(history: History) -> list[Record]:
    return [record for records in history.snapshot.records.values() for record in records]


def positions(history: History) -> Result:
    """Nobody has read what is not there, and nothing was pruned before it was read."""
    result = Result(of="positions")
    for group, places in history.snapshot.positions.items():
        for where, position in places.items():
            result.counted += 1
            end = history.snapshot.ends.get(where, 0)
            first = history.first(where)
            if position > end:
                result.wrong(f"{group} stands at {position} of {_name(where)}, which ends at {end}")
            if position < first:
                result.wrong(f"{group} stands at {position} of {_name(where)}, kept from {first}")
    return result


def sequences(history: History) -> Result:
    """Told topics count 1, 2, 3 ... per topic and key; a repeated record is the same record."""
    result = Result(of="told records")
    repeats = 0
    for topic in TOLD:
        firsts: dict[tuple[str, int], Told] = {}
        ids: dict[str, Told] = {}
        last: dict[str, int] = {}
        for told in history.told[topic]:
            result.counted += 1
            repeats += _sequence(history, told, last, firsts, result)
            _unique(told, ids, result)
    result.note(repeats, "repeated after a crash, the same each time")
    return result


def _sequence(
    history: History,
    told: Told,
    last: dict[str, int],
    firsts: dict[tuple[str, int], Told],
    result: Result,
) -> bool:
    """Judge one record's number; True if it is an allowed repeat."""
    key, number = told.record.key, told.event.sequence
    if number is None:
        result.wrong(f"{place(told.record)} has no sequence")
        return False
    if key not in last and number > 1 and _pruned(history, told.record):
        last[key] = number - 1  # what came before is no longer kept
    before = last.get(key, 0)
    if number > before + 1 or number < 1:
        result.wrong(f"{place(told.record)} has sequence {number} after {before} for {key}")
    last[key] = max(before, number)
    if number > before:
        firsts[key, number] = told
        return False
    first = firsts.get((key, number))
    if first is not None and not _same(first.record, told.record):
        result.wrong(f"{place(told.record)} repeats {place(first.record)}, and differs from it")
        return False
    return True


def _pruned(history: History, record: Record) -> bool:
    return TopicPartition(record.topic, record.partition) in history.kept


def _same(first: Record, again: Record) -> bool:
    return _came(first) == _came(again) and first.value == again.value


def _came(record: Record) -> Headers:
    """The headers, but for the one of a record that was dead and then put back."""
    return tuple(header for header in record.headers if header[0] != PUT_BACK)


def _unique(told: Told, ids: dict[str, Told], result: Result) -> None:
    first = ids.setdefault(told.event.id, told)
    if (first.record.key, first.event.sequence) != (told.record.key, told.event.sequence):
        result.wrong(f"{place(told.record)} has the id of {place(first.record)}")


def envelopes(history: History) -> Result:
    """What a record says of its tenant and call agrees with its key, everywhere it says it."""
    result = Result(of="told records", violations=list(history.unreadable))
    for topic in TOLD:
        for told in history.told[topic]:
            result.counted += 1
            try:
                tenant, name = split_key(told.record.key)
            except Poison as error:
                result.wrong(f"{place(told.record)}: {error.detail}")
                continue
            if {told.event.tenant, told.data.tenant} != {tenant}:
                result.wrong(f"{place(told.record)} names another tenant than its key {tenant}")
            if {told.event.subject, name_told(told.data)} != {name}:
                result.wrong(f"{place(told.record)} names another call than its key {name}")
    return result


def _name(where: TopicPartition) -> str:
    return f"{where.topic}/{where.partition}"


def dead_letters(history: History) -> Result:
    """What can't be processed is kept whole as a dead letter, once, and holds nobody up."""
    result = Result(of="dead letters")
    records = {place(record): record for record in _all(history)}
    gone = 0
    for origin, letters in history.dead.items():
        result.counted += 1
        if not origin:
            for letter in letters:
                result.wrong(f"{place(letter)} does not say where it came from")
            continue
        if any(not _same(letters[0], again) for again in letters):
            result.wrong(f"{origin} has dead letters that differ")
        record = records.get(origin)
        if record is None:
            gone += 1
        elif not _whole(record, letters[0]):
            result.wrong(f"{place(letters[0])} is not {origin} as it came")
    result.note(gone, "skipped: the records they came from are no longer kept")
    return result


def _whole(record: Record, letter: Record) -> bool:
    kept = tuple(header for header in letter.headers if header[0] not in OURS)
    came = tuple(header for header in record.headers if header[0] not in OURS)
    return (record.key, record.value, came) == (letter.key, letter.value, kept)
