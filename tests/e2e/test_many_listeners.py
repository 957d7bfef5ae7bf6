"""A thousand clients on one gateway, by the stream and by sockets, some of whom never read."""

import asyncio
import base64
import json
import resource
import socket
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest
from typing_extensions import override

from shared.contracts.limits import STREAM_CLIENTS_MAX
from tests.support.product import AGENT, SWITCH, Product, cloud_event
from tests.support.socket_client import Closed, SocketClient

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio]

STREAMS: Final = 650
SOCKETS: Final = 250
DEAF: Final = 50  # of each way
CALLS: Final = 50
TURNS: Final = 4  # of hold and retrieve, in each call
TOPIC: Final = "calls.changed"
MARK: Final = b'"specversion"'  # once in each event
PLATE: Final = "x" * 1_000  # so that an event is more than 1 KiB
# 64 KiB and an event for each who does not read, an event or two on their way to each who does,
# a connection with its tasks, and what any process takes for a burst of requests.
GROWN_MIB_MAX: Final = 120
FILES: Final = 4_096


class Listener(asyncio.Protocol):
    """Counts the events that come, by bytes alone."""

    def __init__(self, first: bytes) -> None:
        self.events = 0
        self.lost = False
        self.ready = asyncio.Event()
        self._first = first
        self._tail = b""

    @override
    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        transport.write(self._first)

    @override
    def data_received(self, data: bytes) -> None:
        whole = self._tail + data
        self.events += whole.count(MARK)
        self._tail = whole[-len(MARK) + 1 :]
        if b"\nid: " in whole or b'"ready"' in whole:
            self.ready.set()

    @override
    def connection_lost(self, _: Exception | None) -> None:
        self.lost = True


def stream_request() -> bytes:
    return (
        f"GET /v1/stream?topics={TOPIC} HTTP/1.1\r\nHost: localhost\r\n"
        f"Authorization: {AGENT['Authorization']}\r\n\r\n"
    ).encode()


def socket_request() -> bytes:
    """The upgrade and hello in one go."""
    hello = json.dumps({"type": "hello", "topics": TOPIC}).encode()
    key = base64.b64encode(bytes(16)).decode()
    upgrade = (
        "GET /v1/socket HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"
        f"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
        f"Authorization: {AGENT['Authorization']}\r\n\r\n"
    ).encode()
    return upgrade + bytes([0x81, 0x80 | len(hello)]) + bytes(4) + hello


async def listen(product: Product, first: bytes, *, deaf: bool = False) -> Listener:
    connection = socket.socket()
    connection.setblocking(False)
    if deaf:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(connection, ("127.0.0.1", product.port))
    _, listener = await loop.create_connection(lambda: Listener(first), sock=connection)
    async with asyncio.timeout(30):
        await listener.ready.wait()
    if deaf:
        listener.transport.pause_reading()
    return listener


def memory_mib(product: Product) -> int:
    assert product.process is not None
    status = Path(f"/proc/{product.process.pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]) // 1024


async def tell(http: aiohttp.ClientSession, kind: str, turn: int = 0, **data: Any) -> None:
    """One event for each call."""
    events = [
        cloud_event(f"many-{call}", kind, data, f"{call}-{kind}-{turn}") for call in range(CALLS)
    ]
    content_type = {"Content-Type": "application/cloudevents-batch+json"}
    async with http.post("/v1/events", json=events, headers=SWITCH | content_type) as answer:
        assert answer.status == 200, await answer.text()


async def test_a_thousand_listen_and_some_do_not_read(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(FILES, hard)), hard))
    async with (
        Product(tmp_path / "data") as product,
        aiohttp.ClientSession(product.url) as http,
    ):
        await tell(http, "call.started", direction="inbound", user_data={"plate": PLATE})
        began = memory_mib(product)
        readers = [
            await listen(product, first)
            for first, count in ((stream_request(), STREAMS), (socket_request(), SOCKETS))
            for _ in range(count)
        ]
        deaf = [
            await listen(product, first, deaf=True)
            for first in (stream_request(), socket_request())
            for _ in range(DEAF)
        ]
        assert len(readers) + len(deaf) == STREAM_CLIENTS_MAX
        await nobody_more(http)
        connected = memory_mib(product)
        most = connected
        for turn in range(TURNS):
            for kind in ("call.held", "call.retrieved"):
                await tell(http, kind, turn)
                most = max(most, memory_mib(product))
        told = CALLS * TURNS * 2
        async with asyncio.timeout(100):
            while min(one.events for one in readers) < told:
                most = max(most, memory_mib(product))
                await asyncio.sleep(0.1)
        print(f"memory: {began} MiB, {connected} with all connected, at most {most} while told")
        assert {one.events for one in readers} == {told}
        assert not any(one.lost for one in readers)
        assert most - began <= GROWN_MIB_MAX
        for one in (*readers, *deaf):
            one.transport.abort()


async def nobody_more(http: aiohttp.ClientSession) -> None:
    async with http.get("/v1/stream", headers=AGENT) as answer:
        assert answer.status == 503
    async with http.ws_connect("/v1/socket", headers=AGENT) as connected:
        with pytest.raises(Closed) as closed:
            await SocketClient(connected).hello()
        assert closed.value.code == 4429
