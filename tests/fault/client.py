"""Clients of the gateway who ask again until there is an answer that means something.

The same bytes under the same id or key. Whatever is acknowledged is kept, to be held against the
product in the end.
"""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp

from shared.contracts.envelope import Event
from tests.support.product import AGENT, SWITCH

ASKED_S: Final = 5.0  # then a client gives up waiting, and asks again
AGAIN_S: Final = 0.05
UNSURE: Final = frozenset({202, 503})
JSON: Final = {"Content-Type": "application/json"}
CLOUD_EVENT: Final = {"Content-Type": "application/cloudevents+json"}


@dataclass
class Told:
    """What the outside was told.

    Attributes:
        poison: calls of which nothing was told that could be understood.
        verdicts: by idempotency key, acknowledged; in the order of each call.
        refusals: by idempotency key the refused request's status and problem code.
        statuses: how often each was answered to a write; 0 where there was no answer.
        slowest_s: how long the slowest write took until it was acknowledged.
    """

    calls: set[str] = field(default_factory=set)
    poison: set[str] = field(default_factory=set)
    verdicts: dict[str, dict[str, Any]] = field(default_factory=dict)
    refusals: dict[str, tuple[int, str]] = field(default_factory=dict)
    statuses: Counter[int] = field(default_factory=Counter)
    slowest_s: float = 0.0


class Client:
    """HTTP, asked again until there is an answer that means something."""

    def __init__(self, http: aiohttp.ClientSession, urls: Sequence[str], told: Told) -> None:
        self._http = http
        self._urls = urls
        self.told = told

    async def tell(self, told: Event) -> None:
        """Until applied: 202 says that it is in the log, and one cannot go on from there yet."""
        body = {
            "specversion": "1.0",
            "id": told.id,
            "source": told.source,
            "type": told.type,
            "subject": told.subject,
            "data": json.loads(told.data),
        }
        await self._insist("/v1/events", body, SWITCH | CLOUD_EVENT)

    async def dispose(self, call: str, agent: str, code: str, **more: object) -> dict[str, Any]:
        """Until there is a verdict."""
        key = f"{call}-{agent}-{code}"
        body = {"agent_id": agent, "code": code, **more}
        verdict: dict[str, Any] = await self._dispose(call, key, body)
        self.told.verdicts[key] = verdict
        return verdict

    async def refused(
        self, call: str, agent: str, code: str, key: str, status: int, problem: str
    ) -> None:
        """Until it is refused, as it must be."""
        body = {"agent_id": agent, "code": code}
        answer = await self._dispose(call, key, body, accepted={status})
        assert answer["code"] == problem, f"{key}: {answer}"
        self.told.refusals[f"{key} {code}"] = (status, problem)

    async def _dispose(
        self, call: str, key: str, body: dict[str, Any], accepted: Collection[int] = (200,)
    ) -> Any:
        headers = AGENT | JSON | {"Idempotency-Key": key}
        return await self._insist(f"/v1/calls/{call}/disposition", body, headers, accepted)

    async def seen(self, call: str, agent: str, *phases: str) -> Any:
        """The call, once it is in one of these phases and knows this agent."""
        while True:
            with suppress(aiohttp.ClientError, TimeoutError):
                url = f"{self._urls[0]}/v1/calls/{call}"
                async with self._http.get(url, headers=AGENT) as answer:
                    assert answer.status in {200, 404, 503}, f"{url} {answer.status}"
                    if answer.status == 200 and _knows(found := await answer.json(), agent, phases):
                        return found
            await asyncio.sleep(AGAIN_S)

    async def decided(self, request_id: str) -> None:
        """Until the history has the verdict of a request."""
        url = f"{self._urls[0]}/v1/requests/{request_id}"
        while True:
            with suppress(aiohttp.ClientError, TimeoutError):
                async with self._http.get(url, headers=AGENT) as answer:
                    assert answer.status in {200, 404, 503}, f"{url} {answer.status}"
                    if answer.status == 200 and (await answer.json())["outcome"] != "pending":
                        return
            await asyncio.sleep(AGAIN_S)

    async def _insist(
        self,
        path: str,
        body: dict[str, Any],
        headers: dict[str, str],
        accepted: Collection[int] = (200,),
    ) -> Any:
        """Send until acknowledged; whichever gateway is there."""
        sent, began = json.dumps(body), time.monotonic()
        turn = 0
        while True:
            url = self._urls[turn % len(self._urls)] + path
            turn += 1
            try:
                async with self._http.post(url, data=sent, headers=headers) as answer:
                    text = await answer.text()
                    self.told.statuses[answer.status] += 1
                    if answer.status in accepted:
                        self.told.slowest_s = max(self.told.slowest_s, time.monotonic() - began)
                        return json.loads(text)
                    assert answer.status in UNSURE, f"{path} {sent}: {answer.status} {text}"
            except (aiohttp.ClientError, TimeoutError):
                self.told.statuses[0] += 1
            await asyncio.sleep(AGAIN_S)


async def get(http: aiohttp.ClientSession, url: str) -> Any:
    """What a reader is told, who must be."""
    async with http.get(url, headers=AGENT) as answer:
        text = await answer.text()
        assert answer.status == 200, f"{url} {answer.status} {text}"
        return json.loads(text)


def _knows(call: dict[str, Any], agent: str, phases: Collection[str]) -> bool:
    return call["phase"] in phases and agent in {one["agent_id"] for one in call["agents"]}
