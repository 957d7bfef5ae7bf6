"""What the commands have in common that speak to broker or store: settings, and refusals."""

import asyncio
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from msgspec import Struct

from services.cli.configured import settings
from services.cli.output import stop

if TYPE_CHECKING:
    from services.settings import Settings
    from shared.contracts.errors import AftercallError

T = TypeVar("T")


class Broker(Struct, frozen=True):
    """Where the topics are."""

    bootstrap: str
    prefix: str


def broker_of(configured: "Settings", command: str) -> Broker:
    """The broker that is configured; ends the command where the profile has none."""
    if configured.profile != "cluster" or configured.kafka_bootstrap is None:
        stop(
            f"{command} needs the broker of the cluster profile",
            "set AFTERCALL_PROFILE=cluster, with AFTERCALL_KAFKA_BOOTSTRAP and AFTERCALL_MONGO_URL",
        )
    return Broker(configured.kafka_bootstrap, configured.topic_prefix)


def broker(command: str) -> Broker:
    """The same, of the settings of this process."""
    return broker_of(settings(), command)


def run(asked: Coroutine[Any, Any, T]) -> T:
    """What comes of it; ends the command where broker or store refuse, or do not answer."""
    from shared.adapters.cluster.quiet import quiet_client  # noqa: PLC0415 - same
    from shared.contracts.errors import AftercallError  # noqa: PLC0415 - not for `--help`
    from shared.observability.logging import configure_logging  # noqa: PLC0415 - same

    configure_logging("error")  # on standard error, for what was asked stands alone on the other
    quiet_client()
    try:
        return asyncio.run(asked)
    except AftercallError as error:
        _refuse(error)


def _refuse(error: "AftercallError") -> NoReturn:
    from shared.adapters.cluster import ClusterRefused  # noqa: PLC0415 - not for `--help`
    from shared.contracts.errors import Unavailable  # noqa: PLC0415 - same

    if isinstance(error, Unavailable):
        stop(str(error), "see `aftercall doctor`")
    if isinstance(error, ClusterRefused):
        stop(str(error), "see `aftercall doctor`")
    raise error
