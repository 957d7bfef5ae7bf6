"""What runs in a process: one of the three services, or all of them. The one composition root.

Each service gives two stages: what does the work, which stops last, and what takes work in, which
stops first. A process of several runs their stages side by side.
"""

import asyncio
import gc
import os
import sys
import threading
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

import structlog
import uvloop

import services.callstate.__main__ as callstate
import services.gateway.__main__ as gateway
import services.worker.__main__ as worker
from services.gateway.administration import Operated
from services.gateway.console import BESIDE, Beside
from services.gateway.push.hub import Hub
from services.profile import open_profile
from services.retention import keep_letters
from services.settings import PORT_MAX, Settings, SettingsError
from services.watch import Loop, Watch
from shared.adapters.tenants_file import (
    FileTenantDirectory,
    is_loopback,
    read_tenants,
    refuse_demo,
)
from shared.contracts.errors import AftercallError, Bug
from shared.observability.logging import configure_logging
from shared.observability.metrics import Metrics
from shared.runtime.lifecycle import Part, Stage, run_stages, stop_on_signals, until_stopped
from shared.runtime.live_tenants import LiveTenantDirectory, Unfit
from shared.runtime.profile import Profile

DEMO_TENANTS: Final = Path(__file__).parents[1] / "deploy" / "demo" / "tenants.yaml"
CANNOT_START: Final = 2
FAILED: Final = 1
STOP_S: Final = 20.0  # from the signal to the end, at most: `DRAIN_S`, `CLOSE_S`, and some to spare
CLOSE_S: Final = 4.0
ADMIN_PORTS_TRIED: Final = 16  # of several processes on one host

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Given:
    """What every service is made of."""

    settings: Settings
    profile: Profile
    tenants: LiveTenantDirectory
    metrics: Metrics


@dataclass(frozen=True, slots=True)
class Service:
    """One service, made.

    Attributes:
        works: stops last.
        takes_in: stops first.
        loops: to be watched.
        port: where it listens for the public, if it does.
        administration: what is asked of it on the admin port, if anything.
        beside: is told of the admin port, where it may be told to whoever asks the public one.
    """

    works: Stage
    takes_in: Stage = field(default_factory=dict)
    loops: Mapping[str, Loop] = field(default_factory=dict)
    port: int | None = None
    administration: Operated | None = None
    beside: Beside | None = None


async def make_gateway(given: Given) -> Service:
    """HTTP in, verdicts and streams out.

    Raises:
        OSError: the address is taken or not ours.
    """
    hub = Hub(given.profile.log, given.profile.clock)
    app = await gateway.build(given.settings, given.profile, given.tenants, hub, given.metrics)
    public = gateway.Listener(app, given.settings.host, given.settings.port)
    port = await public.start()
    takes_in: dict[str, Part] = {"gateway": public.run, "stream": until_stopped(hub.run)}
    operated = gateway.operated(given.settings, given.profile, given.tenants, app, given.metrics)
    return Service(
        works={}, takes_in=takes_in, port=port, administration=operated, beside=app[BESIDE]
    )


async def make_callstate(given: Given) -> Service:
    """Telephony events in, calls out."""
    calls = callstate.processor(given.profile, given.tenants, given.metrics)
    return Service(
        works={"callstate": calls.run},
        takes_in={
            "timers": partial(callstate.run_timers, given.profile, calls),
            **callstate.sources(given.profile, given.tenants),
        },
        loops={"callstate": calls},
    )


async def make_worker(given: Given) -> Service:
    """Requests and changes in, dispositions, user events, history and letters out."""
    profile = given.profile
    dispositions = worker.processor(profile, given.metrics)
    projections = {one.group: one for one in worker.projections(profile)}
    follow: Stage = {name: until_stopped(one.run) for name, one in projections.items()}
    return Service(
        works={"worker": dispositions.run, **follow},
        takes_in={
            "callbacks": partial(worker.run_callbacks, profile, dispositions),
            "letters kept": partial(keep_letters, profile.letters, profile.clock),
        },
        loops={"worker": dispositions, **projections},
    )


MAKERS: Final[Mapping[str, Callable[[Given], Awaitable[Service]]]] = {
    "callstate": make_callstate,
    "worker": make_worker,
    "gateway": make_gateway,
}

Also = Callable[[Given, Service, int], Stage]
"""More to run, told of the service that listens and of the admin port; stops before all else."""


def nothing_more(_: Given, __: Service, ___: int) -> Stage:
    """Run what was named, and nothing else."""
    return {}


async def serve(settings: Settings, names: Iterable[str], also: Also = nothing_more) -> None:
    """Start these services, run until a signal, drain.

    Raises:
        AftercallError, OSError, SettingsError: it could not start, or a part has failed.
    """
    in_file = read_directory(settings).all()
    profile = await open_profile(settings)
    try:
        tenants = LiveTenantDirectory(in_file, profile.overlays, profile.clock)
        await _read_changes(tenants)
        await run_services(Given(settings, profile, tenants, Metrics()), names, also)
    finally:
        await _close(profile)


async def _read_changes(tenants: LiveTenantDirectory) -> None:
    try:
        await tenants.start()
    except Unfit as error:
        raise SettingsError(
            f"AFTERCALL_TENANTS_FILE does not fit what has changed: {error}"
        ) from None


async def _close(profile: Profile) -> None:
    """Give everything back, within reason."""
    try:
        async with asyncio.timeout(CLOSE_S):
            await profile.close()
    except TimeoutError:
        log.warning("close_cut_short")


