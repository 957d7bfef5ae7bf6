"""One socket: hello, then events one way and requests and answers both ways, until it is closed.

The handler's task waits for two others: one hears what the client says, one tells it the events.
Whichever ends first says why the socket is closed. Each request is a task of its own, so answers
may overtake each other; there are only so many, and a place is free again once the answer has been
taken by the connection. What the client does not read waits in three bounded places: the system's
buffer, the transport's (a write waits once that holds 64 KiB), the queue of its follower.
"""

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any, Final

import orjson
import structlog
from aiohttp import WSMessage, WSMsgType, web

from services.gateway.bodies import checked, strict_json
from services.gateway.desk import Desk
from services.gateway.edge import Observe
from services.gateway.problems import explain
from services.gateway.push.follower import Follower
from services.gateway.push.hub import Hub, NoPlace
from services.gateway.push.listening import (
    WRITE_S,
    asked_position,
    asked_topics,
    follow_for,
    listen,
)
from services.gateway.push.queue import Closing, TooSlow
from services.gateway.sockets import closing
from services.gateway.sockets.asks import Requests, frame, let_in, refusal
from services.gateway.sockets.closing import Close, close_of
from services.gateway.sockets.models import HelloMessage
from services.gateway.toolbar.entering import Asker, shown_of
from services.gateway.verdicts import Busy
from shared.contracts.errors import Refused, Unavailable
from shared.contracts.instants import to_wire
from shared.contracts.limits import SOCKET_ASK_ID_CHARS_MAX, SOCKET_ASKS_MAX, SOCKET_HELLO_S

CLOSE_S: Final = 1.0  # for the client to say that it has heard it
DRAIN_S: Final = 3.0  # for answers under way: a verdict is waited for 2 s by default

log: Final = structlog.get_logger()


class Over(Exception):
    """The socket is to be closed."""

    def __init__(self, close: Close) -> None:
        super().__init__(close.reason)
        self.close: Final = close


