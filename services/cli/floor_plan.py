"""What a simulated call floor is going to do: a pure function of a seed.

A plan is an endless sequence of calls. Each is a list of steps in seconds from the call's start,
as they are *delivered*: switches repeat events and swap neighbours, and so does a share of these.
Agents dispose while they talk, in wrap-up, too late or never, and some change their minds.
"""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import count
from random import Random
from typing import Any, Final

CODES: Final = (
    "Sale",
    "Interested",
    "NotInterested",
    "Callback",
    "WrongNumber",
    "DoNotCall",
    "Referred",
)
CALLBACK: Final = "Callback"  # the one that needs a time

_HABITS: Final = {"in_call": 40, "in_wrap_up": 30, "late": 15, "never": 15}  # of agents, in %
_ABANDONED: Final = 0.06
_HELD: Final = 0.2
_TRANSFERRED: Final = 0.15
_CHANGES_MIND: Final = 0.25
_RELEASES_WITH_IT: Final = 0.4
_RELEASED_BY_SWITCH: Final = 0.6
_TOLD_TWICE: Final = 0.08
_SWAPPED: Final = 0.06


@dataclass(frozen=True, slots=True)
class Tell:
    """An event from the switch; `happened_s` is before `at_s` where it comes late."""

    at_s: float
    happened_s: float
    type: str
    data: dict[str, Any]
    copies: int = 1


@dataclass(frozen=True, slots=True)
class Dispose:
    """A disposition from an agent. `callback_in_s` counts from when it is sent."""

    at_s: float
    agent_id: str
    code: str
    release_after: bool = False
    callback_in_s: int | None = None


Step = Tell | Dispose


@dataclass(frozen=True, slots=True)
class CallPlan:
    """One call: it starts `at_s` after the floor opens. Steps are in the order of delivery."""

    number: int
    at_s: float
    agents: tuple[str, ...]
    habit: str
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FloorShape:
    """How large and how busy the floor is.

    Attributes:
        rate_per_min: calls arriving a minute, when agents and `open_max` allow.
        open_max: calls that are not over at one time.
        wrap_up_s: how long an agent who never disposes is not to be had.
    """

    seed: int = 1
    agents: int = 10
    rate_per_min: float = 30
    open_max: int = 8
    wrap_up_s: float = 30


def plan(shape: FloorShape) -> Iterator[CallPlan]:
    """The floor's calls, in the order in which they start; the same for the same shape."""
    random = Random(shape.seed)  # noqa: S311 - simulated traffic
    free_at = {f"agent-{number}": 0.0 for number in range(1, shape.agents + 1)}
    ends: list[float] = []
    at_s = 0.0
    for number in count(1):
        if number > 1:
            at_s += random.expovariate(shape.rate_per_min / 60)
        if len(ends) >= shape.open_max:
            at_s = max(at_s, heapq.heappop(ends))
        at_s = max(at_s, min(free_at.values()))
        free = [agent for agent, since in free_at.items() if since <= at_s]
        script = _Script(random, random.sample(free, min(len(free), 2)))
        _play(script, first=number == 1)
        steps = tuple(script.steps if number == 1 else _as_delivered(random, script.steps))
        end_s = at_s + script.now_s
        heapq.heappush(ends, end_s)
        for agent in script.joined:
            free_at[agent] = end_s + (shape.wrap_up_s if agent in script.left_to_timer else 0)
        yield CallPlan(number, at_s, tuple(script.joined), script.habit, steps)


@dataclass(slots=True)
class _Script:
    """A call being written; `now_s` is where the pen is."""

    random: Random
    agents: list[str]
    habit: str = "abandoned"
    now_s: float = 0.0
    steps: list[Step] = field(default_factory=list)
    joined: list[str] = field(default_factory=list)
    left_to_timer: set[str] = field(default_factory=set)

    def wait(self, least_s: float, most_s: float) -> None:
        self.now_s += self.random.uniform(least_s, most_s)

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    def tell(self, kind: str, **data: Any) -> None:
        self.steps.append(Tell(self.now_s, self.now_s, f"call.{kind}", data))

    def dispose(self, agent_id: str, *, release_after: bool = False) -> None:
        code = self.random.choice(CODES)
        later_s = self.random.randrange(1, 48) * 3600 if code == CALLBACK else None
        self.steps.append(Dispose(self.now_s, agent_id, code, release_after, later_s))


