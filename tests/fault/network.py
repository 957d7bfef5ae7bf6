"""A network between some of the processes and broker or store, which holds back, loses and cuts.

What was held back on its way there arrives later, also where whoever sent it has given up
and has sent it again over another connection: a write nobody believes in any more, which lands.
"""

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

from typing_extensions import override

from tests.support.parts import KafkaBroker
from tests.support.ports import free_port

_LISTENERS: Final = """
listeners=PLAINTEXT://127.0.0.1:{near},DISTANT://127.0.0.1:{inner},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{near},DISTANT://127.0.0.1:{far}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,DISTANT:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
"""
PIECE_BYTES: Final = 64 * 1024


class DistantBroker(KafkaBroker):
    """A broker that can be reached in two ways: near, and over a `Network`.

    It is started many times, and never under much load: a second compiler would only delay it.

    Attributes:
        far: where a network is to listen; whoever comes this way goes on coming this way.
        inner: where that network leads.
    """

    def __init__(self, data: Path) -> None:
        super().__init__(data)
        self.far, self.inner = free_port(), free_port()
        config = data / "server.properties"
        given = dict(row.split("=", 1) for row in config.read_text().splitlines())
        controller = given["controller.quorum.voters"].rpartition(":")[2]
        added = _LISTENERS.format(
            near=self.port, inner=self.inner, far=self.far, controller=controller
        )
        config.write_text(config.read_text() + added)  # of two values for one name the last counts

    @override
    def command(self) -> list[str]:
        java, *arguments = super().command()
        return [java, "-XX:TieredStopAtLevel=1", *arguments]


class Network:
    """Forwards from `port` to `target`, both of 127.0.0.1."""

    def __init__(self, port: int, target: int) -> None:
        self._port = port
        self._target = target
        self._links: set[_Link] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connect, "127.0.0.1", self._port)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        await self.cut()

    async def cut(self) -> None:
        """Reset every connection there is now."""
        links = tuple(self._links)
        for link in links:
            link.cut()
        await asyncio.gather(*(link.ended.wait() for link in links))

    async def lose_answers(self, seconds: float) -> None:
        """What is asked now is done, and nobody hears of it."""
        links = tuple(self._links)
        for link in links:
            link.answers.clear()
        await asyncio.sleep(seconds)
        for link in links:
            link.cut()

    async def hold_back(self, seconds: float) -> None:
        """What is sent now arrives later; what is sent over a new connection overtakes it."""
        links = tuple(self._links)
        for link in links:
            link.requests.clear()
        await asyncio.sleep(seconds)
        for link in links:
            link.requests.set()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            inner = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:  # the broker is away, and so is this
            writer.transport.abort()
            return
        link = _Link((reader, writer), inner)
        self._links.add(link)
        try:
            await link.run()
        finally:
            self._links.discard(link)


Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class _Link:
    """One connection. `requests` and `answers` are open while they are set."""

    def __init__(self, client: Ends, broker: Ends) -> None:
        self.requests = asyncio.Event()
        self.answers = asyncio.Event()
        self.ended = asyncio.Event()
        self.requests.set()
        self.answers.set()
        self._client = client
        self._broker = broker

    async def run(self) -> None:
        (client_in, client_out), (broker_in, broker_out) = self._client, self._broker
        try:
            await asyncio.gather(
                _pump(client_in, broker_out, self.requests),
                _pump(broker_in, client_out, self.answers),
            )
        finally:
            self.cut()
            self.ended.set()

    def cut(self) -> None:
        self.requests.set()
        self.answers.set()
        for _, writer in (self._client, self._broker):
            writer.transport.abort()


async def _pump(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, is_open: asyncio.Event
) -> None:
    """Pass on until the sender has ended; what it had sent until then arrives."""
    with suppress(OSError):
        while piece := await reader.read(PIECE_BYTES):
            await is_open.wait()
            writer.write(piece)
            await writer.drain()
        await is_open.wait()
        writer.close()
