"""`aftercall tenants`: who is in the tenants file; or, with `--url`, in a running service."""

import json
from typing import Annotated, Any, Final

import typer

from services.cli.configured import TenantsFile, tenants_of
from services.cli.output import show_json, show_rows, stop
from services.cli.remote import Key, Url, part, remote
from shared.contracts.tenants import Tenant

COLUMNS: Final = ("tenant", "name", "agents", "codes", "credentials", "wrap_up_s", "mode", "demo")
ITEMS: Final = {
    "agents": ("agent_id", "user_id", "name", "has_password"),
    "codes": ("code", "id", "label", "needs_callback", "folder", "is_folder"),
    "projects": ("project_id", "time_zone"),
    "campaigns": ("campaign_id",),
    "subtenants": ("subtenant_id",),
}

TenantId = Annotated[str, typer.Argument(help="The tenant.", metavar="TENANT")]
Many = Annotated[str, typer.Argument(help=f"One of {', '.join(ITEMS)}.", metavar="WHAT")]
Id = Annotated[str, typer.Argument(help="Its id.", metavar="ID")]
Fields = Annotated[
    list[str] | None,
    typer.Option("--set", help="A field, as name=value; the value as JSON, or a plain text."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]

app = typer.Typer(
    add_completion=False,
    help="List tenants; change those of a running service, and what belongs to them.",
)


@app.callback(invoke_without_command=True)
def tenants(
    context: typer.Context,
    tenants_file: TenantsFile = None,
    url: Url = None,
    key: Key = None,
    *,
    as_json: AsJson = False,
) -> None:
    """List the tenants of the tenants file, or of a running service."""
    if context.invoked_subcommand is not None:
        return
    if url is None:
        rows = [_row(tenant) for tenant in tenants_of(tenants_file)]
    else:
        rows = [_remote_row(row) for row in remote(url, key).rows("")]
    show_rows(COLUMNS, rows, as_json=as_json)


@app.command("set")
def set_tenant(tenant: TenantId, fields: Fields = None, url: Url = None, key: Key = None) -> None:
    """Set some settings of a tenant, such as wrap_up={"seconds":45}; print them all."""
    show_json(remote(url, key).ask("PATCH", f"/{part(tenant)}", _fields(fields)))


@app.command()
def make(tenant: TenantId, fields: Fields = None, url: Url = None, key: Key = None) -> None:
    """Make a tenant, with the operator's key; print its settings."""
    show_json(remote(url, key).ask("PUT", f"/{part(tenant)}", _fields(fields)))


@app.command()
def remove(tenant: TenantId, url: Url = None, key: Key = None) -> None:
    """Remove a tenant that was made so, with the operator's key."""
    remote(url, key).ask("DELETE", f"/{part(tenant)}")
    typer.echo(f"there is no tenant {tenant}")


@app.command()
def show(
    tenant: TenantId, what: Many, url: Url = None, key: Key = None, *, as_json: AsJson = False
) -> None:
    """List the agents, codes, projects, campaigns or subtenants of a tenant."""
    _refuse_unknown(what)
    rows = list(remote(url, key).rows(f"/{part(tenant)}/{what}"))
    show_rows(ITEMS[what], rows, as_json=as_json)


@app.command()
def put(
    tenant: TenantId,
    what: Many,
    name: Id,
    fields: Fields = None,
    url: Url = None,
    key: Key = None,
    *,
    ask_password: Annotated[
        bool, typer.Option("--ask-password", help="Ask for an agent's password.")
    ] = False,
) -> None:
    """Make or replace an agent, a code, a project, a campaign or a subtenant; print it."""
    _refuse_unknown(what)
    body = _fields(fields)
    if ask_password:
        body["password"] = typer.prompt("password", hide_input=True, confirmation_prompt=True)
    show_json(remote(url, key).ask("PUT", f"/{part(tenant)}/{what}/{part(name)}", body))


@app.command()
def drop(tenant: TenantId, what: Many, name: Id, url: Url = None, key: Key = None) -> None:
    """Remove an agent, a code, a project, a campaign or a subtenant."""
    _refuse_unknown(what)
    remote(url, key).ask("DELETE", f"/{part(tenant)}/{what}/{part(name)}")
    typer.echo(f"{tenant} has no {name} among its {what}")


def _refuse_unknown(what: str) -> None:
    if what not in ITEMS:
        stop(f"{what} is nothing of a tenant", f"take one of {', '.join(ITEMS)}")


def _fields(given: list[str] | None) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for one in given or []:
        name, equals, value = one.partition("=")
        if not equals:
            stop(f"--set {one} has no value", "write name=value")
        try:
            fields[name] = json.loads(value)
        except ValueError:
            fields[name] = value
    return fields


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


def _remote_row(row: dict[str, Any]) -> dict[str, object]:
    rules = row["settings"]["wrap_up"]
    return {
        "tenant": row["id"],
        "name": row["settings"]["name"],
        "agents": row["agents"],
        "codes": row["codes"],
        "credentials": row["credentials"],
        "wrap_up_s": rules["seconds"],
        "mode": rules["mode"],
        "demo": row["demo"],
    }
