"""All three services in one process, on one SQLite file: what `aftercall dev` starts."""

import asyncio
import gc
import sys
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Final

import structlog
import uvloop

import services.callstate.__main__ as callstate
import services.gateway.__main__ as gateway
import services.worker.__main__ as worker
from services.cli.floor import FloorConfig, run_floor
from services.cli.floor_plan import FloorShape
from services.gateway.push.hub import Hub
from services.profile import open_profile
from services.retention import keep
from services.settings import Settings, SettingsError, read_settings
from services.watch import Watch
from shared.adapters.tenants_file import FileTenantDirectory, read_tenants, refuse_demo
from shared.contracts.errors import AftercallError
from shared.observability.logging import configure_logging
from shared.observability.metrics import Metrics
from shared.runtime.lifecycle import Stage, run_stages, stop_on_signals, until_stopped

DEMO_TENANTS: Final = Path(__file__).parents[1] / "deploy" / "demo" / "tenants.yaml"
CANNOT_START: Final = 2

log = structlog.get_logger()


def read_directory(settings: Settings) -> FileTenantDirectory:
    """The tenants that the settings name; the demo tenant when they name no file.

    Raises:
        SettingsError: the file can't be read, is wrong, or must not be served on this host.
    """
    path = settings.tenants_file or DEMO_TENANTS
    try:
        tenants = read_tenants(path, demo_wrap_up_s=settings.demo_wrap_up_s)
        refuse_demo(tenants, settings.host, force=settings.allow_demo)
        return FileTenantDirectory(tenants)
    except OSError as error:
        raise SettingsError(f"AFTERCALL_TENANTS_FILE {path}: {error.strerror}") from None
    except ValueError as error:  # which may begin with the path
        said = str(error).removeprefix(f"{path}: ")
        raise SettingsError(f"AFTERCALL_TENANTS_FILE {path}: {said}") from None


async def serve(settings: Settings) -> None:
    """Start everything, say where it is, run until a signal, drain.

    Raises:
        AftercallError, OSError, SettingsError: it could not start.
    """
    tenants = read_directory(settings)
    try:
        profile = await open_profile(settings)
    except AftercallError as error:  # in use, or not for this version
        raise SettingsError(f"AFTERCALL_DATA_DIR {error}") from None
    try:
        metrics = Metrics()
        hub = Hub(profile.log, profile.clock)
        calls = callstate.processor(profile, tenants, metrics)
        dispositions = worker.processor(profile, metrics)
        watch = Watch(profile.log, {"callstate": calls, "worker": dispositions}, metrics)
        public = gateway.Listener(
            gateway.build(settings, profile, tenants, hub, metrics), settings.host, settings.port
        )
        private = gateway.Listener(
            gateway.admin(metrics, watch.readiness), settings.host, settings.admin
        )
        port, admin_port = await public.start(), await private.start()
        stopping = asyncio.Event()
        stop_on_signals(stopping)
        stages: list[Stage] = [
            {
                "callstate": calls.run,
                "worker": dispositions.run,
                "history": until_stopped(worker.projection(profile).run),
                "watch": watch.run,
                "admin": private.run,
            },
            {
                "timers": partial(callstate.run_timers, profile),
                "retention": partial(keep, profile.prune, profile.clock),
                "gateway": public.run,
                "stream": until_stopped(hub.run),
                **callstate.sources(profile, tenants),
            },
            demo_floor(settings, tenants, port),
        ]
        say_where(settings, tenants, port, admin_port)
        await run_stages(stages, stopping)
    finally:
        await profile.close()


def demo_floor(settings: Settings, tenants: FileTenantDirectory, port: int) -> Stage:
    """Simulated calls of the demo tenant, if there is one and nobody said no."""
    if not settings.demo_traffic or not any(tenant.demo for tenant in tenants.all()):
        return {}
    demo_wrap_up_s = max(tenant.wrap_up.seconds for tenant in tenants.all() if tenant.demo)
    config = FloorConfig(
        url=address(settings.host, port),
        switch_key="demo-switch-key",
        key="demo-key",
        shape=FloorShape(wrap_up_s=demo_wrap_up_s),
    )

    async def play(stopping: asyncio.Event) -> None:
        await run_floor(config, stopping)

    return {"demo floor": play}


def address(host: str, port: int) -> str:
    """The URL of a listener."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def say_where(settings: Settings, tenants: FileTenantDirectory, port: int, admin_port: int) -> None:
    """What a newcomer wants to know first."""
    url = address(settings.host, port)
    demo = any(tenant.demo for tenant in tenants.all())
    key = "#key=demo-key" if demo else ""
    lines = [
        f"Aftercall {version('aftercall')}, data in {settings.data_dir}",
        "",
        f"  gateway   {url}",
        f"  console   {url}/console{key}",
        f"  API docs  {url}/docs",
        f"  health    {address(settings.host, admin_port)}/readyz",
    ]
    if demo:
        lines += [
            "",
            "  demo keys, as Authorization: Bearer",
            "    demo-key         read, dispose    demo-switch-key  tell events",
            "    demo-admin-key   administrate     (other dialects: deploy/demo/tenants.yaml)",
            "",
            f"  try  curl -H 'Authorization: Bearer demo-key' {url}/v1/calls?limit=3",
        ]
    sys.stdout.write("\n".join(lines) + "\n\nCtrl-C drains and stops.\n")
    sys.stdout.flush()


def calm_collector() -> None:
    """Look for garbage cycles less often, and never among what start-up has left for good.

    Batches of small frozen objects fill the youngest generation in no time, and hold no cycles;
    at the default thresholds looking through them took a tenth of the processor's time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


def run_dev(settings: Settings) -> int:
    """Run until a signal.

    Returns:
        The exit code: 0 after a clean stop, 1 when a part failed, 2 when it could not start.
    """
    # One line per request would bury what a newcomer wants to read; who asks for it gets it.
    asked = "log_level" in settings.model_fields_set
    configure_logging(settings.log_level if asked else "warning")
    calm_collector()
    try:
        uvloop.run(serve(settings))
    except (SettingsError, OSError) as error:
        sys.stderr.write(f"aftercall: {error}\n")
        return CANNOT_START
    except AftercallError as error:
        sys.stderr.write(f"aftercall: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(run_dev(read_settings()))
