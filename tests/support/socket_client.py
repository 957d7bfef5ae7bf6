"""A client of `GET /v1/socket`: says hello, asks, and takes what comes by what it is."""

import asyncio
import json
from collections import deque
from typing import Any, Final

from aiohttp import ClientWebSocketResponse, WSMsgType

from tests.support.topics_documented import faults

WITHIN_S: Final = 10.0


class Closed(Exception):
    """The gateway has closed the socket, with this code and reason."""

    def __init__(self, code: int | None, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason


class SocketClient:
    """Over a socket that is open. Messages that nobody has asked for yet are kept, in order."""

    def __init__(self, socket: ClientWebSocketResponse) -> None:
        self.socket = socket
        self.kept: deque[dict[str, Any]] = deque()

    async def hello(self, authorization: str | None = None, **more: Any) -> dict[str, Any]:
        """Say hello; what `ready` says."""
        if authorization is not None:
            more["authorization"] = authorization
        await self.socket.send_json({"type": "hello", **more})
        return await self.take("ready")

    async def event(self) -> dict[str, Any]:
        """The next event."""
        return await self.take("event")

    async def answer(self, id_: str) -> dict[str, Any]:
        """The answer to the request of this id."""
        return await self.take("answer", id_)

    async def dispose(self, id_: str, call: str, key: str | None = None, **said: Any) -> None:
        """Ask for a disposition."""
        asked: dict[str, Any] = {"type": "dispose", "id": id_, "call_id": call, "disposition": said}
        await self.socket.send_json(asked if key is None else asked | {"idempotency_key": key})

    async def take(self, kind: str, id_: str | None = None) -> dict[str, Any]:
        """The first message of this kind, of this id if one is named.

        Raises:
            Closed: there is none, and never will be.
        """
        for message in self.kept:
            if _fits(message, kind, id_):
                self.kept.remove(message)
                return message
        async with asyncio.timeout(WITHIN_S):
            while not _fits(message := await self.next(), kind, id_):
                self.kept.append(message)
        return message

    async def next(self) -> dict[str, Any]:
        """The next message, whatever it is.

        Raises:
            Closed: there is none.
        """
        frame = await self.socket.receive()
        if frame.type is not WSMsgType.TEXT:
            said = frame.data if frame.type is WSMsgType.CLOSE else self.socket.close_code
            raise Closed(said, str(frame.extra or ""))
        message: dict[str, Any] = json.loads(frame.data)
        wrong = faults(f"socket.{message['type']}", None, {}, message)
        assert not wrong, (message, wrong)  # as /asyncapi.json has it
        return message

    async def closed(self) -> Closed:
        """How it was closed, once all that came before was read."""
        async with asyncio.timeout(WITHIN_S):
            while True:
                try:
                    self.kept.append(await self.next())
                except Closed as closed:
                    return closed


def _fits(message: dict[str, Any], kind: str, id_: str | None) -> bool:
    return message["type"] == kind and id_ in (None, message.get("id"))
