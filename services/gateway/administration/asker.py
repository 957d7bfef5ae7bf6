"""Who asks: a tenant's own admin, who reaches this tenant, or the operator, who reaches all."""

import hmac
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from aiohttp import hdrs, web

from services.gateway.auth import NO_SUCH_KEY, bearer_secret
from services.gateway.route import FOUND
from shared.contracts.errors import Refused
from shared.runtime.tenants import Found, TenantDirectory

OPERATOR: Final = "operator"
SCOPE: Final = "admin"


@dataclass(frozen=True, slots=True)
class Asker:
    """Somebody with a good key; `found` None: the operator."""

    found: Found | None

    @property
    def name(self) -> str:
        """For the log."""
        return OPERATOR if self.found is None else self.found.credential.id

    @property
    def tenant_id(self) -> str | None:
        """The one tenant that is reached; None: all of them."""
        return None if self.found is None else self.found.tenant.id

    def check_reach(self, tenant_id: str) -> None:
        """Refuse another tenant just as one that there is not.

        Raises:
            Refused: see there.
        """
        if self.tenant_id not in (None, tenant_id):
            raise Refused("not_found", "no such tenant")

    def check_operator(self) -> None:
        """Refuse whoever is not the operator.

        Raises:
            Refused: `forbidden`.
        """
        if self.found is not None:
            raise Refused("forbidden", "only the operator makes and removes tenants")


ASKER: Final = web.RequestKey("asker", Asker)


def authenticate(request: web.Request, tenants: TenantDirectory, operator: str | None) -> Asker:
    """Whose request this is.

    Args:
        request: for its header.
        tenants: knows the admins' keys.
        operator: SHA-256 of the operator's key in hex; None: there is no operator.

    Raises:
        Refused: `unauthorized` without exactly one good key, `forbidden` without the scope.
    """
    secret = bearer_secret(request.headers.getall(hdrs.AUTHORIZATION, ()))
    digest = sha256(secret).hexdigest()
    if operator is not None and hmac.compare_digest(digest, operator):
        return Asker(None)
    found = tenants.find("bearer", secret)
    if found is None:
        raise Refused("unauthorized", NO_SUCH_KEY)
    request[FOUND] = found
    if SCOPE not in found.credential.scopes:
        raise Refused("forbidden", f"the key lacks the scope {SCOPE}")
    return Asker(found)
