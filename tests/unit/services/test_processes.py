"""How a process ends, and what its exit code says to whoever may start it again."""

import asyncio
from pathlib import Path

import pytest

from services import processes
from services.processes import CANNOT_START, FAILED, run
from services.settings import Settings
from shared.contracts.errors import Bug
from shared.runtime.lifecycle import Part


@pytest.fixture(autouse=True)
def _nothing_for_good(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a process sets for its whole life is no business of the tests after."""
    monkeypatch.setattr(processes, "configure_logging", lambda _: None)
    monkeypatch.setattr(processes, "calm_collector", lambda: None)
    # Beside the threads of a test runner, its loop once waited for ever to be closed.
    monkeypatch.setattr("uvloop.run", asyncio.run)


def end_with(error: Exception, folder: Path) -> int:
    """The exit code where a part ends so, once all has started."""

    async def part(_: asyncio.Event) -> None:
        raise error

    parts: dict[str, Part] = {"part": part}
    settings = Settings(data_dir=folder, port=0, demo_traffic=False)
    return run(settings, ["gateway"], also=lambda *_: parts)


@pytest.mark.parametrize("error", [Bug("ours"), OSError("disk"), TimeoutError()], ids=repr)
def test_a_part_that_fails_is_no_start_that_was_refused(error: Exception, tmp_path: Path) -> None:
    """Whoever is told of the latter does not start it again."""
    assert end_with(error, tmp_path) == FAILED


def test_a_start_that_is_refused_says_so(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, port=0, host="192.0.2.1", allow_demo=True)
    assert run(settings, ["gateway"]) == CANNOT_START