def _play(script: _Script, *, first: bool) -> None:
    """Write one call. The first of a floor is short and plain: somebody is watching for it."""
    agent = script.agents[0]
    _start(script, agent)
    script.wait(1, 1) if first else script.wait(1, 5)
    if not first and script.chance(_ABANDONED):
        script.tell("disconnected", by="caller", cause="abandoned")
        return
    script.joined.append(agent)
    script.tell("answered", agent_id=agent)
    script.wait(0.05, 0.05)
    script.tell("agent_joined", agent_id=agent)
    habits = list(_HABITS)
    script.habit = script.random.choices(habits, list(_HABITS.values()))[0]
    if first:
        script.habit = habits[0]
        script.wait(1, 1)
    else:
        _talk(script, agent)
    agent = script.joined[-1]
    if script.habit == "in_call":
        _dispose_while_talking(script, agent, changes=not first)
    script.wait(1, 2)
    if script.chance(0.3):
        script.tell("agent_left", agent_id=agent, reason="hangup")
        script.wait(0.05, 0.1)
    script.tell("disconnected", by=script.random.choice(["caller", "agent"]), cause="normal")
    _after(script, agent)


def _start(script: _Script, agent: str) -> None:
    number = script.random.randrange(100, 200)  # 555-0100 to 555-0199 belong to nobody
    outbound = script.chance(0.3)
    ours, theirs = "+12025550100", f"+12025550{number}"
    script.tell(
        "started",
        direction="outbound" if outbound else "inbound",
        **{"from": ours if outbound else theirs, "to": theirs if outbound else ours},
        did=ours,
        agent_id=agent,
        customer_id=f"customer-{number}",
    )


def _talk(script: _Script, agent: str) -> None:
    """Some talk, sometimes a hold, sometimes a second agent takes over."""
    script.wait(3, 12)
    if script.chance(_HELD):
        script.tell("held", agent_id=agent)
        script.wait(2, 5)
        script.tell("retrieved", agent_id=agent)
        script.wait(1, 3)
    if len(script.agents) > 1 and script.chance(_TRANSFERRED):
        second = script.agents[1]
        script.joined.append(second)
        script.tell("agent_joined", agent_id=second)
        script.wait(1, 2)
        script.tell("agent_left", agent_id=agent, reason="transfer")
        script.wait(1, 3)
        script.dispose(agent, release_after=True)  # while the second one talks on
        script.wait(2, 6)


def _dispose_while_talking(script: _Script, agent: str, *, changes: bool) -> None:
    script.dispose(agent)
    if changes and script.chance(_CHANGES_MIND):
        script.wait(1, 2)
        script.dispose(agent, release_after=script.chance(_RELEASES_WITH_IT))


def _after(script: _Script, agent: str) -> None:
    """What the agent, or the switch, does once the conversation is over."""
    released = False
    match script.habit:
        case "in_wrap_up":
            script.wait(2, 6)
            if script.chance(_CHANGES_MIND):
                script.dispose(agent)
                script.wait(1, 3)
            released = script.chance(_RELEASES_WITH_IT)
            script.dispose(agent, release_after=released)
        case "late":
            script.wait(2, 4)
            script.tell("released", agent_id=agent)
            script.wait(2, 4)
            script.dispose(agent)
            released = True
        case "never":
            script.left_to_timer.add(agent)
            return
        case _:  # disposed while talking
            pass
    if not released and script.chance(_RELEASED_BY_SWITCH):
        script.wait(1, 4)
        script.tell("released", agent_id=agent)
    elif not released:
        script.left_to_timer.add(agent)


def _as_delivered(random: Random, steps: list[Step]) -> list[Step]:
    """The steps as a switch that repeats and swaps some events delivers them."""
    delivered: list[Step] = []
    for step in steps:
        if isinstance(step, Tell) and random.random() < _TOLD_TWICE:
            step = replace(step, copies=2)  # noqa: PLW2901 - the same step, said twice
        last = delivered[-1] if delivered else None
        swaps = random.random() < _SWAPPED
        if swaps and isinstance(step, Tell) and isinstance(last, Tell) and _fresh(last):
            delivered[-1:] = [step, replace(last, at_s=step.at_s)]
        else:
            delivered.append(step)
    return delivered


def _fresh(step: Tell) -> bool:
    """Not moved yet: an event is late by one place at most."""
    return step.at_s == step.happened_s
