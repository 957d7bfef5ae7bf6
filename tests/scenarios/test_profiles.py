"""The same inputs give the same outputs, byte for byte, whatever the log and the store are.

All tables of `calls/` are played at once, each as a call of its own, with a request of every agent
after every event; deadlines are swept as the clock passes them. What is then told on every topic,
per key and in order, and what every document holds, is compared with what it is in memory.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from msgspec.structs import replace

from services.callstate.topology import CallstateTopology
from services.worker.subjects import TABLE as SUBJECTS
from services.worker.topology import WorkerTopology
from shared.adapters.tenants_file import FileTenantDirectory
from shared.contracts.dispositions import Policy
from shared.contracts.envelope import Event, Message, to_message
from shared.contracts.ids import call_key
from shared.contracts.subjects import STATUS_REQUESTED, StatusPolicy
from shared.contracts.telephony import CallStarted
from shared.contracts.tenants import Tenant
from shared.contracts.topics import DISPOSITION_REQUESTS, TELEPHONY_EVENTS, TOLD, dead
from shared.runtime.ports import Consumer
from shared.runtime.processor import Processor
from tests.conformance.adapters import COMMITS, Memory, Parts, Profile
from tests.support.call_scenarios import Scenario, Step, read_all
from tests.support.centre import demo_tenant
from tests.support.memory import MemoryReplies
from tests.support.sweeps import Sweeps
from tests.unit.services.worker.field import a_request
from tests.unit.services.worker.subject_field import wish

pytestmark = pytest.mark.timeout(300)

CALLBACK_MS: Final = 2_000  # some have been replaced by then
CODES: Final = ("Sale", "Callback", "NotInterested")
TURNS_MAX: Final = 50
OUT: Final = (
    *TOLD,
    TELEPHONY_EVENTS,
    DISPOSITION_REQUESTS,
    dead(TELEPHONY_EVENTS),
    dead(DISPOSITION_REQUESTS),
)

Outputs = dict[str, Any]


@cache
def tenants() -> dict[str, Tenant]:
    """One for each set of wrap-up rules in the tables, by the rules' own words."""
    rules = {repr(scenario.wrap_up): scenario.wrap_up for scenario in read_all()}
    demo = replace(demo_tenant(), demo=False, credentials=(), agents=(), sources=())
    return {
        text: replace(demo, id=f"t{number}", wrap_up=wrap_up)
        for number, (text, wrap_up) in enumerate(rules.items())
    }


def steps_by_time() -> dict[int, list[tuple[Message, ...]]]:
    """What is told at each moment: for each step its event, and its agents' requests."""
    found: dict[int, list[tuple[Message, ...]]] = defaultdict(list)
    for number, scenario in enumerate(read_all()):
        for place, step in enumerate(scenario.steps):
            found[step.now_ms].append(tuple(messages(number, place, scenario, step)))
    return dict(sorted(found.items()))


def nothing_more() -> tuple[int, list[tuple[Message, ...]]]:
    """When the last callback is due."""
    return max(steps_by_time()) + CALLBACK_MS, []


def messages(number: int, place: int, scenario: Scenario, step: Step) -> Iterator[Message]:
    tenant = tenants()[repr(scenario.wrap_up)].id
    call_id = f"call-{number}"
    key = call_key(tenant, call_id)
    if step.event is not None:
        event = Event(
            id=step.event.event_id,
            source=step.event.source,
            type=step.event.type,
            subject=call_id,
            time_ms=step.event.time_ms,
            tenant=tenant,
            data=msgspec.json.encode(about(number, step.event.data)),
        )
        yield to_message(event, TELEPHONY_EVENTS, key)
    for agent in sorted({words.split()[0] for words in step.agents.split(", ") if words}):
        request = replace(
            a_request(CODES[place % len(CODES)], agent, number=place),
            request_id=f"req-{number}-{place}-{agent}",
            idempotency_key=f"key-{number}-{place // 2}-{agent}",
            call_id=call_id,
            release_after=place % 5 == 0,
            callback_ms=step.now_ms + CALLBACK_MS if place % 2 else None,
            policy=Policy(correct=place % 4 != 0, late=place % 6 != 0),
        )
        asked = Event(
            id=request.request_id,
            source="/test",
            type="disposition.requested",
            subject=call_id,
            time_ms=step.now_ms,
            tenant=tenant,
            data=msgspec.json.encode(request),
        )
        yield to_message(asked, DISPOSITION_REQUESTS, key)
    status = status_asked(tenant, number, place, step.now_ms)
    yield to_message(status, DISPOSITION_REQUESTS, key_of(tenant, number))


def about(number: int, data: Any) -> Any:
    """Each call is about a customer, an enrolment and a record of its own."""
    if not isinstance(data, CallStarted):
        return data
    ids = {"customer_id": number, "campaign_id": "c1", "project_id": 17, "record_id": number}
    return replace(data, **ids)


def key_of(tenant: str, number: int) -> str:
    return call_key(tenant, f"customer:{number}")


