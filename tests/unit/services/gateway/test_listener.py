"""The listener's own limits: whoever sends slowly, or comes too often, is turned away."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from structlog.testing import capture_logs

from services.gateway.__main__ import Listener
from services.gateway.bodies import answer, read_json
from services.gateway.connection import expect
from services.gateway.edge import edge
from shared.contracts import limits

pytestmark = pytest.mark.asyncio

HEAD = b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


async def echo(request: web.Request) -> web.Response:
    return answer(await read_json(request))


async def silent(_: web.Request) -> Any:
    """Answers nothing."""
    return None


@pytest_asyncio.fixture
async def port() -> AsyncIterator[int]:
    app = web.Application(middlewares=[edge((), lambda *_: None)])
    app.router.add_post("/echo", echo, expect_handler=expect)
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


@pytest.mark.parametrize("rest", [b"", b"{"], ids=["none of it", "some of it"])
async def test_a_body_announced_too_large_is_not_waited_for(port: int, rest: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(HEAD + b"Content-Length: %d\r\n\r\n" % (limits.BODY_BYTES_MAX + 1) + rest)
    line = await asyncio.wait_for(reader.readline(), 5)
    assert line.startswith(b"HTTP/1.1 413")
    writer.close()


UNREADABLE = [
    ("a NUL in a credential", HEAD + b"Authorization: Bearer sesame\x00\r\n\r\n"),
    ("a credential too long", HEAD + b"Authorization: Bearer sesame" + b"x" * 9_000 + b"\r\n\r\n"),
    ("a credential on a line of its own", HEAD + b"Bearer sesame\r\n\r\n"),
    ("a credential in the address", b"GET /?key=sesame\xff HTTP/1.1\r\nHost: x\r\n\r\n"),
    ("a method of no kind", b"SESAME / HTTP/1.1\r\nHost: x\r\n\r\n"),
    ("another protocol", b"\x16\x03\x01sesame"),
    ("two lengths", HEAD + b"Content-Length: 6\r\nContent-Length: 7\r\n\r\nsesame"),
    ("a broken chunk", HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\r\nsesame"),
    ("an encoding not known", HEAD + b"Content-Encoding: br\r\nContent-Length: 6\r\n\r\nsesame"),
]


@pytest.mark.parametrize("sent", [pytest.param(row[1], id=row[0]) for row in UNREADABLE])
async def test_what_is_not_http_is_a_problem_that_quotes_nothing(
    port: int, sent: bytes, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with capture_logs() as logged:
        told = await send(port, sent)
    head, _, body = told.partition(b"\r\n\r\n")
    assert head.split()[1] == b"400"
    assert b"Content-Type: application/problem+json" in head
    assert json.loads(body)["code"] == "bad_request"
    assert [row["event"] for row in logged] == ["request_unreadable"]
    everything = f"{told!r} {logged} {caplog.text} {capfd.readouterr()}".lower()
    assert "sesame" not in everything


@pytest.mark.parametrize("encoding", [b"gzip", b"deflate"])
async def test_a_body_that_breaks_its_encoding_is_no_error_of_ours(
    port: int, encoding: bytes
) -> None:
    encoded = b"Content-Encoding: " + encoding + b"\r\nContent-Length: 6\r\n\r\nsesame"
    with capture_logs() as logged:
        told = await send(port, HEAD + encoded)
    head, _, body = told.partition(b"\r\n\r\n")
    assert head.split()[1] == b"400"
    assert json.loads(body)["code"] == "bad_request"
    assert {row["log_level"] for row in logged} == {"info"}
    assert "sesame" not in str(logged)


async def test_what_ends_a_connection_by_a_fault_of_ours_is_an_error() -> None:
    app = web.Application()
    app.router.add_post("/echo", silent)
    listener = Listener(app, "127.0.0.1", 0)
    port = await listener.start()
    stopping = asyncio.Event()
    running = asyncio.ensure_future(listener.run(stopping))
    with capture_logs() as logged:
        await send(port, HEAD + b"Connection: close\r\nContent-Length: 2\r\n\r\n{}")
    assert [(row["event"], row["log_level"]) for row in logged] == [("connection_broke", "error")]
    stopping.set()
    await running


@pytest.mark.parametrize(
    ("expects", "answers"),
    [(b"100-continue", [b"100", b"200"]), (b"100-Continue", [b"100", b"200"]), (b"tea", [b"200"])],
)
async def test_who_waits_to_be_told_to_go_on(
    port: int, expects: bytes, answers: list[bytes]
) -> None:
    close = b"Connection: close\r\nContent-Length: 2\r\n"
    told = await send(port, HEAD + close + b"Expect: " + expects + b"\r\n\r\n{}")
    assert [part[:3] for part in told.split(b"HTTP/1.1 ")[1:]] == answers


async def test_an_address_that_is_taken_is_told_with_what_to_set(port: int) -> None:
    with pytest.raises(OSError, match=f"can't listen on 127.0.0.1:{port}: address already in use;"):
        await Listener(web.Application(), "127.0.0.1", port).start()


async def test_an_address_that_is_not_ours_is_told_with_what_to_set() -> None:
    with pytest.raises(OSError, match=r"can't listen on 192\.0\.2\.1:0: .*; set AFTERCALL_HOST, "):
        await Listener(web.Application(), "192.0.2.1", 0).start()
