"""The floor against a gateway that only writes down what it is told, and fails when asked to."""

import asyncio
import json
import socket
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port

from services.cli.floor import FloorConfig, FloorReport, run_floor
from services.cli.floor_plan import Dispose, FloorShape, Tell, plan
from services.cli.simulate import unreachable
from tests.support.clock import FakeClock
from tests.unit.services.cli.typed import typed

pytestmark = pytest.mark.slow

SHAPE = FloorShape(seed=3, rate_per_min=2000, wrap_up_s=1)
Answer = Callable[[int], web.Response]


def fine(_: int) -> web.Response:
    return web.json_response({"outcome": "saved"})


class Stub:
    """What came in, in order; `answer` decides by the number of the request."""

    def __init__(self) -> None:
        self.answer: Answer = fine
        self.seen: list[tuple[str, str | None, Any]] = []
        self.keys: Counter[str] = Counter()
        self.url = ""

    async def take(self, request: web.Request) -> web.Response:
        key = request.headers.get("Idempotency-Key")
        self.seen.append((request.path, key, await request.json()))
        self.keys[request.headers["Authorization"]] += 1
        return self.answer(len(self.seen))

    def of_call(self, call_id: str) -> list[tuple[str, str | None, Any]]:
        return [
            one
            for one in self.seen
            if f"/{call_id}/" in one[0] or (isinstance(one[2], dict) and _subject(one) == call_id)
        ]


def _subject(one: tuple[str, str | None, Any]) -> Any:
    return one[2].get("subject")


@pytest_asyncio.fixture
async def stub() -> AsyncIterator[Stub]:
    stub = Stub()
    app = web.Application()
    app.router.add_post("/v1/events", stub.take)
    app.router.add_post("/v1/calls/{call_id}/disposition", stub.take)
    async with TestServer(app) as server:
        stub.url = str(server.make_url("/"))
        yield stub


def config(url: str, **changes: Any) -> FloorConfig:
    given = {"shape": SHAPE, "speed": 5_000, "calls": 12, "run": "run", **changes}
    return FloorConfig(url=url, switch_key="switch", key="agent", **given)


async def run(given: FloorConfig) -> FloorReport:
    return await run_floor(given, asyncio.Event(), FakeClock())


@pytest.mark.asyncio
async def test_every_call_is_told_as_it_was_planned(stub: Stub) -> None:
    report = await run(config(stub.url))
    planned = [call for call, _ in zip(plan(SHAPE), range(12), strict=False)]
    for call in planned:
        told = [
            (body["type"], body["data"])
            if path == "/v1/events"
            else (body["agent_id"], body["code"])
            for path, _, body in stub.of_call(f"run-{call.number}")
        ]
        expected: list[tuple[str, Any]] = []
        for step in call.steps:
            match step:
                case Tell():
                    expected += [(step.type, step.data)] * step.copies
                case Dispose():
                    expected.append((step.agent_id, step.code))
        assert told == expected
    assert report.calls == 12
    assert report.events == stub.keys["Bearer switch"]
    assert report.outcomes == {"saved": stub.keys["Bearer agent"]}
    assert (report.refused, report.errors) == ({}, {})


@pytest.mark.asyncio
async def test_an_event_told_twice_has_one_id_and_each_disposition_its_own_key(stub: Stub) -> None:
    await run(config(stub.url, calls=60))
    ids: dict[str, Any] = {}
    repeated = 0
    for path, _, body in stub.seen:
        if path == "/v1/events":
            repeated += body["id"] in ids
            assert ids.setdefault(body["id"], body) == body
    assert repeated > 5
    keys = [key for path, key, _ in stub.seen if path != "/v1/events"]
    assert len(set(keys)) == len(keys)


