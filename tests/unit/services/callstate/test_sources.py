"""Following a switch: what is told once, what is caught up, and what never stops it.

The switch here is a plain server on loopback that says what a test has it say.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import ClientError, web

from services.callstate.resync import QUESTION, http_snapshot, stored_calls
from services.callstate.sources import Backoff, KamailioSource, Pace
from services.callstate.switches.kamailio import Switch
from shared.contracts.errors import Bug, Unavailable
from shared.runtime.ports import Document, Index
from tests.support.clock import FakeClock
from tests.support.memory import MemoryStateStore
from tests.support.told import Told

KAM = Switch(tenant="demo")
TS = "1795271922.965103"
QUICK = Pace(retry_min=0.001, retry_max=0.01, resync=3600, settle=0.02)


def frame(message: bytes) -> bytes:
    return b"%d:%s," % (len(message), message)


def said(event: str, call: str = "a@h", **fields: str) -> bytes:
    about = {"callid": call, "ts": TS, "agent": "agent-7", "event": event}
    return frame(json.dumps(about | fields).encode())


def dialog(call: str, *, answered: bool = True) -> dict[str, Any]:
    kept = {"agent": "agent-7", "invited": TS} | ({"answered": TS} if answered else {})
    return {"call-id": call, "state": 4 if answered else 2, "variables": [kept]}


class PlayedSwitch:
    """Accepts one reader after another and says what it is told to say."""

    def __init__(self) -> None:
        self.dialogs: list[dict[str, Any]] = []
        self.asked = 0
        self.connections: asyncio.Queue[asyncio.StreamWriter] = asyncio.Queue()
        self.port = 0

    async def accept(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self.connections.put(writer)

    async def snapshot(self) -> bytes:
        self.asked += 1
        return json.dumps({"result": self.dialogs}).encode()

    async def connected(self) -> asyncio.StreamWriter:
        return await asyncio.wait_for(self.connections.get(), 5)


@pytest_asyncio.fixture
async def switch() -> AsyncIterator[PlayedSwitch]:
    played = PlayedSwitch()
    server = await asyncio.start_server(played.accept, "127.0.0.1", 0)
    played.port = server.sockets[0].getsockname()[1]
    yield played
    server.close()


@asynccontextmanager
async def following(
    switch: PlayedSwitch,
    told: Told,
    *,
    pace: Pace = QUICK,
    snapshot: Callable[[], Awaitable[bytes]] | None = None,
    stored: Collection[str] = (),
) -> AsyncIterator[KamailioSource]:
    async def open_calls() -> Collection[str]:
        return stored

    source = KamailioSource(
        host="127.0.0.1",
        port=switch.port,
        switch=KAM,
        publish=told.publish,
        clock=FakeClock(),
        snapshot=snapshot or switch.snapshot,
        open_calls=open_calls,
        pace=pace,
    )
    running = asyncio.ensure_future(source.run())
    try:
        yield source
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not true():
            await asyncio.sleep(0.001)


@pytest.mark.asyncio
async def test_what_came_together_is_published_together(switch: PlayedSwitch) -> None:
    told = Told()
    async with following(switch, told):
        writer = await switch.connected()
        writer.write(said("invite") + said("established") + said("invite", "b@h"))
        await told.until("b:h:started")
        writer.write(said("released", leg="caller"))
        await told.until("a:h:disconnected")
        writer.close()
    assert told.ids == [
        "a:h:started",
        "a:h:answered",
        "a:h:agent_joined",
        "b:h:started",
        "a:h:disconnected",
    ]
    assert len(told.batches) == 2


@pytest.mark.asyncio
async def test_a_message_in_pieces_is_whole_again(switch: PlayedSwitch) -> None:
    told = Told()
    async with following(switch, told):
        writer = await switch.connected()
        for byte in said("invite"):
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0)
        await told.until("a:h:started")
        writer.close()


@pytest.mark.asyncio
async def test_a_message_told_twice_is_published_once(switch: PlayedSwitch) -> None:
    told = Told()
    async with following(switch, told):
        writer = await switch.connected()
        writer.write(said("invite") + said("established"))
        await told.until("a:h:answered")
        writer.write(said("established") + said("invite", "b@h"))
        await told.until("b:h:started")
        writer.close()
    assert len(told.ids) == len(set(told.ids)) == 4


@pytest.mark.asyncio
@pytest.mark.parametrize("poison", [b"{", b"", b'{"event":"invite"}', b"\xff\xfe", b"[" * 9000])
async def test_a_poisoned_message_is_counted_and_the_next_one_told(
    switch: PlayedSwitch, poison: bytes
) -> None:
    told = Told()
    async with following(switch, told) as source:
        writer = await switch.connected()
        writer.write(frame(poison) + said("invite"))
        await told.until("a:h:started")
        writer.close()
        assert source.counts["dropped"] == 1
        assert source.counts["connected"] == 1


@pytest.mark.asyncio
async def test_a_broken_frame_costs_the_connection_and_nothing_else(switch: PlayedSwitch) -> None:
    told = Told()
    async with following(switch, told) as source:
        broken = await switch.connected()
        broken.write(said("invite") + b"no netstring")
        switch.dialogs = [dialog("b@h")]
        whole = await switch.connected()
        whole.write(said("invite", "c@h"))
        await told.until("a:h:started", "b:h:agent_joined", "c:h:started")
        broken.close()
        whole.close()
        assert source.counts["dropped"] == 1


@pytest.mark.asyncio
async def test_calls_already_up_when_it_connects_are_told(switch: PlayedSwitch) -> None:
    switch.dialogs = [dialog("a@h"), dialog("b@h", answered=False)]
    told = Told()
    async with following(switch, told):
        writer = await switch.connected()
        await told.until("a:h:started", "a:h:answered", "a:h:agent_joined", "b:h:started")
        writer.close()
    assert "b:h:answered" not in told.ids


@pytest.mark.asyncio
async def test_what_was_missed_between_two_connections_is_caught_up(switch: PlayedSwitch) -> None:
    told = Told()
    async with following(switch, told):
        first = await switch.connected()
        first.write(said("invite", "ends@h") + said("invite", "stays@h"))
        await told.until("stays:h:started")
        switch.dialogs = [dialog("stays@h"), dialog("new@h")]
        first.close()
        second = await switch.connected()
        await told.until("ends:h:disconnected", "stays:h:answered", "new:h:agent_joined")
        second.close()
    assert told.ids.count("stays:h:started") == 1
    (end,) = (e for b in told.batches for e in b if e.type == "call.disconnected")
    assert json.loads(end.data) == {"cause": "resync"}  # by the system, which is the default
    assert end.time_ms == FakeClock().now_ms()


@pytest.mark.asyncio
async def test_a_call_stored_by_an_earlier_process_is_ended_too(switch: PlayedSwitch) -> None:
    switch.dialogs = [dialog("stays@h")]
    told = Told()
    async with following(switch, told, stored={"kam:gone:h", "kam:stays:h"}):
        writer = await switch.connected()
        await told.until("gone:h:disconnected")
        writer.close()
    assert "stays:h:disconnected" not in told.ids


@pytest.mark.asyncio
async def test_an_end_on_its_way_comes_before_the_end_made_up(switch: PlayedSwitch) -> None:
    told = Told()
    gate = asyncio.Event()

    async def snapshot() -> bytes:
        await gate.wait()
        return await switch.snapshot()

    async with following(switch, told, snapshot=snapshot, stored={"kam:a:h", "kam:b:h"}) as source:
        writer = await switch.connected()
        writer.write(said("released", "a@h", leg="caller"))
        await writer.drain()
        gate.set()
        await told.until("b:h:disconnected")
        await until(lambda: source.counts["resynced"] == 1)
        writer.close()
    ends = {e.subject: json.loads(e.data)["cause"] for b in told.batches for e in b}
    assert ends == {"kam:a:h": "hangup", "kam:b:h": "resync"}
    assert told.ids.count("a:h:disconnected") == 1


@pytest.mark.asyncio
async def test_a_call_that_starts_while_the_switch_is_asked_is_not_ended(
    switch: PlayedSwitch,
) -> None:
    told = Told()
    writers = []

    async def snapshot() -> bytes:
        answer = await switch.snapshot()
        writers.append(await switch.connected())
        writers[0].write(said("invite", "fresh@h"))
        return answer

    async with following(switch, told, snapshot=snapshot) as source:
        await told.until("fresh:h:started")
        await until(lambda: source.counts["resynced"] == 1)
        writers[0].close()
    assert told.ids == ["fresh:h:started"]


@pytest.mark.asyncio
async def test_dialogs_are_compared_again_and_again(switch: PlayedSwitch) -> None:
    told = Told()
    pace = Pace(retry_min=0.001, retry_max=0.01, resync=0.01, settle=0.001)
    async with following(switch, told, pace=pace) as source:
        writer = await switch.connected()
        switch.dialogs = [dialog("a@h")]
        writer.write(said("invite"))
        await told.until("a:h:agent_joined")
        switch.dialogs = []
        await told.until("a:h:disconnected")
        times = source.counts["resynced"]
        await until(lambda: source.counts["resynced"] > times + 2)
        writer.close()
        assert source.counts["connected"] == 1
    assert len(told.ids) == len(set(told.ids)), "nothing is told again each time"


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "error", [OSError("refused"), TimeoutError(), ClientError("404"), Unavailable("store")]
)
async def test_without_dialogs_it_goes_on_and_ends_no_call(
    switch: PlayedSwitch, error: Exception
) -> None:
    told = Told()
    answers = [error, error, None]

    async def snapshot() -> bytes:
        if (failing := answers.pop(0)) is not None:
            raise failing
        return b'{"result":[]}' if not answers else b'{"error":1}'

    async with following(switch, told, snapshot=snapshot, stored={"kam:a:h"}) as source:
        writer = await switch.connected()
        writer.write(said("invite", "b@h"))
        await told.until("b:h:started", "a:h:disconnected")
        await until(lambda: source.counts["resynced"] == 1)
        assert source.counts["resync_failed"] == 2
        assert source._asking.next_s() == QUICK.retry_min, "the next trouble is a new one"
        writer.close()


@pytest.mark.asyncio
async def test_an_answer_that_is_no_list_ends_no_call(switch: PlayedSwitch) -> None:
    told = Told()

    async def snapshot() -> bytes:
        return b'{"error":{"code":500,"message":"No Memory"}}'

    async with following(switch, told, snapshot=snapshot, stored={"kam:a:h"}) as source:
        writer = await switch.connected()
        await until(lambda: source.counts["resync_failed"] > 2)
        writer.close()
    assert told.ids == []


@pytest.mark.asyncio
async def test_one_dialog_that_cannot_be_understood_hides_no_other(switch: PlayedSwitch) -> None:
    switch.dialogs = [dialog("a@h"), dialog("b@h")]
    switch.dialogs[0]["variables"][0]["invited"] = "noon"
    told = Told()
    async with following(switch, told) as source:
        writer = await switch.connected()
        await told.until("b:h:started")
        writer.close()
        assert source.counts["dropped"] == 1


@pytest.mark.asyncio
async def test_what_could_not_be_published_is_published_again_in_order(
    switch: PlayedSwitch,
) -> None:
    told = Told(Unavailable("down"), Unavailable("down"))
    async with following(switch, told) as source:
        writer = await switch.connected()
        writer.write(said("invite"))
        await until(lambda: source.counts["publish_failed"] > 0)
        writer.write(said("released", leg="caller"))
        await told.until("a:h:disconnected")
        writer.close()
        assert source.counts["publish_failed"] == 2
    assert told.ids == ["a:h:started", "a:h:disconnected"]


@pytest.mark.asyncio
async def test_a_bug_of_ours_is_not_swallowed(switch: PlayedSwitch) -> None:
    source = KamailioSource(
        host="127.0.0.1",
        port=switch.port,
        switch=KAM,
        publish=Told(Bug("broken promise")).publish,
        clock=FakeClock(),
        pace=QUICK,
    )
    running = asyncio.ensure_future(source.run())
    writer = await switch.connected()
    writer.write(said("invite"))
    with pytest.raises(Bug):
        await asyncio.wait_for(running, 5)
    writer.close()


@pytest.mark.asyncio
async def test_a_switch_that_is_not_there_yet_is_tried_again() -> None:
    switch, told = PlayedSwitch(), Told()
    server = await asyncio.start_server(switch.accept, "127.0.0.1", 0)
    switch.port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    async with following(switch, told) as source:
        await until(lambda: source._backoff._next_s > QUICK.retry_min)
        again = await asyncio.start_server(switch.accept, "127.0.0.1", switch.port)
        writer = await switch.connected()
        writer.write(said("invite"))
        await told.until("a:h:started")
        writer.close()
        again.close()


def test_waits_double_up_to_a_bound_and_begin_anew_after_success() -> None:
    backoff = Backoff(Pace(retry_min=1, retry_max=5))
    assert [backoff.next_s() for _ in range(5)] == [1, 2, 4, 5, 5]
    backoff.reset()
    assert backoff.next_s() == 1


@pytest.mark.asyncio
async def test_ended_calls_are_forgotten(switch: PlayedSwitch) -> None:
    told = Told()
    pace = Pace(retry_min=0.001, retry_max=0.01, resync=0.01, settle=0.001)
    async with following(switch, told, pace=pace) as source:
        writer = await switch.connected()
        writer.write(said("invite") + said("released", leg="caller"))
        await told.until("a:h:disconnected")
        await until(lambda: not source._told)
        assert not source._ended
        writer.close()


@pytest.mark.asyncio
async def test_ended_calls_are_forgotten_even_while_nobody_lists_the_dialogs(
    switch: PlayedSwitch,
) -> None:
    async def silent() -> bytes:
        raise ClientError

    told = Told()
    async with following(switch, told, snapshot=silent) as source:
        writer = await switch.connected()
        writer.write(said("invite", "b@h") + said("invite") + said("released", leg="caller"))
        await told.until("a:h:disconnected")
        await until(lambda: not source._ended)
        assert len(source._told) == 1
        writer.close()


@asynccontextmanager
async def serving(body: bytes, status: int = 200) -> AsyncIterator[str]:
    async def answer(request: web.Request) -> web.Response:
        assert await request.read() == QUESTION
        return web.Response(body=body, status=status)

    app = web.Application()
    app.router.add_post("/dialogs", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/dialogs"
    await runner.cleanup()


@pytest.mark.asyncio
async def test_dialogs_are_asked_for_over_http() -> None:
    async with serving(b"x" * 100_000) as url:
        assert await http_snapshot(url, bytes_max=100_000)() == b"x" * 100_000
        with pytest.raises(OSError, match="over 99999 bytes"):
            await http_snapshot(url, bytes_max=99_999)()


@pytest.mark.asyncio
async def test_a_refusal_is_no_list_of_dialogs() -> None:
    async with serving(b'{"result":[]}', 404) as url:
        with pytest.raises(ClientError):
            await http_snapshot(url)()


def stored(key: str, phase: str) -> Document:
    index = Index(created_ms=len(key), phase=phase, tags=())
    return Document(
        collection="calls",
        key=key,
        revision=1,
        state=b"{}",
        watermarks={},
        sequences={},
        index=index,
    )


@pytest.mark.asyncio
async def test_stored_calls_are_those_of_this_switch_that_are_up() -> None:
    store = MemoryStateStore()
    phases = {"ringing": 250, "active": 250, "wrap_up": 3, "released": 3}
    await store.save(
        [
            stored(f"demo:kam:{phase}{n}", phase)
            for phase, many in phases.items()
            for n in range(many)
        ]
        + [stored("demo:other:1", "active"), stored("demo2:kam:1", "active")]
    )
    found = await stored_calls(store, KAM)()
    assert found == {f"kam:{phase}{n}" for phase in ("ringing", "active") for n in range(250)}
