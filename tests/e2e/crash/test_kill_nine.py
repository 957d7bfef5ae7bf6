"""kill -9 at random moments under load: what was acknowledged stands, once, and numbers add up.

Switches and agents go on working while the process dies and comes back, as in a real night: they
retry what was not acknowledged, with the same id or key. In the end every acknowledged request has
the outcome it was told, every queued code is saved, and `aftercall verify` finds nothing.
"""

import asyncio
import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import aiohttp
import pytest

from tests.support.product import AGENT, ROOT, SWITCH, Product, cloud_event

ROUNDS = int(os.environ.get("AFTERCALL_TEST_KILLS", "50"))
SEED = int(os.environ.get("AFTERCALL_TEST_SEED", "1"))
DESKS = 12  # how many agents work at the same time
WRAP_UP_S = 1  # so that deadlines fall due while the process is down

pytestmark = [pytest.mark.e2e, pytest.mark.crash, pytest.mark.timeout(600), pytest.mark.asyncio]


@dataclass
class Told:
    """What the outside was told, to be held against the product in the end."""

    calls: list[str] = field(default_factory=list)
    verdicts: dict[str, dict[str, Any]] = field(default_factory=dict)  # by idempotency key
    retried: int = 0


class Floor:
    """Agents and a switch who never give up."""

    def __init__(self, url: str, seed: int) -> None:
        self.url = url
        self.seed = seed
        self.told = Told()
        self.stopping = False

    async def work(self) -> None:
        timeout = aiohttp.ClientTimeout(total=5)
        async with aiohttp.ClientSession(timeout=timeout) as http:
            desks = (self.desk(http, number) for number in range(DESKS))
            await asyncio.gather(*desks)

    async def desk(self, http: aiohttp.ClientSession, number: int) -> None:
        random = Random(self.seed * 1000 + number)
        agent = f"agent-{number % 10 + 1}"
        turn = 0
        while not self.stopping:
            turn += 1
            await self.handle(http, random, f"c{number}-{turn}", agent)

    async def handle(
        self, http: aiohttp.ClientSession, random: Random, call: str, agent: str
    ) -> None:
        """One call, from ring to wherever its plan leads."""
        plan = random.choice(["queue", "replace", "wrap_up", "correct", "late", "never", "hurry"])
        await self.tell(http, call, "call.started", {"direction": "inbound", "agent_id": agent})
        await self.tell(http, call, "call.answered", {})
        if plan in {"queue", "replace", "hurry"}:
            await self.dispose(http, call, agent, "Interested", release_after=plan == "hurry")
        if plan == "replace":
            await self.dispose(http, call, agent, "Sale")
        await self.tell(http, call, "call.disconnected", {"by": "caller"})
        if random.random() < 0.2:  # a switch that repeats itself
            await self.tell(http, call, "call.disconnected", {"by": "caller"})
        if plan in {"wrap_up", "correct"}:
            await self.dispose(http, call, agent, "NotInterested")
        if plan == "correct":
            await self.dispose(http, call, agent, "Sale")
        if plan == "late":
            await self.tell(http, call, "call.released", {})
            await self.dispose(http, call, agent, "Referred")
        self.told.calls.append(call)

    async def tell(
        self, http: aiohttp.ClientSession, call: str, event_type: str, data: dict[str, Any]
    ) -> None:
        body = json.dumps(cloud_event(call, event_type, data))
        headers = SWITCH | {"Content-Type": "application/cloudevents+json"}
        await self.insist(http, "/v1/events", body, headers, {200, 202})

    async def dispose(
        self, http: aiohttp.ClientSession, call: str, agent: str, code: str, **more: object
    ) -> None:
        key = f"{call}-{code}"
        body = json.dumps({"agent_id": agent, "code": code, **more})
        headers = AGENT | {"Content-Type": "application/json", "Idempotency-Key": key}
        path = f"/v1/calls/{call}/disposition"
        self.told.verdicts[key] = await self.insist(http, path, body, headers, {200})

    async def insist(
        self,
        http: aiohttp.ClientSession,
        path: str,
        body: str,
        headers: dict[str, str],
        accepted: set[int],
    ) -> Any:
        """Send until acknowledged: the same bytes, the same key."""
        while True:
            try:
                async with http.post(self.url + path, data=body, headers=headers) as answer:
                    text = await answer.text()
                    if answer.status in accepted:
                        return json.loads(text)
                    assert answer.status in {202, 503}, f"{path} {answer.status} {text}"
            except (aiohttp.ClientError, TimeoutError):
                pass
            self.told.retried += 1
            await asyncio.sleep(0.02)


