"""Letters on MongoDB: a row each, by its place."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec
from pymongo import DeleteMany, UpdateOne

from shared.adapters.cluster.mongo_client import Database, Row, bulk_written
from shared.adapters.cluster.mongo_inserting import insert_missing
from shared.adapters.cluster.mongo_waiting import Writes, answered
from shared.adapters.cursor import Instant, read_cursor, write_cursor
from shared.contracts.envelope import Headers
from shared.runtime.letters import LetterLine, LetterPage, LetterRow

COLLECTION: Final = "letters"
BULK_BYTES: Final = 16 * 1024 * 1024  # then another bulk; 400 MiB in one took longer than it may

_NEWEST: Final = [("at_ms", -1), ("_id", -1)]
_LINE: Final[Row] = {"headers": 0, "value": 0}
_ANY_TIME: Final[Row] = {"at_ms": {"$gte": 0}}  # else the server would take the index for the order
# alone, and fetch every row to see whether it fits

_encode_headers: Final = msgspec.msgpack.Encoder().encode
_decode_headers: Final = msgspec.msgpack.Decoder(Headers).decode


class MongoLetterStore:
    """`LetterStore` on one database."""

    def __init__(self, database: Database, writes: Writes) -> None:
        self._rows = database[COLLECTION]
        self._writes = writes

    async def keep(self, letters: Sequence[LetterRow], returned: Mapping[str, int]) -> None:
        """See `LetterStore`; of large letters few in one bulk, for each has its deadline."""
        for rows in _bulks(letters):
            await self._writes.settled("write letters", insert_missing(self._rows, rows))
        if returned:
            marks = [
                UpdateOne({"_id": place}, {"$max": {"put_back_ms": at_ms}})
                for place, at_ms in returned.items()
            ]
            await self._writes.settled("mark letters", bulk_written(self._rows, marks))

    async def page(
        self,
        tenant: str | None,
        *,
        topic: str | None = None,
        put_back: bool | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> LetterPage:
        """See `LetterStore`. The server reads the values, and does not send them."""
        wanted = _ANY_TIME.copy()
        if cursor is not None:
            wanted = _before(read_cursor(cursor, tuple[Instant, str]))
        if tenant is not None:
            wanted["tenant"] = tenant
        if topic is not None:
            wanted["topic"] = topic
        if put_back is not None:
            wanted["put_back_ms"] = {"$ne": None} if put_back else None
        found = self._rows.find(wanted, _LINE, sort=_NEWEST, limit=limit + 1, batch_size=limit + 1)
        rows = await answered("list letters", lambda: found.to_list(None))
        lines = tuple(LetterLine(**_fields(row)) for row in rows[:limit])
        following = write_cursor((lines[-1].at_ms, lines[-1].place)) if len(rows) > limit else None
        return LetterPage(lines, following)

    async def letter(self, place: str) -> LetterRow | None:
        """See `LetterStore`."""
        row = await answered("read letter", lambda: self._rows.find_one({"_id": place}))
        return None if row is None else letter_of(row)

    async def expire(self, before_ms: int) -> int:
        """See `LetterStore`.

        Raises:
            Unavailable: not all are gone in time; some may be.
        """
        old = DeleteMany({"at_ms": {"$lt": before_ms}})
        result = await self._writes.settled("expire letters", bulk_written(self._rows, [old]))
        return result.deleted_count


def letter_of(row: Row) -> LetterRow:
    """The letter in a row.

    Raises:
        KeyError, TypeError, msgspec.DecodeError: there is none of ours.
    """
    headers, value = _decode_headers(row.pop("headers")), bytes(row.pop("value"))
    return LetterRow(**_fields(row), headers=headers, value=value)


def _fields(row: Row) -> dict[str, Any]:
    """The fields of a line by their names, numbers as plain ones."""
    plain = {name: int(value) if isinstance(value, int) else value for name, value in row.items()}
    plain["place"] = plain.pop("_id")
    return plain


def _bulks(letters: Sequence[LetterRow]) -> Iterator[list[Row]]:
    rows: list[Row] = []
    size = 0
    for letter in letters:
        rows.append(_row(letter))
        size += len(letter.value)
        if size >= BULK_BYTES:
            yield rows
            rows, size = [], 0
    if rows:
        yield rows


def _row(letter: LetterRow) -> Row:
    row = msgspec.structs.asdict(letter)
    row["_id"] = row.pop("place")
    row["headers"] = _encode_headers(letter.headers)
    return row


def _before(place: tuple[int, str]) -> Row:
    """What lists show after this place; written so that the index begins at its time."""
    at_ms, name = place
    return {
        "at_ms": {"$lte": at_ms},
        "$or": [{"at_ms": {"$lt": at_ms}}, {"_id": {"$lt": name}}],
    }
