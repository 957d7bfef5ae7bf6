"""Checks of calls: the store against the log, phases, timers, dead letters."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from services.callstate.model import COLLECTION, CallState
from services.callstate.topology import CallstateTopology
from services.cli.verify.fold import Fold, Item, Step, refold, routes
from services.cli.verify.result import Result
from services.cli.verify.snapshot import History, message_of, place
from shared.contracts.calls import AgentChanged, Call, CallChanged, Phase
from shared.contracts.envelope import Record, from_record
from shared.contracts.errors import Poison
from shared.contracts.instants import from_wire
from shared.contracts.telephony import TIMER_DUE, TimerDue, decode_data
from shared.contracts.tenants import Tenant
from shared.contracts.topics import CALLS_CHANGED, TELEPHONY_EVENTS
from shared.runtime.ports import Document
from shared.runtime.tenants import Found
from shared.runtime.topology import Routed

FORWARD: Final = {phase: rank for rank, phase in enumerate(Phase)}
BEGIN_AGAIN: Final = frozenset({"came_back", "late_agent", "reopened"})


class AnyTenant:
    """`TenantDirectory` that knows every tenant, for rules are taken from the stored call."""

    def get(self, tenant_id: str) -> Tenant | None:
        """A tenant of this id."""
        return Tenant(id=tenant_id)

    def stands(self, found: Found) -> bool:
        """Nobody stays here."""
        del found
        return False

    def find(self, kind: str, secret: bytes, name: str | None = None) -> Found | None:
        """Nobody logs in here."""
        del kind, secret, name
        return None

    def all(self) -> tuple[Tenant, ...]:
        """None that could be listed."""
        return ()


TOPOLOGY: Final = CallstateTopology(AnyTenant())


def calls_refold(history: History) -> Result:
    """A stored call is what the rules make of its events, byte for byte, and so is what was told.

    Events are decided once more from the first on, each at the time the log took it.
    """
    result = Result(of="calls")
    found = routes(history, TOPOLOGY, TELEPHONY_EVENTS)
    for record, poison in found.poison:
        if not history.put_aside(record):
            result.wrong(f"{place(record)} is {poison.reason}, and no dead letter")
    told = {key: [t.record for t, _ in changes] for key, changes in history.changes.items()}
    documents = {d.key: d for d in history.snapshot.documents.get(COLLECTION, ())}
    behind = pruned = 0
    for key in documents.keys() | found.by_key.keys():
        items = found.by_key.get(key, [])
        document = documents.get(key)
        if document is not None and not history.whole(document, TELEPHONY_EVENTS, CALLS_CHANGED):
            pruned += 1
        elif document is not None and history.ahead(TOPOLOGY.group, document):
            behind += 1
        else:
            result.counted += 1
            _compare(key, items, document, told.get(key, []), result)
    result.note(pruned, "skipped: some of their events are no longer kept")
    result.note(behind, "skipped: stored, and not yet committed")
    return result


def _compare(
    key: str,
    items: list[Item],
    document: Document | None,
    told: list[Record],
    result: Result,
) -> None:
    if not items:
        result.wrong(f"call {key} is stored, and the log has no event of it")
        return
    try:
        fold, steps = refold(Fold(TOPOLOGY, COLLECTION), items, with_rules_of(document))
    except Exception as error:  # noqa: BLE001 - whatever the rules raise is the finding
        result.wrong(f"call {key} can't be decided again: {error!r}")
        return
    if fold.body is None or document is None:
        if (fold.body is None) != (document is None):
            result.wrong(f"call {key} is {'not ' if document is None else ''}stored, wrongly")
        return
    if fold.body != document.state:
        result.wrong(f"call {key} is stored otherwise than its events say")
    if fold.watermarks != document.watermarks:
        last = fold.watermarks.get(TELEPHONY_EVENTS, -1)
        result.wrong(f"call {key} was last changed by offset {last}, not as stored")
    for sentence in beside_the_state(f"call {key}", fold, document, fold.applied):
        result.wrong(sentence)
    _compare_told(key, steps, told, result)


def beside_the_state(name: str, fold: Fold, document: Document, applied: int) -> Iterator[str]:
    """Judge the numbers that it gave, its writes (of `applied` records at most), and its index."""
    if fold.sequences != document.sequences:
        yield f"{name} has numbered its effects otherwise than the rules do"
    if not 1 <= document.revision <= applied:
        yield f"{name} was written {document.revision} times, {applied} records changed it"
    tags = set(document.index.tags) ^ set(fold.index.tags)
    if tags or replace(fold.index, tags=()) != replace(document.index, tags=()):
        yield f"{name} can't be found by what it is"


def _compare_told(key: str, steps: list[Step], told: list[Record], result: Result) -> None:
    expected = [m for step in steps for m in step.messages if m.topic == CALLS_CHANGED]
    if len(told) != len(expected):
        result.wrong(f"call {key} changed {len(expected)} times, and {len(told)} were told")
    for message, record in zip(expected, told, strict=False):
        if message != message_of(record):
            result.wrong(f"{place(record)} tells otherwise than the events of {key} say")


def calls_by_version(document: Document | None, items: list[Item]) -> dict[int, Call | None]:
    """A call as it was after each of its changes; None before the first."""
    _, steps = refold(Fold(TOPOLOGY, COLLECTION), items, with_rules_of(document))
    return {0: None} | {step.state.call.version: step.state.call for step in steps}


def with_rules_of(document: Document | None) -> Any:
    """Gives a call the rules that it began with; they may have changed in the tenants file."""
    if document is None:
        return lambda routed: routed.input
    state = msgspec.json.decode(document.state, type=CallState)

    def adapt(routed: Routed) -> Any:
        return replace(routed.input, wrap_up=state.call.wrap_up, silence_s=state.silence_s)

    return adapt


def call_versions(history: History) -> Result:
    """A call's version counts its changes, each told once: version equals sequence."""
    result = Result(of="changes")
    newest: dict[str, int] = {}
    for key, changes in history.changes.items():
        for told, data in changes:
            result.counted += 1
            newest[key] = data.version
            if data.version != told.event.sequence:
                result.wrong(f"{place(told.record)} is version {data.version}, not its sequence")
    for document in history.snapshot.documents.get(COLLECTION, ()):
        version = msgspec.json.decode(document.state, type=CallState).call.version
        told_version = newest.get(document.key, version)
        if version != told_version and not history.ahead(TOPOLOGY.group, document):
            result.wrong(f"call {document.key} has version {version}, {told_version} told")
    return result