@pytest.mark.asyncio
@pytest.mark.parametrize("status", [429, 500, 503])
async def test_what_the_gateway_can_not_take_now_is_sent_again_unchanged(
    stub: Stub, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.cli.floor._RETRY_FIRST_S", 0.0)
    stub.answer = lambda number: web.Response(status=status) if number % 3 else fine(number)
    report = await run(config(stub.url))
    failed = {one for number, one in enumerate(_frozen(stub), start=1) if number % 3}
    taken = [one for number, one in enumerate(_frozen(stub), start=1) if number % 3 == 0]
    assert failed <= set(taken)
    assert report.errors == {str(status): sum(1 for n in range(len(stub.seen)) if (n + 1) % 3)}
    assert sum(report.outcomes.values()) + report.events == len(taken)


def _frozen(stub: Stub) -> list[str]:
    return [json.dumps(one, sort_keys=True) for one in stub.seen]


@pytest.mark.asyncio
async def test_a_refusal_is_counted_and_the_floor_goes_on(stub: Stub) -> None:
    refusal = {"code": "already_disposed"}
    stub.answer = lambda _: web.json_response(refusal, status=409)
    report = await run(config(stub.url))
    assert report.refused == {"already_disposed": len(stub.seen)}
    assert report.calls == 12


@pytest.mark.asyncio
async def test_an_answer_that_is_not_json_does_not_break_it(stub: Stub) -> None:
    replies = iter([web.Response(text="<html>"), web.json_response([1])])
    stub.answer = lambda number: next(replies, None) or fine(number)
    assert (await run(config(stub.url, calls=1))).errors == {"JSONDecodeError": 1}


@pytest.mark.asyncio
async def test_a_gateway_that_is_not_there_yet_is_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("services.cli.floor._RETRY_FIRST_S", 0.001)
    port, stop = unused_port(), asyncio.Event()
    given = config(f"http://127.0.0.1:{port}", calls=1)
    playing = asyncio.create_task(run_floor(given, stop, FakeClock()))
    await asyncio.sleep(0.02)
    stub, app = Stub(), web.Application()
    app.router.add_post("/{path:.*}", stub.take)
    async with TestServer(app, port=port):
        report = await asyncio.wait_for(playing, 10)
    assert report.errors.keys() == {"ClientConnectorError"}
    assert sum(report.outcomes.values()) >= 1


@pytest.mark.asyncio
async def test_stopping_hangs_up_the_calls_that_are_open(stub: Stub) -> None:
    stop = asyncio.Event()

    def answer(number: int) -> web.Response:
        if number == 4:
            stop.set()
        return fine(number)

    stub.answer = answer
    report = await asyncio.wait_for(
        run_floor(config(stub.url, calls=None, speed=50), stop, FakeClock()), 10
    )
    path, _, goodbye = stub.seen[-1]
    assert path == "/v1/events"
    started = {body["subject"] for _, _, body in stub.seen[:-1] if "subject" in body}
    gone = {event["subject"] for event in goodbye}
    assert gone & started  # one whose first word was on its way just then may be among them
    assert [event["type"] for event in goodbye[:2]] == ["call.disconnected", "call.released"]
    assert len(gone) <= report.calls


@pytest.mark.asyncio
async def test_stopping_does_not_wait_for_a_gateway_that_is_gone() -> None:
    stop = asyncio.Event()
    given = config(f"http://127.0.0.1:{unused_port()}", calls=None)
    playing = asyncio.create_task(run_floor(given, stop, FakeClock()))
    await asyncio.sleep(0.01)
    stop.set()
    report = await asyncio.wait_for(playing, 5)
    assert report.outcomes == {}


@pytest.mark.asyncio
async def test_no_more_calls_are_open_than_allowed(stub: Stub) -> None:
    seen: set[str] = set()
    over: set[str] = set()
    most = 0

    def answer(number: int) -> web.Response:
        nonlocal most
        path, _, body = stub.seen[-1]
        if path == "/v1/events":
            seen.add(body["subject"])
            if body["type"] == "call.disconnected":
                over.add(body["subject"])
        most = max(most, len(seen - over))
        return fine(number)

    stub.answer = answer
    await run(config(stub.url, shape=FloorShape(seed=3, rate_per_min=1e6, open_max=2), calls=30))
    assert most == 2


@pytest.mark.asyncio
async def test_the_command_says_what_it_did(stub: Stub) -> None:
    refusal = {"code": "unknown_call"}
    stub.answer = lambda n: web.json_response(refusal, status=404) if n == 1 else fine(n)
    arguments = ["simulate", "--url", stub.url, "--calls", "3", "--seed", "3", "--json"]
    playing = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "from services.cli import main; main()",
        *(*arguments, "--speed", "1000", "--rate", "60000"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, said = await playing.communicate()
    report = json.loads(out)
    assert playing.returncode == 0
    assert report["calls"] == 3
    assert report["refused"] == {"unknown_call": 1}
    assert b"floor_refused" in said  # and not in the report
    assert report["events"] + sum(report["outcomes"].values()) == len(stub.seen)
    assert b"seed 3" in said
    assert stub.keys.keys() == {"Bearer demo-switch-key", "Bearer demo-key"}


@pytest.mark.asyncio
async def test_a_gateway_that_never_answers_is_not_awaited_for_ever() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        silent = await unreachable(f"http://127.0.0.1:{port}", asyncio.Event(), within_s=0.3)
    assert silent == "it is silent"
    gone = await unreachable(f"http://127.0.0.1:{port}", asyncio.Event(), within_s=0.3)
    assert gone is not None
    assert "Connect call failed" in gone


@pytest.mark.asyncio
async def test_a_gateway_that_starts_meanwhile_is_awaited() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    asked = asyncio.create_task(
        unreachable(f"http://127.0.0.1:{port}", asyncio.Event(), within_s=30)
    )
    await asyncio.sleep(0.3)
    answering = await asyncio.start_server(_say_no, "127.0.0.1", port)
    try:
        assert await asked is None  # whatever it answers
    finally:
        answering.close()


async def _say_no(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
    writer.close()


@pytest.mark.asyncio
async def test_who_stops_while_it_waits_waits_no_longer() -> None:
    stopping = asyncio.Event()
    stopping.set()
    assert await unreachable("http://127.0.0.1:9", stopping, within_s=60) is None


def test_a_wrong_url_is_one_clear_line() -> None:
    ended = typed("simulate", "--url", "nonsense", "--calls", "1")
    assert ended.exit_code == 2
    assert ended.stderr.endswith(
        "aftercall: no gateway answers at nonsense: that is no URL; start it, or name another by "
        "--url\n"
    )
