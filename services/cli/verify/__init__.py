"""`aftercall verify`: reads everything that is stored and says which promise is broken, if any.

The file is read in one transaction and never written, so it may be checked while the service runs.
"""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from services.cli.configured import settings
from services.cli.output import FAILED, show_json, stop

if TYPE_CHECKING:
    from services.cli.verify.result import Result
    from services.cli.verify.snapshot import Snapshot

SHOWN_MAX: Final = 20


def verify(
    data_dir: Annotated[
        Path | None, typer.Option(help="What to check; AFTERCALL_DATA_DIR by default.")
    ] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check log and store against everything that is promised of them.

    Exit code 0: clean. 1: a promise is broken. 2: there is nothing that can be read.
    """
    where = data_dir or settings().data_dir
    results = dict(_run(_read(where)))
    if as_json:
        show_json(_as_json(where, results))
    else:
        _show(results)
    if any(result.violations for result in results.values()):
        raise typer.Exit(FAILED)


def _read(data_dir: Path) -> "Snapshot":
    from services.cli.verify.reading import read_snapshot  # noqa: PLC0415 - not for `--help`
    from shared.adapters.clock import SystemClock  # noqa: PLC0415 - same
    from shared.adapters.embedded import SchemaRefused  # noqa: PLC0415 - same

    try:
        return read_snapshot(data_dir, SystemClock().now_ms())
    except FileNotFoundError:
        stop(
            f"nothing is stored in {data_dir}",
            "name another by --data-dir or AFTERCALL_DATA_DIR, or start the service first",
        )
    except SchemaRefused as error:
        stop(str(error), "use the version of aftercall that wrote it")
    except (OSError, sqlite3.Error) as error:
        stop(f"{data_dir} can't be read: {error}", "run as the user that owns it")


def _run(snapshot: "Snapshot") -> "Iterator[tuple[str, Result]]":
    from services.cli.verify.checks import CHECKS  # noqa: PLC0415 - not for `--help`
    from services.cli.verify.snapshot import History  # noqa: PLC0415 - same

    history = History(snapshot)
    for name, check in CHECKS.items():
        yield name, check(history)


def _show(results: "dict[str, Result]") -> None:
    """One line a check, then what is broken."""
    width = max(len(name) for name in results)
    for name, result in results.items():
        broken = len(result.violations)
        line = f"{name:<{width}}  {result.counted:,} {result.of}, {broken:,} violations"
        typer.echo("; ".join([line, *result.notes]))
    for name, result in results.items():
        for sentence in result.violations[:SHOWN_MAX]:
            typer.echo(f"\n{name}: {sentence}", nl=False)
        if len(result.violations) > SHOWN_MAX:
            typer.echo(f"\n{name}: and {len(result.violations) - SHOWN_MAX:,} more", nl=False)
    total = sum(len(result.violations) for result in results.values())
    typer.echo("\nclean" if total == 0 else f"\n\n{total:,} violations")


def _as_json(data_dir: Path, results: "dict[str, Result]") -> dict[str, object]:
    from services.cli.verify.checks import CHECKS, promise  # noqa: PLC0415 - loaded by now

    return {
        "data_dir": str(data_dir),
        "clean": not any(result.violations for result in results.values()),
        "checks": [
            {
                "name": name,
                "promise": promise(CHECKS[name]),
                "counted": result.counted,
                "of": result.of,
                "violations": len(result.violations),
                "first": result.violations[:SHOWN_MAX],
                "notes": result.notes,
            }
            for name, result in results.items()
        ],
    }
