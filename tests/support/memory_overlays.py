"""`OverlayStore` in memory; may be told to be away."""

from collections.abc import Iterable

from shared.contracts.errors import Unavailable, WriteConflict
from shared.runtime.overlays import Stored


class MemoryOverlayStore:
    def __init__(self) -> None:
        self.rows: dict[str, Stored] = {}
        self.away = False
        self.versions_asked = 0

    async def versions(self) -> dict[str, int]:
        self._answer()
        self.versions_asked += 1
        return {tenant_id: stored.version for tenant_id, stored in self.rows.items()}

    async def load(self, tenant_ids: Iterable[str]) -> dict[str, Stored]:
        self._answer()
        return {one: self.rows[one] for one in tenant_ids if one in self.rows}

    async def save(self, tenant_id: str, overlay: Stored) -> None:
        self._answer()
        standing = self.rows.get(tenant_id)
        if (0 if standing is None else standing.version) != overlay.version - 1:
            raise WriteConflict(tenant_id)
        self.rows[tenant_id] = overlay

    def _answer(self) -> None:
        if self.away:
            raise Unavailable("away")
