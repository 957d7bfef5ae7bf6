"""A line to the product as a process: a switch tells over it, agents dispose, and anybody reads."""

from typing import Any

import aiohttp

from tests.support.product import AGENT, SWITCH, Product, cloud_event


class Line:
    """Over the native API, by the demo tenant's keys; what is not answered as expected fails."""

    def __init__(self, product: Product, http: aiohttp.ClientSession) -> None:
        self.product = product
        self.http = http
        self._told = 0

    async def tell(self, call: str, event_type: str, key: Any = SWITCH, **data: Any) -> None:
        """One more event of the switch, under an id of its own. `key`: the headers of another."""
        self._told += 1
        event = cloud_event(call, event_type, data, f"event-{self._told}")
        headers = key | {"Content-Type": "application/cloudevents+json"}
        url = f"{self.product.url}/v1/events"
        async with self.http.post(url, json=event, headers=headers) as answer:
            assert answer.status == 200, await answer.text()

    async def dispose(
        self, call: str, agent: str, code: str, *, status: int = 200, **more: Any
    ) -> Any:
        """As a client of the API; the answer."""
        url = f"{self.product.url}/v1/calls/{call}/disposition"
        body = {"agent_id": agent, "code": code, **more}
        async with self.http.post(url, json=body, headers=AGENT) as answer:
            assert answer.status == status, await answer.text()
            return await answer.json()

    async def get(self, path: str) -> Any:
        """What is read there."""
        async with self.http.get(self.product.url + path, headers=AGENT) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()
