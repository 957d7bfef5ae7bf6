"""`aftercall config`: what is set, by whom, and whether it makes sense."""

from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from services.cli.configured import settings
from services.cli.output import show_rows, stop

if TYPE_CHECKING:
    from services.settings import Settings

COLUMNS: Final = ("name", "value", "default", "meaning")
REDACTED: Final = "***"
AGAIN: Final = "correct it, then check again"
SECRET: Final = frozenset({"mongo_url"})  # may carry a password

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Show what is configured, and check it."
)


@app.command()
def show(*, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Show every setting as it stands; what may be secret is not printed."""
    show_rows(COLUMNS, rows(settings()), as_json=as_json)


def rows(configured: "Settings") -> list[dict[str, Any]]:
    """One row a setting: value, default, meaning."""
    shown = []
    for name, field in type(configured).model_fields.items():
        value = getattr(configured, name)
        shown.append(
            {
                "name": f"AFTERCALL_{name.upper()}",
                "value": REDACTED if name in SECRET and value is not None else _text(value),
                "default": _text(field.default),
                "meaning": field.description or "",
            }
        )
    return shown


def _text(value: Any) -> str | None:
    """As it would be written in the environment."""
    match value:
        case None:
            return None
        case bool():
            return str(int(value))
        case _:
            return str(value)


@app.command()
def check() -> None:
    """Check the settings and the tenants file, as the service does when it starts.

    Nothing is connected to: that is `aftercall doctor`.
    """
    from services.processes import read_directory  # noqa: PLC0415 - not for `--help`
    from services.settings import SettingsError  # noqa: PLC0415 - same

    configured = settings(AGAIN)
    try:
        directory = read_directory(configured)
        said = [f"ok: profile {configured.profile}, {len(directory.all())} tenants"]
        if configured.profile == "cluster":
            said = _with_cluster(said[0], configured)
    except SettingsError as error:
        stop(str(error), AGAIN)
    for line in said:
        typer.echo(line)


def _with_cluster(said: str, configured: "Settings") -> list[str]:
    """The same, with what is meant of broker and store, and what may surprise."""
    from services.cli.cluster_settings import database, notes  # noqa: PLC0415 - as above

    topics = f"topics {configured.topic_prefix}* with {configured.topic_partitions} partitions"
    first = f"{said}, {topics}, database {database(configured)}"
    return [first, *(f"note: {note}" for note in notes(configured))]
