"""The tables of `calls/`, played as they stand and with every event told twice."""

import pytest

from services.callstate.decider import TABLE, Row, look_up
from services.callstate.model import due
from tests.support.call_scenarios import Scenario, Step, read_all, show_agents, show_call
from tests.support.calls import ToldCall, timer

SCENARIOS = read_all()
scenarios = pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda s: s.title)
# Known only by a full call or full user data: tests/unit/services/callstate/test_limits.py
BY_LIMIT = {"too_many_agents", "user_data_full"}


def play(told: ToldCall, step: Step) -> list[str]:
    """The rules that the step led to."""
    if step.event is None:
        return [outcome.rule for outcome in told.fire(step.now_ms)]
    return [told.tell(step.event).rule]


@scenarios
def test_each_event_leads_to_its_outcome(scenario: Scenario) -> None:
    told = ToldCall()
    for step in scenario.steps:
        assert ", ".join(play(told, step)) == step.rule, step.line
        assert show_call(told.call) == step.call, step.line
        assert show_agents(told.call) == step.agents, step.line
        assert [change.version for change in told.changes] == [
            n + 1 for n in range(told.call.version)
        ]


@scenarios
def test_an_event_told_again_changes_nothing(scenario: Scenario) -> None:
    told = ToldCall()
    for step in scenario.steps:
        play(told, step)
        for earlier in scenario.steps[: scenario.steps.index(step) + 1]:
            if earlier.event is not None:
                before = told.state
                outcome = told.tell(earlier.event)
                assert outcome.outcome in ("duplicate", "ignored"), earlier.line
                assert told.state is before, earlier.line
        assert show_agents(told.call) == step.agents, step.line


def rows_met(scenario: Scenario) -> list[Row]:
    told, met = ToldCall(), []
    for step in scenario.steps:
        events = [step.event]
        if step.event is None and told.state is not None:
            events = [timer(deadline, step.now_ms) for deadline in due(told.state, step.now_ms)]
        for event in events:
            if event is not None and step.rule != "stale_timer":
                met.append(look_up(told.state, event)[1])
                told.tell(event)
    return met


def test_the_tables_meet_every_row() -> None:
    met = {id(row) for scenario in SCENARIOS for row in rows_met(scenario)}
    missed = [row for row in TABLE if id(row) not in met and row.rule not in BY_LIMIT]
    assert missed == []
