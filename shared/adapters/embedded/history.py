"""The projection on SQLite: entries of calls, and the newest outcome of each agent on a call."""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from shared.adapters.cursor import Instant, read_cursor, write_cursor
from shared.adapters.embedded.bulk import execute_rows
from shared.adapters.embedded.engine import SqliteEngine
from shared.contracts.instants import to_wire
from shared.runtime.history import (
    COUNTS_MAX,
    EVERYTHING,
    FILTERS,
    MISSED,
    Callback,
    CallbackPage,
    Count,
    Entry,
    OutcomePage,
    OutcomeRow,
)

_ENTRY: Final = """
    INSERT INTO history (tenant, id, call_id, request_id, at_ms, rank, sequence, body)
    VALUES {rows} ON CONFLICT (tenant, id) DO NOTHING
"""
_OUTCOME: Final = """
    INSERT INTO outcomes VALUES {rows}
    ON CONFLICT (tenant, call_id, agent_id) DO UPDATE SET
        revision = excluded.revision, code = excluded.code, origin = excluded.origin,
        decided_ms = excluded.decided_ms, campaign_id = excluded.campaign_id,
        project_id = excluded.project_id, body = excluded.body, callback_ms = excluded.callback_ms
    WHERE excluded.revision > outcomes.revision
        OR (excluded.revision = outcomes.revision AND outcomes.callback_ms IS NULL
            AND excluded.callback_ms IS NOT NULL)
"""
_OF_CALL: Final = """
    SELECT body FROM history WHERE tenant = ? AND call_id = ?
    ORDER BY at_ms, rank, sequence, id
"""
_OF_REQUEST: Final = """
    SELECT body FROM history WHERE tenant = ? AND request_id = ?
    ORDER BY at_ms, rank, sequence, id
"""
# The end of the span is a place too: were it a condition of its own, SQLite would begin there, and
# pass over every row of the pages before.
_OUTCOMES: Final = """
    SELECT body, decided_ms, call_id, agent_id FROM outcomes
    WHERE tenant = :tenant AND decided_ms >= :from_ms AND code <> '' {narrowed}
        AND (decided_ms, call_id, agent_id) < (:at_ms, :at_call, :at_agent)
    ORDER BY decided_ms DESC, call_id DESC, agent_id DESC LIMIT :limit
"""
_CALLBACKS: Final = """
    SELECT body, callback_ms, call_id, agent_id FROM outcomes
    WHERE tenant = :tenant AND callback_ms < :to_ms {narrowed}
        AND (callback_ms, call_id, agent_id) > (:at_ms, :at_call, :at_agent)
    ORDER BY callback_ms, call_id, agent_id LIMIT :limit
"""
_COUNTS: Final = """
    SELECT {columns} FROM outcomes
    WHERE tenant = :tenant AND decided_ms >= :from_ms AND decided_ms < :to_ms AND {counted}
        {narrowed}
    GROUP BY {places} ORDER BY {places} LIMIT :limit
"""
_DISPOSED: Final = "code <> ''"
_DISPOSED_OR_MISSED: Final = f"(code <> '' OR origin = '{MISSED}')"
_NARROWED: Final = {name: f"AND {name} = :{name}" for name in FILTERS}
Place = tuple[int, str, str]  # a time, a call, an agent
Found = tuple[bytes, int, str, str]  # a body and its place
_HOUR_MS: Final = 3_600_000
_DAY_MS: Final = 24 * _HOUR_MS

# Days and hours are counted by number: to format the time of each row took longer than all else.
_COLUMNS: Final[dict[str, tuple[str, Callable[[Any], str]]]] = {
    "code": ("code", str),
    "agent_id": ("agent_id", str),
    "day": (f"decided_ms / {_DAY_MS}", lambda number: to_wire(number * _DAY_MS)[:10]),
    "hour": (f"decided_ms / {_HOUR_MS}", lambda number: to_wire(number * _HOUR_MS)[:13]),
    "origin": ("origin", str),
    "campaign_id": ("coalesce(campaign_id, '')", str),
    "project_id": ("coalesce(project_id, '')", str),
}


