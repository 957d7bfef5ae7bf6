"""Stages stop last first, each bounded; a failing part stops the whole."""

import asyncio

import pytest
import structlog

from shared.contracts.errors import Bug
from shared.runtime.lifecycle import Part, Stage, run_stages, until_stopped

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


async def test_a_part_that_ends_by_itself_ends_the_process_as_a_failure() -> None:
    notes: list[str] = []

    async def short(_: asyncio.Event) -> None:
        notes.append("short")

    with pytest.raises(Bug, match="short has ended"):
        await run_stages([{"long": noting("long", notes)}, {"short": short}], asyncio.Event())
    assert notes == ["short", "long"]


async def test_a_failure_is_logged_with_the_part_and_where_it_happened() -> None:
    async def failing(_: asyncio.Event) -> None:
        raise KeyError("x")

    stages: list[Stage] = [{"good": noting("good", []), "bad": failing}]
    with structlog.testing.capture_logs() as lines, pytest.raises(KeyError):
        await run_stages(stages, asyncio.Event())
    (line,) = lines
    assert (line["event"], line["part"]) == ("part_failed", "bad")
    assert isinstance(line["exc_info"], KeyError)


async def test_a_part_that_fails_while_it_stops_is_a_failure_too() -> None:
    async def clumsy(stopping: asyncio.Event) -> None:
        await stopping.wait()
        raise ZeroDivisionError

    stopping = asyncio.Event()
    stopping.set()
    with pytest.raises(ZeroDivisionError):
        await run_stages([{"clumsy": clumsy}], stopping)


async def test_what_runs_until_it_is_cancelled_ends_when_it_is_told_to() -> None:
    notes: list[str] = []

    async def forever() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            notes.append("cancelled")

    stopping = asyncio.Event()
    stopping.set()
    await asyncio.wait_for(run_stages([{"forever": until_stopped(forever)}], stopping), 1)
    assert notes == ["cancelled"]


async def test_what_runs_until_it_is_cancelled_tells_of_its_failure() -> None:
    async def failing() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await run_stages([{"failing": until_stopped(failing)}], asyncio.Event())


async def test_a_part_that_will_not_stop_is_cut_short() -> None:
    async def stubborn(_: asyncio.Event) -> None:
        await asyncio.Event().wait()

    stopping = asyncio.Event()
    stopping.set()
    await asyncio.wait_for(run_stages([{"stubborn": stubborn}], stopping, drain_s=0.01), 1)


class Deaf:
    """A part that does not even end when it is cancelled."""

    def __init__(self) -> None:
        self.released = asyncio.Event()

    async def __call__(self, _: asyncio.Event) -> None:
        while not self.released.is_set():
            try:
                await self.released.wait()
            except asyncio.CancelledError:
                continue


async def test_a_part_that_does_not_even_end_when_it_is_cancelled_is_left_behind() -> None:
    deaf, notes = Deaf(), list[str]()
    stopping = asyncio.Event()
    stopping.set()
    stages: list[Stage] = [{"good": noting("good", notes)}, {"deaf": deaf}]
    with structlog.testing.capture_logs() as lines:
        await asyncio.wait_for(run_stages(stages, stopping, drain_s=0.02), 5)
    deaf.released.set()
    assert notes == ["good"]
    said = [(line["event"], line["part"]) for line in lines]
    assert said == [("drain_cut_short", "deaf"), ("part_left_behind", "deaf")]


async def test_the_time_to_stop_is_of_all_stages_together() -> None:
    deaf = Deaf()
    stopping = asyncio.Event()
    stopping.set()
    loop = asyncio.get_running_loop()
    begun = loop.time()
    await asyncio.wait_for(run_stages([{"deaf": deaf}] * 10, stopping, drain_s=0.5), 20)
    deaf.released.set()
    assert loop.time() - begun < 10 * 0.5 / 2
