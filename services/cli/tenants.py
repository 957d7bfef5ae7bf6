"""`aftercall tenants`: who is in the tenants file."""

from typing import Annotated, Final

import typer

from services.cli.configured import TenantsFile, tenants_of
from services.cli.output import show_rows
from shared.contracts.tenants import Tenant

COLUMNS: Final = ("tenant", "name", "agents", "codes", "credentials", "wrap_up_s", "mode", "demo")


def tenants(
    tenants_file: TenantsFile = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the tenants of the tenants file."""
    rows = [_row(tenant) for tenant in tenants_of(tenants_file)]
    show_rows(COLUMNS, rows, as_json=as_json)


def _row(tenant: Tenant) -> dict[str, object]:
    return {
        "tenant": tenant.id,
        "name": tenant.name,
        "agents": len(tenant.agents),
        "codes": sum(1 for _ in tenant.leaves()),
        "credentials": len(tenant.credentials),
        "wrap_up_s": tenant.wrap_up.seconds,
        "mode": tenant.wrap_up.mode.value,
        "demo": tenant.demo,
    }
