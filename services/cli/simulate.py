"""`aftercall simulate`: a call floor for demonstrations, against a gateway that is running."""

import asyncio
import secrets
import signal
from typing import Annotated, Final

import aiohttp
import typer

from services.cli.floor import FloorConfig, FloorReport, run_floor
from services.cli.floor_plan import FloorShape
from services.cli.output import show_json, show_rows, stop
from shared.observability.logging import configure_logging

START_S: Final = 10.0
ANSWER_S: Final = 3.0
LOOK_S: Final = 0.2

_COLUMNS: Final = ("what", "count")


def simulate(  # noqa: PLR0917 - the command line passes them by name
    url: Annotated[str, typer.Option(help="The gateway.")] = "http://127.0.0.1:8080",
    switch_key: Annotated[
        str, typer.Option(help="Key with the scope events:write.")
    ] = "demo-switch-key",
    key: Annotated[str, typer.Option(help="Key with the scope disposition:write.")] = "demo-key",
    seed: Annotated[
        int | None, typer.Option(help="The same seed plays the same floor; random by default.")
    ] = None,
    calls: Annotated[
        int | None, typer.Option(min=1, help="How many calls to play; until Ctrl-C by default.")
    ] = None,
    rate: Annotated[float, typer.Option(min=0.1, max=60_000, help="Calls a minute.")] = 30,
    speed: Annotated[
        float, typer.Option(min=0.01, max=10_000, help="How much faster than people talk.")
    ] = 1,
    agents: Annotated[int, typer.Option(min=1, max=10_000, help="agent-1 to agent-N.")] = 10,
    open_max: Annotated[int, typer.Option(min=1, max=10_000, help="Calls at one time.")] = 8,
    json: Annotated[bool, typer.Option("--json", help="Report as JSON.")] = False,  # noqa: FBT002 - an option by keyword
) -> None:
    """Play a simulated call floor: calls, holds, transfers, dispositions in time and too late.

    Some events are told twice and some out of order, as switches do.
    """
    configure_logging("warning")  # on standard error, for the report stands alone on the other
    shape = FloorShape(
        seed=secrets.randbelow(1_000_000) if seed is None else seed,
        agents=agents,
        rate_per_min=rate / speed,
        open_max=open_max,
        wrap_up_s=30 * speed,
    )
    config = FloorConfig(
        url=url, switch_key=switch_key, key=key, shape=shape, speed=speed, calls=calls
    )
    typer.echo(
        f"A floor of {agents} agents, seed {shape.seed}, at {url}. Ctrl-C ends it.", err=True
    )
    report = asyncio.run(_until_stopped(config))
    if isinstance(report, str):
        stop(f"no gateway answers at {url}: {report}", "start it, or name another by --url")
    _show(report, as_json=json)


async def _until_stopped(config: FloorConfig) -> FloorReport | str:
    """The report; or why there is none, where nothing answers."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    return await unreachable(config.url, stopping) or await run_floor(config, stopping)


async def unreachable(
    url: str, stopping: asyncio.Event, *, within_s: float = START_S
) -> str | None:
    """Why nothing has answered there all the while; None once something has, whatever it says.

    A gateway may be starting just now. Later the floor waits for it as long as it takes.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within_s
    why = "no time"
    async with aiohttp.ClientSession() as session:
        while not stopping.is_set() and (left_s := deadline - loop.time()) > 0:
            timeout = aiohttp.ClientTimeout(total=min(left_s, ANSWER_S))
            try:
                async with session.get(f"{url.rstrip('/')}/openapi.json", timeout=timeout):
                    return None
            except aiohttp.InvalidURL:
                return "that is no URL"
            except (aiohttp.ClientError, TimeoutError) as error:
                why = str(error) or "it is silent"
            await asyncio.sleep(LOOK_S)
    return None if stopping.is_set() else why


def _show(report: FloorReport, *, as_json: bool) -> None:
    if as_json:
        show_json(report)
        return
    counted = {"calls": report.calls, "events": report.events}
    for name, counts in (
        ("outcome", report.outcomes),
        ("refused", report.refused),
        ("sent again", report.errors),
    ):
        counted |= {f"{name}: {what}": count for what, count in counts.items()}
    show_rows(
        _COLUMNS, [{"what": what, "count": count} for what, count in counted.items()], as_json=False
    )
