"""The port that knows the tenants, and the book that answers for it. At once, from memory."""

import hmac
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from typing import Final, Protocol

from msgspec import Struct
from msgspec.structs import replace

from shared.contracts.tenants import Credential, Tenant

AGENT_SCOPES: Final = ("disposition:write", "read")

Door = tuple[str, bytes, bytes]
"""Kind, name, and the digest of the secret."""


class Found(Struct, frozen=True):
    """The credential that a secret opens, and its tenant.

    `credential.sha256` is of the secret that came, be it the newest or the one before it.
    """

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

    def stands(self, found: Found) -> bool:
        """Whether what was found once would be found again: for who listens for hours."""
        ...

    def all(self) -> tuple[Tenant, ...]:
        """Every tenant."""
        ...


class TenantBook:
    """`TenantDirectory` that never changes: a change makes another one.

    Attributes:
        twins: credentials that open the same door, in pairs. Neither opens it: who came could be
            either of them.
    """

    def __init__(self, tenants: Iterable[Tenant] = ()) -> None:
        self._tenants: dict[str, Tenant] = {}
        self._doors_of: dict[str, dict[Door, Found]] = {}
        self._twins_of: dict[str, tuple[tuple[Found, Found], ...]] = {}
        self._doors: dict[Door, Found] = {}
        self.twins: tuple[tuple[Found, Found], ...] = ()
        self._take({tenant.id: tenant for tenant in tenants})

    def changed(self, tenants: Mapping[str, Tenant | None]) -> "TenantBook":
        """Another book, in which these tenants are as given; None: not there."""
        made = TenantBook()
        made._tenants = dict(self._tenants)
        made._doors_of = dict(self._doors_of)
        made._twins_of = dict(self._twins_of)
        made._take(tenants)
        return made

    def get(self, tenant_id: str) -> Tenant | None:
        """See `TenantDirectory`."""
        return self._tenants.get(tenant_id)

    def find(self, kind: str, secret: bytes, name: str | None = None) -> Found | None:
        """See `TenantDirectory`.

        Found by its digest: that takes as long for an unknown secret as for a known one, and
        what a nearly right secret could tell is nothing, for its digest is another.
        """
        digest = sha256(secret).digest()
        found = self._doors.get((kind, (name or "").encode(errors="replace"), digest))
        expected = digest if found is None else bytes.fromhex(found.credential.sha256)
        return found if hmac.compare_digest(digest, expected) else None

    def stands(self, found: Found) -> bool:
        """See `TenantDirectory`."""
        now = self._doors.get(_door(found.credential))
        return (
            now is not None
            and now.tenant.id == found.tenant.id
            and now.credential.id == found.credential.id
        )

    def all(self) -> tuple[Tenant, ...]:
        """See `TenantDirectory`."""
        return tuple(self._tenants.values())

    def _take(self, tenants: Mapping[str, Tenant | None]) -> None:
        """Only doors of what has changed are made anew; all are put together again."""
        for tenant_id, tenant in tenants.items():
            if tenant is None:
                self._tenants.pop(tenant_id, None)
                self._doors_of.pop(tenant_id, None)
                self._twins_of.pop(tenant_id, None)
            else:
                self._tenants[tenant_id] = tenant
                self._doors_of[tenant_id], own = _doors(tenant)
                self._twins_of[tenant_id] = tuple(own)
        twins = [pair for own in self._twins_of.values() for pair in own]
        for doors in self._doors_of.values():
            if not self._doors.keys().isdisjoint(doors):
                twins += [(self._doors[door], doors[door]) for door in doors if door in self._doors]
            self._doors |= doors
        for one, _ in twins:
            self._doors.pop(_door(one.credential), None)
        self.twins = tuple(twins)


def _doors(tenant: Tenant) -> tuple[dict[Door, Found], list[tuple[Found, Found]]]:
    doors: dict[Door, Found] = {}
    twins: list[tuple[Found, Found]] = []
    for credential in (*_keys(tenant), *_of_agents(tenant)):
        door, found = _door(credential), Found(tenant, credential)
        if door in doors:
            twins.append((doors[door], found))
        doors[door] = found
    return doors, twins


def _keys(tenant: Tenant) -> Iterator[Credential]:
    """What opens doors: each live secret by itself."""
    for credential in tenant.credentials:
        yield credential
        if credential.older_sha256 is not None:
            yield replace(credential, sha256=credential.older_sha256)


def _of_agents(tenant: Tenant) -> Iterator[Credential]:
    """The agents' own passwords are credentials too, of the dialect that knows them."""
    for agent in tenant.agents:
        if agent.password_sha256 is not None:
            yield Credential(
                id=f"agent:{agent.agent_id}",
                sha256=agent.password_sha256,
                kind="genesys",
                name=agent.agent_id,
                scopes=AGENT_SCOPES,
            )


def _door(credential: Credential) -> Door:
    name = (credential.name or "").encode()
    return credential.kind, name, bytes.fromhex(credential.sha256)
