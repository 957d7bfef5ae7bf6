"""`aftercall dev`, and the three processes of the cluster profile, which is not there yet."""

from typing import NoReturn

import typer

from services.cli.configured import settings
from services.cli.output import stop


def dev() -> None:
    """Run all three services in this process, on the embedded store."""
    configured = settings()
    from services.__main__ import run_dev  # noqa: PLC0415 - the server, only where it is wanted

    raise typer.Exit(run_dev(configured))


def gateway() -> None:
    """Run the gateway alone (cluster profile)."""
    _only_in_cluster("gateway")


def callstate() -> None:
    """Run callstate alone (cluster profile)."""
    _only_in_cluster("callstate")


def worker() -> None:
    """Run the worker alone (cluster profile)."""
    _only_in_cluster("worker")


def _only_in_cluster(name: str) -> NoReturn:
    stop(
        f"{name} runs alone with AFTERCALL_PROFILE=cluster, which this version does not have yet",
        "run all three in one process: aftercall dev",
    )