def phases(history: History) -> Result:
    """A call's phase moves forward, and so does each agent's, until the agent begins again."""
    result = Result(of="changes")
    for key, changes in history.changes.items():
        agents: dict[str, Phase] = {}
        call: Phase | None = None
        for told, data in changes:
            result.counted += 1
            back = call is not None and FORWARD[data.phase] < FORWARD[call]
            if back and data.change.rule != "reopened":
                result.wrong(f"{place(told.record)}: {key} goes back to {data.phase}")
            call = data.phase
            for agent in data.agents:
                before = agents.get(agent.agent_id)
                if before is not None and _back(before, agent, data):
                    result.wrong(
                        f"{place(told.record)}: {agent.agent_id} goes back from {before} to "
                        f"{agent.phase} in {key}"
                    )
                agents[agent.agent_id] = agent.phase
    return result


def _back(before: Phase, agent: AgentChanged, data: CallChanged) -> bool:
    """Whether the agent's phase has gone back without the agent joining again."""
    if FORWARD[agent.phase] >= FORWARD[before]:
        return False
    return data.change.rule not in BEGIN_AGAIN or data.change.agent_id != agent.agent_id


def timers(history: History) -> Result:
    """A deadline is met once, and not before its time."""
    result = Result(of="deadlines met")
    due = _timer_records(history)
    met: Counter[tuple[str, str | None, str, int]] = Counter()
    gone = 0
    for key, changes in history.changes.items():
        for told, data in changes:
            if data.change.kind != "timer":
                continue
            if (key, data.change.event_id) not in due:
                gone += 1
                continue
            timer = due[key, data.change.event_id]
            result.counted += 1
            met[key, timer.agent_id, timer.timer, timer.deadline_ms] += 1
            if from_wire(data.change.at) < timer.deadline_ms:
                result.wrong(f"{place(told.record)} meets a deadline before its time")
    for (key, agent_id, timer_name, deadline_ms), count in met.items():
        if count > 1:
            result.wrong(
                f"{timer_name} of {agent_id or key} at {deadline_ms} was met {count} times"
            )
    result.note(gone, "skipped: their timer records are no longer kept")
    return result


def _timer_records(history: History) -> dict[tuple[str, str], TimerDue]:
    found: dict[tuple[str, str], TimerDue] = {}
    for record in history.snapshot.records.get(TELEPHONY_EVENTS, ()):
        try:
            event = from_record(record)
            data = decode_data(event.type, event.data) if event.type == TIMER_DUE else None
        except Poison:
            continue
        if isinstance(data, TimerDue):
            found[record.key, event.id] = data
    return found


def started(changes: list[tuple[Any, CallChanged]]) -> dict[str, int]:
    """How many wrap-ups each agent of a call has begun."""
    begun: dict[str, int] = defaultdict(int)
    before: dict[str, Phase] = {}
    for _, data in changes:
        for agent in data.agents:
            if agent.phase is Phase.WRAP_UP and before.get(agent.agent_id) is not Phase.WRAP_UP:
                begun[agent.agent_id] += 1
            before[agent.agent_id] = agent.phase
    return begun
