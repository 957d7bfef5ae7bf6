"""Check of the letters that are listed: they are those of the dead topics."""

from msgspec.structs import replace

from services.cli.verify.result import Result
from services.cli.verify.snapshot import History
from services.worker.letters import GROUP, LetterProjection
from shared.contracts.envelope import Record
from shared.contracts.limits import DEAD_KEPT_MS
from shared.runtime.dead_letters import read_letters
from shared.runtime.letters import LetterRow
from shared.runtime.ports import TopicPartition


def letters(history: History) -> Result:
    """Listed are the letters of the dead topics, each once, marked where it was put back."""
    result = Result(of="letters")
    told_letters, marks = read_letters(_records(history))
    told = {letter.place: letter for letter in told_letters}
    stored = {letter.place: letter for letter in history.snapshot.letters}
    origins = {letter.origin for letter in stored.values()}
    since_ms = history.snapshot.taken_ms - DEAD_KEPT_MS
    done, due = read_letters(_records(history, read=True))
    for letter in done:
        result.counted += 1
        if letter.origin not in origins and letter.at_ms >= since_ms:
            result.wrong(f"{letter.place} is not among the letters")
    gone = 0
    for place, letter in stored.items():
        as_told = told.get(place)
        if as_told is None:
            gone += _pruned(history, place)
            if not _pruned(history, place):
                result.wrong(f"{place} is among the letters, and on no dead topic")
        elif replace(letter, put_back_ms=None) != as_told:
            result.wrong(f"{place} is another letter than its topic says")
        elif not _marked(letter, due.get(place), told=place in marks):
            result.wrong(f"{place} is not marked as its receipts say")
    if len(origins) < len(stored):
        result.wrong(f"{len(stored) - len(origins)} letters are listed twice")
    result.note(gone, "of records no longer kept")
    return result


def _records(history: History, *, read: bool = False) -> list[Record]:
    """What stands on the dead topics; of that, if so told, what the projection is done with."""
    snapshot = history.snapshot
    return [
        record
        for topic in LetterProjection.topics
        for record in snapshot.records.get(topic, ())
        if not read or record.offset < snapshot.position(GROUP, record)
    ]


def _marked(letter: LetterRow, due: int | None, *, told: bool) -> bool:
    """Only with a receipt, and not before the newest that the projection is done with.

    A gateway marks by its own clock what it has put back, the projection by the log's.
    """
    if letter.put_back_ms is None:
        return due is None
    return told and letter.put_back_ms >= (due or 0)


def _pruned(history: History, place: str) -> bool:
    topic, partition, offset = place.rsplit("/", 2)
    return int(offset) < history.first(TopicPartition(topic, int(partition)))
