"""A client of `/v1/stream` who takes up where it was cut off, and must miss nothing."""

import asyncio
import json
from collections import defaultdict
from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import Final

import aiohttp

from tests.support.product import AGENT

SILENT_S: Final = 20.0  # the stream says at least every 15 s that it is there
AGAIN_S: Final = 0.1
FRAME_BYTES_MAX: Final = 1024 * 1024


class Listener:
    """Follows all told topics.

    Attributes:
        heard: per topic and key the numbers, each when it first came.
        cut_off: how often it had to take up again.
    """

    def __init__(self, urls: Sequence[str]) -> None:
        self.heard: dict[str, list[int]] = defaultdict(list)
        self.cut_off = 0
        self.position: str | None = None
        self._urls = urls

    async def listen(self) -> None:
        """Until cancelled."""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=SILENT_S)
        async with aiohttp.ClientSession(timeout=timeout, read_bufsize=FRAME_BYTES_MAX) as http:
            while True:
                with suppress(aiohttp.ClientError, TimeoutError):
                    await self._follow(http)
                self.cut_off += 1
                await asyncio.sleep(AGAIN_S)

    async def following(self) -> None:
        """Wait until it has been told where it stands: from there on it misses nothing."""
        while self.position is None:
            await asyncio.sleep(AGAIN_S)

    async def hears(self, names: Collection[tuple[str, int]]) -> None:
        """Wait until it has heard all of these."""
        while not {(key, number) for key, heard in self.heard.items() for number in heard} >= set(
            names
        ):
            await asyncio.sleep(AGAIN_S)

    async def _follow(self, http: aiohttp.ClientSession) -> None:
        headers = dict(AGENT) if self.position is None else AGENT | {"Last-Event-ID": self.position}
        async with http.get(f"{self._urls[0]}/v1/stream", headers=headers) as answer:
            assert answer.status in {200, 503}, f"{answer.status} {await answer.text()}"
            if answer.status != 200:
                return
            frame: dict[str, str] = {}
            async for line in answer.content:
                name, _, value = line.decode().rstrip("\n").partition(":")
                if name:
                    frame[name] = value.strip()
                    continue
                self._take(frame)
                frame = {}

    def _take(self, frame: dict[str, str]) -> None:
        """One frame: an event, or only where it stands."""
        if "data" in frame and "event" in frame:
            told = json.loads(frame["data"])
            if "sequence" in told:
                self._hear(str(told["id"]), int(told["sequence"]))
        if "id" in frame:
            self.position = frame["id"]

    def _hear(self, event_id: str, number: int) -> None:
        """Note it; `{topic}:{key}:{sequence}` is the id of whatever is told."""
        key = event_id.removesuffix(f":{number}")
        heard = self.heard[key]
        if number in heard:
            return
        assert number == len(heard) + 1, f"{key}: {number} came after {len(heard)}"
        heard.append(number)
