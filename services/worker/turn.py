"""One decision on dispositions in the making, and what each row of the table does to it.

The scratch pad is made, written on and read within one call of `decide`; nobody else sees it.
"""

from collections.abc import Callable
from typing import Final

from msgspec.structs import replace

from services.worker.effects import Effects
from services.worker.model import DispositionsState, Fact, Given, Row, Standing
from shared.contracts import limits
from shared.contracts.callbacks import CALLBACK_SCHEDULED
from shared.contracts.calls import AgentOnCall, Call, Phase, WrapUpMode, WrapUpRules
from shared.contracts.dispositions import (
    USER_EVENT,
    AgentDispositions,
    Disposition,
    Origin,
    Previous,
    Queued,
)
from shared.contracts.telephony import CALL_RELEASED
from shared.kernel import Publish

STANDINGS: Final = {
    Phase.RINGING: Standing.ON_CALL,
    Phase.ACTIVE: Standing.ON_CALL,
    Phase.WRAP_UP: Standing.WRAP_UP,
    Phase.RELEASED: Standing.RELEASED,
}


class Turn:
    """The scratch pad.

    Attributes:
        agents: dispositions by agent, as they will be.
        parts: each agent's part in the call; empty without a call.
    """

    def __init__(self, state: DispositionsState | None, given: Given, call: Call | None) -> None:
        self.before = state or DispositionsState(created_ms=given.now_ms)
        self.given = given
        self.call = call
        self.parts = {} if call is None else {part.agent_id: part for part in call.agents}
        self.agents = {agent.agent_id: agent for agent in self.before.agents}
        self.release_asked = dict(self.before.release_asked)
        self.effects = Effects(given, call)

    @property
    def told(self) -> tuple[Publish, ...]:
        """What is to be published, in order."""
        return tuple(self.effects.published)

    def after(self) -> DispositionsState:
        """The document as decided."""
        return replace(
            self.before,
            decided_ms=self.given.now_ms,
            call_version=self.effects.call_version or self.before.call_version,
            agents=tuple(self.agents.values()),
            release_asked=self.release_asked,
        )

    def kept(self, agent_id: str) -> AgentDispositions:
        """The agent's dispositions, blank before the first."""
        return self.agents.get(agent_id) or AgentDispositions(agent_id=agent_id)

    def stands(self, agent_id: str) -> tuple[Standing, set[Fact]]:
        """Where the agent stands, and what holds of it."""
        if self.call is None:
            return Standing.NO_CALL, set()
        part = self.parts.get(agent_id)
        if part is None:
            return Standing.ABSENT, set()
        return STANDINGS[part.phase], self._facts(self.call.wrap_up, part)

    def _facts(self, rules: WrapUpRules, part: AgentOnCall) -> set[Fact]:
        kept = self.kept(part.agent_id)
        queued = kept.queued
        held: dict[Fact, bool] = {
            "queued": queued is not None,
            "left": not part.on_call or (queued is not None and _came_back(queued, part)),
            "disposed": kept.disposition is not None,
            "owed": part.handled and not kept.missed,
            "timeout_code": rules.mode is WrapUpMode.TIMEOUT_CODE and bool(rules.timeout_code),
            "overdue": part.overdue,
            "release_asked": self.release_asked.get(part.agent_id) == part.segment,
        }
        return {fact for fact, holds in held.items() if holds}

    def end_wrap_up(self, agent_id: str) -> None:
        """Ask for the agent's release, once for each wrap-up, and only while it runs."""
        part = self.parts[agent_id]
        if part.phase is Phase.WRAP_UP and self.release_asked.get(agent_id) != part.segment:
            self.release_asked[agent_id] = part.segment
            self.effects.end_wrap_up(agent_id, part.segment)

    def call_back(self, row: Row, agent_id: str, revision: int) -> None:
        """Tell that the time has come of the callback that this disposition has scheduled."""
        kept = self.kept(agent_id)
        self.agents[agent_id] = replace(kept, called_back=revision)
        self.effects.event(row.told, row, agent_id, kept.disposition)


