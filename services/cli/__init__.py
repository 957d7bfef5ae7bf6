"""The console script `aftercall`.

Nothing heavy is imported before the command is known: `aftercall --version` answers at once, and
a server that imports something from here does not pay for a terminal's libraries.
"""

import sys
from typing import NoReturn


def main() -> NoReturn:
    """Run the command on the command line and exit with its code."""
    arguments = sys.argv[1:]
    given = arguments[: arguments.index("--")] if "--" in arguments else arguments
    if "--version" in given:
        print(f"aftercall {version()}")  # noqa: T201 - the answer to the question
        sys.exit(0)
    from services.cli.app import build  # noqa: PLC0415 - typer is not needed for a version

    build()(args=arguments, prog_name="aftercall")
    sys.exit(0)


def version() -> str:
    """The installed version; `unknown` when run from a tree that was never installed."""
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415 - see above

    try:
        return version("aftercall")
    except PackageNotFoundError:
        return "unknown"
