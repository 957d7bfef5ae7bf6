"""The listener's own limits: whoever sends slowly, or comes too often, is turned away."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from aiohttp import web

from services.gateway.__main__ import Listener
from services.gateway.bodies import answer, read_json
from services.gateway.edge import edge
from shared.contracts import limits

pytestmark = pytest.mark.asyncio

HEAD = b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


async def echo(request: web.Request) -> web.Response:
    return answer(await read_json(request))


@pytest_asyncio.fixture
async def port() -> AsyncIterator[int]:
    app = web.Application(middlewares=[edge((), lambda *_: None)])
    app.router.add_post("/echo", echo)
    listener = Listener(app, "127.0.0.1", 0)
    port = await listener.start()
    stopping = asyncio.Event()
    running = asyncio.ensure_future(listener.run(stopping))
    yield port
    stopping.set()
    await running


async def send(port: int, data: bytes) -> bytes:
    """What comes back until the listener closes the connection; it must, within seconds."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    try:
        return await asyncio.wait_for(reader.read(), 5)
    finally:
        writer.close()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "HEADER_RECEIPT_S", 0.1)
    monkeypatch.setattr(limits, "BODY_RECEIPT_S", 0.1)


@pytest.fixture
def three(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CONNECTIONS_MAX", 3)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("head", [b"", b"POST /echo", HEAD])
async def test_half_a_head_is_not_waited_for(port: int, head: bytes) -> None:
    assert await send(port, head) == b""


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    "rest",
    [b"Content-Length: 9\r\n\r\n{", b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n"],
)
async def test_half_a_body_is_refused(port: int, rest: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(HEAD + rest)
    line = await asyncio.wait_for(reader.readline(), 5)
    assert line.startswith(b"HTTP/1.1 408")
    writer.close()


async def test_a_whole_request_is_served(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(HEAD + b"Content-Length: 2\r\n\r\n{}")
    assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    writer.close()


@pytest.mark.usefixtures("three")
async def test_connections_at_the_limit_and_one_above(port: int) -> None:
    held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
    for reader, writer in held:
        writer.write(HEAD + b"Content-Length: 2\r\n\r\n{}")
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    assert await send(port, HEAD + b"Content-Length: 2\r\n\r\n{}") == b""
    for _, writer in held:
        writer.close()
