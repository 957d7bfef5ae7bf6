"""A simulated call floor: plays a plan against a gateway, over HTTP alone.

Whatever the gateway does, the floor goes on: what is not answered, or not for now, is sent again
with the same id or key, so that nothing is applied twice and nothing is skipped.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

import aiohttp
import orjson
import structlog

from services.cli.floor_plan import CallPlan, Dispose, FloorShape, Tell, plan
from shared.adapters.clock import SystemClock
from shared.contracts.instants import to_wire
from shared.runtime.ports import Clock

_TIMEOUT_S: Final = 10
_GOODBYE_S: Final = 2
_RETRY_FIRST_S: Final = 0.1
_RETRY_LAST_S: Final = 3.0
_LATER: Final = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS)
_EVENT: Final = "application/cloudevents+json"
_EVENTS: Final = "application/cloudevents-batch+json"

_logger: Final = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class FloorConfig:
    """Where to play, and what.

    Attributes:
        speed: seconds of the plan per second; the server's wrap-up time stays what it is.
        calls: how many to play; None for as many as there is time for.
        run: starts the call ids, so that each run has calls of its own; from the clock if empty.
    """

    url: str
    switch_key: str
    key: str
    shape: FloorShape = field(default_factory=FloorShape)
    speed: float = 1.0
    calls: int | None = None
    run: str = ""


@dataclass(frozen=True, slots=True)
class FloorReport:
    """What was done. `outcomes` and `refused` count verdicts, `errors` what was sent again."""

    calls: int
    events: int
    outcomes: Mapping[str, int]
    refused: Mapping[str, int]
    errors: Mapping[str, int]


async def run_floor(
    config: FloorConfig, stop: asyncio.Event, clock: Clock | None = None
) -> FloorReport:
    """Play until the plan's calls are over or `stop` is set; then hang up what is still open."""
    clock = clock or SystemClock()
    run = config.run or f"sim-{clock.now_ms():x}"
    timeout = aiohttp.ClientTimeout(total=_TIMEOUT_S)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        floor = _Floor(config, run, session, clock)
        playing = asyncio.create_task(floor.play())
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({playing, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
            if not playing.done():
                playing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await playing  # raises what broke
            await floor.hang_up()
        return floor.report()


class _Floor:
    def __init__(
        self, config: FloorConfig, run: str, session: aiohttp.ClientSession, clock: Clock
    ) -> None:
        self._config = config
        self._run = run
        self._session = session
        self._clock = clock
        self._open: set[str] = set()
        self._calls = 0
        self._events = 0
        self._outcomes: Counter[str] = Counter()
        self._refused: Counter[str] = Counter()
        self._errors: Counter[str] = Counter()

    def report(self) -> FloorReport:
        return FloorReport(
            self._calls,
            self._events,
            dict(sorted(self._outcomes.items())),
            dict(sorted(self._refused.items())),
            dict(sorted(self._errors.items())),
        )

    async def play(self) -> None:
        """Start each call in its time; a call that takes longer holds up the ones beyond it."""
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        room = asyncio.Semaphore(self._config.shape.open_max)
        async with asyncio.TaskGroup() as calls:
            for call in plan(self._config.shape):
                if self._config.calls is not None and call.number > self._config.calls:
                    return
                await _until(began_s + call.at_s / self._config.speed)
                await room.acquire()
                task = calls.create_task(self._play_call(call))
                task.add_done_callback(lambda _: room.release())

    async def _play_call(self, call: CallPlan) -> None:
        call_id = f"{self._run}-{call.number}"
        self._calls += 1
        began_s, began_ms = asyncio.get_running_loop().time(), self._clock.now_ms()
        for number, step in enumerate(call.steps, start=1):
            await _until(began_s + step.at_s / self._config.speed)
            self._open.add(call_id)  # from its first word on, told or on its way
            match step:
                case Tell():
                    happened_ms = began_ms + int(step.happened_s / self._config.speed * 1000)
                    await self._tell(self._event(call_id, number, step, happened_ms), step.copies)
                case Dispose():
                    await self._dispose(call_id, number, step)
        self._open.discard(call_id)

    def _event(self, call_id: str, number: int, step: Tell, happened_ms: int) -> dict[str, Any]:
        return {
            "specversion": "1.0",
            "id": f"{call_id}-{number}",
            "source": f"/simulated/{self._run}",
            "type": step.type,
            "subject": call_id,
            "time": to_wire(happened_ms),
            "data": step.data,
        }

    async def _tell(self, event: dict[str, Any], copies: int) -> None:
        headers = {"Authorization": f"Bearer {self._config.switch_key}", "Content-Type": _EVENT}
        for _ in range(copies):
            self._events += 1
            status, answer = await self._send("/v1/events", event, headers)
            if status >= HTTPStatus.BAD_REQUEST:
                self._refuse(answer)

    async def _dispose(self, call_id: str, number: int, step: Dispose) -> None:
        body: dict[str, Any] = {"agent_id": step.agent_id, "code": step.code}
        if step.release_after:
            body["release_after"] = True
        if step.callback_in_s is not None:
            body["callback_at"] = to_wire(self._clock.now_ms() + step.callback_in_s * 1000)
        headers = {
            "Authorization": f"Bearer {self._config.key}",
            "Content-Type": "application/json",
            "Idempotency-Key": f"{call_id}-{number}",
        }
        status, answer = await self._send(f"/v1/calls/{call_id}/disposition", body, headers)
        if status >= HTTPStatus.BAD_REQUEST:
            self._refuse(answer)
        else:
            self._outcomes[str(answer.get("outcome", "unknown"))] += 1

    def _refuse(self, answer: Mapping[str, Any]) -> None:
        code = str(answer.get("code", "unknown"))
        if not self._refused[code]:
            _logger.warning("floor_refused", code=code, detail=answer.get("detail"))
        self._refused[code] += 1

    async def _send(
        self, path: str, body: Any, headers: Mapping[str, str]
    ) -> tuple[int, dict[str, Any]]:
        """Send the same bytes until there is an answer that holds."""
        data, wait_s = orjson.dumps(body), _RETRY_FIRST_S
        while True:
            try:
                status, answer, told_s = await self._post(path, data, headers)
                if status not in _LATER and status < HTTPStatus.INTERNAL_SERVER_ERROR:
                    return status, answer
                error = str(status)
            except (aiohttp.ClientError, TimeoutError, ValueError) as failed:
                error, told_s = type(failed).__name__, 0.0
            if not self._errors[error]:
                _logger.warning("floor_sends_again", path=path, error=error)
            self._errors[error] += 1
            await asyncio.sleep(max(wait_s, min(told_s, _RETRY_LAST_S)))
            wait_s = min(wait_s * 2, _RETRY_LAST_S)

    async def _post(
        self, path: str, data: bytes, headers: Mapping[str, str]
    ) -> tuple[int, dict[str, Any], float]:
        url = self._config.url.rstrip("/") + path
        async with self._session.post(url, data=data, headers=headers) as response:
            answer = await response.read()
            after = response.headers.get("Retry-After", "")
            found = orjson.loads(answer or b"{}")
            return response.status, found if isinstance(found, dict) else {}, _seconds(after)

    async def hang_up(self) -> None:
        """End the calls that are still open: tried once, for the gateway may be going too."""
        now_ms = self._clock.now_ms()
        events = list(self._goodbyes(sorted(self._open), now_ms))
        if not events:
            return
        headers = {"Authorization": f"Bearer {self._config.switch_key}", "Content-Type": _EVENTS}
        with contextlib.suppress(aiohttp.ClientError, TimeoutError, ValueError):
            async with asyncio.timeout(_GOODBYE_S):
                await self._post("/v1/events", orjson.dumps(events), headers)
                self._events += len(events)

    def _goodbyes(self, call_ids: Iterable[str], now_ms: int) -> Iterable[dict[str, Any]]:
        for call_id in call_ids:
            over = Tell(0, 0, "call.disconnected", {"by": "system", "cause": "floor closed"})
            yield self._event(call_id, 1_000, over, now_ms)
            yield self._event(call_id, 1_001, Tell(0, 0, "call.released", {}), now_ms)


async def _until(loop_time_s: float) -> None:
    await asyncio.sleep(max(0.0, loop_time_s - asyncio.get_running_loop().time()))


def _seconds(text: str) -> float:
    return float(text) if text.isascii() and text.isdigit() else 0.0
