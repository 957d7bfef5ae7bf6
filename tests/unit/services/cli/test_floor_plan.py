from collections import Counter, defaultdict
from dataclasses import replace
from itertools import islice

import orjson
import pytest

from services.cli.floor_plan import CODES, CallPlan, Dispose, FloorShape, Tell, plan
from shared.contracts.telephony import EVENT_TYPES, decode_data

SHAPE = FloorShape(seed=7)


def calls(shape: FloorShape, count: int = 400) -> list[CallPlan]:
    return list(islice(plan(shape), count))


def tells(call: CallPlan) -> list[Tell]:
    return [step for step in call.steps if isinstance(step, Tell)]


def says(call: CallPlan) -> list[Dispose]:
    return [step for step in call.steps if isinstance(step, Dispose)]


def happened(call: CallPlan, kind: str) -> float:
    return next(step.happened_s for step in tells(call) if step.type == kind)


def test_the_same_seed_plays_the_same_floor() -> None:
    assert calls(SHAPE) == calls(SHAPE)
    assert calls(SHAPE) != calls(replace(SHAPE, seed=8))


@pytest.mark.parametrize("seed", range(20))
def test_the_first_call_shows_at_once_and_is_disposed_soon(seed: int) -> None:
    first = calls(FloorShape(seed=seed), 1)[0]
    assert first.at_s == 0
    assert first.steps[0] == replace(tells(first)[0], at_s=0, type="call.started")
    assert happened(first, "call.answered") < says(first)[0].at_s < 3
    assert happened(first, "call.disconnected") < 5


def test_every_event_is_one_that_the_gateway_takes() -> None:
    seen = set()
    for call in calls(SHAPE):
        for step in tells(call):
            seen.add(step.type)
            decode_data(step.type, orjson.dumps(step.data))
    assert seen == EVENT_TYPES.keys() - {
        "call.timer_due",
        "call.data_attached",
        "call.wrap_up_extended",
    }


def test_steps_are_delivered_in_time_order() -> None:
    for call in calls(SHAPE):
        times = [step.at_s for step in call.steps]
        assert times == sorted(times)
        assert all(step.happened_s <= step.at_s for step in tells(call))


def test_arrivals_follow_the_rate_and_the_room() -> None:
    busy = calls(FloorShape(seed=7, agents=1000, open_max=1000, rate_per_min=60), 600)
    assert busy[-1].at_s == pytest.approx(600, rel=0.1)
    for open_max in (1, 3):
        few = calls(FloorShape(seed=7, open_max=open_max, rate_per_min=6000), 100)
        ends: list[float] = []
        for call in few:
            assert sum(end > call.at_s for end in ends) < open_max
            ends.append(call.at_s + call.steps[-1].at_s)


def test_an_agent_is_on_one_call_at_a_time() -> None:
    until: dict[str, float] = defaultdict(float)
    for call in calls(FloorShape(seed=7, agents=4, rate_per_min=600)):
        for agent in call.agents:
            assert until[agent] <= call.at_s
            until[agent] = call.at_s + call.steps[-1].at_s


def test_agents_dispose_in_the_call_in_wrap_up_too_late_and_never() -> None:
    habits = Counter(call.habit for call in calls(SHAPE))
    for habit, least, most in (
        ("in_call", 120, 190),
        ("in_wrap_up", 80, 150),
        ("late", 35, 85),
        ("never", 35, 85),
        ("abandoned", 8, 50),
    ):
        assert least <= habits[habit] <= most, habit


def test_each_habit_is_where_its_name_says() -> None:
    for call in calls(SHAPE):
        last = call.agents[-1] if call.agents else ""
        own = [say.at_s for say in says(call) if say.agent_id == last]
        over = happened(call, "call.disconnected")
        match call.habit:
            case "in_call":
                assert own
                assert max(own) < over
            case "in_wrap_up":
                assert own
                assert min(own) > over
                assert all(
                    max(own) <= step.happened_s
                    for step in tells(call)
                    if step.type == "call.released"
                )
            case "late":
                assert min(own) > happened(call, "call.released") > over
            case _:
                assert not own


def test_minds_change_agents_hand_over_and_releases_come_along() -> None:
    played = calls(SHAPE)
    again = [call for call in played if len({say.agent_id for say in says(call)}) < len(says(call))]
    handed_over = [call for call in played if len(call.agents) == 2]
    with_release = [say for call in played for say in says(call) if say.release_after]
    assert len(again) > 20
    assert len(handed_over) > 20
    assert len(with_release) > 40
    for call in handed_over:
        assert happened(call, "call.agent_left") < happened(call, "call.disconnected")


def test_a_share_of_the_events_is_told_twice_or_out_of_order() -> None:
    all_tells = [step for call in calls(SHAPE) for step in tells(call)]
    twice = sum(step.copies == 2 for step in all_tells) / len(all_tells)
    late = sum(step.happened_s < step.at_s for step in all_tells) / len(all_tells)
    assert 0.05 < twice < 0.12
    assert 0.02 < late < 0.08


def test_codes_are_the_demo_tenants_and_a_callback_has_its_time() -> None:
    said = [say for call in calls(SHAPE) for say in says(call)]
    assert {say.code for say in said} == set(CODES)
    assert all((say.callback_in_s is not None) == (say.code == "Callback") for say in said)
