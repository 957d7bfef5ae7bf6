"""What somebody types, and what comes back."""

from typing import Any
from unittest.mock import patch

import structlog
from typer.testing import CliRunner, Result

from services.cli.app import build

_configure = structlog.configure


def typed(*arguments: str, **settings: str) -> Result:
    """Run the command line with these settings in its environment.

    What a process sets up for its whole life would outlive the command here: loggers that write to
    the command's own standard error, which is closed when it ends.
    """
    try:
        with patch("structlog.configure", _for_now), patch("logging.basicConfig"):
            return CliRunner().invoke(build(), arguments, prog_name="aftercall", env=settings)
    finally:
        structlog.reset_defaults()


def _for_now(**given: Any) -> None:
    _configure(**given | {"cache_logger_on_first_use": False})
