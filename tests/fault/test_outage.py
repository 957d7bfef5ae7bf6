"""A broker away for half a minute: what was accepted before is applied after it is back."""

import asyncio
import signal
import time
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest

from tests.fault import checks, progress
from tests.fault.client import ASKED_S, Client, Told, get
from tests.fault.network import DistantBroker
from tests.fault.stage import Stage
from tests.fault.switch import event, life
from tests.support.parts import MongoServer
from tests.support.product import AGENT

AWAY_S: Final = 30.0
BACK_S: Final = 60.0
ASKING: Final = 4  # clients who go on asking while it is away

pytestmark = [
    pytest.mark.fault,
    pytest.mark.cluster,
    pytest.mark.asyncio,
    pytest.mark.timeout(300),
]


async def talk(client: Client, call: str) -> None:
    started, answered, _ = life(call, "agent-1")
    await client.tell(started)
    await client.tell(answered)


async def hang_up(client: Client, call: str) -> None:
    await client.tell(event(call, "disconnected", {"by": "caller"}))


async def ask_once(http: aiohttp.ClientSession, url: str, call: str) -> tuple[int, Any]:
    body = {"agent_id": "agent-1", "code": "Sale"}
    headers = AGENT | {"Idempotency-Key": f"{call}-Sale"}
    async with http.post(
        f"{url}/v1/calls/{call}/disposition", json=body, headers=headers
    ) as answer:
        return answer.status, await answer.json()


async def while_it_is_away(http: aiohttp.ClientSession, url: str) -> set[int]:
    """Ask for all the time; the answers, none of which may take long."""
    statuses: set[int] = set()
    until = time.monotonic() + AWAY_S

    async def ask(number: int) -> None:
        while time.monotonic() < until:
            began = time.monotonic()
            status, _ = await ask_once(http, url, f"away-{number}")
            statuses.add(status)
            assert time.monotonic() - began < 2 * ASKED_S, "an answer took too long"
            await asyncio.sleep(0.2)

    await asyncio.gather(*(ask(number) for number in range(ASKING)))
    return statuses


async def test_what_was_accepted_before_the_broker_died_is_applied_when_it_is_back(
    parts_to_break: tuple[DistantBroker, MongoServer], tmp_path: Path
) -> None:
    async with Stage(parts_to_break, tmp_path) as stage:
        try:
            gateway = stage.add("gateway", "gateway")
            worker = stage.add("worker", "worker")
            await stage.start(gateway, worker, stage.add("callstate", "callstate"))
            timeout = aiohttp.ClientTimeout(total=3 * ASKED_S)
            async with aiohttp.ClientSession(timeout=timeout) as http:
                client = Client(http, [gateway.url], Told())
                for call in ("answered", "durable", *(f"away-{n}" for n in range(ASKING))):
                    await talk(client, call)
                queued = await client.dispose("answered", "agent-1", "Interested")
                assert queued["outcome"] == "queued"
                worker.send(signal.SIGSTOP)
                status, pending = await ask_once(http, gateway.url, "durable")
                assert (status, pending["outcome"]) == (202, "pending")

                stage.broker.kill()
                worker.send(signal.SIGCONT)
                assert await while_it_is_away(http, gateway.url) <= {202, 503}
                await stage.back(stage.broker)

                began = time.monotonic()
                async with asyncio.timeout(BACK_S):
                    await stage.ready()
                    await client.decided(pending["request_id"])
                    for call in ("answered", "durable"):
                        await hang_up(client, call)
                    for number in range(ASKING):
                        await client.dispose(f"away-{number}", "agent-1", "Sale")
                        await hang_up(client, f"away-{number}")
                print(f"all applied {time.monotonic() - began:.1f} s after it was back")
                await progress.settled(stage)
                wanted = {"answered": "Interested", "durable": "Sale"} | {
                    f"away-{number}": "Sale" for number in range(ASKING)
                }
                for call, code in wanted.items():
                    (agent,) = (await get(http, f"{gateway.url}/v1/calls/{call}"))["agents"]
                    assert agent["disposition"]["code"] == code, call
            await stage.end_all()
            checks.ends_are_explained(stage.ends)
            found = await checks.verify(stage)
            assert found["clean"], checks.violations(found)
        except BaseException:
            print(*stage.account(), sep="\n")
            raise
