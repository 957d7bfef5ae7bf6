"""Stages stop last first, each bounded; a failing part stops the whole."""

import asyncio

import pytest

from shared.runtime.lifecycle import Part, run_stages

pytestmark = pytest.mark.asyncio


def noting(name: str, notes: list[str], also: asyncio.Event | None = None) -> Part:
    async def part(stopping: asyncio.Event) -> None:
        await stopping.wait()
        notes.append(name)
        if also is not None:
            also.set()

    return part


async def test_what_takes_work_in_stops_before_what_does_the_work() -> None:
    notes: list[str] = []
    stopping = asyncio.Event()
    running = asyncio.ensure_future(
        run_stages([{"processor": noting("p", notes)}, {"gateway": noting("g", notes)}], stopping)
    )
    await asyncio.sleep(0)
    stopping.set()
    await running
    assert notes == ["g", "p"]


async def test_a_failing_part_stops_the_others_and_is_told() -> None:
    notes: list[str] = []

    async def failing(_: asyncio.Event) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await run_stages([{"good": noting("good", notes), "bad": failing}], asyncio.Event())
    assert notes == ["good"]


async def test_a_part_that_ends_by_itself_ends_the_process() -> None:
    notes: list[str] = []

    async def short(_: asyncio.Event) -> None:
        notes.append("short")

    await run_stages([{"long": noting("long", notes)}, {"short": short}], asyncio.Event())
    assert notes == ["short", "long"]


async def test_a_part_that_will_not_stop_is_cut_short() -> None:
    async def stubborn(_: asyncio.Event) -> None:
        await asyncio.Event().wait()

    stopping = asyncio.Event()
    stopping.set()
    await asyncio.wait_for(run_stages([{"stubborn": stubborn}], stopping, drain_s=0.01), 1)