def _came_back(queued: Queued, part: AgentOnCall) -> bool:
    """Whether the agent has joined anew; from segment 0, ringing, the first joining leads to 1."""
    return part.segment > max(queued.segment, 1)


def _refuse(turn: Turn, row: Row, agent_id: str, choice: Queued) -> None:
    turn.effects.event(row.told, row, agent_id, choice)


def _queue(turn: Turn, row: Row, agent_id: str, choice: Queued) -> Previous | None:
    kept = turn.kept(agent_id)
    previous = None if kept.disposition is None else kept.disposition.as_previous()
    turn.agents[agent_id] = replace(kept, queued=choice)
    turn.effects.event(row.told, row, agent_id, choice, previous)
    user_data = {choice.key: choice.code}
    turn.effects.command("call.attach_data", agent_id, choice.request_id, user_data=user_data)
    return previous


def _save(turn: Turn, row: Row, agent_id: str, choice: Queued) -> Previous | None:
    disposition, previous = _dispose(turn, row, agent_id, choice)
    effects, request_id = turn.effects, disposition.request_id
    effects.event(row.told, row, agent_id, disposition, previous)
    if disposition.callback_ms is not None:
        effects.event(CALLBACK_SCHEDULED, row, agent_id, disposition)
    if choice.tell_in_wrap_up and row.given == "request":
        effects.user_event(row, agent_id, disposition, previous)
    if choice.pause_after:
        effects.command("agent.pause", agent_id, request_id, reason=choice.pause_reason)
    if choice.release_after:
        effects.command("agent.release", agent_id, request_id)
        turn.end_wrap_up(agent_id)
    effects.status(agent_id, disposition)
    return previous


def _tell_late(turn: Turn, row: Row, agent_id: str, choice: Queued) -> Previous | None:
    disposition, previous = _dispose(turn, row, agent_id, choice)
    turn.effects.user_event(row, agent_id, disposition, previous)
    turn.effects.status(agent_id, disposition)
    return previous


def _miss(turn: Turn, row: Row, agent_id: str, _: Queued) -> None:
    turn.agents[agent_id] = replace(turn.kept(agent_id), missed=True)
    turn.effects.event(row.told, row, agent_id)


def _end_wrap_up(turn: Turn, _: Row, agent_id: str, __: Queued) -> None:
    turn.end_wrap_up(agent_id)


def _dispose(
    turn: Turn, row: Row, agent_id: str, choice: Queued
) -> tuple[Disposition, Previous | None]:
    """Make the choice final; what was final before stays behind it."""
    kept = turn.kept(agent_id)
    former = kept.disposition
    disposition = Disposition(
        code=choice.code,
        key=choice.key,
        origin=Origin(row.origin),
        decided_ms=turn.given.now_ms,
        revision=1 if former is None else former.revision + 1,
        request_id=choice.request_id or None,
        comment=choice.comment,
        callback_ms=choice.callback_ms,
    )
    turn.agents[agent_id] = replace(
        kept, queued=None, disposition=disposition, earlier=_earlier(kept.earlier, former)
    )
    return disposition, None if former is None else former.as_previous()


def _earlier(
    earlier: tuple[Disposition, ...], former: Disposition | None
) -> tuple[Disposition, ...]:
    """The replaced ones, oldest first; of too many the first and the newest are kept."""
    kept = earlier if former is None else (*earlier, former)
    if len(kept) <= limits.CORRECTIONS_KEPT_MAX:
        return kept
    return (kept[0], *kept[1 - limits.CORRECTIONS_KEPT_MAX :])


Action = Callable[[Turn, Row, str, Queued], Previous | None]

ACTIONS: Final[dict[str, Action]] = {
    "disposition.refused": _refuse,
    "disposition.queued": _queue,
    "disposition.saved": _save,
    "disposition.corrected": _save,
    "disposition.missed": _miss,
    USER_EVENT: _tell_late,
    CALL_RELEASED: _end_wrap_up,
}
