"""Calls and requests in any order, doubled, late and stale: what holds whatever comes."""

from collections import Counter
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from services.worker.dispositions import decide
from services.worker.model import CallbackTimed, DispositionsState, Given, callbacks
from shared.contracts.callbacks import CallbackTimer
from shared.contracts.calls import Call, Phase, WrapUpRules
from shared.contracts.dispositions import DispositionRequest, Outcome, Policy, Verdict
from shared.kernel import Publish
from tests.unit.services.worker.field import NOW_MS, a_request, asked, data, moved
from tests.unit.services.worker.floor import AGENTS, RULES, first, moves

FINAL = ("disposition.saved", "disposition.corrected", "EventUserEvent")
REQUESTS = st.builds(
    lambda agent_id, code, **more: dict(agent_id=agent_id, code=code, **more),
    agent_id=st.sampled_from((*AGENTS, "nobody")),
    code=st.sampled_from(("Sale", "Callback", "Referred")),
    policy=st.builds(
        Policy, correct=st.booleans(), late=st.booleans(), tell_in_wrap_up=st.booleans()
    ),
    callback_ms=st.sampled_from((None, NOW_MS)),
    pause_after=st.booleans(),
    release_after=st.booleans(),
)


class Floor(RuleBasedStateMachine):
    """One call, the worker's document of it, and all that was published."""

    def __init__(self) -> None:
        super().__init__()
        self.call: Call | None = None
        self.wrap_up = RULES[0]
        self.state: DispositionsState | None = None
        self.now_ms = NOW_MS
        self.asked: list[DispositionRequest] = []
        self.verdicts: dict[str, Verdict] = {}
        self.told: list[Publish] = []

    @initialize(wrap_up=st.sampled_from(RULES))
    def choose(self, wrap_up: WrapUpRules) -> None:
        self.wrap_up = wrap_up

    @rule(choice=st.integers(0, 100))
    def move(self, choice: int) -> None:
        if self.call is None:
            self.call = first(self.wrap_up)
        else:
            following = list(moves(self.call))
            self.call = following[choice % len(following)]

    @rule(choice=st.integers(0, 100))
    def see(self, choice: int) -> None:
        """A trigger of any version so far: late, doubled or stale."""
        version = 0 if self.call is None else 1 + choice % self.call.version
        answer, effects = self.decide(moved(version, self.now_ms))
        assert answer is None
        self.check_quiet()
        del effects

    @rule(fields=REQUESTS)
    def ask(self, fields: dict[str, Any]) -> None:
        request = a_request(number=len(self.asked), **fields)
        self.asked.append(request)
        verdict, effects = self.decide(asked(request, self.now_ms))
        assert verdict is not None
        self.verdicts[request.idempotency_key] = verdict
        refusals = [effect for effect in effects if effect.type == "disposition.refused"]
        assert len(refusals) == (verdict.outcome is Outcome.REFUSED)
        self.check_quiet()

    @rule(choice=st.integers(0, 100))
    def time_comes(self, choice: int) -> None:
        """A timer of any callback so far: once, twice, or when something has taken its place."""
        scheduled = [data(effect) for effect in self.told if effect.type == "callback.scheduled"]
        if scheduled:
            one = scheduled[choice % len(scheduled)]
            timer = CallbackTimer(deadline_ms=NOW_MS, revision=one.revision, agent_id=one.agent_id)
            answer, _ = self.decide(
                CallbackTimed(tenant="demo", call_id="call-1", timer=timer, now_ms=self.now_ms)
            )
            assert answer is None
            assert timer not in callbacks(self.state or DispositionsState(created_ms=0))
            self.check_quiet()

    @rule(choice=st.integers(0, 100))
    def ask_again(self, choice: int) -> None:
        if self.asked:
            request = self.asked[choice % len(self.asked)]
            before = self.state
            verdict, effects = self.decide(asked(request, self.now_ms))
            assert verdict == self.verdicts[request.idempotency_key]
            assert (self.state, effects) == (before, ())

    @rule(choice=st.integers(0, 100))
    def ask_otherwise_under_the_same_key(self, choice: int) -> None:
        if self.asked:
            request = self.asked[choice % len(self.asked)]
            before = self.state
            other = msgspec.structs.replace(request, body_hash="other", code="Other")
            verdict, effects = self.decide(asked(other, self.now_ms))
            assert verdict is not None
            assert verdict.problem == "idempotency_conflict"
            assert (self.state, effects) == (before, ())

    def decide(self, given: Given) -> tuple[Verdict | None, tuple[Publish, ...]]:
        """Decide twice, on the stored form of the state; both must be equal to the byte."""
        self.now_ms += 1
        first_time, second_time = (decide(stored(self.state), given, self.call) for _ in range(2))
        assert msgspec.json.encode(first_time.state) == msgspec.json.encode(second_time.state)
        assert first_time.effects == second_time.effects
        assert first_time.answer == second_time.answer
        for effect in first_time.effects:
            self.check(effect)
            self.told.append(effect)
        self.state = first_time.state
        assert first_time.answer is None or isinstance(first_time.answer, Verdict)
        return first_time.answer, first_time.effects

    def check(self, effect: Publish) -> None:
        """What must hold at the moment of telling."""
        assert self.call is not None or effect.type == "disposition.refused"
        if self.call is None:
            return
        part = self.call.agent(data(effect).agent_id)
        if effect.type == "disposition.missed":
            assert part is not None
            assert part.handled
            assert not self.final_of(part.agent_id)
        if effect.type in ("disposition.saved", "disposition.corrected"):
            assert part is not None
            came_back = part.segment > 1
            assert came_back or part.phase in (Phase.WRAP_UP, Phase.RELEASED)
        if effect.type == "callback.due":
            assert part is not None
            assert self.final_of(part.agent_id)[-1].revision == data(effect).revision
        if effect.type == "call.released":
            assert part is not None
            assert part.phase is Phase.WRAP_UP
            assert self.final_of(part.agent_id)

    def check_quiet(self) -> None:
        """Brought up to the call, there is nothing more to be done."""
        assert decide(self.state, moved(0, self.now_ms), self.call).state is self.state

    def final_of(self, agent_id: str) -> list[Any]:
        """What was told as final of this agent, each revision once."""
        told = [
            data(effect)
            for effect in self.told
            if effect.type in FINAL and data(effect).agent_id == agent_id
        ]
        return list({told.revision: told for told in told}.values())

    @invariant()
    def revisions_are_contiguous_and_the_newest_is_kept(self) -> None:
        for kept in () if self.state is None else self.state.agents:
            told = self.final_of(kept.agent_id)
            assert [one.revision for one in told] == list(range(1, len(told) + 1))
            assert (kept.disposition is not None) == bool(told)
            if kept.disposition is not None:
                newest = told[-1]
                assert (kept.disposition.code, kept.disposition.origin) == (
                    newest.code,
                    newest.origin,
                )
                assert kept.disposition.revision == len(kept.earlier) + 1

    @invariant()
    def every_request_comes_to_one_end(self) -> None:
        ends = Counter(
            one.request_id for agent_id in (*AGENTS, "nobody") for one in self.final_of(agent_id)
        )
        queued = [e.data for e in self.told if e.type == "disposition.queued"]
        for request in self.asked:
            verdict = self.verdicts[request.idempotency_key]
            assert verdict.agent_id == request.agent_id
            saved = ends[request.request_id]
            match verdict.outcome:
                case Outcome.REFUSED:
                    assert saved == 0
                case Outcome.QUEUED:
                    assert saved + self.replaced(request, queued) + self.waits(request) == 1
                case _:
                    assert saved == 1

    def replaced(self, request: DispositionRequest, queued: list[Any]) -> int:
        """Whether the next one that this agent queued took its place."""
        own = [told for told in queued if told.agent_id == request.agent_id]
        place = [told.request_id for told in own].index(request.request_id)
        return int(own[place + 1 : place + 2] != [] and own[place + 1].rule == "queue_replaced")

    def waits(self, request: DispositionRequest) -> int:
        assert self.state is not None
        waiting = [kept.queued.request_id for kept in self.state.agents if kept.queued]
        return waiting.count(request.request_id)

    @invariant()
    def a_callback_is_due_once_for_each_that_was_scheduled(self) -> None:
        scheduled, due = (
            [(data(e).agent_id, data(e).revision) for e in self.told if e.type == type_]
            for type_ in ("callback.scheduled", "callback.due")
        )
        assert len(set(due)) == len(due)
        assert set(due) <= set(scheduled)

    @invariant()
    def a_miss_is_told_once_and_a_wrap_up_is_ended_once(self) -> None:
        missed = Counter(data(e).agent_id for e in self.told if e.type == "disposition.missed")
        assert max(missed.values(), default=0) <= 1
        released = Counter(data(e).agent_id for e in self.told if e.type == "call.released")
        for agent_id, count in released.items():
            assert self.call is not None
            part = self.call.agent(agent_id)
            assert part is not None
            assert count <= part.segment


