"""Appends of one turn of the loop are one write; what one caller breaks is that caller's alone."""

import asyncio
from collections.abc import Sequence

import pytest

from shared.adapters.embedded.gathering import Gathering
from shared.contracts.envelope import Message
from shared.contracts.errors import Unavailable

pytestmark = pytest.mark.asyncio


def message(value: bytes) -> Message:
    return Message("t", "k", (), value)


class Disk:
    """Notes each write; refuses what is `broken`, fails while it is `full`."""

    def __init__(self) -> None:
        self.writes: list[list[bytes]] = []
        self.full = False

    async def write(self, messages: Sequence[Message]) -> None:
        if self.full:
            raise Unavailable("full")
        values = [message.value for message in messages]
        if b"broken" in values:
            raise ValueError("broken")
        self.writes.append(values)


async def append_all(disk: Disk, *values: bytes) -> list[BaseException | None]:
    gathering = Gathering(disk.write)
    appends = (gathering.append([message(value)]) for value in values)
    return await asyncio.gather(*appends, return_exceptions=True)


async def test_who_comes_at_the_same_time_is_written_together_in_order() -> None:
    disk = Disk()
    assert await append_all(disk, b"1", b"2", b"3") == [None, None, None]
    assert disk.writes == [[b"1", b"2", b"3"]]


async def test_who_comes_later_is_not_waited_for() -> None:
    disk = Disk()
    gathering = Gathering(disk.write)
    await gathering.append([message(b"1")])
    await gathering.append([message(b"2"), message(b"3")])
    assert disk.writes == [[b"1"], [b"2", b"3"]]


async def test_a_failing_disk_is_told_to_all() -> None:
    disk = Disk()
    disk.full = True
    told = await append_all(disk, b"1", b"2")
    assert [type(error) for error in told] == [Unavailable, Unavailable]


async def test_what_can_not_be_written_breaks_nobody_else() -> None:
    disk = Disk()
    told = await append_all(disk, b"1", b"broken", b"3")
    assert [type(error) for error in told] == [type(None), ValueError, type(None)]
    assert disk.writes == [[b"1"], [b"3"]]


async def test_a_caller_who_has_gone_changes_nothing() -> None:
    disk = Disk()
    gathering = Gathering(disk.write)
    gone = asyncio.ensure_future(gathering.append([message(b"1")]))
    stays = asyncio.ensure_future(gathering.append([message(b"2")]))
    await asyncio.sleep(0)
    gone.cancel()
    await stays
    assert disk.writes == [[b"1", b"2"]]