async def get(http: aiohttp.ClientSession, url: str) -> Any:
    async with http.get(url, headers=AGENT) as answer:
        assert answer.status == 200, f"{url} {answer.status} {await answer.text()}"
        return await answer.json()


async def settled(http: aiohttp.ClientSession, url: str) -> None:
    """Until every agent is out of wrap-up."""
    for _ in range(200):
        page = await get(http, f"{url}/v1/calls?phase=wrap_up")
        if not page["calls"]:
            return
        await asyncio.sleep(0.1)
    raise AssertionError("calls stay in wrap-up")


def final(call: dict[str, Any]) -> tuple[str | None, bool]:
    (agent,) = call["agents"]
    assert "queued" not in agent, f"{call['id']} still has a queued code"
    return agent.get("disposition", {}).get("code"), agent.get("missed", False)


async def check(url: str, told: Told) -> None:
    """Hold what the outside was told against what the product says now."""
    async with aiohttp.ClientSession() as http:
        await settled(http, url)
        latest: dict[str, str] = {}
        late: set[str] = set()  # missed first, while the process was down, and then told
        for key, verdict in told.verdicts.items():
            kept = await get(http, f"{url}/v1/requests/{verdict['request_id']}")
            for name in ("request_id", "outcome", "call_id", "agent_id", "code", "decided_at"):
                assert kept[name] == verdict[name], f"{key}: {kept} is not {verdict}"
            latest[verdict["call_id"]] = verdict["code"]
            if verdict["outcome"] == "user_event":
                late.add(verdict["call_id"])
        for call_id in told.calls:
            call = await get(http, f"{url}/v1/calls/{call_id}")
            code, missed = final(call)
            assert call["phase"] == "released"
            assert code == latest.get(call_id), f"{call_id}: {call}"
            assert missed == (call_id not in latest) or call_id in late
        counted = await get(http, f"{url}/v1/reports/dispositions?group_by=code")
        assert sum(row["count"] for row in counted["rows"]) >= len(
            {call for call in told.calls if call in latest}
        )


async def test_nothing_acknowledged_is_lost_or_done_twice(tmp_path: Path) -> None:
    random = Random(SEED)
    product = Product(tmp_path / "data", demo_wrap_up_s=WRAP_UP_S)
    floor = Floor(product.url, SEED)
    try:
        await product.start()
        working = asyncio.ensure_future(floor.work())
        for _ in range(ROUNDS):
            await asyncio.sleep(random.uniform(0.02, 0.6))
            assert not working.done(), working.exception()
            product.kill()
            if random.random() < 0.2:
                await asyncio.sleep(WRAP_UP_S)  # down long enough for deadlines to pass
            await product.start()
        floor.stopping = True
        await working
        await check(product.url, floor.told)
        assert product.stop() == 0
    finally:
        product.end()
    verified = subprocess.run(
        [sys.executable, "-m", "services.cli", "verify", "--json"],
        cwd=ROOT,
        env=product.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    print(
        f"{ROUNDS} kills, {len(floor.told.calls)} calls, {len(floor.told.verdicts)} verdicts, "
        f"{floor.told.retried} retries\n{verified.stdout}"
    )
    assert verified.returncode == 0, verified.stdout + verified.stderr
