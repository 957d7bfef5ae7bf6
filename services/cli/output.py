"""What commands print: tables for people, JSON for programs, one line for an error."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final, NoReturn

import msgspec
import typer

FAILED: Final = 1
MISUSED: Final = 2

Row = Mapping[str, Any]


def stop(message: str, fix: str) -> NoReturn:
    """End the command with one line on standard error: what is wrong, and what to do."""
    typer.echo(f"aftercall: {message}; {fix}", err=True)
    raise typer.Exit(MISUSED)


def show_json(value: Any) -> None:
    """Print any value as indented JSON."""
    typer.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def show_rows(columns: Sequence[str], rows: Sequence[Row], *, as_json: bool) -> None:
    """Print rows: JSON on demand, a drawn table on a terminal, aligned text elsewhere."""
    if as_json:
        show_json([{name: row.get(name) for name in columns} for row in rows])
    elif sys.stdout.isatty():
        _draw(columns, rows)
    else:
        _align(columns, rows)


def _draw(columns: Sequence[str], rows: Sequence[Row]) -> None:
    from rich.console import Console  # noqa: PLC0415 - only a terminal pays for it
    from rich.table import Table  # noqa: PLC0415 - same
    from rich.text import Text  # noqa: PLC0415 - same

    table = Table(*columns)
    for row in rows:
        table.add_row(*(Text(_cell(row.get(name))) for name in columns))
    Console().print(table)


def _align(columns: Sequence[str], rows: Sequence[Row]) -> None:
    cells = [list(columns), *([_cell(row.get(name)) for name in columns] for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(columns))]
    for line in cells:
        padded = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        typer.echo("  ".join(padded).rstrip())


def _cell(value: Any) -> str:
    match value:
        case None:
            return "-"
        case int() if not isinstance(value, bool):
            return f"{value:,}"
        case list() | tuple():
            return ", ".join(str(item) for item in value)
        case _:
            return str(value)