def stored(state: DispositionsState | None) -> DispositionsState | None:
    """As it comes back from the store."""
    if state is None:
        return None
    return msgspec.json.decode(msgspec.json.encode(state), type=DispositionsState)


Floor.TestCase.settings = settings(deadline=None, max_examples=150, stateful_step_count=40)
TestFloor = Floor.TestCase

STEPS = st.lists(st.integers(0, 100) | REQUESTS, max_size=25)


@settings(deadline=None, max_examples=200)
@given(steps=STEPS, rules=st.sampled_from(RULES))
def test_it_does_not_matter_whether_a_trigger_or_a_request_comes_first(
    steps: list[Any], rules: WrapUpRules
) -> None:
    eager = _play(steps, rules, eager=True, may_return=False)
    lazy = _play(steps, rules, eager=False, may_return=False)

    assert eager == lazy


@settings(deadline=None, max_examples=200)
@given(steps=STEPS, rules=st.sampled_from([rules for rules in RULES if not rules.timeout_code]))
def test_nor_for_what_an_agent_has_chosen_who_comes_back(
    steps: list[Any], rules: WrapUpRules
) -> None:
    eager, _ = _play(steps, rules, eager=True, may_return=True)
    lazy, _ = _play(steps, rules, eager=False, may_return=True)

    assert _chosen(eager) == _chosen(lazy)


