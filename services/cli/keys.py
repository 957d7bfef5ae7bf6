"""`aftercall keys`: fresh keys, and a list of those that there are; never a secret twice.

Without `--url` they are those of the tenants file; with it, of a running service.
"""

import secrets
from hashlib import sha256
from typing import Annotated, Any, Final, get_args

import msgspec
import typer
import yaml

from services.cli.configured import TenantsFile, tenants_of
from services.cli.output import show_json, show_rows, stop
from services.cli.remote import Key, Url, part, remote
from shared.adapters.tenants_form import CredentialForm

SECRET_BYTES: Final = 32
LIST_COLUMNS: Final = ("tenant", "id", "kind", "name", "scopes")
REMOTE_COLUMNS: Final = (*LIST_COLUMNS, "created_at", "older_until", "revoked_at")

TenantId = Annotated[str, typer.Option("--tenant", help="The tenant it belongs to.")]
KeyId = Annotated[str, typer.Option("--id", help="The key.")]

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Make, list, rotate and revoke keys."
)


def _literals(name: str) -> tuple[str, ...]:
    """The words that a field of the tenants file takes."""
    (field,) = (f for f in msgspec.structs.fields(CredentialForm) if f.name == name)
    words = get_args(field.type)
    return get_args(words[0]) if name == "scopes" else words


@app.command()
def new(
    tenant: Annotated[str, typer.Option(help="The tenant it will belong to.")],
    scope: Annotated[
        list[str], typer.Option(help=f"What it may do: {', '.join(_literals('scopes'))}.")
    ],
    kind: Annotated[
        str, typer.Option(help=f"The door it opens: {', '.join(_literals('kind'))}.")
    ] = "bearer",
    name: Annotated[str | None, typer.Option(help="User name, where the door has one.")] = None,
    key_id: Annotated[str | None, typer.Option("--id", help="Its own name.")] = None,
    url: Url = None,
    key: Key = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print a fresh key, once, and the lines for the tenants file; or make it by --url.

    Only the SHA-256 of the key is kept: nobody can print it again.
    """
    _refuse_unknown("scope", scope, _literals("scopes"))
    _refuse_unknown("kind", [kind], _literals("kind"))
    if url is not None:
        body = {"kind": kind, "name": name, "scopes": scope, "id": key_id}
        told = {field: value for field, value in body.items() if value is not None}
        _show(remote(url, key).ask("POST", f"/{part(tenant)}/keys", told), as_json=as_json)
        return
    secret = secrets.token_urlsafe(SECRET_BYTES)
    entry = credential(
        key_id or f"{kind}-{secrets.token_hex(4)}", secret, kind=kind, name=name, scopes=scope
    )
    if as_json:
        show_json({"tenant": tenant, "secret": secret, "credential": entry})
        return
    typer.echo(f"secret: {secret}")
    typer.echo("Keep it now: it is not shown again. Add under the credentials of", nl=False)
    typer.echo(f" tenant {tenant}, and start the service anew:\n")
    typer.echo(f"      - {yaml_line(entry)}")


def credential(
    key_id: str, secret: str, *, kind: str, name: str | None, scopes: list[str]
) -> dict[str, object]:
    """The entry of the tenants file for a secret."""
    entry: dict[str, object] = {"id": key_id, "kind": kind}
    if name is not None:
        entry["name"] = name
    return entry | {"sha256": sha256(secret.encode()).hexdigest(), "scopes": scopes}


def yaml_line(entry: dict[str, object]) -> str:
    """The entry on one line of YAML."""
    line: str = yaml.safe_dump(entry, default_flow_style=True, sort_keys=False, width=10_000)
    return line.strip()


def _refuse_unknown(what: str, given: list[str], known: tuple[str, ...]) -> None:
    for word in given:
        if word not in known:
            stop(f"{what} {word} is not known", f"take one of {', '.join(known)}")


@app.command("list")
def list_keys(
    tenants_file: TenantsFile = None,
    url: Url = None,
    key: Key = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the keys of every tenant, without their secrets."""
    if url is not None:
        service = remote(url, key)
        found = [
            {"tenant": tenant["id"], **row}
            for tenant in service.rows("")
            for row in service.rows(f"/{part(tenant['id'])}/keys")
        ]
        show_rows(REMOTE_COLUMNS, found, as_json=as_json)
        return
    rows = [
        {
            "tenant": tenant.id,
            "id": one.id,
            "kind": one.kind,
            "name": one.name,
            "scopes": one.scopes,
        }
        for tenant in tenants_of(tenants_file)
        for one in tenant.credentials
    ]
    show_rows(LIST_COLUMNS, rows, as_json=as_json)


@app.command()
def rotate(
    tenant: TenantId,
    key_id: KeyId,
    url: Url = None,
    key: Key = None,
    grace_s: Annotated[
        int, typer.Option(min=0, help="How long the secret so far stays good; 0 ends it now.")
    ] = 24 * 3600,
    ends: Annotated[
        str | None, typer.Option(help="Where two are live, which ends now: older or newer.")
    ] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Give a key of a running service a fresh secret, and print it, once."""
    body = {"grace_s": grace_s} | ({} if ends is None else {"ends": ends})
    path = f"/{part(tenant)}/keys/{part(key_id)}/rotate"
    _show(remote(url, key).ask("POST", path, body), as_json=as_json)


@app.command()
def revoke(tenant: TenantId, key_id: KeyId, url: Url = None, key: Key = None) -> None:
    """Revoke a key of a running service, for good."""
    remote(url, key).ask("DELETE", f"/{part(tenant)}/keys/{part(key_id)}")
    typer.echo(f"{key_id} of {tenant} opens nothing any more")


@app.command()
def operator() -> None:
    """Print a fresh operator's key, once, and the setting by which a gateway knows it."""
    secret = secrets.token_urlsafe(SECRET_BYTES)
    typer.echo(f"secret: {secret}")
    typer.echo("Keep it now: it is not shown again. It makes tenants where every gateway has\n")
    typer.echo(f"AFTERCALL_OPERATOR_SHA256={sha256(secret.encode()).hexdigest()}")


def _show(made: dict[str, Any], *, as_json: bool) -> None:
    """A key with its secret, which nobody prints again."""
    if as_json:
        show_json(made)
        return
    typer.echo(f"secret: {made['secret']}")
    name = "" if made["name"] is None else f", name {made['name']}"
    typer.echo(f"Keep it now: it is not shown again. Key {made['id']}, kind {made['kind']}{name}.")
    if made["older_until"] is not None:
        typer.echo(f"The secret so far is good until {made['older_until']}, too.")
