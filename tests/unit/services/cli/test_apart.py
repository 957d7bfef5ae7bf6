"""The same shift over a log and a store that share no transaction: clean, whatever waits there."""

import pytest

from services.cli.verify.checks import CHECKS
from services.cli.verify.snapshot import History
from shared.runtime.commit import SeparateCommit
from tests.support.clock import FakeClock
from tests.support.memory import MemoryHistoryStore, MemoryLog, MemoryStateStore
from tests.support.memory_letters import MemoryLetterStore
from tests.unit.services.cli.shift import Shift, taken


@pytest.mark.asyncio
async def test_what_waits_in_documents_is_below_the_committed_positions() -> None:
    clock = FakeClock()
    log, store, history = MemoryLog(clock), MemoryStateStore(), MemoryHistoryStore()
    letters = MemoryLetterStore()
    await Shift(clock, log, store, history, letters, SeparateCommit(store)).play()
    snapshot = taken(log, store, history, letters)
    assert any(d.outbox for found in snapshot.documents.values() for d in found)
    for name, check in CHECKS.items():
        assert check(History(snapshot)).violations == [], name
