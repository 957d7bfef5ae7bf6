"""Anything a switch may ever say, in any order, any number of times: what holds all the same."""

from typing import Any

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from msgspec.structs import replace
from typing_extensions import override

from services.callstate.decider import decide
from services.callstate.model import CallInput, deadlines, due, phase_of
from shared.contracts.calls import Phase, WrapUpRules
from tests.support.calls import ToldCall, at_ms, change_of, outcome_of, rules, timer, told

AGENTS = st.sampled_from(["ann", "bob", "cyd"])
ANYBODY = st.none() | AGENTS
RANK = {phase: rank for rank, phase in enumerate(Phase)}
USER_DATA = st.dictionaries(st.sampled_from("abc"), st.integers(0, 3) | st.text("xyü", max_size=3))
FIELDS: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "call.started": st.fixed_dictionaries(
        {"direction": st.sampled_from(["inbound", "outbound"]), "user_data": USER_DATA},
        optional={"agent_id": AGENTS, "customer_id": st.integers(0, 9)},
    ),
    "call.answered": st.fixed_dictionaries({}, optional={"agent_id": AGENTS}),
    "call.agent_joined": st.fixed_dictionaries({"agent_id": AGENTS}),
    "call.agent_left": st.fixed_dictionaries(
        {"agent_id": AGENTS, "reason": st.sampled_from(["hangup", "transfer", "leave"])}
    ),
    "call.held": st.fixed_dictionaries({}, optional={"agent_id": AGENTS}),
    "call.retrieved": st.fixed_dictionaries({}, optional={"agent_id": AGENTS}),
    "call.data_attached": st.fixed_dictionaries({"user_data": USER_DATA}),
    "call.disconnected": st.fixed_dictionaries({}, optional={"cause": st.just("busy")}),
    "call.wrap_up_extended": st.fixed_dictionaries(
        {"agent_id": AGENTS, "seconds": st.sampled_from([1, 60, 86_400])}
    ),
    "call.released": st.fixed_dictionaries({}, optional={"agent_id": AGENTS}),
}
EVENTS = st.sampled_from(sorted(FIELDS)).flatmap(
    lambda name: st.tuples(st.just(name), FIELDS[name])
)
RULES = st.builds(
    rules,
    st.sampled_from([0, 5, 30, 86_400]),
    st.sampled_from(["optional", "mandatory", "timeout_code"]),
)


class Switch(RuleBasedStateMachine):
    """A switch that says whatever comes to its mind, and our own timers."""

    def __init__(self) -> None:
        super().__init__()
        self.told = ToldCall()
        self.now = 1_000  # seconds
        self.said: list[CallInput] = []
        self.farthest: dict[str, tuple[int, int]] = {}

    def tell(self, given: CallInput) -> str:
        before = self.told.state
        first, second = decide(before, given), decide(before, given)
        assert msgspec.json.encode(first.state) == msgspec.json.encode(second.state)
        assert first.effects == second.effects
        assert outcome_of(first) == outcome_of(second)
        if first.effects:
            assert change_of(first).version == outcome_of(first).version
        return self.told.tell(given).outcome

    @rule(event=EVENTS, late=st.integers(0, 30), wrap_up=RULES)
    def say(self, event: tuple[str, dict[str, Any]], late: int, wrap_up: WrapUpRules) -> None:
        name, fields = event
        given = told(
            name,
            self.now,
            happened=self.now - late,
            event_id=f"e{len(self.said)}",
            wrap_up=wrap_up,
            data=fields,
        )
        self.said.append(given)
        version = self.told.call.version if self.told.state else 0
        assert self.tell(given) in ("applied", "ignored")
        assert self.told.call.version == version + 1

    @precondition(lambda self: self.said)
    @rule(data=st.data())
    def say_again(self, data: st.DataObject) -> None:
        before = self.told.state
        given = data.draw(st.sampled_from(self.said))
        assert self.tell(replace(given, now_ms=at_ms(self.now))) == "duplicate"
        assert self.told.state is before

    @rule(seconds=st.sampled_from([1, 7, 60, 20_000, 90_000]))
    def wait(self, seconds: int) -> None:
        self.now += seconds

    @precondition(lambda self: self.told.state is not None)
    @rule(times=st.integers(1, 2))
    def sweep(self, times: int) -> None:
        assert self.told.state is not None
        found = [timer(d, at_ms(self.now)) for d in due(self.told.state, at_ms(self.now))]
        for given in found:
            outcomes = [self.tell(given) for _ in range(times)]
            assert "applied" not in outcomes[1:]

    @invariant()
    def versions_are_contiguous(self) -> None:
        versions = [change.version for change in self.told.changes]
        assert versions == list(range(1, len(versions) + 1))
        assert (self.told.state is None) == (not versions)

    @invariant()
    def the_call_follows_its_agents(self) -> None:
        if self.told.state is None:
            return
        call = self.told.call
        assert call.phase is phase_of(call)
        assert call.version == len(self.told.changes)
        assert (call.released_ms is not None) == (call.phase is Phase.RELEASED)
        if call.disconnected_ms is not None:
            assert not call.held
            assert not any(agent.on_call for agent in call.agents)

    @invariant()
    def agents_move_forward_within_a_segment(self) -> None:
        if self.told.state is None:
            return
        for agent in self.told.call.agents:
            place = (agent.segment, RANK[agent.phase])
            assert place >= self.farthest.get(agent.agent_id, (0, 0))
            self.farthest[agent.agent_id] = place

    @invariant()
    def a_wrap_up_is_owed_and_ends(self) -> None:
        if self.told.state is None:
            return
        for agent in self.told.call.agents:
            in_wrap_up = agent.phase is Phase.WRAP_UP
            assert (agent.wrap_up_ends_ms is not None) == in_wrap_up
            assert (agent.released_ms is not None) == (agent.phase is Phase.RELEASED)
            assert agent.handled or not in_wrap_up
            assert in_wrap_up or not agent.overdue
            assert agent.on_call or not agent.held
            if agent.wrap_up_ends_ms is not None and agent.wrap_up_began_ms is not None:
                assert agent.wrap_up_ends_ms <= agent.wrap_up_began_ms + 86_400_000

    @override
    def teardown(self) -> None:
        """Whatever was said: with nothing more from the switch, the call ends by its timers."""
        if self.told.state is None:
            return
        for _ in range(4):  # silence, a deadline, overdue, the limit
            self.now += 86_400
            list(self.told.fire(at_ms(self.now)))
        assert self.told.call.phase is Phase.RELEASED
        assert all(agent.phase is Phase.RELEASED for agent in self.told.call.agents)
        assert list(deadlines(self.told.state)) == []


TestSwitch = Switch.TestCase
TestSwitch.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
