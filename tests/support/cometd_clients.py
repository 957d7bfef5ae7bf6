"""The official CometD client in a process of its own (Node.js), and what each client is told."""

import asyncio
import json
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Self

from tests.support.node import node_for

ROOT: Final = Path(__file__).parents[2]
PACKAGES: Final = ROOT / ".cache" / "cometd"
PROGRAM: Final = Path(__file__).parent / "cometd" / "client.mjs"
WAIT_S: Final = 20.0
LINE_BYTES_MAX: Final = 1024 * 1024

Message = dict[str, Any]


def node() -> str:
    """The interpreter, once the client is there as well.

    Raises:
        PartMissing: one of them is not.
    """
    return node_for(PACKAGES, "the CometD client")


class CometdClients:
    """Any number of clients, each under a name.

    Attributes:
        told: by client, the event messages so far.
        meta: the same of handshakes and connects.
    """

    def __init__(self) -> None:
        self.told: defaultdict[str, list[Message]] = defaultdict(list)
        self.meta: defaultdict[str, list[Message]] = defaultdict(list)
        self._answers: dict[int, asyncio.Future[Message]] = {}
        self._stirred = asyncio.Event()
        self._process: asyncio.subprocess.Process
        self._reading: asyncio.Task[None]
        self._commands = 0

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            node(),
            str(PROGRAM),
            str(PACKAGES),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=LINE_BYTES_MAX,
        )
        self._reading = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._process.kill()
        await self._process.wait()
        await self._reading

    async def do(self, command: str, name: str, **given: Any) -> Message:
        """One command of `client.mjs`; its answer."""
        self._commands += 1
        number = self._commands
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        line = json.dumps({"do": command, "number": number, "name": name, **given})
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode() + b"\n")
        async with asyncio.timeout(WAIT_S):
            return dict(await answer)

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait for what must happen within seconds."""
        async with asyncio.timeout(WAIT_S):
            while not holds():
                self._stirred.clear()
                await self._stirred.wait()

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            match json.loads(line):
                case {"answer": int(number), "message": message}:
                    waiting = self._answers.pop(number, None)
                    if waiting is not None and not waiting.done():
                        waiting.set_result(message)
                case {"name": str(name), "told": message}:
                    self.told[name].append(message)
                case {"name": str(name), "message": message}:
                    self.meta[name].append(message)
                case other:
                    raise AssertionError(other)
            self._stirred.set()
