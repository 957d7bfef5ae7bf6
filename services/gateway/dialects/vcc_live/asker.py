"""Who asks: the account behind HTTP Basic, and which of its projects it asks about."""

from base64 import b64decode
from dataclasses import dataclass
from typing import Final

from aiohttp import hdrs, web

from services.gateway.desk import Desk
from services.gateway.dialects.exchange import secret_header
from services.gateway.dialects.vcc_live.answers import Stop
from services.gateway.route import Scope
from shared.contracts.tenants import Tenant
from shared.runtime.tenants import Found

KIND: Final = "basic"  # of the credentials that open this door


@dataclass(frozen=True, slots=True)
class Project:
    """A project of a tenant."""

    tenant: Tenant
    id: str


async def admit(request: web.Request, desk: Desk, scope: Scope) -> Project:
    """The project of the path, if its tenant is the credential's; another's is like none at all.

    Raises:
        Stop: 401, 403, 404.
        TooMany: not so often.
    """
    found = _authenticate(request, desk, scope)
    tenant = found.tenant
    await desk.rates.count("vcc_live", tenant, found.credential.id)
    project_id = request.match_info["projectid"]
    if project_id not in tenant.project_ids:
        raise Stop(404, "error.project_not_found")
    return Project(tenant, project_id)


def _authenticate(request: web.Request, desk: Desk, scope: Scope) -> Found:
    denied = Stop(401, "error.unauthorized")
    scheme, _, sent = secret_header(request, hdrs.AUTHORIZATION).partition(b" ")
    try:
        name, colon, secret = b64decode(sent.strip(), validate=True).partition(b":")
        found = desk.tenants.find(KIND, secret, name.decode())
    except ValueError:
        raise denied from None
    if scheme.lower() != b"basic" or not colon or found is None:
        raise denied
    if scope not in found.credential.scopes:
        raise Stop(403, "error.forbidden")
    return found
