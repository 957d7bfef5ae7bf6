"""What somebody types, and what comes back."""

from unittest.mock import patch

from typer.testing import CliRunner, Result

from services.cli.app import build


def typed(*arguments: str, **settings: str) -> Result:
    """Run the command line with these settings in its environment.

    What a process sets up for its whole life would outlive the command here: loggers that write to
    the command's own standard error, which is closed when it ends.
    """
    with patch("structlog.configure"), patch("logging.basicConfig"):
        return CliRunner().invoke(build(), arguments, prog_name="aftercall", env=settings)