class SqliteHistoryStore:
    """`HistoryStore` on one engine."""

    def __init__(self, engine: SqliteEngine) -> None:
        self._engine = engine

    async def upsert(self, entries: Sequence[Entry], outcomes: Sequence[OutcomeRow]) -> None:
        """See `HistoryStore`; here all rows of one call stand together."""
        if not entries and not outcomes:
            return
        lines = [_entry(entry) for entry in entries]
        rows = [_outcome(row) for row in outcomes]

        def write(connection: sqlite3.Connection) -> None:
            execute_rows(connection, _ENTRY, lines)
            execute_rows(connection, _OUTCOME, rows)

        await self._engine.write(write)

    async def entries(self, tenant: str, call_id: str) -> list[bytes]:
        """See `HistoryStore`."""
        return await self._bodies(_OF_CALL, tenant, call_id)

    async def of_request(self, tenant: str, request_id: str) -> list[bytes]:
        """See `HistoryStore`."""
        return await self._bodies(_OF_REQUEST, tenant, request_id)

    async def _bodies(self, sql: str, *values: str) -> list[bytes]:
        return await self._engine.read(
            lambda connection: [body for (body,) in connection.execute(sql, values)]
        )

    async def outcomes(
        self,
        tenant: str,
        *,
        from_ms: int,
        to_ms: int,
        only: Mapping[str, str] = EVERYTHING,
        cursor: str | None = None,
        limit: int = 50,
    ) -> OutcomePage:
        """See `HistoryStore`."""
        place = (to_ms, "", "")
        if cursor is not None:
            place = min(place, read_cursor(cursor, tuple[Instant, str, str]))
        rows, following = await self._page(_OUTCOMES, tenant, place, only, limit, from_ms=from_ms)
        return OutcomePage(tuple(body for body, *_ in rows), following)

    async def callbacks(
        self,
        tenant: str,
        *,
        from_ms: int,
        to_ms: int,
        only: Mapping[str, str] = EVERYTHING,
        cursor: str | None = None,
        limit: int = 50,
    ) -> CallbackPage:
        """See `HistoryStore`."""
        place = (from_ms, "", "")
        if cursor is not None:
            place = max(place, read_cursor(cursor, tuple[Instant, str, str]))
        rows, following = await self._page(_CALLBACKS, tenant, place, only, limit, to_ms=to_ms)
        return CallbackPage(tuple(Callback(at_ms, body) for body, at_ms, *_ in rows), following)

    async def _page(
        self, sql: str, tenant: str, place: Place, only: Mapping[str, str], limit: int, **end: int
    ) -> tuple[list[Found], str | None]:
        """What follows this place, and the cursor that goes on; `end`: of the span, as named."""
        statement = sql.format(narrowed=_narrowed(only))
        values = {
            **only,
            **end,
            "tenant": tenant,
            "limit": limit + 1,
            **dict(zip(("at_ms", "at_call", "at_agent"), place, strict=True)),
        }
        rows = await self._engine.report(
            lambda connection: connection.execute(statement, values).fetchall()
        )
        following = write_cursor(rows[limit - 1][1:]) if len(rows) > limit else None
        return rows[:limit], following

    async def counts(
        self,
        tenant: str,
        *,
        group_by: Sequence[str],
        from_ms: int,
        to_ms: int,
        only: Mapping[str, str] = EVERYTHING,
        missed: bool = False,
        limit: int = COUNTS_MAX,
    ) -> list[Count]:
        """See `HistoryStore`. A disposition without a campaign or project counts under `""`."""
        columns = [_COLUMNS[name] for name in group_by]
        sql = _COUNTS.format(
            columns=", ".join([*(place for place, _ in columns), "count(*)"]),
            counted=_DISPOSED_OR_MISSED if missed else _DISPOSED,
            narrowed=_narrowed(only),
            places=", ".join(str(number + 1) for number in range(len(columns))) or "NULL",
        )
        values = {**only, "tenant": tenant, "from_ms": from_ms, "to_ms": to_ms, "limit": limit}
        readers = [read for _, read in columns]

        def count(connection: sqlite3.Connection) -> list[Count]:
            return [
                Count(
                    tuple(read(value) for read, value in zip(readers, row, strict=False)), row[-1]
                )
                for row in connection.execute(sql, values).fetchall()
            ]

        return await self._engine.report(count)


def _narrowed(only: Mapping[str, str]) -> str:
    return " ".join(_NARROWED[name] for name in only)


def _entry(entry: Entry) -> tuple[str, str, str, str | None, int, int, int, bytes]:
    return (
        entry.tenant,
        entry.id,
        entry.call_id,
        entry.request_id,
        entry.at_ms,
        entry.rank,
        entry.sequence,
        entry.body,
    )


def _outcome(
    row: OutcomeRow,
) -> tuple[str, str, str, int, str, str, int, str | None, str | None, bytes, int | None]:
    return (
        row.tenant,
        row.call_id,
        row.agent_id,
        row.revision,
        row.code,
        row.origin,
        row.decided_ms,
        row.campaign_id,
        row.project_id,
        row.body,
        row.callback_ms,
    )
