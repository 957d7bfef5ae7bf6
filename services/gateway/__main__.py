"""The gateway put together: desk, dialects, stream, console, and the two listeners."""

import asyncio
import errno
import os
import secrets
from collections.abc import Sequence
from typing import Any, Final

from aiohttp import web

from services.gateway.admin import Readiness, build_admin_app
from services.gateway.administration import Administration, Operated
from services.gateway.app import build_app
from services.gateway.asyncapi import Layout
from services.gateway.connection import Connection
from services.gateway.console import BESIDE, Beside
from services.gateway.console import ROUTES as CONSOLE
from services.gateway.desk import Desk
from services.gateway.dialects.carecycle import CareCycle
from services.gateway.dialects.dialect import Dialect
from services.gateway.dialects.genesys import Genesys, serve_notifications
from services.gateway.dialects.ozonetel import Ozonetel
from services.gateway.dialects.vcc_live import VccLive
from services.gateway.dialects.zipteams import Zipteams
from services.gateway.push.hub import HUB, Hub
from services.gateway.push.sse import ROUTES as STREAM
from services.gateway.push.sse import end_streams
from services.gateway.route import Route
from services.gateway.sockets.route import ROUTES as SOCKET
from services.gateway.toolbar.files import ROUTES as TOOLBAR
from services.gateway.verdicts import Waiters
from services.settings import Settings
from shared.contracts import limits
from shared.observability.metrics import Metrics
from shared.runtime.live_tenants import REFRESH_S, LiveTenantDirectory
from shared.runtime.profile import Profile
from shared.runtime.tenants import TenantDirectory

BACKLOG: Final = 1024
SPREAD_S: Final = 2 * REFRESH_S
DESK: Final = web.AppKey("desk", Desk)
SHUTDOWN_S: Final = 5.0
_NO_ACCESS_LOG: Final[Any] = None  # the edge writes one line per request already


async def build(
    settings: Settings, profile: Profile, tenants: TenantDirectory, hub: Hub, metrics: Metrics
) -> web.Application:
    """The public application, its verdicts wired to the profile's replies.

    Raises:
        Unavailable: the log does not answer.
    """
    waiters = Waiters(f"gateway-{secrets.token_hex(4)}", timeout_s=settings.verdict_timeout_s)
    await profile.register(waiters.address, waiters.deliver)
    desk = Desk(
        tenants=tenants,
        clock=profile.clock,
        log=profile.log,
        store=profile.store,
        history=profile.history,
        waiters=waiters,
    )
    app = build_app(
        desk, dialects=DIALECTS, more=MORE, observe=metrics.request, layout=_layout(settings)
    )
    app[HUB] = hub
    app[DESK] = desk
    app[BESIDE] = Beside()
    app.on_shutdown.append(end_streams)
    serve_notifications(app, hub, desk)
    return app


class PortTaken(OSError):
    """Somebody else listens there; it may be free at the next try."""


class _TurnedAway(asyncio.Protocol):
    """One connection too many: closed before a byte of it is read."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()


class Listener:
    """An application on an address. `start` before anything else says whether it is free."""

    def __init__(self, app: web.Application, host: str, port: int) -> None:
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_S)
        self._host = host
        self._port = port
        self._server: asyncio.Server | None = None

    async def start(self) -> int:
        """Listen.

        Returns:
            The port, which the system chose if it was 0.

        Raises:
            PortTaken: see there.
            OSError: the address is not ours, or we may not.
        """
        await self._runner.setup()
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(
                self._connect, self._host, self._port, backlog=BACKLOG
            )
        except OSError as error:
            told = PortTaken if error.errno == errno.EADDRINUSE else OSError
            raise told(self._cannot_listen(error)) from error
        return int(self._server.sockets[0].getsockname()[1])

    def _cannot_listen(self, error: OSError) -> str:
        number = error.errno or 0
        said = os.strerror(number) if number > 0 else error.strerror or str(error)
        return (
            f"can't listen on {self._host}:{self._port}: {said.lower()}; "
            "set AFTERCALL_HOST, AFTERCALL_PORT or AFTERCALL_ADMIN_PORT"
        )

    def _connect(self) -> asyncio.BaseProtocol:
        server = self._runner.server
        if server is None or len(server.connections) >= limits.CONNECTIONS_MAX:
            return _TurnedAway()
        return Connection(
            server,
            loop=asyncio.get_running_loop(),
            access_log=_NO_ACCESS_LOG,
            # A connection that has sent no whole request head by then is closed.
            keepalive_timeout=limits.HEADER_RECEIPT_S,
        )

    async def run(self, stopping: asyncio.Event) -> None:
        """Serve until told to stop; requests in hand are finished."""
        await stopping.wait()
        if self._server is not None:
            self._server.close()
        await self._runner.cleanup()


def admin(
    metrics: Metrics, readiness: Readiness, administration: Operated | None = None
) -> web.Application:
    """The application of the admin port."""
    return build_admin_app(metrics.registry, readiness, administration)


def operated(
    settings: Settings,
    profile: Profile,
    tenants: LiveTenantDirectory,
    app: web.Application,
    metrics: Metrics,
) -> Operated:
    """What the admin routes beside the public application need."""
    desk = app[DESK]
    alone = settings.profile == "embedded"
    spread_s = 0.0 if alone else SPREAD_S
    return Operated(
        administration=Administration(tenants, desk.clock, spread_s=spread_s),
        desk=desk,
        letters=profile.letters,
        operator_sha256=settings.operator_sha256,
        observe=metrics.request,
        layout=_layout(settings),
    )


def _layout(settings: Settings) -> Layout:
    return Layout(settings.profile, settings.topic_prefix, settings.topic_partitions)


DIALECTS: Final[Sequence[Dialect]] = (Ozonetel(), Genesys(), CareCycle(), Zipteams(), VccLive())
MORE: Final[Sequence[Route]] = (*STREAM, *SOCKET, *CONSOLE, *TOOLBAR)
