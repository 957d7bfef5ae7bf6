"""`aftercall keys`: fresh keys, and a list of those that there are; never a secret twice."""

import secrets
from hashlib import sha256
from typing import Annotated, Final, get_args

import msgspec
import typer
import yaml

from services.cli.configured import TenantsFile, tenants_of
from services.cli.output import show_json, show_rows, stop
from shared.adapters.tenants_form import CredentialForm

SECRET_BYTES: Final = 32
LIST_COLUMNS: Final = ("tenant", "id", "kind", "name", "scopes")

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Make keys, and list those that there are."
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
    key_id: Annotated[str | None, typer.Option("--id", help="Its name in the file.")] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print a fresh key, once, and the lines for the tenants file.

    The file only holds the SHA-256 of the key: nobody can print it again.
    """
    _refuse_unknown("scope", scope, _literals("scopes"))
    _refuse_unknown("kind", [kind], _literals("kind"))
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
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the keys of every tenant, without their secrets."""
    rows = [
        {
            "tenant": tenant.id,
            "id": key.id,
            "kind": key.kind,
            "name": key.name,
            "scopes": key.scopes,
        }
        for tenant in tenants_of(tenants_file)
        for key in tenant.credentials
    ]
    show_rows(LIST_COLUMNS, rows, as_json=as_json)
