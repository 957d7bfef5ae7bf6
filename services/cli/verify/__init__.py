"""`aftercall verify`: reads everything that is stored and says which promise is broken, if any.

Nothing is ever written. The embedded file is read in one transaction, so it may be checked while
the service runs; broker and store of the cluster profile are read while nothing moves.
"""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from services.cli.configured import settings
from services.cli.output import FAILED, show_json, stop

if TYPE_CHECKING:
    from services.cli.verify.checks import Check
    from services.cli.verify.result import Result
    from services.cli.verify.snapshot import History, Snapshot
    from services.settings import Settings

SHOWN_MAX: Final = 20


def verify(
    data_dir: Annotated[
        Path | None,
        typer.Option(help="Check this embedded store; what is configured by default."),
    ] = None,
    *,
    as_it_stands: Annotated[
        bool,
        typer.Option(
            "--as-it-stands",
            help="Cluster profile: do not wait until everybody has read everything; what waits to "
            "be read is not judged.",
        ),
    ] = False,
    wait_s: Annotated[
        float,
        typer.Option("--wait", min=0, help="Cluster profile: seconds to wait for such a moment."),
    ] = 30,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check log and store against everything that is promised of them.

    Embedded, it may run beside the service. With the cluster profile it waits for a moment at which
    nothing moves and everybody has read everything, for only then do topics and store belong
    together; and it holds every record in memory, at about two kilobytes each.

    Exit code 0: clean. 1: a promise is broken. 2: there is nothing that can be read, or no such
    moment.
    """
    configured = settings()
    if data_dir is None and configured.profile == "cluster":
        where = {"kafka": configured.kafka_bootstrap, "topic_prefix": configured.topic_prefix}
        snapshot = _read_cluster(configured, at_rest=not as_it_stands, within_s=wait_s)
    else:
        folder = data_dir or configured.data_dir
        where, snapshot = {"data_dir": str(folder)}, _read(folder)
    results = dict(_run(snapshot))
    if as_json:
        show_json(where | _as_json(results))
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


def _read_cluster(configured: "Settings", *, at_rest: bool, within_s: float) -> "Snapshot":
    from services.cli.clustered import run  # noqa: PLC0415 - not for `--help`
    from services.cli.verify.reading import read_cluster  # noqa: PLC0415 - same
    from shared.adapters.clock import SystemClock  # noqa: PLC0415 - same
    from shared.adapters.cluster.reading import Unrest  # noqa: PLC0415 - same

    try:
        return run(read_cluster(configured, SystemClock(), at_rest=at_rest, within_s=within_s))
    except Unrest as error:
        stop(
            f"the services are not at rest: {error}",
            "stop what feeds them and try again; or, once they have stopped, --as-it-stands",
        )


def _run(snapshot: "Snapshot") -> "Iterator[tuple[str, Result]]":
    from services.cli.verify.checks import CHECKS  # noqa: PLC0415 - not for `--help`
    from services.cli.verify.snapshot import History  # noqa: PLC0415 - same

    history = History(snapshot)
    for name, check in CHECKS.items():
        yield name, _judge(check, history)


def _judge(check: "Check", history: "History") -> "Result":
    """What a check finds; where it stumbles over what is stored, that is what it has found."""
    from services.cli.verify.result import Result  # noqa: PLC0415 - not for `--help`

    try:
        return check(history)
    except Exception as error:  # noqa: BLE001 - whatever is stored may raise anything
        return Result(of="checks", violations=[f"what is stored can't be checked: {error!r}"])


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


def _as_json(results: "dict[str, Result]") -> dict[str, object]:
    from services.cli.verify.checks import CHECKS, promise  # noqa: PLC0415 - loaded by now

    return {
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
