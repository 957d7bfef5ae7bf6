"""A hundred clients of the stream who read nothing: cut off, and going on where they were.

That a thousand are told everything, and what they cost, is in `test_many_listeners.py`.
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

from shared.contracts.limits import EVENTS_PER_BATCH_MAX, STREAM_QUEUE_MAX
from tests.support.product import AGENT, SWITCH, Product, cloud_event

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio]

SLOW: Final = 100
# Much more than may wait for a client, here and in the system's buffers.
BATCHES: Final = 6 * STREAM_QUEUE_MAX // EVENTS_PER_BATCH_MAX
READ_BYTES: Final = 1 << 16
RECEIVED_BYTES: Final = 1 << 12  # what the system takes for one of them
RESUMED: Final = 10  # of those, who come back
GROWN_MIB_MAX: Final = 180  # what they may take, and the calls: 110 when measured
DONE_S: Final = 120.0
ID: Final = re.compile(rb"(?:^|\n)id: (\S+)")
SUBJECT: Final = re.compile(rb'"subject":"([^"]+)"')


class Client:
    """One connection that follows the calls; knows the calls it was told of."""

    def __init__(self, port: int, last: bytes = b"") -> None:
        self._port = port
        self._resumes = bool(last)
        self.last = last
        self.calls: set[bytes] = set()
        self.status = b""

    async def open(self) -> None:
        connection = socket.socket()
        if not self._resumes:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVED_BYTES)
        connection.setblocking(False)
        await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", self._port))
        limit = READ_BYTES if self._resumes else RECEIVED_BYTES
        self._reader, self._writer = await asyncio.open_connection(sock=connection, limit=limit)
        asked = [
            "GET /v1/stream?topics=calls.changed HTTP/1.1",
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


async def test_who_reads_nothing_is_cut_off_and_goes_on_where_it_was(tmp_path: Path) -> None:
    async with (
        asyncio.timeout(DONE_S),
        Product(tmp_path / "data") as product,
        aiohttp.ClientSession() as http,
        AsyncExitStack() as stack,
    ):
        centre = Centre(product, http)
        empty = centre.memory_mib()
        slow = [Client(product.port) for _ in range(SLOW)]
        for client in slow:
            await client.open()
            stack.push_async_callback(client.close)
            assert client.status == b"HTTP/1.1 200 OK"
        rung: set[bytes] = set()
        most = empty
        for number in range(BATCHES):
            rung |= await centre.ring(f"call-{number}")
            most = max(most, centre.memory_mib())

        # Those who took nothing have lost the connection, and nothing else.
        for client in slow:
            assert not await client.read_until(rung)
        for client in slow[:RESUMED]:
            again = Client(product.port, client.last)
            await again.open()
            stack.push_async_callback(again.close)
            assert await again.read_until(rung - client.calls)
        most = max(most, centre.memory_mib())
        print(f"memory: {empty:.0f} MiB, at most {most:.0f}")
        assert most - empty < GROWN_MIB_MAX
