"""Tenants as they are now: those of the file, and what admin routes have changed since.

Every process looks once a second whether a version has moved, reads what has, and swaps a new book
for the old one: so what it answers is some seconds old at most, and never half new. While the store
is away the last that was known stays.
"""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec
import structlog
from msgspec import Struct

from shared.contracts.errors import Retryable
from shared.contracts.overlays import Overlay, merged, next_expiry_ms
from shared.contracts.tenant_checks import check_tenant
from shared.contracts.tenants import Tenant
from shared.runtime.overlays import OverlayStore, Stored
from shared.runtime.ports import Clock
from shared.runtime.tenants import Found, TenantBook

REFRESH_S: Final = 1.0

log: Final = structlog.get_logger()

_decode: Final = msgspec.json.Decoder(Overlay).decode
_encode: Final = msgspec.json.Encoder().encode


class Known(Struct, frozen=True):
    """What has changed of one tenant; version 0: nothing ever."""

    version: int = 0
    overlay: Overlay = Overlay()


class Unfit(ValueError):
    """The file and what was changed by routes do not go together: a person has to look."""


class LiveTenantDirectory:
    """`TenantDirectory` that follows the store; `run` keeps it fresh."""

    def __init__(
        self,
        given: Iterable[Tenant],
        store: OverlayStore,
        clock: Clock,
        *,
        refresh_s: float = REFRESH_S,
    ) -> None:
        self._given = {tenant.id: tenant for tenant in given}
        self._store = store
        self._clock = clock
        self._refresh_s = refresh_s
        self._known: dict[str, Known] = {}
        self._expiries: dict[str, int] = {}
        self._book = TenantBook(self._given.values())
        self._away = False

    def get(self, tenant_id: str) -> Tenant | None:
        """See `TenantDirectory`."""
        return self._book.get(tenant_id)

    def find(self, kind: str, secret: bytes, name: str | None = None) -> Found | None:
        """See `TenantDirectory`."""
        return self._book.find(kind, secret, name)

    def stands(self, found: Found) -> bool:
        """See `TenantDirectory`."""
        return self._book.stands(found)

    def all(self) -> tuple[Tenant, ...]:
        """See `TenantDirectory`."""
        return self._book.all()

    def given(self, tenant_id: str) -> Tenant | None:
        """The tenant as the file has it, if it does."""
        return self._given.get(tenant_id)

    def known(self, tenant_id: str) -> Known:
        """What has changed of a tenant, as far as it is known here."""
        return self._known.get(tenant_id, Known())

    async def start(self) -> None:
        """Read all there is, before anybody is answered.

        Raises:
            Unavailable: the store did not answer.
            Unfit: for one of them there is no tenant that holds.
        """
        for tenant_id, why in (await self.refresh()).items():
            raise Unfit(f"tenant {tenant_id}, as admin routes have changed it: {why}")

    async def refresh(self) -> Mapping[str, str]:
        """Read what has moved, and let go of secrets whose time is over.

        Returns:
            By tenant what is wrong with what was read; such a tenant stays as it was.

        Raises:
            Unavailable: the store did not answer.
        """
        versions = await self._store.versions()
        moved = [
            tenant_id
            for tenant_id, version in versions.items()
            if version > self.known(tenant_id).version
        ]
        wrong: dict[str, str] = {}
        if moved:
            news: dict[str, Known] = {}
            for tenant_id, stored in (await self._store.load(moved)).items():
                try:
                    news[tenant_id] = _read(stored)
                except Unfit as error:
                    wrong[tenant_id] = str(error)
            wrong |= self._adopt(news)
        self._expire()
        return wrong

    async def newest(self, tenant_id: str) -> Known:
        """What has changed of a tenant, read now.

        Raises:
            Unavailable: the store did not answer.
            Unfit: what is stored can't be read.
        """
        stored = (await self._store.load([tenant_id])).get(tenant_id)
        known = Known() if stored is None else _read(stored)
        self._adopt({tenant_id: known})
        return known

    async def save(self, tenant_id: str, changed: Known) -> None:
        """Keep a change, and know it from here on.

        Raises:
            ValueError: no tenant that holds would come of it; nothing was written.
            WriteConflict: somebody else has changed it since; nothing was written.
            Unavailable: unknown whether it was kept.
        """
        tenant = self._merged(tenant_id, changed.overlay)
        book = self._book.changed({tenant_id: tenant})
        for pair in book.twins:
            if any(found.tenant.id == tenant_id for found in pair):
                raise ValueError("somebody else has this name with this secret: take another")
        await self._store.save(tenant_id, Stored(changed.version, _encode(changed.overlay)))
        self._adopt({tenant_id: changed})

    async def run(self) -> None:
        """Refresh for ever."""
        told: Mapping[str, str] = {}
        while True:
            await asyncio.sleep(self._refresh_s)
            try:
                wrong = await self.refresh()
            except Retryable as error:
                if not self._away:
                    log.warning("tenants_not_refreshed", error=str(error))
                self._away = True
                self._expire()
                continue
            if self._away:
                log.info("tenants_refreshed_again")
            self._away = False
            for tenant_id, why in wrong.items():
                if told.get(tenant_id) != why:
                    log.error("tenant_not_refreshed", tenant=tenant_id, error=why)
            told = {**told, **wrong}

    def _adopt(self, news: Mapping[str, Known]) -> dict[str, str]:
        """Swap the book for one that has the news; older news are none."""
        wrong: dict[str, str] = {}
        tenants: dict[str, Tenant | None] = {}
        for tenant_id, known in news.items():
            if known.version <= self.known(tenant_id).version:
                continue
            try:
                tenants[tenant_id] = self._merged(tenant_id, known.overlay)
            except ValueError as error:
                wrong[tenant_id] = str(error)
                continue
            self._known[tenant_id] = known
        self._swap(tenants)
        return wrong

    def _expire(self) -> None:
        now_ms = self._clock.now_ms()
        over = [tenant_id for tenant_id, at_ms in self._expiries.items() if at_ms <= now_ms]
        self._swap({one: self._merged(one, self.known(one).overlay) for one in over})

    def _swap(self, tenants: Mapping[str, Tenant | None]) -> None:
        if not tenants:
            return
        now_ms = self._clock.now_ms()
        book = self._book.changed(tenants)
        if len(book.twins) > len(self._book.twins):
            one, other = book.twins[-1]
            log.error(
                "credentials_open_the_same_door",
                tenants=[one.tenant.id, other.tenant.id],
                credentials=[one.credential.id, other.credential.id],
            )
        self._book = book
        for tenant_id in tenants:
            at_ms = next_expiry_ms(self.known(tenant_id).overlay, now_ms)
            if at_ms is None:
                self._expiries.pop(tenant_id, None)
            else:
                self._expiries[tenant_id] = at_ms

    def _merged(self, tenant_id: str, overlay: Overlay) -> Tenant | None:
        tenant = merged(tenant_id, self.given(tenant_id), overlay, self._clock.now_ms())
        if tenant is not None:
            check_tenant(tenant)
        return tenant


def _read(stored: Stored) -> Known:
    try:
        return Known(stored.version, _decode(stored.body))
    except msgspec.MsgspecError as error:
        raise Unfit(f"what is stored of it can't be read: {error}") from None
