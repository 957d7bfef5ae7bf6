"""The port that knows the tenants. Always answers at once, from memory."""

from typing import Protocol

from msgspec import Struct

from shared.contracts.tenants import Credential, Tenant


class Found(Struct, frozen=True):
    """The credential that a secret opens, and its tenant."""

    tenant: Tenant
    credential: Credential


class TenantDirectory(Protocol):
    """Tenants by id and by secret. What it answers may be some seconds old, never half new."""

    def get(self, tenant_id: str) -> Tenant | None:
        """The tenant of this id, if any."""
        ...

    def find(self, kind: str, secret: bytes, name: str | None = None) -> Found | None:
        """Whom a secret of this kind belongs to; constant work whether or not it is known.

        `name` is the user name that came with it, where the kind has one; it must match too.
        """
        ...

    def all(self) -> tuple[Tenant, ...]:
        """Every tenant."""
        ...
