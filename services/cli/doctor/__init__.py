"""`aftercall doctor`: looks at the machine and at what is configured, and says what to do."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from services.cli.configured import settings
from services.cli.output import FAILED, show_json, show_rows

if TYPE_CHECKING:
    from services.cli.doctor.findings import Finding
    from services.settings import Settings

COLUMNS: Final = ("level", "name", "detail", "fix")


def doctor(
    data_dir: Annotated[
        Path | None, typer.Option(help="Where data is kept; AFTERCALL_DATA_DIR by default.")
    ] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Look for what would keep the service from running, and say how to mend it.

    With the cluster profile it asks broker and store, and waits for neither longer than seconds.

    Exit code 0: nothing would. 1: something fails.
    """
    configured = settings()
    findings = list(examine(configured, data_dir or configured.data_dir))
    if as_json:
        show_json(findings)
    else:
        rows = [{name: getattr(finding, name) for name in COLUMNS} for finding in findings]
        show_rows(COLUMNS, rows, as_json=False)
    if any(finding.level == "fail" for finding in findings):
        raise typer.Exit(FAILED)


def examine(configured: "Settings", data_dir: Path) -> "Iterator[Finding]":
    """Every finding, in the order in which a person would look."""
    from services.cli.doctor import machine  # noqa: PLC0415 - not for `--help`

    yield machine.python(tuple(sys.version_info[:3]))
    yield machine.libraries()
    if configured.profile == "cluster":
        yield from _cluster(configured)
    else:
        yield from _embedded(data_dir)
    yield machine.ports(configured.host, configured.port, configured.admin)
    yield _tenants(configured)


def _tenants(configured: "Settings") -> "Finding":
    from services.cli.doctor import findings, place  # noqa: PLC0415 - not for `--help`
    from services.processes import tenants_path  # noqa: PLC0415 - same
    from services.settings import SettingsError  # noqa: PLC0415 - same

    try:
        path = tenants_path(configured)
    except SettingsError as error:
        return findings.fail("tenants", str(error), "set AFTERCALL_TENANTS_FILE")
    return place.tenants(path, configured.host, allow_demo=configured.allow_demo)


def _embedded(data_dir: Path) -> "Iterator[Finding]":
    from services.cli.doctor import machine, place  # noqa: PLC0415 - not for `--help`
    from shared.adapters.clock import SystemClock  # noqa: PLC0415 - same

    yield machine.writable(data_dir)
    yield machine.disk(data_dir)
    yield machine.sqlite(data_dir)
    yield place.data(data_dir)
    yield place.lock(data_dir)
    yield machine.clock(SystemClock().now_ms(), place.newest_record(data_dir))


def _cluster(configured: "Settings") -> "list[Finding]":
    from services.cli.clustered import run  # noqa: PLC0415 - not for `--help`
    from services.cli.doctor.cluster import look  # noqa: PLC0415 - same
    from shared.adapters.clock import SystemClock  # noqa: PLC0415 - same

    return run(look(configured, SystemClock()))