class Conversation:
    """See the module. Made for a socket that has been upgraded; `run` once."""

    def __init__(
        self,
        socket: web.WebSocketResponse,
        request: web.Request,
        *,
        desk: Desk,
        hub: Hub,
        observe: Observe,
    ) -> None:
        self._socket = socket
        self._transport = request.transport
        self._shown = shown_of(request)
        self._desk = desk
        self._hub = hub
        self._observe = observe
        self._asks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Speak until either side closes. Raises nothing but when it is cancelled."""
        try:
            await self._close(await self._ended())
            if self._asks:  # nobody hears the answers; they are carried out all the same
                await asyncio.wait(tuple(self._asks))
        finally:
            for task in tuple(self._asks):
                task.cancel()

    async def _ended(self) -> Close:
        """Speak; why it is over."""
        try:
            hello = await self._hello()
            asker = await self._greeted(hello)
            topics, since = asked_topics(hello.topics), asked_position(hello.last_event_id)
            follower = await follow_for(self._hub, asker, topics, since)
            try:
                close = await self._both_ways(follower, asker)
            finally:
                follower.leave()
            if close is not closing.LEFT:
                await self._drain()
        except Over as over:
            return over.close
        except NoPlace:
            return closing.NO_PLACE
        except Unavailable:
            return closing.AWAY
        except Exception as error:
            problem = explain(error)
            if problem.code == "internal":
                log.exception("socket_broke")
            return close_of(problem)
        else:
            return close

    async def _hello(self) -> HelloMessage:
        """The first message.

        Raises:
            Over: it came too late, was not understood, or the gateway stops.
            Refused: it is no `hello`.
        """
        hearing = asyncio.ensure_future(self._hear())
        stopping = asyncio.ensure_future(self._hub.closing())
        try:
            await asyncio.wait(
                (hearing, stopping), timeout=SOCKET_HELLO_S, return_when=asyncio.FIRST_COMPLETED
            )
            if not hearing.done():
                raise Over(closing.STOPPING if stopping.done() else closing.TOO_LATE)
            said = _object(hearing.result())
        finally:
            hearing.cancel()
            stopping.cancel()
            await asyncio.wait((hearing, stopping))
        if said.get("type") != "hello":
            raise Refused("bad_request", "the first message is hello")
        return checked(HelloMessage, said)

    async def _greeted(self, hello: HelloMessage) -> Asker:
        """Whose socket it is; the credential stands in one place."""
        if hello.authorization is not None:
            if self._shown.authorizations:
                raise Refused("bad_request", "the credential stands in the header already")
            self._shown = self._shown._replace(authorizations=(hello.authorization,))
        return await let_in(self._shown, self._desk, "read")

    async def _both_ways(self, follower: Follower, asker: Asker) -> Close:
        now = to_wire(self._desk.clock.now_ms())
        ready = {"type": "ready", "id": follower.position.text(), "time": now}
        await self._send(orjson.dumps(ready))
        requests = Requests(self._shown, asker.found.tenant.id, self._desk, self._observe)
        ways = (
            asyncio.ensure_future(self._take(requests)),
            asyncio.ensure_future(self._tell(follower, asker)),
        )
        try:
            done, _ = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.wait(ways)
        return min(done, key=ways.index).result()

    async def _tell(self, follower: Follower, asker: Asker) -> Close:
        """Events, until it is over with them."""
        try:
            batches = listen(follower, lambda: asker.stands(self._desk))
            async with contextlib.aclosing(batches):
                async for told in batches:
                    standing = {"type": "position", "id": follower.position.text()}
                    await self._send(*[one.message for one in told] or [orjson.dumps(standing)])
        except TooSlow:
            return closing.TOO_SLOW
        except Closing:
            return closing.STOPPING
        except Unavailable:
            return closing.AWAY
        except Over as over:
            return over.close
        return closing.ENDED

    async def _take(self, requests: Requests) -> Close:
        """Message after message, until the client has left or is not understood."""
        try:
            while True:
                message = _object(await self._hear())
                id_ = message.get("id")
                if not (isinstance(id_, str) and 0 < len(id_) <= SOCKET_ASK_ID_CHARS_MAX):
                    return closing.NOT_UNDERSTOOD
                if len(self._asks) >= SOCKET_ASKS_MAX:
                    await self._send(frame(id_, refusal(Busy())))
                    continue
                task = asyncio.create_task(self._answer(requests, id_, message))
                self._asks.add(task)
                task.add_done_callback(self._asks.discard)
        except Over as over:
            return over.close

    async def _answer(self, requests: Requests, id_: str, message: Mapping[str, Any]) -> None:
        answer = await requests.answer(id_, message)
        with contextlib.suppress(Over):  # who waits for the client finds it, too
            await self._send(answer)

    async def _drain(self) -> None:
        """Let requests under way be answered."""
        if self._asks:
            await asyncio.wait(tuple(self._asks), timeout=DRAIN_S)

    async def _hear(self) -> str:
        """The next text.

        Raises:
            Over: there is none any more, or it is another frame.
        """
        heard: WSMessage = await self._socket.receive()
        if heard.type is WSMsgType.TEXT:
            return str(heard.data)
        raise Over(closing.BINARY if heard.type is WSMsgType.BINARY else closing.LEFT)

    async def _send(self, *frames: bytes) -> None:
        """Write, no faster than the client reads.

        Raises:
            Over: the client has left, or takes nothing.
        """
        try:
            async with asyncio.timeout(WRITE_S):
                for one in frames:
                    await self._socket.send_frame(one, WSMsgType.TEXT)
        except ConnectionError:
            raise Over(closing.LEFT) from None
        except TimeoutError:
            self._abort()  # so that whoever else waits for this client finds it gone
            raise Over(closing.TOO_SLOW) from None

    def _abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    async def _close(self, close: Close) -> None:
        """Say why, as long as the client may still hear it."""
        try:
            async with asyncio.timeout(2 * CLOSE_S):
                await self._socket.close(code=close.code, message=close.message)
        except (ConnectionError, TimeoutError):
            pass
        finally:
            if self._transport is not None and self._transport.get_write_buffer_size() > 0:
                self._abort()  # who reads nothing would keep it for ever


def _object(text: str) -> dict[str, Any]:
    try:
        value = strict_json(text.encode("utf-8", "surrogateescape"))
    except Refused:
        raise Over(closing.NOT_UNDERSTOOD) from None
    if not isinstance(value, dict):
        raise Over(closing.NOT_UNDERSTOOD)
    return value
