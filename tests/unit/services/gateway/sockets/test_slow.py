"""Clients that read slowly, or not at all: dropped, and nothing grows for them."""

import asyncio
import socket as plain

import pytest

from services.gateway.push import listening
from services.gateway.push.position import Position
from services.gateway.push.told import Told
from services.gateway.sockets import conversation
from shared.contracts.envelope import Event
from shared.contracts.limits import STREAM_QUEUE_MAX
from shared.contracts.topics import CALLS_CHANGED
from tests.unit.services.gateway.push.followed import tell, tell_of
from tests.unit.services.gateway.sockets.place import Place

pytestmark = pytest.mark.asyncio


def event() -> Event:
    return Event(id="1", source="/t", type="t", subject="s", time_ms=0, tenant="demo", data=b"{}")


async def test_a_slow_reader_gets_what_was_queued_and_is_told_to_resume(place: Place) -> None:
    client, _ = await place.follow()
    tell(place.told, 1)
    last = await client.event()  # it is live
    (queue,) = place.hub._clients
    told = Told(CALLS_CHANGED, event(), Position.parse(last["id"]))
    while queue.offer(told):
        pass  # in one go: the client has no chance to read
    closed = await client.closed()
    assert (closed.code, "resume by last_event_id" in closed.reason) == (1013, True)
    assert len(client.kept) == STREAM_QUEUE_MAX
    await place.empty()
    tell(place.told, 6)
    again, _ = await place.follow(last_event_id=client.kept[-1]["id"])
    assert (await again.event())["event"]["id"] == "demo-calls.changed-6"


class Deaf:
    """A client that has said this much and reads nothing any more."""

    def __init__(self, place: Place) -> None:
        self._socket = plain.socket()
        # Much less, and the system drops segments that say what it has received.
        self._socket.setsockopt(plain.SOL_SOCKET, plain.SO_RCVBUF, 64 * 1024)
        self._socket.settimeout(30)
        self._address = (place.client.host, place.client.port)

    def say(self, *frames: bytes) -> None:
        """Blocking: in a thread."""
        self._socket.connect(self._address)
        self._socket.sendall(
            b"GET /v1/socket HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )
        for frame in frames:
            self._send(0x81, frame)

    def ping(self) -> None:
        """A few; many at once, and the system would drop what it has no room for."""
        for _ in range(50):
            self._send(0x89, b"x" * 125)

    def _send(self, kind: int, frame: bytes) -> None:
        length = len(frame)
        head = bytes([kind, 0x80 | length]) if length < 126 else b""
        head = head or bytes([kind, 0x80 | 126]) + length.to_bytes(2, "big")
        self._socket.sendall(head + bytes(4) + frame)

    def close(self) -> None:
        self._socket.close()


HEARD = b'{"type":"hello","authorization":"Bearer demo-key"}'


async def deaf_follower(place: Place) -> Deaf:
    """One that the gateway has begun to tell."""
    deaf = Deaf(place)
    await asyncio.to_thread(deaf.say, HEARD)
    async with asyncio.timeout(5):
        while not place.hub.clients:
            await asyncio.sleep(0.001)
    return deaf


def transports(place: Place) -> list[asyncio.Transport]:
    """Those of the gateway's connections."""
    runner = place.client.server.runner
    assert runner is not None
    assert runner.server is not None
    handlers = runner.server.connections
    return [one.transport for one in handlers if one.transport is not None]


def waiting_bytes(place: Place) -> int:
    """What the gateway holds for clients that do not read."""
    return sum(transport.get_write_buffer_size() for transport in transports(place))


@pytest.mark.slow
async def test_who_never_reads_holds_no_more_than_a_queue_and_a_buffer(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversation, "WRITE_S", 0.5)
    deaf = await deaf_follower(place)
    (queue,) = place.hub._clients
    large, number, most = 20_000, 0, 0
    async with asyncio.timeout(60):
        while place.hub.clients:
            number += 1
            data = {"agent_id": "agent-1", "more": "x" * large}
            tell_of(place.told, number, topic=CALLS_CHANGED, tenant="demo", data=data)
            most = max(most, waiting_bytes(place))
            assert len(queue._queued) <= STREAM_QUEUE_MAX
            await asyncio.sleep(0)
    assert 0 < most < 64 * 1024 + 2 * large
    async with asyncio.timeout(10):
        while transports(place):
            await asyncio.sleep(0.01)
    deaf.close()


@pytest.mark.slow
async def test_who_pings_and_never_reads_is_not_listened_to_for_ever(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pongs wait, and with them whoever hears; who tells finds out in the next silence."""
    monkeypatch.setattr(conversation, "WRITE_S", 0.5)
    monkeypatch.setattr(listening, "HEARTBEAT_S", 0.5)
    deaf = await deaf_follower(place)
    (connection,) = transports(place)
    wire = connection.get_extra_info("socket")
    wire.setsockopt(plain.SOL_SOCKET, plain.SO_SNDBUF, 16 * 1024)
    most = 0
    async with asyncio.timeout(15):
        while most <= 64 * 1024:  # from then on a write waits
            await asyncio.to_thread(deaf.ping)
            await asyncio.sleep(0.001)
            most = max(most, waiting_bytes(place))
        while transports(place):
            most = max(most, waiting_bytes(place))
            await asyncio.sleep(0.001)
    assert most < 66 * 1024
    deaf.close()
    await place.empty()
