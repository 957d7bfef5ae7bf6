"""Overlays of tenants on SQLite: a row each."""

import sqlite3
from collections.abc import Iterable
from typing import Final

from shared.adapters.embedded.engine import SqliteEngine
from shared.contracts.errors import WriteConflict
from shared.runtime.overlays import Stored

TENANTS_PER_QUERY_MAX: Final = 500  # every build of SQLite takes that many parameters

_VERSIONS: Final = "SELECT tenant, version FROM overlays"
_LOAD: Final = "SELECT tenant, version, body FROM overlays WHERE tenant IN ({marks})"
_INSERT: Final = "INSERT OR IGNORE INTO overlays (tenant, version, body) VALUES (?, ?, ?)"
_UPDATE: Final = "UPDATE overlays SET version = ?, body = ? WHERE tenant = ? AND version = ?"


class SqliteOverlayStore:
    """`OverlayStore` on one engine."""

    def __init__(self, engine: SqliteEngine) -> None:
        self._engine = engine

    async def versions(self) -> dict[str, int]:
        """See `OverlayStore`."""
        rows = await self._engine.read(lambda connection: connection.execute(_VERSIONS).fetchall())
        return dict(rows)

    async def load(self, tenant_ids: Iterable[str]) -> dict[str, Stored]:
        """See `OverlayStore`."""
        wanted = list(tenant_ids)
        return await self._engine.read(lambda connection: _load(connection, wanted))

    async def save(self, tenant_id: str, overlay: Stored) -> None:
        """See `OverlayStore`."""
        await self._engine.write(lambda connection: _save(connection, tenant_id, overlay))


def _load(connection: sqlite3.Connection, tenant_ids: list[str]) -> dict[str, Stored]:
    found: dict[str, Stored] = {}
    for start in range(0, len(tenant_ids), TENANTS_PER_QUERY_MAX):
        some = tenant_ids[start : start + TENANTS_PER_QUERY_MAX]
        sql = _LOAD.format(marks=",".join("?" * len(some)))
        for tenant_id, version, body in connection.execute(sql, some):
            found[tenant_id] = Stored(version, body)
    return found


def _save(connection: sqlite3.Connection, tenant_id: str, overlay: Stored) -> None:
    if overlay.version == 1:
        written = connection.execute(_INSERT, (tenant_id, 1, overlay.body))
    else:
        written = connection.execute(
            _UPDATE, (overlay.version, overlay.body, tenant_id, overlay.version - 1)
        )
    if written.rowcount != 1:
        raise WriteConflict(f"the overlay of {tenant_id} has another version")
