"""What is configured, or one line on what is wrong with it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from services.cli.output import stop

if TYPE_CHECKING:
    from services.settings import Settings
    from shared.contracts.tenants import Tenant

TenantsFile = Annotated[
    Path | None, typer.Option(help="The file to read; AFTERCALL_TENANTS_FILE by default.")
]

TO_CHECK: Final = "see `aftercall config check`"


def settings(fix: str = TO_CHECK) -> "Settings":
    """The settings of this process; ends the command where they are wrong, saying `fix`."""
    from services.settings import SettingsError, read_settings  # noqa: PLC0415 - not for `--help`

    try:
        return read_settings()
    except SettingsError as error:
        stop(str(error), fix)


def configured_file(configured: "Settings") -> Path:
    """The tenants file that the service would read; ends the command where there is none."""
    from services.processes import tenants_path  # noqa: PLC0415 - not for `--help`
    from services.settings import SettingsError  # noqa: PLC0415 - same

    try:
        return tenants_path(configured)
    except SettingsError as error:
        stop(str(error), TO_CHECK)


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
