"""The tenants themselves: their settings; made and removed by the operator alone."""

from typing import Any, Final

from aiohttp import web
from msgspec.structs import replace

from services.gateway.administration.asker import ASKER
from services.gateway.administration.changes import Seen, make_tenant, remove_tenant, set_settings
from services.gateway.administration.models import SettingsBody, TenantsPage, TenantView
from services.gateway.administration.requests import (
    ADMINISTRATION,
    CHANGES,
    READS,
    changed,
    given,
    gone,
    newest,
    page,
    read,
    told,
)
from services.gateway.desk import Desk
from services.gateway.queries import CURSOR, LIMIT
from services.gateway.route import Body, Route
from shared.contracts.errors import Refused
from shared.contracts.ids import is_tenant_id
from shared.contracts.overlays import Overlay, entries_of
from shared.contracts.tenants import Tenant


async def list_tenants(request: web.Request, _: Desk) -> web.Response:
    """The tenants that the key reaches, as this gateway knows them."""
    administration = request.app[ADMINISTRATION]
    only = request[ASKER].tenant_id
    ids = (one.id for one in administration.tenants.all())
    seen = {one: administration.seen(one) for one in ids if only in (None, one)}
    return page(request, {one: view(found) for one, found in seen.items()})


async def show_tenant(request: web.Request, _: Desk) -> web.Response:
    """One tenant."""
    return told(view(await newest(request)))


async def put_tenant(request: web.Request, _: Desk) -> web.Response:
    """Set every setting; the operator makes a tenant so."""
    fields = given(await read(request, SettingsBody))
    tenant_id = request.match_info["tenant"]
    operated = request[ASKER].tenant_id is None
    if operated and not is_tenant_id(tenant_id):
        raise Refused("validation", "not a tenant id")

    def change(seen: Seen) -> Overlay:
        if seen.tenant is None:
            overlay = make_tenant(seen)
            seen = replace(seen, overlay=overlay, tenant=Tenant(id=tenant_id))
        return set_settings(seen, fields, whole=True)

    before, after = await changed(request, change, "settings", creates=operated)
    if before.tenant is None:
        await request.app[ADMINISTRATION].spread()
    return told(view(after), made=before.tenant is None)


async def patch_tenant(request: web.Request, _: Desk) -> web.Response:
    """Set some settings."""
    fields = given(await read(request, SettingsBody))
    _before, after = await changed(
        request, lambda seen: set_settings(seen, fields, whole=False), "settings"
    )
    return told(view(after))


async def delete_tenant(request: web.Request, _: Desk) -> web.Response:
    """Remove a tenant that a route has made; what its calls have left stays."""
    request[ASKER].check_operator()
    await changed(request, remove_tenant, "tenant", creates=True)
    return gone()


def view(seen: Seen) -> dict[str, Any]:
    """The tenant as the routes show it."""
    tenant = seen.there
    return {
        "id": tenant.id,
        "version": seen.version,
        "in_file": seen.base is not None,
        "demo": tenant.demo,
        "settings": {
            "name": tenant.name,
            "disposition_key": tenant.disposition_key,
            "wrap_up": {
                "seconds": tenant.wrap_up.seconds,
                "mode": tenant.wrap_up.mode.value,
                "timeout_code": tenant.wrap_up.timeout_code,
            },
            "corrections": tenant.corrections,
            "late_dispositions": tenant.late_dispositions,
            "ozonetel_auth": tenant.ozonetel_auth,
            "ozonetel_late": tenant.ozonetel_late,
            "ozonetel_pause_default": tenant.ozonetel_pause_default,
            "time_zone": tenant.time_zone,
        },
        "agents": len(tenant.agents),
        "codes": sum(1 for _ in entries_of(tenant.codes)),
        "projects": len(tenant.project_ids),
        "campaigns": len(tenant.campaign_ids),
        "subtenants": len(tenant.subtenant_ids),
        "credentials": len(tenant.credentials),
    }


PATH: Final = "/v1/admin/tenants"
ROUTES: Final = (
    Route(
        method="GET",
        path=PATH,
        handler=list_tenants,
        operation_id="listTenants",
        summary="The tenants that the key reaches",
        scope="admin",
        tag="tenants",
        refuses=READS,
        parameters=(CURSOR, LIMIT),
        responses={200: Body("One page, by id", TenantsPage)},
    ),
    Route(
        method="GET",
        path=PATH + "/{tenant}",
        handler=show_tenant,
        operation_id="showTenant",
        summary="A tenant's settings, and how much belongs to it",
        scope="admin",
        tag="tenants",
        refuses=READS,
        responses={200: Body("The tenant", TenantView)},
    ),
    Route(
        method="PUT",
        path=PATH + "/{tenant}",
        handler=put_tenant,
        operation_id="putTenant",
        summary="Set all of a tenant's settings; the operator makes a tenant so",
        scope="admin",
        tag="tenants",
        refuses=CHANGES,
        request=SettingsBody,
        may_be_empty=True,
        responses={200: Body("The tenant", TenantView), 201: Body("The new tenant", TenantView)},
    ),
    Route(
        method="PATCH",
        path=PATH + "/{tenant}",
        handler=patch_tenant,
        operation_id="patchTenant",
        summary="Set some of a tenant's settings",
        scope="admin",
        tag="tenants",
        refuses=CHANGES,
        request=SettingsBody,
        may_be_empty=True,
        responses={200: Body("The tenant", TenantView)},
    ),
    Route(
        method="DELETE",
        path=PATH + "/{tenant}",
        handler=delete_tenant,
        operation_id="deleteTenant",
        summary="Remove a tenant that a route has made; the operator's alone",
        scope="admin",
        tag="tenants",
        refuses=CHANGES,
        responses={204: Body("There is none", media_type=None)},
    ),
)
