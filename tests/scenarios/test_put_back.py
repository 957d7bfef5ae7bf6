"""A letter that goes back is processed as if it came now; one that goes back twice changes nothing.

What comes from outside is taken for dead at first, as by a program that did not know it yet, and
then put back: once, twice at once, or once more when the first has been decided on. What is told
on every topic and what every document holds is the same each time.
"""

import asyncio
from typing import Any, Final

import pytest
from msgspec.structs import replace

from services.cli.verify.checks import CHECKS
from services.cli.verify.snapshot import History
from shared.contracts.envelope import Message, Record
from shared.contracts.errors import Poison
from shared.contracts.topics import TELEPHONY_EVENTS, TOLD
from shared.runtime.commit import SeparateCommit
from shared.runtime.dead_letters import dead_letter, put_back
from shared.runtime.letters import LetterRow
from tests.support.clock import FakeClock
from tests.support.memory import MemoryHistoryStore, MemoryLog, MemoryStateStore
from tests.support.memory_letters import MemoryLetterStore
from tests.unit.services.cli.shift import Shift, Teller, taken

CALL: Final = "demo:one"
AGENT: Final = {"agent_id": "agent-1"}
DAY_MS: Final = 24 * 3600 * 1000
NOT_YET: Final = Poison("unknown_type", "not known yet")


class Desk:
    """Everything in memory; what comes is dead, and put back."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.log = MemoryLog(self.clock)
        self.store = MemoryStateStore()
        self.history = MemoryHistoryStore()
        self.letters = MemoryLetterStore()
        commit = SeparateCommit(self.store)
        self.shift = Shift(self.clock, self.log, self.store, self.history, self.letters, commit)

    async def waiting(self) -> list[LetterRow]:
        """The letters that were not put back, oldest first."""
        page = await self.letters.page(None, put_back=False, limit=1_000)
        return [self.letters.rows[line.place] for line in reversed(page.lines)]

    def outcome(self) -> dict[str, Any]:
        """What was told, per topic and in order, and every document but for how far it has read."""
        told = {
            topic: [(one.key, one.headers, one.value) for one in self.log.all(topic)]
            for topic in TOLD
        }
        documents = {
            name: (document.state, document.sequences, document.index)
            for name, document in self.store.documents.items()
        }
        return told | {"documents": documents}

    def violations(self) -> dict[str, list[str]]:
        history = History(taken(self.log, self.store, self.history, self.letters))
        found = {name: check(history).violations for name, check in CHECKS.items()}
        return {name: said for name, said in found.items() if said}


async def messages() -> list[list[Message]]:
    """What comes, step by step: no request has a key of its client's."""
    log = MemoryLog(FakeClock())
    teller = Teller(FakeClock(), log)
    steps: list[list[Message]] = []

    def step() -> None:
        steps.append([_message(r) for place in log.records for r in log.records[place]])
        log.records.clear()

    await teller.wish("demo", "customer:77", None, data={"name": "Ada"})
    await teller.tell(CALL, "call.started", direction="inbound", customer_id="77", **AGENT)
    await teller.tell(CALL, "call.answered", **AGENT)
    step()
    await teller.ask(CALL, "agent-1", "Sale")
    step()
    await teller.tell(CALL, "call.disconnected", by="caller")
    step()
    await teller.ask(CALL, "agent-1", "Interested")
    step()
    await teller.wish("demo", "customer:77", "Callback", send_messages=True)
    step()
    await teller.tell(CALL, "call.released", **AGENT)
    step()
    await teller.ask(CALL, "agent-1", "Referred")  # late
    await teller.ask(CALL, "nobody", "Sale")  # refused
    step()
    return steps


def _message(record: Record) -> Message:
    return Message(record.topic, record.key, record.headers, record.value)


async def played(*, at_once: int, later: bool) -> Desk:
    """A call, its outcome and its customer, of which everything went through the dead topics.

    Args:
        at_once: how often each step is put back before it is read.
        later: put everything back once more in the end.
    """
    desk = Desk()
    came = Record(TELEPHONY_EVENTS, 0, 900, 0, "", (), b"")  # long ago, and no longer kept
    for step in await messages():
        for message in step:
            came = replace(_as(came, message), offset=came.offset + 1)
            await desk.log.append([dead_letter(came, NOT_YET)])
        await desk.shift.settle()
        letters = await desk.waiting()
        assert len(letters) == len(step)
        for _ in range(at_once):
            await put_back(desk.log, letters)
        await desk.shift.settle()
    if later:
        desk.clock.advance(DAY_MS // 2)
        await put_back(desk.log, list(desk.letters.rows.values()))
        await desk.shift.settle()
    return desk


def _as(record: Record, message: Message) -> Record:
    return replace(
        record,
        topic=message.topic,
        key=message.key,
        headers=message.headers,
        value=message.value,
    )


def test_what_goes_back_is_processed_and_its_letters_say_so() -> None:
    desk = asyncio.run(played(at_once=1, later=False))
    assert all(row.put_back_ms is not None for row in desk.letters.rows.values())
    rules = [dict(r.headers)["ce_type"].decode() for topic in TOLD for r in desk.log.all(topic)]
    assert {
        "disposition.queued",
        "disposition.saved",
        "disposition.corrected",
        "disposition.refused",
        "status.changed",
    } <= set(rules)
    assert desk.violations() == {}


@pytest.mark.parametrize(("at_once", "later"), [(2, False), (1, True), (3, True)])
def test_what_goes_back_twice_changes_nothing(*, at_once: int, later: bool) -> None:
    once = asyncio.run(played(at_once=1, later=False))
    twice = asyncio.run(played(at_once=at_once, later=later))
    assert len(twice.log.all(TELEPHONY_EVENTS)) > len(once.log.all(TELEPHONY_EVENTS))
    assert twice.outcome() == once.outcome()
    assert twice.violations() == {}