def _chosen(ends: dict[str, Any]) -> dict[str, Any]:
    return {agent_id: end[:2] for agent_id, end in ends.items() if end[:2] != (None, None)}


def _play(
    steps: list[Any], rules: WrapUpRules, *, eager: bool, may_return: bool
) -> tuple[dict[str, Any], list[Any]]:
    """What is final in the end, and the verdicts.

    Eager: every change of the call is seen at once. Else: only when a request comes, and at last.
    """
    call = first(rules)
    state: DispositionsState | None = None
    verdicts: list[Any] = []
    for number, step in enumerate(steps):
        if isinstance(step, int):
            following = list(moves(call, may_return=may_return))
            call = following[step % len(following)]
            if eager:
                state = decide(state, moved(call.version), call).state
        else:
            decision = decide(state, asked(a_request(number=number, **step)), call)
            state = decision.state
            verdicts.append(decision.answer)
    state = decide(state, moved(call.version), call).state
    kept = () if state is None else state.agents
    return {agent.agent_id: _end(agent) for agent in kept}, verdicts


def _end(agent: Any) -> tuple[Any, ...]:
    disposition = agent.disposition
    if disposition is None:
        return (None, agent.queued and agent.queued.code, agent.missed)
    return (
        disposition.code,
        agent.queued and agent.queued.code,
        agent.missed,
        disposition.origin,
        disposition.revision,
    )
