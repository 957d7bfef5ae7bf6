"""How a socket ends, and with which code."""

import asyncio
from typing import Any

import pytest
from aiohttp import WSMsgType
from msgspec.structs import replace

from services.gateway.sockets import conversation
from shared.contracts.errors import Unavailable
from shared.contracts.limits import SOCKET_FRAME_BYTES_MAX
from shared.runtime.tenants import TenantBook
from tests.support.socket_client import Closed
from tests.unit.services.gateway.sockets.place import KEY, TENANT, Place

pytestmark = pytest.mark.asyncio


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (b"{}", 1003),
        ("x" * (SOCKET_FRAME_BYTES_MAX + 1), 1009),
        ("\udc00", 1007),
        ("{", 4400),
        ("[]", 4400),
        ("{}", 4400),
        ('{"type": "hello"}', 4400),
        ('{"type": "dispose", "id": 7}', 4400),
        ('{"type": "dispose", "id": ""}', 4400),
        ('{"type": "dispose", "id": "%s"}' % ("x" * 129), 4400),
    ],
)
async def test_what_is_not_understood_closes_it(place: Place, said: Any, code: int) -> None:
    client, _ = await place.follow()
    if isinstance(said, bytes):
        await client.socket.send_bytes(said)
    else:
        await client.socket.send_frame(said.encode(errors="surrogatepass"), WSMsgType.TEXT)
    assert (await client.closed()).code == code
    await place.empty()


@pytest.mark.parametrize(
    "frame",
    [
        b"\xc1\x80\0\0\0\0",  # said to be compressed
        b"\x83\x80\0\0\0\0",  # of a kind that there is not
        b"\x09\x80\0\0\0\0",  # a ping in parts
        b"\x89\xfe\0\x80\0\0\0\0" + bytes(128),  # a long ping
        b"\x80\x80\0\0\0\0",  # goes on with nothing
    ],
)
async def test_what_is_no_frame_closes_it(place: Place, frame: bytes) -> None:
    client, _ = await place.follow()
    connection = client.socket._response.connection
    assert connection is not None
    assert connection.transport is not None
    connection.transport.write(frame)
    assert (await client.closed()).code == 1002
    await place.empty()


async def test_a_message_of_the_most_bytes_is_taken(place: Place) -> None:
    client, _ = await place.follow()
    said = '{"type": "x", "id": "1"'
    await client.socket.send_str(said + " " * (SOCKET_FRAME_BYTES_MAX - len(said) - 1) + "}")
    assert (await client.answer("1"))["status"] == 400


async def test_it_is_closed_once_its_key_is_revoked(place: Place) -> None:
    client, _ = await place.follow()
    place.floor.desk.tenants = TenantBook([replace(TENANT, credentials=())])  # type: ignore[misc]
    closed = await client.closed()
    assert closed.code == 4401
    await place.empty()


async def test_a_log_that_is_away_at_hello_closes_it(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(_: object) -> None:
        raise Unavailable("the log is away")

    monkeypatch.setattr("services.gateway.push.hub._READY_WAIT_S", 0.01)
    monkeypatch.setattr(place.told, "ends", away)
    with pytest.raises(Closed) as closed:
        await place.follow()
    assert closed.value.code == 4503
    await place.empty()


@pytest.mark.parametrize("where", ["let_in", "listen"])
async def test_a_fault_of_ours_closes_it_and_is_told_as_one(
    place: Place, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversation, where, None)
    client = await place.connect()
    await client.socket.send_json({"type": "hello", "authorization": KEY})
    closed = await client.closed()
    assert (closed.code, closed.reason) == (4500, "internal: this is our fault, not yours")
    await place.empty()


async def test_it_is_closed_when_its_token_ends(place: Place) -> None:
    client, _ = await place.follow(await place.token())
    place.floor.clock.advance(60_000)
    assert (await client.closed()).code == 4401


@pytest.mark.parametrize("greeted", [False, True])
async def test_it_is_closed_when_the_gateway_stops(
    place: Place, greeted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversation, "SOCKET_HELLO_S", 1_000)
    client = await place.connect()
    if greeted:
        await client.hello(KEY)
    stopping = asyncio.create_task(place.client.app.shutdown())
    assert (await client.closed()).code == 1001
    await stopping
