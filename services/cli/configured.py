"""What is configured, or one line on what is wrong with it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.output import stop

if TYPE_CHECKING:
    from services.settings import Settings
    from shared.contracts.tenants import Tenant

TenantsFile = Annotated[
    Path | None, typer.Option(help="The file to read; AFTERCALL_TENANTS_FILE by default.")
]


def settings() -> "Settings":
    """The settings of this process; ends the command where they are wrong."""
    from services.settings import SettingsError, read_settings  # noqa: PLC0415 - not for `--help`

    try:
        return read_settings()
    except SettingsError as error:
        stop(str(error), "see `aftercall config check`")


def configured_file(configured: "Settings") -> Path:
    """The tenants file that the service would read: the demo's where none is set."""
    from services.processes import DEMO_TENANTS  # noqa: PLC0415 - not for `--help`

    return configured.tenants_file or DEMO_TENANTS


def tenants_of(path: Path | None) -> "tuple[Tenant, ...]":
    """The tenants of this file, or of the configured one; ends the command without any."""
    from shared.adapters.tenants_file import read_tenants  # noqa: PLC0415 - not for `--help`

    file = path or configured_file(settings())
    try:
        return read_tenants(file)
    except FileNotFoundError:
        stop(f"{file} does not exist", "correct AFTERCALL_TENANTS_FILE or --tenants-file")
    except (OSError, ValueError) as error:
        stop(str(error), "correct the tenants file")
