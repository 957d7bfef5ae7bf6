"""Switches that are listened to: connect, translate, publish, and catch up after a gap.

Kamailio's evapi tells each thing once, to whoever listens just then. So after every connection,
and once a minute besides, a source asks for the live dialogs and publishes what it has missed:
calls that are up and were not told, and the end of calls that were believed up and are not there.
Recovered events have the ids of the live ones, so it may tell too much and never tells twice.
Several processes may follow one switch for the same reason.
"""

import asyncio
import contextlib
import socket
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from typing import Final

import aiohttp
import structlog
from msgspec import Struct

from services.callstate.switches import kamailio
from services.callstate.switches.kamailio import Switch
from services.callstate.switches.netstrings import Netstrings
from shared.contracts.envelope import Event
from shared.contracts.errors import Poison, Retryable
from shared.runtime.ports import Clock

READ_BYTES: Final = 64 * 1024
CONNECT_S: Final = 5.0
SNAPSHOT_S: Final = 10.0

Publish = Callable[[Sequence[Event]], Awaitable[None]]
"""Returns once the events are durable; raises `Retryable` when that is not known."""

Snapshot = Callable[[], Awaitable[bytes]]
"""The switch's answer to `dlg.list`. Raises OSError, `aiohttp.ClientError` or TimeoutError."""

OpenCalls = Callable[[], Awaitable[Collection[str]]]
"""Ids of this switch's calls that are stored and not yet disconnected."""

log = structlog.get_logger()


class Pace(Struct, frozen=True, kw_only=True):
    """How long to wait, in seconds.

    Attributes:
        retry_min, retry_max: before connecting, publishing or asking again; doubles in between.
        resync: between two questions for the live dialogs.
        settle: for messages that were on their way when the dialogs were listed.
    """

    retry_min: float = 0.1
    retry_max: float = 5.0
    resync: float = 60.0
    settle: float = 0.2


