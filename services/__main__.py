"""All three services in one process: what `aftercall dev` starts."""

import asyncio
import sys
from functools import partial
from importlib.metadata import version

from services.cli.floor import FloorConfig, run_floor
from services.cli.floor_plan import FloorShape
from services.processes import CANNOT_START, DEMO_TENANTS, MAKERS, Given, Service, run
from services.retention import keep
from services.settings import Settings, SettingsError, read_settings
from shared.runtime.lifecycle import Part, Stage
from shared.runtime.tenants import TenantDirectory


def beside(given: Given, listening: Service, admin_port: int) -> Stage:
    """What only the one process does: keep the log to its age, play the demo, say where it is."""
    port = listening.port or 0
    say_where(given.settings, given.tenants, port, admin_port)
    return {
        "retention": partial(keep, given.profile.prune, given.profile.clock),
        **demo_floor(given.settings, given.tenants, port),
    }


def demo_floor(settings: Settings, tenants: TenantDirectory, port: int) -> dict[str, Part]:
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


def say_where(settings: Settings, tenants: TenantDirectory, port: int, admin_port: int) -> None:
    """What a newcomer wants to know first."""
    url = address(settings.host, port)
    demo = any(tenant.demo for tenant in tenants.all())
    key = "#key=demo-key" if demo else ""
    data = settings.data_dir if settings.profile == "embedded" else settings.kafka_bootstrap
    lines = [
        f"Aftercall {version('aftercall')}, data in {data}",
        "",
        f"  gateway   {url}",
        f"  console   {url}/console{key}",
        f"  API docs  {url}/docs",
        f"  health    {address(settings.host, admin_port)}/readyz",
    ]
    if demo:
        lines += [
            f"  toolbar   {url}/toolbar/demo",
            "",
            "  demo keys, as Authorization: Bearer",
            "    demo-key         read, dispose    demo-switch-key  tell events",
            "    demo-admin-key   administrate     (other dialects: deploy/demo/tenants.yaml)",
            "",
            f"  try  curl -H 'Authorization: Bearer demo-key' {url}/v1/calls?limit=3",
        ]
    sys.stdout.write("\n".join(lines) + "\n\nCtrl-C drains and stops.\n")
    sys.stdout.flush()


def run_dev(settings: Settings) -> int:
    """Run until a signal; the exit code as of `run`. The demo tenant where no file is named."""
    # One line per request would bury what a newcomer wants to read; who asks for it gets it.
    asked = "log_level" in settings.model_fields_set
    level = None if asked else "warning"
    named = settings.model_copy(update={"tenants_file": settings.tenants_file or DEMO_TENANTS})
    return run(named, MAKERS, also=beside, log_level=level)


def main() -> int:
    """The same by the settings of this process; the exit code, as of `run`."""
    try:
        settings = read_settings()
    except SettingsError as error:
        sys.stderr.write(f"aftercall: {error}\n")
        return CANNOT_START
    return run_dev(settings)


if __name__ == "__main__":
    sys.exit(main())
