"""The checker has no complaint about nights of crashes, and finds each missing safeguard."""

import asyncio

import pytest

from services.cli.verify.checks import CHECKS
from services.cli.verify.snapshot import History
from shared.contracts import limits
from tests.unit.services.cli.broken_systems import BROKEN
from tests.unit.services.cli.night import Night, System

SEEDS = range(24)


@pytest.fixture(autouse=True)
def forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls know their newest two events only, so that one decided twice shows."""
    monkeypatch.setattr(limits, "EVENT_IDS_PER_CALL_MAX", 2)


def found(seed: int, system: System) -> dict[str, list[str]]:
    """By check what it finds in the morning."""
    history = History(asyncio.run(Night(seed, system).play()))
    results = {name: check(history).violations for name, check in CHECKS.items()}
    return {name: violations for name, violations in results.items() if violations}


@pytest.mark.parametrize("seed", SEEDS)
def test_crashes_and_zombies_break_no_promise(seed: int) -> None:
    assert found(seed, System()) == {}


@pytest.mark.parametrize("broken", BROKEN)
def test_a_missing_safeguard_is_found(broken: str) -> None:
    system, check = BROKEN[broken]
    assert any(check in found(seed, system) for seed in SEEDS)


def test_the_night_has_something_of_everything() -> None:
    history = History(asyncio.run(Night(0, System()).play()))
    notes = [note for check in CHECKS.values() for note in check(history).notes]
    assert any("repeated after a crash" in note for note in notes), notes
    assert any("put elsewhere by a stranger, and moved" in note for note in notes), notes