class Backoff:
    """Waits that double up to a bound, until something has worked."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._next_s = pace.retry_min

    def reset(self) -> None:
        """Something has worked."""
        self._next_s = self._pace.retry_min

    def next_s(self) -> float:
        """How long to wait this time."""
        wait_s = self._next_s
        self._next_s = min(2 * wait_s, self._pace.retry_max)
        return wait_s


async def no_calls() -> Collection[str]:
    """`OpenCalls` of a source that remembers nothing but what it has told itself."""
    return ()


class KamailioSource:
    """Follows one Kamailio until cancelled, whatever becomes of it meanwhile.

    Attributes:
        counts: `connected`, `told` (events), `dropped` (messages that can't be understood),
            `resynced`, `resync_failed`, `publish_failed`.
    """

    def __init__(
        self,
        *,
        host: str,
        port: int,
        switch: Switch,
        publish: Publish,
        clock: Clock,
        snapshot: Snapshot | None = None,
        open_calls: OpenCalls = no_calls,
        pace: Pace | None = None,
    ) -> None:
        self._address = host, port
        self._switch = switch
        self._publish = publish
        self._clock = clock
        self._snapshot = snapshot
        self._open_calls = open_calls
        self._pace = pace or Pace()
        self._backoff = Backoff(self._pace)
        self._asking = Backoff(self._pace)
        self._told: dict[str, set[str]] = {}  # by call, the ids of its events
        self._ended: set[str] = set()
        self._log = log.bind(switch=switch.source, tenant=switch.tenant)
        self.counts: Counter[str] = Counter()

    async def run(self) -> None:
        """Connect, follow, connect again.

        Raises:
            Exception: what `publish` or `open_calls` raised that is not `Retryable`.
        """
        while True:
            try:
                await self._follow_once()
                problem = "closed by the switch"
            except (OSError, TimeoutError, Poison) as error:
                problem = str(error) or type(error).__name__
            wait_s = self._backoff.next_s()
            self._log.warning("switch_lost", problem=problem, again_in_s=wait_s)
            await asyncio.sleep(wait_s)

    async def _follow_once(self) -> None:
        async with asyncio.timeout(CONNECT_S):
            reader, writer = await asyncio.open_connection(*self._address)
        try:
            _notice_dead_peers(writer)
            self.counts["connected"] += 1
            self._log.info("switch_connected")
            await self._follow(reader)
        finally:
            writer.close()
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(1):
                    await writer.wait_closed()

    async def _follow(self, reader: asyncio.StreamReader) -> None:
        """Tell what comes, and resynchronise when it is due, until the stream ends."""
        loop = asyncio.get_running_loop()
        netstrings = Netstrings()
        resync_at = loop.time()
        while True:
            if loop.time() >= resync_at:
                resync_at = loop.time() + await self._resync(reader, netstrings)
            chunk = await _read(reader, resync_at)
            if chunk == b"":
                return
            if chunk is not None:
                await self._take(netstrings, chunk)

    async def _take(self, netstrings: Netstrings, chunk: bytes) -> None:
        """Tell, in one batch, what a chunk completes.

        Raises:
            Poison: the stream can't be read any further.
        """
        messages, wrong = netstrings.feed(chunk)
        await self._tell([event for message in messages for event in self._understand(message)])
        if wrong is not None:
            self.counts["dropped"] += 1
            raise wrong
        self._backoff.reset()

    def _understand(self, message: bytes) -> tuple[Event, ...]:
        try:
            return kamailio.translate(message, self._switch)
        except Poison as poison:
            self._drop(poison)
            return ()

    def _drop(self, poison: Poison) -> None:
        self.counts["dropped"] += 1
        self._log.warning("switch_message_dropped", reason=poison.reason, detail=poison.detail)

    async def _resync(self, reader: asyncio.StreamReader, netstrings: Netstrings) -> float:
        """Tell what was missed. Returns after how many seconds to do it again.

        What is believed up is read before the switch is asked: a call that starts in between is
        then in neither list, and nothing ends it.
        """
        ended = frozenset(self._ended)
        try:
            believed = self._told.keys() | await self._open_calls()
            dialogs = await self._live_dialogs()
        except (OSError, TimeoutError, aiohttp.ClientError, Retryable, Poison) as error:
            self.counts["resync_failed"] += 1
            self._log.warning("switch_resync_failed", problem=str(error) or type(error).__name__)
            self._forget(ended)  # a switch may be unable to list its dialogs for days
            return self._asking.next_s()
        if dialogs is not None:
            await self._tell([event for dialog in dialogs for event in self._recover(dialog)])
            await self._settle(reader, netstrings)
            up = {self._switch.call_id(dialog.sip_call_id) for dialog in dialogs}
            await self._end(believed - up)
        self._forget(ended)
        self._asking.reset()
        return self._pace.resync

    async def _live_dialogs(self) -> tuple[kamailio.Dialog, ...] | None:
        """The dialogs that are up; None when there is no way to ask."""
        if self._snapshot is None:
            return None
        async with asyncio.timeout(SNAPSHOT_S):
            return kamailio.live_dialogs(await self._snapshot())

    async def _end(self, missing: Iterable[str]) -> None:
        now_ms = self._clock.now_ms()
        ends = [kamailio.gone(call_id, self._switch, now_ms) for call_id in sorted(missing)]
        await self._tell(ends)
        self.counts["resynced"] += 1
        self._log.info("switch_resynced", ended=len(ends))

    def _recover(self, dialog: kamailio.Dialog) -> tuple[Event, ...]:
        try:
            return kamailio.recover(dialog, self._switch)
        except Poison as poison:
            self._drop(poison)
            return ()

    async def _settle(self, reader: asyncio.StreamReader, netstrings: Netstrings) -> None:
        """Tell what the switch had said before it listed its dialogs, so that it comes first."""
        until = asyncio.get_running_loop().time() + self._pace.settle
        while chunk := await _read(reader, until):
            await self._take(netstrings, chunk)

    async def _tell(self, events: Sequence[Event]) -> None:
        """Publish what was not told before, however long it takes; what comes next waits."""
        news = [event for event in events if event.id not in self._told.get(event.subject, ())]
        if not news:
            return
        retry = Backoff(self._pace)
        while True:
            try:
                await self._publish(news)
                break
            except Retryable as error:
                self.counts["publish_failed"] += 1
                self._log.warning("switch_publish_failed", problem=str(error), events=len(news))
                await asyncio.sleep(retry.next_s())
        self.counts["told"] += len(news)
        for event in news:
            self._told.setdefault(event.subject, set()).add(event.id)
        self._ended.update(event.subject for event in news if kamailio.is_end(event))

    def _forget(self, ended: Iterable[str]) -> None:
        for call_id in ended:
            self._told.pop(call_id, None)
            self._ended.discard(call_id)


async def _read(reader: asyncio.StreamReader, until: float) -> bytes | None:
    """The next bytes, `b""` at the end of the stream, None when there are none until then.

    Only the reading is cut short, never what is done with what was read.
    """
    try:
        async with asyncio.timeout_at(until):
            return await reader.read(READ_BYTES)
    except TimeoutError:
        return None


def _notice_dead_peers(writer: asyncio.StreamWriter) -> None:
    """Have the system probe a silent connection: a host that is gone sends no farewell."""
    sock: socket.socket = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, option):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
