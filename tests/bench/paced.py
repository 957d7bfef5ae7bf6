"""Requests at a given pace, whatever becomes of others; each is timed from when it was due."""

import asyncio
from time import perf_counter
from typing import Any, Final

import aiohttp

from tests.support.product import AGENT, SWITCH, cloud_event

CALLS: Final = 5_000
BODY: Final = b'{"agent_id":"agent-1","code":"Interested"}'
PREPARED_AT_ONCE: Final = 250
LEAD_S: Final = 0.2


async def prepare(http: aiohttp.ClientSession, url: str) -> None:
    """So many calls, each with agent-1 on it."""
    for first in range(0, CALLS, PREPARED_AT_ONCE):
        events = [
            cloud_event(f"b{number}", event_type, data)
            for number in range(first, first + PREPARED_AT_ONCE)
            for event_type, data in (
                ("call.started", {"direction": "inbound"}),
                ("call.agent_joined", {"agent_id": "agent-1"}),
            )
        ]
        while not await _told(http, url, events):
            pass


async def _told(http: aiohttp.ClientSession, url: str, events: list[Any]) -> bool:
    """Whether they are applied; telling them again is safe."""
    headers = SWITCH | {"Content-Type": "application/cloudevents-batch+json"}
    async with http.post(f"{url}/v1/events", json=events, headers=headers) as answer:
        assert answer.status in (200, 202), await answer.text()
        return answer.status == 200


async def dispose(
    http: aiohttp.ClientSession, url: str, rate: int, seconds: float
) -> tuple[list[float], int]:
    """Ask for dispositions of calls in turn.

    Returns:
        How long each took in ms, sorted; and how many had no verdict in time (202).
    """
    began = perf_counter() + LEAD_S  # the loop's own clock has whole milliseconds
    taken: list[float] = []
    pending = 0
    headers = AGENT | {"Content-Type": "application/json"}

    async def ask(number: int, due: float) -> None:
        nonlocal pending
        path = f"{url}/v1/calls/b{number % CALLS}/disposition"
        async with http.post(path, data=BODY, headers=headers) as answer:
            text = await answer.read()
            assert answer.status in (200, 202), text
            pending += answer.status == 202
        taken.append((perf_counter() - due) * 1000)

    asking: set[asyncio.Task[None]] = set()
    for number in range(round(rate * seconds)):
        due = began + number / rate
        await asyncio.sleep(max(0.0, due - perf_counter()))
        task = asyncio.create_task(ask(number, due))
        asking.add(task)
        task.add_done_callback(asking.discard)
    await asyncio.gather(*asking)
    return sorted(taken), pending


def percentile(taken: list[float], share: float) -> float:
    """Of a sorted list."""
    return round(taken[min(len(taken) - 1, int(len(taken) * share))], 2)
