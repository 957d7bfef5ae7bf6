"""`aftercall dev`, and the three processes of the cluster profile."""

from typing import NoReturn

import typer

from services.cli.configured import settings
from services.cli.output import stop


def dev() -> None:
    """Run all three services in this process: on the embedded store, or as AFTERCALL_PROFILE says.

    Where no tenants file is named, they serve the demo tenant.
    """
    configured = settings()
    from services.__main__ import run_dev  # noqa: PLC0415 - the server, only where it is wanted

    raise typer.Exit(run_dev(configured))


def gateway() -> None:
    """Run a gateway: HTTP in, verdicts and streams out (cluster profile)."""
    _alone("gateway")


def callstate() -> None:
    """Run a call-state process: telephony events in, calls out (cluster profile)."""
    _alone("callstate")


def worker() -> None:
    """Run a worker: requests in, dispositions and history out (cluster profile)."""
    _alone("worker")


def _alone(name: str) -> NoReturn:
    configured = settings()
    if configured.profile != "cluster":
        stop(
            f"{name} runs alone with AFTERCALL_PROFILE=cluster only",
            "set it, with AFTERCALL_KAFKA_BOOTSTRAP and AFTERCALL_MONGO_URL; or run all three in "
            "one process: aftercall dev",
        )
    from services.processes import run  # noqa: PLC0415 - the server, only where it is wanted

    raise typer.Exit(run(configured, [name]))
