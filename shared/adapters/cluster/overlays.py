"""Overlays of tenants on MongoDB: a row each, by the tenant's id."""

from collections.abc import Iterable
from typing import Final

from pymongo import InsertOne, ReplaceOne

from shared.adapters.cluster.mongo_client import Database, Row, bulk_written
from shared.adapters.cluster.mongo_waiting import Writes, answered
from shared.contracts.errors import WriteConflict
from shared.runtime.overlays import Stored

COLLECTION: Final = "overlays"
VERSIONS: Final = "versions"  # an index that answers by itself: no overlay is looked at


class MongoOverlayStore:
    """`OverlayStore` on one database."""

    def __init__(self, database: Database, writes: Writes) -> None:
        self._rows = database[COLLECTION]
        self._writes = writes

    async def versions(self) -> dict[str, int]:
        """See `OverlayStore`."""
        cursor = self._rows.find({}, {"v": 1}, hint=VERSIONS)
        rows = await answered("read overlays", lambda: cursor.to_list(None))
        return {row["_id"]: int(row["v"]) for row in rows}

    async def load(self, tenant_ids: Iterable[str]) -> dict[str, Stored]:
        """See `OverlayStore`."""
        cursor = self._rows.find({"_id": {"$in": list(tenant_ids)}})
        rows = await answered("read overlays", lambda: cursor.to_list(None))
        return {row["_id"]: Stored(int(row["v"]), bytes(row["body"])) for row in rows}

    async def save(self, tenant_id: str, overlay: Stored) -> None:
        """See `OverlayStore`. Whoever is cancelled in it waits for the outcome first."""
        await self._writes.settled("save overlay", self._save(tenant_id, overlay))

    async def _save(self, tenant_id: str, overlay: Stored) -> None:
        row: Row = {"_id": tenant_id, "v": overlay.version, "body": overlay.body}
        write: InsertOne[Row] | ReplaceOne[Row] = InsertOne(row)
        if overlay.version > 1:
            write = ReplaceOne({"_id": tenant_id, "v": overlay.version - 1}, row)
        result = await bulk_written(self._rows, [write])
        if result.inserted_count + result.matched_count != 1:
            raise WriteConflict(f"the overlay of {tenant_id} has another version")