def status_asked(tenant: str, number: int, place: int, now_ms: int) -> Event:
    """Somebody else sets the customer's status, or takes it away, perhaps not during the call."""
    request = wish(
        None if place % 3 == 2 else CODES[place % len(CODES)],
        f"customer:{number}",
        number=place // 2,
        policy=StatusPolicy(must_exist=place % 2 == 0, avoid_in_call=place % 3 == 0),
        send_messages=place % 4 == 0,
        callback_ms=now_ms + CALLBACK_MS if place % 3 == 1 else None,
    )
    return Event(
        id=f"status-{number}-{place}",
        source="/test",
        type=STATUS_REQUESTED,
        subject=request.subject,
        time_ms=now_ms,
        tenant=tenant,
        data=msgspec.json.encode(request),
    )


class Service:
    """One processor, turned until it has caught up."""

    def __init__(self, parts: Parts, processor: Processor) -> None:
        self._parts = parts
        self._processor = processor
        self._consumer: Consumer = parts.log.consumer(processor.group, processor.topics)

    async def behind(self) -> bool:
        log, processor = self._parts.log, self._processor
        ends = await log.ends(processor.topics)
        positions = await log.positions(processor.group, processor.topics)
        return any(positions.get(place, 0) < end for place, end in ends.items())

    async def catch_up(self) -> bool:
        """Whether there was anything to do."""
        turns = 0
        while await self.behind():
            turns += 1
            assert turns < TURNS_MAX
            await self._processor.turn(self._consumer)
        return turns > 0

    async def close(self) -> None:
        await self._consumer.close()


@asynccontextmanager
async def running(parts: Parts) -> Any:
    directory = FileTenantDirectory(list(tenants().values()))
    services = [
        Service(
            parts,
            Processor(
                topology,
                event_log=parts.log,
                store=parts.store,
                commit=parts.commit,
                replies=MemoryReplies(),
                wait_s=0.2,
            ),
        )
        for topology in (CallstateTopology(directory), WorkerTopology())
    ]
    try:
        yield services
    finally:
        for service in services:
            await service.close()


async def play(profile: Profile) -> Outputs:
    async with profile.open() as parts, running(parts) as services:
        sweep = Sweeps(parts.store, parts.log, parts.clock)
        for now_ms, told in (*steps_by_time().items(), nothing_more()):
            parts.clock.set(now_ms)
            for round_ in range(max(map(len, told), default=0)):
                for service in services:  # the event first, then what agents say of it
                    await parts.log.append(
                        [
                            step[round_]
                            for step in told
                            if len(step) > round_ and step[round_].topic in service_topics(service)
                        ]
                    )
                    await service.catch_up()
            await sweep.sweep()
            while any([await service.catch_up() for service in services]):
                continue
        return await outputs(parts)


def service_topics(service: Service) -> tuple[str, ...]:
    return service._processor.topics


async def outputs(parts: Parts) -> Outputs:
    """Per topic and key what is told, in order, and per key what is stored."""
    told: Outputs = {}
    keys: set[str] = set()
    for topic in OUT:
        for place, end in (await parts.log.ends([topic])).items():
            records = await parts.log.read(place, 0, end) if end else []
            assert len(records) == end
            for record in records:
                keys.add(record.key)
                name = f"{topic} {record.key}"
                told.setdefault(name, []).append((record.headers, record.value))
    for collection in ("calls", "dispositions", "subjects"):
        for key, document in (await parts.store.load(collection, sorted(keys))).items():
            stored = (document.state, document.sequences, document.index)
            told[f"{collection} {key}"] = stored
    return told


@pytest.fixture(scope="module")
def in_memory() -> Outputs:
    return asyncio.run(play(Memory()))


@pytest.fixture
def profile(request: pytest.FixtureRequest, tmp_path: Path) -> Profile:
    return COMMITS[request.param](request, tmp_path)


@pytest.mark.parametrize(
    "profile",
    [
        "sqlite",
        "sqlite apart",
        pytest.param("cluster", marks=pytest.mark.cluster),
    ],
    indirect=True,
)
@pytest.mark.asyncio
async def test_equal_inputs_give_equal_outputs(profile: Profile, in_memory: Outputs) -> None:
    played = await play(profile)
    assert sorted(played) == sorted(in_memory)
    for name, expected in in_memory.items():
        assert played[name] == expected, name


def test_the_play_is_worth_comparing(in_memory: Outputs) -> None:
    types = {
        dict(headers)["ce_type"]
        for name, told in in_memory.items()
        if name.split()[0] in TOLD
        for headers, _ in told
    }
    assert types >= {
        b"call.changed",
        b"disposition.queued",
        b"disposition.saved",
        b"disposition.refused",
        b"disposition.missed",
        b"EventUserEvent",
        b"call.attach_data",
        b"status.changed",
        b"message.send",
        b"callback.scheduled",
        b"callback.due",
    }
    due = {
        ":customer:" in name
        for name, told in in_memory.items()
        if name.startswith("disposition.events")
        and b"callback.due" in {dict(headers)["ce_type"] for headers, _ in told}
    }
    assert due == {True, False}, "of calls and of subjects"
    rules = {
        rule
        for name, told in in_memory.items()
        if name.startswith("disposition.events")
        for _, value in told
        if (rule := msgspec.json.decode(value)["rule"]) in {row.rule for row in SUBJECTS}
    }
    assert len(rules) >= 5, rules
    assert len([name for name in in_memory if name.startswith("calls ")]) == len(read_all())
