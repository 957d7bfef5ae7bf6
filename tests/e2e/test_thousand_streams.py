"""A thousand clients of one gateway's stream: each is told everything, and memory has a bound.

Some read nothing for a while. What waits for them is little, they are cut off, and they go on where
they were.
"""

import asyncio
import json
import re
import socket
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Final

import aiohttp
import pytest

from shared.contracts.limits import EVENTS_PER_BATCH_MAX, STREAM_CLIENTS_MAX, STREAM_QUEUE_MAX
from tests.support.product import AGENT, SWITCH, Product, cloud_event

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio]

SLOW: Final = 100  # of them, who read nothing
# Much more than may wait for a client, here and in the system's buffers.
BATCHES: Final = 12 * STREAM_QUEUE_MAX // EVENTS_PER_BATCH_MAX
DISPOSED: Final = 30
READ_BYTES: Final = 1 << 16
RECEIVED_BYTES: Final = 1 << 12  # what the system takes for a slow one
RESUMED: Final = 10  # of those, who come back
CALLS_MIB_MAX: Final = 200  # what the calls may take, with nobody listening
CLIENTS_MIB_MAX: Final = 200  # what a thousand clients may take, and as many calls again
DONE_S: Final = 240.0
ID: Final = re.compile(rb"(?:^|\n)id: (\S+)")
SUBJECT: Final = re.compile(rb'"subject":"([^"]+)"')


class Client:
    """One connection that follows a topic; knows the calls it was told of."""

    def __init__(self, port: int, topic: str, *, last: bytes = b"", slow: bool = False) -> None:
        self._port = port
        self._topic = topic
        self._slow = slow
        self.last = last
        self.calls: set[bytes] = set()
        self.status = b""

    async def open(self) -> None:
        connection = socket.socket()
        if self._slow:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVED_BYTES)
        connection.setblocking(False)
        await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", self._port))
        limit = RECEIVED_BYTES if self._slow else READ_BYTES
        self._reader, self._writer = await asyncio.open_connection(sock=connection, limit=limit)
        asked = [
            f"GET /v1/stream?topics={self._topic} HTTP/1.1",
            "Host: 127.0.0.1",
            f"Authorization: {AGENT['Authorization']}",
            *([f"Last-Event-ID: {self.last.decode()}"] if self.last else []),
        ]
        self._writer.write("\r\n".join([*asked, "", ""]).encode())
        self.status = (await self._reader.readuntil(b"\r\n\r\n")).split(b"\r\n")[0]
        if not self.last:
            found = ID.search(await self._reader.readuntil(b"\n\n"))
            assert found is not None
            self.last = found[1]

    async def read_until(self, wanted: set[bytes]) -> bool:
        """Whether it was told of all of these, before the gateway ended it."""
        rest = b""
        while not wanted <= self.calls:
            try:
                read = await self._reader.read(READ_BYTES)
            except ConnectionError:
                return False
            if not read:
                return False
            *whole, rest = (rest + read).split(b"\n\n")
            for frame in whole:
                self.calls.update(SUBJECT.findall(frame))
                self.last = (ID.findall(frame) or [self.last])[-1]
        return True

    async def close(self) -> None:
        self._writer.close()
        with suppress(OSError):
            await self._writer.wait_closed()


class Centre:
    """The product, its switch and its agents."""

    def __init__(self, product: Product, http: aiohttp.ClientSession) -> None:
        self.product = product
        self._http = http

    def memory_mib(self) -> float:
        """What the process has in memory now."""
        assert self.product.process is not None
        status = Path(f"/proc/{self.product.process.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+) kB", status)
        assert found is not None
        return int(found[1]) / 1024

    async def tell(self, calls: list[str], event_type: str, **data: str) -> set[bytes]:
        events = [cloud_event(call, event_type, data) for call in calls]
        headers = SWITCH | {"Content-Type": "application/cloudevents-batch+json"}
        url = f"{self.product.url}/v1/events"
        async with self._http.post(url, data=json.dumps(events), headers=headers) as answer:
            assert answer.status == 200, await answer.text()
        return {call.encode() for call in calls}

    async def ring(self, name: str) -> set[bytes]:
        """As many calls as fit a batch."""
        calls = [f"{name}-{number}-{'x' * 60}" for number in range(EVENTS_PER_BATCH_MAX)]
        return await self.tell(calls, "call.started", direction="inbound", customer_id="c" * 128)

    async def dispose(self, call: str) -> set[bytes]:
        await self.tell([call], "call.started", direction="inbound")
        told = await self.tell([call], "call.agent_joined", agent_id="agent-1")
        url = f"{self.product.url}/v1/calls/{call}/disposition"
        body = {"agent_id": "agent-1", "code": "Sale"}
        async with self._http.post(url, json=body, headers=AGENT) as answer:
            assert answer.status == 200, await answer.text()
        return told


async def test_a_thousand_clients_are_told_everything_and_memory_has_a_bound(
    tmp_path: Path,
) -> None:
    async with (
        asyncio.timeout(DONE_S),
        Product(tmp_path / "data") as product,
        aiohttp.ClientSession() as http,
        AsyncExitStack() as stack,
    ):
        centre = Centre(product, http)
        empty = centre.memory_mib()
        for batch in range(BATCHES):
            await centre.ring(f"before-{batch}")
        before = centre.memory_mib()

        quick = [
            Client(product.port, "disposition.events") for _ in range(STREAM_CLIENTS_MAX - SLOW)
        ]
        slow = [Client(product.port, "calls.changed", slow=True) for _ in range(SLOW)]
        for client in quick + slow:
            await client.open()
            stack.push_async_callback(client.close)
            assert client.status == b"HTTP/1.1 200 OK"
        async with http.get(f"{product.url}/v1/stream", headers=AGENT) as one_more:
            assert one_more.status == 503

        disposed: set[bytes] = set()
        rung: set[bytes] = set()
        most = centre.memory_mib()
        for number in range(DISPOSED):
            if number < BATCHES:
                rung |= await centre.ring(f"after-{number}")
            disposed |= await centre.dispose(f"disposed-{number}")
            heard = await asyncio.gather(*(client.read_until(disposed) for client in quick))
            assert all(heard)
            most = max(most, centre.memory_mib())

        # Those who took nothing have lost the connection, and nothing else.
        for client in slow:
            assert not await client.read_until(rung)
        for client in slow[:RESUMED]:
            again = Client(product.port, "calls.changed", last=client.last)
            await again.open()
            stack.push_async_callback(again.close)
            assert await again.read_until(rung - client.calls)
        most = max(most, centre.memory_mib())
        assert before - empty < CALLS_MIB_MAX
        assert most - before < CLIENTS_MIB_MAX
