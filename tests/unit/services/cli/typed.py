"""What somebody types, and what comes back."""

from typer.testing import CliRunner, Result

from services.cli.app import build


def typed(*arguments: str, **settings: str) -> Result:
    """Run the command line with these settings in its environment."""
    return CliRunner().invoke(build(), arguments, prog_name="aftercall", env=settings)
