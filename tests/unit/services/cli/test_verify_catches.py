"""The checker has no complaint about nights of crashes, and finds each missing safeguard."""

import asyncio

import pytest

from services.cli.verify.checks import CHECKS
from services.cli.verify.snapshot import History
from services.worker.subjects import TABLE
from shared.contracts import limits
from shared.contracts.errors import Bug
from shared.contracts.subjects import StatusTold
from shared.contracts.topics import DISPOSITION_EVENTS
from tests.support.clock import FakeClock
from tests.unit.services.cli.broken_systems import BROKEN
from tests.unit.services.cli.night import Night, System

pytestmark = pytest.mark.slow

SEEDS = range(24)
LEAP_MS = 1_000


@pytest.fixture(autouse=True)
def forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls know their newest two events only, so that one decided twice shows."""
    monkeypatch.setattr(limits, "EVENT_IDS_PER_CALL_MAX", 2)


class Hasty(FakeClock):
    """Stands still while people act, and only leaps."""

    def advance(self, by_ms: int) -> int:
        return super().advance(by_ms if by_ms >= LEAP_MS else 0)


def found(seed: int, system: System, clock: FakeClock | None = None) -> dict[str, list[str]]:
    """By check what it finds in the morning."""
    history = History(asyncio.run(Night(seed, system, clock).play()))
    results = {name: check(history).violations for name, check in CHECKS.items()}
    return {name: violations for name, violations in results.items() if violations}


@pytest.mark.parametrize("seed", SEEDS)
def test_crashes_and_zombies_break_no_promise(seed: int) -> None:
    assert found(seed, System()) == {}


@pytest.mark.parametrize("seed", SEEDS)
def test_neither_do_records_of_one_time(seed: int) -> None:
    """A broker stamps a whole batch at once; nothing then tells which record came first."""
    assert found(seed, System(), Hasty()) == {}


@pytest.mark.parametrize("broken", BROKEN)
def test_a_missing_safeguard_is_found(broken: str) -> None:
    system, check = BROKEN[broken]
    assert any(check in found_or_stopped(seed, system) for seed in SEEDS)


def found_or_stopped(seed: int, system: System) -> dict[str, list[str]]:
    """Nothing, where a broken service has noticed by itself, and has stopped."""
    try:
        return found(seed, system)
    except Bug:
        return {}


def test_the_night_has_something_of_everything() -> None:
    nights = [History(asyncio.run(Night(seed, System()).play())) for seed in range(4)]
    notes = [note for night in nights for check in CHECKS.values() for note in check(night).notes]
    assert any("repeated after a crash" in note for note in notes), notes
    assert any("put elsewhere by a stranger, and moved" in note for note in notes), notes
    told = [one.data for night in nights for one in night.told[DISPOSITION_EVENTS]]
    rules = {data.rule for data in told if isinstance(data, StatusTold)}
    assert rules >= {row.rule for row in TABLE if row.given != "name" and row.told}, rules
