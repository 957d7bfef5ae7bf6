"""The websocket transport: frames of messages both ways, and the connects held beside them."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final

from aiohttp import WSCloseCode, WSMsgType, web

from services.gateway.push.bayeux.messages import read_messages
from services.gateway.push.bayeux.protocol import HELD_S, Bayeux, Held
from services.gateway.push.bayeux.session import Owner
from services.gateway.push.bayeux.sessions import Full, Places
from services.gateway.push.upgrade import upgrade
from services.gateway.route import LISTENED
from shared.contracts.limits import (
    BAYEUX_BODY_BYTES_MAX,
    BAYEUX_SOCKETS_MAX,
    BAYEUX_SOCKETS_PER_CREDENTIAL_MAX,
)
from shared.contracts.values import parse_json

HEARTBEAT_S: Final = 20.0
SILENT_S_MAX: Final = 2 * HELD_S  # a client that lives sends a connect sooner
WRITE_S: Final = 20.0  # a client that takes nothing for so long is gone
CLOSE_S: Final = 1.0

Ask = Callable[[], Owner | None]
"""Whose the socket is, asked anew for each frame; None: the credential was taken away."""


class Sockets:
    """Every open socket of this gateway."""

    def __init__(self, bayeux: Bayeux) -> None:
        self._bayeux = bayeux
        self._places = Places(BAYEUX_SOCKETS_MAX, BAYEUX_SOCKETS_PER_CREDENTIAL_MAX)
        self._open: set[_Conversation] = set()

    async def serve(
        self, request: web.Request, owner: Owner, ask: Ask, url: str
    ) -> web.WebSocketResponse:
        """Speak until either side closes.

        Raises:
            Full: before the upgrade: there is no place.
            HTTPBadRequest: before it, too: it is no websocket that is asked for.
        """
        if self._bayeux.stopping:
            raise Full
        self._places.enter(owner)
        socket = web.WebSocketResponse(
            heartbeat=HEARTBEAT_S,
            max_msg_size=BAYEUX_BODY_BYTES_MAX + 1,  # it takes what is below
            timeout=CLOSE_S,
            compress=False,
        )
        socket[LISTENED] = True
        conversation = _Conversation(socket, self._bayeux, ask, url)
        self._open.add(conversation)
        try:
            await upgrade(socket, request)
            await conversation.run()
        finally:
            self._open.discard(conversation)
            self._places.leave(owner)
        return socket

    async def close(self) -> None:
        """Close all; what is held has been let go by then, and is sent first."""
        await asyncio.gather(*(one.close() for one in tuple(self._open)), return_exceptions=True)


class _Conversation:
    """One socket."""

    def __init__(self, socket: web.WebSocketResponse, bayeux: Bayeux, ask: Ask, url: str) -> None:
        self._socket = socket
        self._bayeux = bayeux
        self._ask = ask
        self._url = url
        self._held: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Answer frame after frame."""
        try:
            while True:
                frame = await self._socket.receive(timeout=SILENT_S_MAX)
                if frame.type is not WSMsgType.TEXT:
                    await self._socket.close(code=WSCloseCode.UNSUPPORTED_DATA)  # or it is closed
                    return
                await self._answer(frame.data)
        except TimeoutError:
            await self._socket.close()
        except _Over as over:
            await self._socket.close(code=over.code)
        finally:
            for task in tuple(self._held):
                task.cancel()
            await asyncio.gather(*self._held, return_exceptions=True)

    async def close(self) -> None:
        """Send what was held, and close."""
        if self._held:
            await asyncio.wait(tuple(self._held), timeout=CLOSE_S)
        await self._socket.close(code=WSCloseCode.GOING_AWAY)

    async def _answer(self, text: str) -> None:
        owner = self._ask()
        if owner is None:
            raise _Over(WSCloseCode.POLICY_VIOLATION)
        try:
            sent = read_messages(parse_json(text.encode("utf-8", "surrogateescape")))
        except ValueError:
            raise _Over(WSCloseCode.INVALID_TEXT) from None
        answer = await self._bayeux.receive(sent, owner, self._url)
        if isinstance(answer, bytes):
            await self._send(answer)
            return
        task = asyncio.create_task(self._release(answer))
        self._held.add(task)
        task.add_done_callback(self._held.discard)

    async def _release(self, held: Held) -> None:
        answer = await self._bayeux.release(held, lambda: self._socket.closed)
        with contextlib.suppress(_Over):  # the one who reads frames finds it closed
            if answer is not None:
                await self._send(answer)

    async def _send(self, answer: bytes) -> None:
        try:
            async with asyncio.timeout(WRITE_S):
                await self._socket.send_frame(answer, WSMsgType.TEXT)
        except (ConnectionError, TimeoutError):
            raise _Over(WSCloseCode.GOING_AWAY) from None


class _Over(Exception):
    """The socket is to be closed."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code
