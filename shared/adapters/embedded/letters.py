"""Letters on SQLite: a row each. What lists show stands before the value, which they never read."""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from shared.adapters.cursor import Instant, read_cursor, write_cursor
from shared.adapters.embedded.bulk import execute_rows
from shared.adapters.embedded.engine import SqliteEngine
from shared.contracts.envelope import Headers
from shared.contracts.limits import INTEGER_MAX
from shared.runtime.letters import LetterLine, LetterPage, LetterRow

EXPIRED_PER_JOB_MAX: Final = 2_000  # so that appends get their turn in between

_INSERT: Final = """
    INSERT INTO letters (
        place, tenant, topic, at_ms, reason, detail, origin, key, type, put_back_ms, headers, value
    ) VALUES {rows} ON CONFLICT DO NOTHING
"""
_MARK: Final = """
    UPDATE letters SET put_back_ms = max(coalesce(put_back_ms, 0), ?) WHERE place = ?
"""
_PAGE: Final = """
    SELECT place, tenant, topic, at_ms, reason, detail, origin, key, type, put_back_ms FROM letters
    WHERE (at_ms, place) < (:at_ms, :place) {narrowed}
    ORDER BY at_ms DESC, place DESC LIMIT :limit
"""
_ALL: Final = """
    SELECT place, tenant, topic, at_ms, reason, detail, origin, key, type, put_back_ms,
        headers, value
    FROM letters
"""
_LETTER: Final = f"{_ALL} WHERE place = ?"
_EXPIRE: Final = """
    DELETE FROM letters WHERE place IN (
        SELECT place FROM letters WHERE at_ms < ? ORDER BY at_ms, place LIMIT ?
    )
"""

_encode_headers: Final = msgspec.msgpack.Encoder().encode
_decode_headers: Final = msgspec.msgpack.Decoder(Headers).decode
_LINE: Final = LetterLine.__struct_fields__  # in the order of the columns


class SqliteLetterStore:
    """`LetterStore` on one engine."""

    def __init__(self, engine: SqliteEngine) -> None:
        self._engine = engine

    async def keep(self, letters: Sequence[LetterRow], returned: Mapping[str, int]) -> None:
        """See `LetterStore`; here all of it stands, or none."""
        rows = [_row(letter) for letter in letters]
        marks = [(at_ms, place) for place, at_ms in returned.items()]

        def write(connection: sqlite3.Connection) -> None:
            execute_rows(connection, _INSERT, rows)
            connection.executemany(_MARK, marks)

        if rows or marks:
            await self._engine.write(write)

    async def page(
        self,
        tenant: str | None,
        *,
        topic: str | None = None,
        put_back: bool | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> LetterPage:
        """See `LetterStore`."""
        place = (INTEGER_MAX, "")
        if cursor is not None:
            place = read_cursor(cursor, tuple[Instant, str])
        sql = _PAGE.format(narrowed=" ".join(_narrowed(tenant, topic, put_back=put_back)))
        values = {
            "at_ms": place[0],
            "place": place[1],
            "tenant": tenant,
            "topic": topic,
            "limit": limit + 1,
        }
        rows = await self._engine.report(
            lambda connection: connection.execute(sql, values).fetchall()
        )
        lines = tuple(LetterLine(**dict(zip(_LINE, row, strict=True))) for row in rows[:limit])
        following = write_cursor((lines[-1].at_ms, lines[-1].place)) if len(rows) > limit else None
        return LetterPage(lines, following)

    async def letter(self, place: str) -> LetterRow | None:
        """See `LetterStore`."""
        row = await self._engine.read(
            lambda connection: connection.execute(_LETTER, (place,)).fetchone()
        )
        return None if row is None else _letter(row)

    async def expire(self, before_ms: int) -> int:
        """See `LetterStore`.

        Raises:
            Unavailable: the disk failed; some may be gone.
        """
        gone = 0
        while some := await self._engine.write(lambda connection: _expire(connection, before_ms)):
            gone += some
        return gone


def read_letters(connection: sqlite3.Connection) -> list[LetterRow]:
    """All of them."""
    return [_letter(row) for row in connection.execute(_ALL)]


def _letter(row: Sequence[Any]) -> LetterRow:
    """The letter in a row with all columns."""
    *line, headers, value = row
    return LetterRow(
        **dict(zip(_LINE, line, strict=True)), headers=_decode_headers(headers), value=value
    )


def _narrowed(tenant: str | None, topic: str | None, *, put_back: bool | None) -> Iterable[str]:
    if tenant is not None:
        yield "AND tenant = :tenant"
    if topic is not None:
        yield "AND topic = :topic"
    if put_back is not None:
        yield "AND put_back_ms IS NOT NULL" if put_back else "AND put_back_ms IS NULL"


def _row(letter: LetterRow) -> tuple[Any, ...]:
    line = (getattr(letter, name) for name in _LINE)
    return (*line, _encode_headers(letter.headers), letter.value)


def _expire(connection: sqlite3.Connection, before_ms: int) -> int:
    return connection.execute(_EXPIRE, (before_ms, EXPIRED_PER_JOB_MAX)).rowcount
