"""The tables of `dispositions/`: calls that move and what is said of them, through the processor.

Each line: `call`, its agents (with `unspoken`, `overdue`, or a segment), or `ask`, the agent and
the code, or `due`, the agent and the revision whose callback a timer tells of; the rule that
answers; what is told; what is kept (`~` waits, else code, origin, revision; `due`, of whose
callback it was told). Played as they stand, with every record told twice, and with no word of the
call but at the end.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typing_extensions import override

from services.worker.model import DispositionsState
from services.worker.topology import WorkerTopology
from shared.contracts.callbacks import CallbackTimer
from shared.contracts.calls import AgentOnCall, Call, CallDocument, WrapUpMode, WrapUpRules
from shared.contracts.dispositions import AgentDispositions, DispositionRequest, Policy, Verdict
from shared.contracts.envelope import Message
from shared.contracts.topics import GATEWAY_REPLIES, TOLD
from shared.runtime.commit import SeparateCommit
from shared.runtime.ports import Document, Index
from shared.runtime.processor import Processor
from tests.support.clock import FakeClock
from tests.support.memory import MemoryLog, MemoryReplies, MemoryStateStore
from tests.unit.services.worker.field import NOW_MS, a_call, a_request, part
from tests.unit.services.worker.records import REPLY_TO, changed, requested, timed

KEY = "demo:call-1"
RULES = {
    "timeout": WrapUpRules(mode=WrapUpMode.TIMEOUT_CODE, timeout_code="NoCode"),
    "mandatory": WrapUpRules(mode=WrapUpMode.MANDATORY),
}


class Step(msgspec.Struct, frozen=True):
    """One line of a table."""

    kind: str
    what: str
    rule: str
    told: list[str]
    kept: str


class Scenario(msgspec.Struct, frozen=True):
    """One table."""

    title: str
    steps: tuple[Step, ...]

    @property
    def rules(self) -> WrapUpRules:
        return RULES.get(self.title.rpartition("(")[2].rstrip(")"), WrapUpRules())


def read_all() -> list[Scenario]:
    files = sorted((Path(__file__).parent / "dispositions").glob("*.txt"))
    blocks = [block for file in files for block in file.read_text().split("# ")[1:]]
    return [_scenario(block.strip().splitlines()) for block in blocks]


def _scenario(lines: list[str]) -> Scenario:
    rows = [[cell.strip() for cell in line.split("|")] for line in lines[1:]]
    steps = [Step(kind, what, rule, told.split(), kept) for kind, what, rule, told, kept in rows]
    return Scenario(lines[0], tuple(steps))


class TellingLog(MemoryLog):
    """Keeps the order in which messages came, over all topics."""

    def __init__(self) -> None:
        super().__init__(FakeClock(NOW_MS))
        self.came: list[Message] = []

    @override
    def put(self, messages: Sequence[Message]) -> None:
        self.came += messages
        super().put(messages)


class Worker:
    """The worker over a log and a store in memory."""

    def __init__(self) -> None:
        self.log = TellingLog()
        self.store = MemoryStateStore()
        self.replies = MemoryReplies()
        self.versions = 0
        self.asked = 0
        self.processor = Processor(
            WorkerTopology(),
            event_log=self.log,
            store=self.store,
            commit=SeparateCommit(self.store),
            replies=self.replies,
            wait_s=0,
        )
        self.consumer = self.log.consumer("worker", self.processor.topics)

    async def move(self, call: Call) -> Message:
        """What callstate does: store first, tell then."""
        self.versions += 1
        document = Document(
            collection="calls",
            key=KEY,
            revision=self.versions,
            state=msgspec.json.encode(CallDocument(call)),
            watermarks={},
            sequences={},
            index=Index(created_ms=NOW_MS),
        )
        await self.store.save([document])
        return changed(call, id=f"change-{call.version}")

    async def hear(self, *messages: Message) -> list[str]:
        """Process what comes in; the types of what is told of it."""
        await self.log.append(messages)
        before = len(self.log.came)
        await self.processor.turn(self.consumer)
        return [_header(message, "ce_type") for message in self.log.came[before:]]

    def rule(self) -> str:
        """The rule of the newest verdict."""
        return msgspec.json.decode(self.replies.sent[-1].body, type=Verdict).rule

    async def kept(self) -> str:
        found = await self.store.load("dispositions", [KEY])
        if not found:
            return ""
        state = msgspec.json.decode(found[KEY].state, type=DispositionsState)
        return ", ".join(_shown(agent) for agent in state.agents)

    def check_sequences(self) -> None:
        """Per topic 1, 2, 3 ..., without a gap."""
        for topic in set(TOLD) - {GATEWAY_REPLIES, "calls.changed"}:
            told = [m for m in self.log.came if m.topic == topic]
            numbers = [int(_header(message, "ce_sequence")) for message in told]
            assert numbers == list(range(1, len(told) + 1))


def _header(message: Message, name: str) -> str:
    return dict(message.headers)[name].decode()


def _shown(agent: AgentDispositions) -> str:
    words = [agent.agent_id]
    if agent.disposition is not None:
        kept = agent.disposition
        words += [kept.code, kept.origin, str(kept.revision)]
    words += ["missed"] if agent.missed else []
    words += [f"due {agent.called_back}"] if agent.called_back else []
    words += [f"~{agent.queued.code}"] if agent.queued is not None else []
    return " ".join(words)


def _part(text: str) -> AgentOnCall:
    agent_id, phase, *more = text.split()
    segment = next((int(word) for word in more if word.isdigit()), 1)
    if phase == "ringing" or "unspoken" in more:
        return part(agent_id, phase, segment=0, handled=False)
    return part(agent_id, phase, segment=segment, overdue="overdue" in more)


_CALLBACKS = {"callback": NOW_MS, "callback_later": NOW_MS + 1}


def _call(step: Step, version: int, rules: WrapUpRules) -> Call:
    parts = [_part(text) for text in step.what.split(", ")]
    return a_call(*parts, version=version, wrap_up=rules)


def _request(step: Step, number: int) -> DispositionRequest:
    agent_id, code, *more = step.what.split()
    policy = Policy(
        correct="never_correct" not in more,
        late="never_late" not in more,
        tell_in_wrap_up="tell" in more,
    )
    fields: dict[str, Any] = {
        "callback_ms": _CALLBACKS.get(more[0]) if more else None,
        "pause_after": "pause" in more,
        "release_after": "release" in more,
    }
    return a_request(code, agent_id, number=number, policy=policy, **fields)


def _timer(step: Step) -> Message:
    agent_id, revision, *more = step.what.split()
    deadline_ms = _CALLBACKS[more[0] if more else "callback"]
    timer = CallbackTimer(deadline_ms=deadline_ms, revision=int(revision), agent_id=agent_id)
    return timed(timer)


async def take(worker: Worker, step: Step, rules: WrapUpRules) -> Message:
    """The record that the step comes to."""
    if step.kind == "call":
        return await worker.move(_call(step, worker.versions + 1, rules))
    if step.kind == "due":
        return _timer(step)
    worker.asked += 1
    request = _request(step, worker.asked)
    return requested(request, id=request.request_id, reply_to=REPLY_TO)


scenarios = pytest.mark.parametrize("scenario", read_all(), ids=lambda s: s.title)


@pytest.mark.asyncio
@scenarios
async def test_each_step_leads_to_its_outcome(scenario: Scenario) -> None:
    worker = Worker()
    for step in scenario.steps:
        record = await take(worker, step, scenario.rules)
        assert await worker.hear(record) == step.told, step
        assert await worker.kept() == step.kept, step
        if step.kind == "ask":
            assert worker.rule() == step.rule, step
    worker.check_sequences()


@pytest.mark.asyncio
@scenarios
async def test_a_step_told_again_changes_nothing(scenario: Scenario) -> None:
    worker = Worker()
    told: list[Message] = []
    for step in scenario.steps:
        record = await take(worker, step, scenario.rules)
        told.append(record)
        assert await worker.hear(record, record) == step.told, step
        assert await worker.hear(*told) == [], step
        assert await worker.kept() == step.kept, step
    worker.check_sequences()


@pytest.mark.asyncio
@scenarios
async def test_without_a_word_of_the_call_requests_come_to_the_same(scenario: Scenario) -> None:
    worker = Worker()
    unheard: list[Message] = []
    for step in scenario.steps:
        record = await take(worker, step, scenario.rules)
        if step.kind == "call":
            unheard.append(record)
            continue
        await worker.hear(record)
        if step.kind == "ask":
            assert worker.rule() == step.rule, step
        assert await worker.kept() == step.kept, step
    await worker.hear(*reversed(unheard))

    assert await worker.kept() == scenario.steps[-1].kept
    worker.check_sequences()
