"""Who asks, and for which subtenant: the first three of the checks, in the order of the page."""

from typing import Final

from aiohttp import web
from msgspec import Struct

from services.gateway.desk import Desk
from services.gateway.dialects.exchange import secret_header
from services.gateway.dialects.zipteams.answers import Stop
from shared.contracts.subjects import Subject
from shared.contracts.tenants import Tenant
from shared.runtime.tenants import Found

KIND: Final = "zipteams"
SCOPE: Final = "disposition:write"
SUBTENANT_HEADERS: Final = ("x-subtenant-id", "x-sub-tenant-id")


class Caller(Struct, frozen=True):
    """Whose request it is, and the subtenant it is for."""

    found: Found
    subtenant: str

    @property
    def tenant(self) -> Tenant:
        """Whose request it is."""
        return self.found.tenant

    @property
    def is_first(self) -> bool:
        """Whether it is for the tenant's first subtenant, whose customers all dialects know."""
        return self.tenant.subtenant_ids[0] == self.subtenant

    def customer(self, customer_id: str) -> Subject:
        """The customer of this id; the same id in another subtenant is another customer."""
        return Subject("customer", customer_id, None if self.is_first else self.subtenant)


def admit(request: web.Request, desk: Desk) -> Caller:
    """Whose request this is.

    Raises:
        Stop: 403 without one good key and secret, or for a tenant or subtenant that is not the
            key's; 400 where one of the two is not named.
    """
    found = _owner(request, desk)
    tenants = _named(request, "x-tenant-id")
    if not tenants:
        raise Stop(400, "Tenant ID is required")
    if tenants != {found.tenant.id}:
        raise Stop(403, "Forbidden")
    subtenants = _named(request, *SUBTENANT_HEADERS)
    if not subtenants:
        raise Stop(400, "Subtenant ID is required")
    if len(subtenants) > 1 or not subtenants <= set(found.tenant.subtenant_ids):
        raise Stop(403, "Forbidden")
    return Caller(found, subtenants.pop())


def _owner(request: web.Request, desk: Desk) -> Found:
    key, secret = secret_header(request, "x-api-key"), secret_header(request, "x-api-secret")
    if not key or not key.isascii() or not secret:
        raise Stop(403, "Forbidden")
    found = desk.tenants.find(KIND, secret, key.decode("ascii"))
    if found is None or SCOPE not in found.credential.scopes:
        raise Stop(403, "Forbidden")
    return found


def _named(request: web.Request, *headers: str) -> set[str]:
    """The different ids in these headers; empty ones are none."""
    values = (value.strip() for name in headers for value in request.headers.getall(name, ()))
    return {value for value in values if value}
