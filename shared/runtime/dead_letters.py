"""Dead letters: what could not be processed, whole, with where it stood and why.

A letter stays where it is when it is put back. What says that it was is a *receipt* beside it, on
the dead topic: a record with the header `PUT_BACK` alone. It is kept as long as the letter, while
the topic that the record went back to is kept for less. It has the letter's key, so it stands in
the same partition, behind it.
"""

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Final

from msgspec.structs import replace

from shared.contracts.envelope import Message, Record
from shared.contracts.errors import Poison
from shared.contracts.ids import is_tenant_id
from shared.contracts.instants import INSTANT_MS_MAX
from shared.contracts.topics import dead
from shared.runtime.letters import LetterRow
from shared.runtime.ports import EventLog

REASON: Final = "dead_reason"
DETAIL: Final = "dead_detail"
ORIGIN: Final = "dead_origin"  # topic/partition/offset: also what makes a repeated one known
PUT_BACK: Final = "dead_put_back"  # the place of the letter that was
OURS: Final = frozenset({REASON, DETAIL, ORIGIN})
DETAIL_CHARS_MAX: Final = 1_000  # it may name a field, and a stranger's may be as long as a record
CHUNK: Final = 500  # letters that are put back, and then said to be

_DEAD: Final = dead("")


def dead_letter(record: Record, poison: Poison) -> Message:
    """The record as it came, for `<topic>.dead`, with its reason in the headers."""
    headers = (
        *(header for header in record.headers if header[0] not in OURS),
        (REASON, poison.reason.encode()),
        (DETAIL, poison.detail[:DETAIL_CHARS_MAX].encode(errors="replace")),
        (ORIGIN, f"{record.topic}/{record.partition}/{record.offset}".encode()),
    )
    return Message(dead(record.topic), record.key, headers, record.value)


def read_letters(records: Iterable[Record]) -> tuple[list[LetterRow], dict[str, int]]:
    """The letters among records of dead topics, and of receipts when each place was put back.

    Anything else there is somebody else's, and passed over.
    """
    letters: list[LetterRow] = []
    returned: dict[str, int] = {}
    for record in records:
        headers = dict(record.headers)
        if ORIGIN in headers and record.topic.endswith(_DEAD):
            letters.append(_letter(record, headers))
        elif PUT_BACK in headers:
            place = _text(headers[PUT_BACK])
            returned[place] = max(_time(record), returned.get(place, 0))
    return letters, returned


def all_letters(records: Iterable[Record]) -> list[LetterRow]:
    """Of all records of dead topics, in their order, the letters that a store has, oldest first."""
    letters, returned = read_letters(records)
    firsts: dict[str, LetterRow] = {}
    for letter in letters:
        firsts.setdefault(letter.origin, letter)
    marked = [replace(one, put_back_ms=returned.get(one.place)) for one in firsts.values()]
    return sorted(marked, key=lambda letter: (letter.at_ms, letter.place))


def is_receipt(record: Record) -> bool:
    """Whether a record of a dead topic only says that a letter was put back."""
    names = {name for name, _ in record.headers}
    return PUT_BACK in names and ORIGIN not in names


def _letter(record: Record, headers: dict[str, bytes]) -> LetterRow:
    tenant, colon, _ = record.key.partition(":")
    return LetterRow(
        place=f"{record.topic}/{record.partition}/{record.offset}",
        tenant=tenant if colon and is_tenant_id(tenant) else "",
        topic=record.topic.removesuffix(_DEAD),
        at_ms=_time(record),
        reason=_text(headers.get(REASON, b"")),
        detail=_text(headers.get(DETAIL, b"")),
        origin=_text(headers[ORIGIN]),
        key=record.key,
        type=_text(headers["ce_type"]) if "ce_type" in headers else None,
        headers=record.headers,
        value=record.value,
    )


def _time(record: Record) -> int:
    """When the log took it; one that can be written, whatever somebody's clock says."""
    return min(max(record.timestamp_ms, 0), INSTANT_MS_MAX)


def _text(value: bytes) -> str:
    return value.decode(errors="replace")


def returning(letter: LetterRow) -> Message:
    """What goes back: the record as it was, and where its letter is."""
    kept = (header for header in letter.headers if header[0] not in OURS | {PUT_BACK})
    return Message(
        letter.topic, letter.key, (*kept, (PUT_BACK, letter.place.encode())), letter.value
    )


def receipt(letter: LetterRow) -> Message:
    """What stays beside the letter."""
    return Message(dead(letter.topic), letter.key, ((PUT_BACK, letter.place.encode()),), b"")


async def put_back(log: EventLog, letters: Sequence[LetterRow]) -> None:
    """Append each to the topic that it came from, and a receipt for it to its dead topic.

    What is put back twice, because the first time was not remembered or by two at once, changes
    nothing the second time: it is known by its id.

    Raises:
        Unavailable: some of the last `CHUNK` may have been put back, without a receipt where the
            log does not append wholly or not at all.
    """
    left = iter(letters)
    while chunk := list(islice(left, CHUNK)):
        back, receipts = [returning(one) for one in chunk], [receipt(one) for one in chunk]
        if log.appends_whole:
            await log.append([*back, *receipts])
        else:
            await log.append(back)
            await log.append(receipts)
