"""Reads the pipe tables under `tests/scenarios/calls`: events of a switch in, outcomes out.

    # A title
    wrap-up 30 mandatory            (the tenant's rules; 30 optional when not said)
    at | event | data | rule | call | agents

`at` is the second of receipt; `60 (5)` was received at 60 and happened at 5. `data` is `key=value`,
values in JSON, or plain words. The event `timers` is a sweep; its rules are those it led to.
"""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from services.callstate.model import CallInput
from shared.contracts.calls import AgentOnCall, Call, Phase, WrapUpRules
from tests.support.calls import at_ms, rules, told
from tests.support.clock import START_MS

FOLDER: Final = Path(__file__).parents[1] / "scenarios" / "calls"
SWEEP: Final = "timers"
_AT: Final = re.compile(r"(\d+)(?: \((\d+)\))?")


@dataclass(frozen=True)
class Step:
    """One line: what is told, and what must then be so."""

    line: str
    event: CallInput | None  # None: a sweep
    now_ms: int
    rule: str
    call: str
    agents: str


@dataclass
class Scenario:
    title: str
    wrap_up: WrapUpRules = field(default_factory=rules)
    steps: list[Step] = field(default_factory=list)


def read_all() -> list[Scenario]:
    return [
        scenario for path in sorted(FOLDER.glob("*.txt")) for scenario in read(path.read_text())
    ]


def read(text: str) -> list[Scenario]:
    scenarios: list[Scenario] = []
    for line in text.splitlines():
        if line.startswith("# "):
            scenarios.append(Scenario(line[2:]))
        elif line.startswith("wrap-up "):
            _, seconds, mode = line.split()
            scenarios[-1].wrap_up = rules(int(seconds), mode)
        elif "|" in line:
            scenario = scenarios[-1]
            scenario.steps.append(_step(line, len(scenario.steps), scenario.wrap_up))
    return scenarios


def _step(line: str, number: int, wrap_up: WrapUpRules) -> Step:
    at, event, data, rule, call, agents = (cell.strip() for cell in line.split("|"))
    moment = _AT.fullmatch(at)
    assert moment is not None, line
    received = int(moment[1])
    given = None
    if event != SWEEP:
        given = told(
            event,
            received,
            happened=float(moment[2] or received),
            event_id=f"event-{number}",
            wrap_up=wrap_up,
            data=_fields(data),
        )
    return Step(line, given, at_ms(received), rule, call, agents)


def _fields(text: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for word in text.split():
        key, _, value = word.partition("=")
        try:
            found[key] = json.loads(value)
        except ValueError:
            found[key] = value
        if key == "deadline_ms":
            found[key] = at_ms(found[key])
    return found


def show_call(call: Call) -> str:
    return f"{call.phase} held" if call.held else str(call.phase)


def show_agents(call: Call) -> str:
    return ", ".join(_show(agent) for agent in call.agents)


def _show(agent: AgentOnCall) -> str:
    words = [agent.agent_id, str(agent.phase)]
    if agent.wrap_up_ends_ms is not None:
        words.append(f"until {(agent.wrap_up_ends_ms - START_MS) // 1000}")
    if agent.segment > 1:
        words.append(f"x{agent.segment}")
    words += [word for word in ("held", "overdue") if getattr(agent, word)]
    if agent.phase is Phase.RINGING and agent.handled:
        words.append("dialled")
    if agent.phase is Phase.RELEASED and not agent.handled:
        words.append("unanswered")
    return " ".join(words)
