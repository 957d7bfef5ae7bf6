"""The same shift over a log and a store that share no transaction: clean, whatever waits there."""

from collections import defaultdict

import pytest

from services.cli.verify.checks import CHECKS
from services.cli.verify.snapshot import History, Snapshot
from shared.contracts.envelope import Record
from shared.runtime.commit import SeparateCommit
from shared.runtime.ports import Document, TopicPartition
from tests.support.clock import FakeClock
from tests.support.memory import MemoryHistoryStore, MemoryLog, MemoryStateStore
from tests.unit.services.cli.shift import Shift


def _taken(log: MemoryLog, store: MemoryStateStore, history: MemoryHistoryStore) -> Snapshot:
    records: dict[str, tuple[Record, ...]] = {}
    for place in sorted(log.records):
        records[place.topic] = (*records.get(place.topic, ()), *log.records[place])
    positions: dict[str, dict[TopicPartition, int]] = defaultdict(dict)
    for (group, place), position in log.committed.items():
        positions[group][place] = position
    documents: dict[str, tuple[Document, ...]] = {}
    for (collection, _), document in store.documents.items():
        documents[collection] = (*documents.get(collection, ()), document)
    return Snapshot(
        taken_ms=log.clock.now_ms(),
        records=records,
        ends={place: len(found) for place, found in log.records.items()},
        positions=positions,
        documents=documents,
        entries=tuple(history.rows.values()),
        outcomes=tuple(history.newest.values()),
    )


@pytest.mark.asyncio
async def test_what_waits_in_documents_is_below_the_committed_positions() -> None:
    clock = FakeClock()
    log, store, history = MemoryLog(clock), MemoryStateStore(), MemoryHistoryStore()
    await Shift(clock, log, store, history, SeparateCommit(store)).play()
    snapshot = _taken(log, store, history)
    assert any(d.outbox for found in snapshot.documents.values() for d in found)
    for name, check in CHECKS.items():
        assert check(History(snapshot)).violations == [], name
