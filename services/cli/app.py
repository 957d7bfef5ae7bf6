"""The commands, one table. Each is imported when it is called, or when help lists them all."""

import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any, Final

import typer
from msgspec import Struct
from typer.core import TyperGroup


class Command(Struct, frozen=True):
    """Where a command lives: `attribute` is a function, or a Typer app with subcommands."""

    module: str
    attribute: str


COMMANDS: Final = {
    "dev": Command("services.cli.serve", "dev"),
    "gateway": Command("services.cli.serve", "gateway"),
    "callstate": Command("services.cli.serve", "callstate"),
    "worker": Command("services.cli.serve", "worker"),
    "simulate": Command("services.cli.simulate", "simulate"),
    "verify": Command("services.cli.verify", "verify"),
    "doctor": Command("services.cli.doctor", "doctor"),
    "config": Command("services.cli.config", "app"),
    "tenants": Command("services.cli.tenants", "app"),
    "keys": Command("services.cli.keys", "app"),
    "dead-letters": Command("services.cli.dead_letters", "app"),
    "topics": Command("services.cli.topics", "app"),
}


class _Table(TyperGroup):
    """A group whose commands are the table above."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - typer's own signature
        """Every name, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 - same
        """The command of this name, imported now."""
        command = COMMANDS.get(cmd_name)
        return None if command is None else load(cmd_name, command)


def load(name: str, command: Command) -> Any:
    """The command behind a row of the table."""
    found = getattr(import_module(command.module), command.attribute)
    group = found if isinstance(found, typer.Typer) else _alone(name, found)
    group.rich_markup_mode = markup()
    loaded = typer.main.get_command(group)
    loaded.name = name
    return loaded


def _alone(name: str, function: Callable[..., Any]) -> typer.Typer:
    group = typer.Typer(add_completion=False)
    group.command(name)(function)
    return group


def markup() -> Any:
    """Colour and boxes on a terminal, plain text for everything that reads us."""
    return "rich" if sys.stdout.isatty() else None


def build() -> typer.Typer:
    """The whole command line."""
    app = typer.Typer(
        cls=_Table,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=markup(),
    )
    app.callback()(aftercall)
    return app


def aftercall(
    version: bool = typer.Option(  # noqa: FBT001 - an option, given by keyword
        False,  # noqa: FBT003 - same
        "--version",
        help="Show the version and exit (with every command).",
    ),
) -> None:
    """Every call ends with one honest outcome: call states, dispositions and wrap-up.

    Settings come from the environment (AFTERCALL_*): see `aftercall config show`.
    """
