"""Changes of tenants: read, changed, checked and saved, so that no writer loses another's."""

import asyncio
from typing import Final

import msgspec
import structlog

from services.gateway.administration.changes import Change, Seen
from shared.contracts.errors import Refused, Unavailable, WriteConflict
from shared.runtime.live_tenants import Known, LiveTenantDirectory
from shared.runtime.ports import Clock

TRIES: Final = 8  # of a change that others overtake each time
OVERLAY_BYTES_MAX: Final = 4 * 1024 * 1024  # some 20,000 agents; it is written whole each time

log: Final = structlog.get_logger()

_encode: Final = msgspec.json.Encoder().encode


class Administration:
    """What the admin routes ask."""

    def __init__(
        self, tenants: LiveTenantDirectory, clock: Clock, *, spread_s: float = 0.0
    ) -> None:
        """Use this directory.

        Args:
            tenants: is changed.
            clock: says when.
            spread_s: until every other process knows of a change; 0 where there is none.
        """
        self.tenants: Final = tenants
        self._clock = clock
        self._spread_s = spread_s

    def seen(self, tenant_id: str) -> Seen:
        """A tenant as it is known here, without asking the store."""
        return self._seen(tenant_id, self.tenants.known(tenant_id))

    async def newest(self, tenant_id: str) -> Seen:
        """A tenant as it is stored.

        Raises:
            Refused: there is none.
            Unavailable: the store did not answer.
        """
        seen = self._seen(tenant_id, await self.tenants.newest(tenant_id))
        if seen.tenant is None:
            raise Refused("not_found", "no such tenant")
        return seen

    async def change(
        self, tenant_id: str, change: Change, *, by: str, what: str, creates: bool = False
    ) -> tuple[Seen, Seen]:
        """Change a tenant, and know it here from then on. What changes nothing is not written.

        Args:
            tenant_id: which.
            change: pure; asked again where somebody else was faster.
            by: who asks, for the log.
            what: is changed, for the log.
            creates: whether the tenant need not be there.

        Returns:
            The tenant before and after.

        Raises:
            Refused: by the change, or because no tenant that holds would come of it.
            Unavailable: unknown whether it was changed; or others changed it each time.
        """
        for _ in range(TRIES):
            known = await self.tenants.newest(tenant_id)
            before = self._seen(tenant_id, known)
            if before.tenant is None and not creates:
                raise Refused("not_found", "no such tenant")
            overlay = change(before)
            if overlay == known.overlay:
                return before, before
            try:
                await self._save(tenant_id, Known(known.version + 1, overlay))
            except WriteConflict:
                continue
            log.info("tenant_changed", tenant=tenant_id, what=what, by=by)
            return before, self.seen(tenant_id)
        raise Unavailable(f"{tenant_id} was changed by others all the time")

    async def spread(self) -> None:
        """Wait until every process knows what was changed, those that are well at least.

        A call of a tenant that callstate does not know yet would be a dead letter.
        """
        await asyncio.sleep(self._spread_s)

    async def _save(self, tenant_id: str, changed: Known) -> None:
        if len(_encode(changed.overlay)) > OVERLAY_BYTES_MAX:
            raise Refused("validation", "so much is for the tenants file: take something out first")
        try:
            await self.tenants.save(tenant_id, changed)
        except ValueError as error:
            raise Refused("validation", str(error)) from None

    def _seen(self, tenant_id: str, known: Known) -> Seen:
        return Seen(
            base=self.tenants.given(tenant_id),
            overlay=known.overlay,
            tenant=self.tenants.get(tenant_id),
            version=known.version,
            now_ms=self._clock.now_ms(),
        )
