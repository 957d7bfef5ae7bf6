"""The projection on SQLite: entries of calls, and the newest outcome of each agent on a call."""

import sqlite3
from collections.abc import Sequence
from typing import Final

from shared.adapters.cursor import Instant, read_cursor, write_cursor
from shared.adapters.embedded.bulk import execute_rows
from shared.adapters.embedded.engine import SqliteEngine
from shared.runtime.history import Count, Entry, OutcomePage, OutcomeRow

_ENTRY: Final = """
    INSERT INTO history (tenant, id, call_id, request_id, at_ms, rank, sequence, body)
    VALUES {rows} ON CONFLICT (tenant, id) DO NOTHING
"""
_OUTCOME: Final = """
    INSERT INTO outcomes VALUES {rows}
    ON CONFLICT (tenant, call_id, agent_id) DO UPDATE SET
        revision = excluded.revision, code = excluded.code, origin = excluded.origin,
        decided_ms = excluded.decided_ms, campaign_id = excluded.campaign_id,
        project_id = excluded.project_id, body = excluded.body
    WHERE excluded.revision > outcomes.revision
"""
_OF_CALL: Final = """
    SELECT body FROM history WHERE tenant = ? AND call_id = ?
    ORDER BY at_ms, rank, sequence, id
"""
_OF_REQUEST: Final = """
    SELECT body FROM history WHERE tenant = ? AND request_id = ?
    ORDER BY at_ms, rank, sequence, id
"""
_OUTCOMES: Final = """
    SELECT body, decided_ms, call_id, agent_id FROM outcomes
    WHERE tenant = :tenant AND decided_ms >= :from_ms AND decided_ms < :to_ms
        AND (:agent_id IS NULL OR agent_id = :agent_id)
        AND code <> '' AND (:code IS NULL OR code = :code)
        AND (decided_ms, call_id, agent_id) < (:at_ms, :at_call, :at_agent)
    ORDER BY decided_ms DESC, call_id DESC, agent_id DESC LIMIT :limit
"""
_COLUMNS: Final = {
    "code": "code",
    "agent_id": "agent_id",
    "day": "strftime('%Y-%m-%d', decided_ms / 1000, 'unixepoch')",
    "hour": "strftime('%Y-%m-%dT%H', decided_ms / 1000, 'unixepoch')",
    "origin": "origin",
    "campaign_id": "coalesce(campaign_id, '')",
    "project_id": "coalesce(project_id, '')",
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
        agent_id: str | None = None,
        code: str | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> OutcomePage:
        """See `HistoryStore`."""
        place = (to_ms, "", "")
        if cursor is not None:
            place = read_cursor(cursor, tuple[Instant, str, str])
        values = {
            "tenant": tenant,
            "from_ms": from_ms,
            "to_ms": to_ms,
            "agent_id": agent_id,
            "code": code,
            "limit": limit + 1,
            **dict(zip(("at_ms", "at_call", "at_agent"), place, strict=True)),
        }
        rows = await self._engine.report(
            lambda connection: connection.execute(_OUTCOMES, values).fetchall()
        )
        shown = rows[:limit]
        following = write_cursor(shown[-1][1:]) if len(rows) > limit else None
        return OutcomePage(tuple(body for body, _, _, _ in shown), following)

    async def counts(
        self, tenant: str, *, group_by: Sequence[str], from_ms: int, to_ms: int
    ) -> list[Count]:
        """See `HistoryStore`. A disposition without a campaign or project counts under `""`."""
        columns = [_COLUMNS[name] for name in group_by]
        listed = ", ".join([*columns, "count(*)"])
        places = ", ".join(str(number + 1) for number in range(len(columns))) or "NULL"
        sql = f"""
            SELECT {listed} FROM outcomes
            WHERE tenant = ? AND decided_ms >= ? AND decided_ms < ? AND code <> ''
            GROUP BY {places} ORDER BY {places}
        """  # noqa: S608 - built from the literals above
        rows = await self._engine.report(
            lambda connection: connection.execute(sql, (tenant, from_ms, to_ms)).fetchall()
        )
        return [Count(row[:-1], row[-1]) for row in rows]


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
) -> tuple[str, str, str, int, str, str, int, str | None, str | None, bytes]:
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
    )
