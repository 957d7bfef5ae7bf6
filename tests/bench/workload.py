"""Calls as a centre has them: so many, so many of them open at once, their records interleaved.

The same numbers always give the same records: 5 events and 1.1 requests a call. Of twenty calls
twelve have a request during the call, six one in wrap-up, three a second one there, one a late one.
"""

from collections import deque
from collections.abc import Iterator
from typing import Any, Final

from msgspec.json import encode

from services.gateway.admission import Asked, admit
from services.gateway.desk import SOURCE
from services.processes import DEMO_TENANTS
from shared.adapters.tenants_file import read_tenants
from shared.contracts.dispositions import REQUESTED, Policy
from shared.contracts.envelope import Event, Message, to_message
from shared.contracts.ids import call_key
from shared.contracts.topics import DISPOSITION_REQUESTS, TELEPHONY_EVENTS
from tests.support.clock import START_MS

TENANTS: Final = tuple(read_tenants(DEMO_TENANTS))
DEMO: Final = TENANTS[0]
_AGENTS: Final = tuple(agent.agent_id for agent in DEMO.agents)
_CODES: Final = ("Sale", "Interested", "NotInterested", "WrongNumber")
_STEP_MS: Final = 7
_POLICY: Final = Policy(correct=DEMO.corrections, late=DEMO.late_dispositions)


def messages(calls: int, open_at_once: int) -> Iterator[Message]:
    """What the gateway publishes on both topics, in the order in which it would."""
    waiting = iter(range(calls))
    running: deque[Iterator[Message]] = deque()
    while True:
        while len(running) < open_at_once and (number := next(waiting, None)) is not None:
            running.append(_call(number))
        if not running:
            return
        story = running.popleft()
        message = next(story, None)
        if message is not None:
            yield message
            running.append(story)


def _call(number: int) -> Iterator[Message]:
    call_id = f"call-{number:07d}"
    agent_id = _AGENTS[number % len(_AGENTS)]
    kind = number % 20
    started = {
        "direction": "inbound",
        "from": f"+4930{number:08d}",
        "to": "+498005550100",
        "customer_id": f"customer-{number}",
        "campaign_id": DEMO.campaign_ids[0],
        "agent_id": agent_id,
    }
    yield _event(call_id, 0, "call.started", started)
    yield _event(call_id, 1, "call.answered", {})
    yield _event(call_id, 2, "call.agent_joined", {"agent_id": agent_id})
    if kind < 12:
        yield _request(call_id, 3, agent_id)
    yield _event(call_id, 4, "call.disconnected", {"by": "caller", "cause": "normal"})
    if 9 <= kind < 18:  # of which three have had one in the call
        yield _request(call_id, 5, agent_id)
    yield _event(call_id, 6, "call.released", {"agent_id": agent_id})
    if kind == 19:
        yield _request(call_id, 7, agent_id)


def _event(call_id: str, step: int, event_type: str, data: dict[str, Any]) -> Message:
    event = Event(
        id=f"{call_id}-{step}",
        source="/switch/1",
        type=event_type,
        subject=call_id,
        time_ms=_moment(call_id, step),
        tenant=DEMO.id,
        data=encode(data),
    )
    return to_message(event, TELEPHONY_EVENTS, call_key(DEMO.id, call_id))


def _request(call_id: str, step: int, agent_id: str) -> Message:
    moment_ms = _moment(call_id, step)
    asked = Asked(
        call_id=call_id,
        agent_id=agent_id,
        code=_CODES[moment_ms % len(_CODES)],
        dialect="native",
        policy=_POLICY,
        comment="asked for a quote" if moment_ms % 2 else None,
    )
    request = admit(asked, DEMO, f"req-{moment_ms:032x}")
    event = Event(
        id=request.request_id,
        source=SOURCE,
        type=REQUESTED,
        subject=call_id,
        time_ms=moment_ms,
        tenant=DEMO.id,
        data=encode(request),
    )
    return to_message(event, DISPOSITION_REQUESTS, call_key(DEMO.id, call_id))


def _moment(call_id: str, step: int) -> int:
    """Its own millisecond for each record of each call, a day or so in the past of none."""
    return START_MS - 10_000_000 + int(call_id[5:]) * 97 + step * 7