async def end_by_force(stopping: asyncio.Event) -> None:
    """A part that, once all is to stop, sees that the process ends, whatever still hangs in it.

    It ends as by `kill -9`, which is safe; a thread of a client's, or a callback that never
    returns, can't hold it back.
    """
    await stopping.wait()
    by_force = threading.Timer(STOP_S, _end_now)
    by_force.daemon = True
    by_force.start()


def _end_now() -> None:
    log.critical("ended_by_force", after_s=STOP_S)
    os._exit(FAILED)


async def run_services(given: Given, names: Iterable[str], also: Also = nothing_more) -> None:
    """The same on a profile that is open."""
    made = {name: await MAKERS[name](given) for name in names}
    loops = {name: loop for service in made.values() for name, loop in service.loops.items()}
    profile = given.profile
    watch = Watch(profile.log, profile.ping, loops, given.metrics)
    administration = next((one.administration for one in made.values() if one.administration), None)
    private, admin_port = await _listen(given, watch, administration)
    for service in made.values():
        if service.beside is not None and is_loopback(given.settings.host):
            service.beside.admin_port = admin_port
    stopping = asyncio.Event()
    stop_on_signals(stopping)
    works: dict[str, Part] = {
        "watch": watch.run,
        "admin": private.run,
        "tenants": until_stopped(given.tenants.run),
    }
    takes_in: dict[str, Part] = {}
    for service in made.values():
        works |= service.works
        takes_in |= service.takes_in
    listening = next((one for one in made.values() if one.port is not None), Service(works={}))
    log.info("started", services=sorted(made), port=listening.port, admin_port=admin_port)
    try:
        first_to_stop = {"end": end_by_force, **also(given, listening, admin_port)}
        await run_stages([works, takes_in, first_to_stop], stopping)
    except OSError as error:  # as every TimeoutError is: by itself it would read as a start refused
        raise Bug(f"a part has failed: {error!r}") from error


async def _listen(
    given: Given, watch: Watch, administration: Operated | None
) -> tuple[gateway.Listener, int]:
    """The admin port: the one that is set, else the first free one from the default on."""
    settings = given.settings
    app = gateway.admin(given.metrics, watch.readiness, administration)
    ports = range(settings.admin, min(settings.admin + ADMIN_PORTS_TRIED, PORT_MAX + 1))
    if settings.admin_port is not None or settings.profile != "cluster" or settings.admin == 0:
        ports = range(settings.admin, settings.admin + 1)
    for port in ports:
        private = gateway.Listener(app, settings.host, port)
        try:
            return private, await private.start()
        except OSError:
            if port == ports[-1]:
                raise
    raise AssertionError("there is at least one port")


def tenants_path(settings: Settings) -> Path:
    """The tenants file: the one that is named, or the demo's where all is for trying out.

    Raises:
        SettingsError: none is named, and a cluster's own tenants must be.
    """
    if settings.tenants_file is not None:
        return settings.tenants_file
    if settings.profile == "cluster":
        raise SettingsError(
            "AFTERCALL_TENANTS_FILE is not set, and with AFTERCALL_PROFILE=cluster no tenants are "
            "served that nobody has named: name your file, or deploy/demo/tenants.yaml to try it"
        )
    return DEMO_TENANTS


def read_directory(settings: Settings) -> FileTenantDirectory:
    """The tenants of `tenants_path`.

    Raises:
        SettingsError: there is no file, or it can't be read, is wrong, or must not be served on
            this host.
    """
    path = tenants_path(settings)
    try:
        tenants = read_tenants(path, demo_wrap_up_s=settings.demo_wrap_up_s)
        refuse_demo(tenants, settings.host, force=settings.allow_demo)
        return FileTenantDirectory(tenants)
    except OSError as error:
        raise SettingsError(f"AFTERCALL_TENANTS_FILE {path}: {error.strerror}") from None
    except ValueError as error:  # which may begin with the path
        said = str(error).removeprefix(f"{path}: ")
        raise SettingsError(f"AFTERCALL_TENANTS_FILE {path}: {said}") from None


def calm_collector() -> None:
    """Look for garbage cycles less often, and never among what start-up has left for good.

    Batches of small frozen objects fill the youngest generation in no time, and hold no cycles;
    looking through them took a tenth of the processor's time. Two full batches are some 200,000.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(300_000, 20, 50)


def run(
    settings: Settings,
    names: Iterable[str],
    *,
    also: Also = nothing_more,
    log_level: str | None = None,
) -> int:
    """Run until a signal.

    Returns:
        The exit code: 0 after a clean stop, 1 when something failed or was not to be had (a
        port, too: it may be free at the next try), 2 when it can't start with these settings.
    """
    configure_logging(log_level or settings.log_level)
    calm_collector()
    try:
        uvloop.run(serve(settings, names, also))
    except (AftercallError, gateway.PortTaken) as error:
        return _ended(FAILED, error)
    except (SettingsError, OSError) as error:
        return _ended(CANNOT_START, error)
    except Exception:
        log.critical("broke", exc_info=True)
        return FAILED
    return 0


def _ended(code: int, error: Exception) -> int:
    """Say why, in one line: for a person at a terminal, else for whoever reads the log."""
    if sys.stderr.isatty():
        sys.stderr.write(f"aftercall: {error}\n")
    else:
        log.critical("cannot_start" if code == CANNOT_START else "ended", error=str(error))
    return code
