"""What the services write on the topics is what /asyncapi.json says of them, and all it says.

Two sources of records: a story told to a whole centre, through the gateway, in which everything
happens that a message tells of; and the play of all tables of calls, for the many forms that each
may have.
"""

import asyncio
from collections.abc import Iterator
from typing import Any, Final

import msgspec
import pytest
from msgspec import Struct

from services.gateway.admission import Asked
from services.gateway.asyncapi import DEAD_LETTER, DEAD_RECEIPT
from services.gateway.sockets.documents import NAME as SOCKET
from services.gateway.status_admission import AskedOfSubject, NamingAsked, StatusAsked
from services.worker.topology import WorkerTopology
from shared.contracts.dispositions import Policy
from shared.contracts.envelope import Event, Headers, Message, to_message
from shared.contracts.errors import Refused
from shared.contracts.ids import call_key
from shared.contracts.instants import to_wire
from shared.contracts.messages import MESSAGES, SWITCH
from shared.contracts.subjects import StatusPolicy, Subject
from shared.contracts.topics import (
    CALLS_CHANGED,
    DISPOSITION_REQUESTS,
    GATEWAY_REPLIES,
    TELEPHONY_EVENTS,
    TOPICS,
    dead,
)
from shared.runtime.dead_letters import put_back, read_letters
from tests.conformance.adapters import Memory
from tests.scenarios.test_profiles import play
from tests.support.centre import Centre, demo_tenant, running_centre
from tests.support.sweeps import Sweeps
from tests.support.topics_documented import document, message_of

pytestmark = pytest.mark.timeout(300)

CALL: Final = "call-1"
ABOUT: Final = {"customer_id": "77", "campaign_id": "c1", "project_id": "17", "record_id": 4711}
CUSTOMER: Final = Subject("customer", "88")
WITHIN_S: Final = 10.0
ODD: Final = "odd-1"  # a record that nobody understands
DAY_MS: Final = 24 * 3600 * 1000
SERVICE_OF: Final = {
    "gateway": "gateway",
    "callstate": "callstate",
    "worker": "worker",
    "call.timer_due": "callstate",
    "callback.timer_due": "worker",
    "callback.timer_due.of_subject": "worker",
}  # by the second word of a source; of what a sweep tells by its name


class Written(Struct, frozen=True):
    """One record, as far as the document speaks of it."""

    topic: str
    key: str
    headers: Headers
    value: bytes


async def settled(centre: Centre) -> None:
    """Until everything is decided, what follows from it included."""
    async with asyncio.timeout(WITHIN_S):
        while True:
            read = {"callstate": (TELEPHONY_EVENTS,), "worker": WorkerTopology().topics}
            reached = {
                place: offset
                for group, topics in read.items()
                for place, offset in (await centre.log.positions(group, topics)).items()
            }
            topics = [topic for names in read.values() for topic in names]
            if reached == await centre.log.ends(topics):
                return
            await asyncio.sleep(0.005)


async def dispose(centre: Centre, code: str, **more: Any) -> None:
    fields: dict[str, Any] = {"call_id": CALL, "agent_id": "agent-1", "policy": Policy()} | more
    asked = Asked(code=code, dialect="native", **fields)
    await centre.desk.dispose(demo_tenant(), asked)


async def ask(centre: Centre, *asked: AskedOfSubject) -> None:
    for one in asked:
        await centre.desk.subjects.ask(demo_tenant(), one)


async def sweep(centre: Centre, later_ms: int) -> None:
    """The deadlines that have passed by then are told."""
    await settled(centre)
    centre.clock.set(centre.clock.now_ms() + later_ms)
    await Sweeps(centre.store, centre.log, centre.clock).sweep()
    await settled(centre)


async def a_whole_call(centre: Centre) -> None:
    """Queued, applied, corrected, refused, told late; a callback, a pause, a release."""
    callback_ms = centre.clock.now_ms() + DAY_MS
    tell = centre.tell
    started = {"direction": "inbound", "from": "+3120555", "agent_id": "agent-1", **ABOUT}
    await tell("demo", CALL, "call.started", **started)
    await tell("demo", CALL, "call.answered")
    await tell("demo", CALL, "call.held")
    await tell("demo", CALL, "call.retrieved")
    await tell("demo", CALL, "call.data_attached", user_data={"Order": "A-17"})
    await dispose(centre, "Sale", idempotency_key="toolbar-1")
    await tell("demo", CALL, "call.agent_joined", agent_id="agent-2")
    await tell("demo", CALL, "call.agent_left", agent_id="agent-2", reason="transfer")
    await tell("demo", CALL, "call.disconnected", by="caller")
    await tell("demo", CALL, "call.wrap_up_extended", agent_id="agent-1", seconds=30)
    await settled(centre)
    with pytest.raises(Refused):
        await dispose(centre, "Referred", policy=Policy(correct=False))
    await dispose(
        centre,
        "Callback",
        callback_ms=callback_ms,
        pause_after=True,
        pause_reason="break",
        release_after=True,
        comment="asks for the new price list",
    )
    await settled(centre)
    await dispose(centre, "Interested")


async def subjects_by_themselves(centre: Centre) -> None:
    """Named, set, replaced, to be called back, sent a message, refused, taken away."""
    sale = StatusAsked(subject=CUSTOMER, status="Sale", dialect="carecycle")
    with pytest.raises(Refused):
        await ask(centre, sale)
    await ask(
        centre,
        NamingAsked(subject=CUSTOMER, dialect="zipteams", data={"city": "Utrecht"}),
        sale,
        StatusAsked(
            subject=CUSTOMER,
            status="Callback",
            dialect="vcc_live",
            callback_ms=centre.clock.now_ms() + DAY_MS,
            user_id="1",
            send_messages=True,
        ),
        StatusAsked(subject=CUSTOMER, status=None, dialect="vcc_live"),
        StatusAsked(
            subject=Subject("enrolment", "88", "c1"),
            status="Sale",
            dialect="carecycle",
            policy=StatusPolicy(must_exist=False),
        ),
    )


async def to_be_called_back(centre: Centre) -> None:
    """A disposition and a status whose callbacks come due."""
    callback_ms = centre.clock.now_ms() + DAY_MS
    about = {"direction": "inbound", "agent_id": "agent-4"}
    await centre.tell("demo", "call-4", "call.started", **about)
    await centre.tell("demo", "call-4", "call.agent_joined", agent_id="agent-4")
    await centre.tell("demo", "call-4", "call.disconnected")
    await settled(centre)
    await dispose(centre, "Callback", call_id="call-4", agent_id="agent-4", callback_ms=callback_ms)
    again = StatusAsked(
        subject=CUSTOMER, status="Callback", dialect="vcc_live", callback_ms=callback_ms
    )
    await ask(centre, again)
    await sweep(centre, later_ms=2 * DAY_MS)


async def from_strangers(centre: Centre) -> None:
    """An event in structured mode, and on each topic that is decided on what nobody understands.

    The latter is put back, in vain.
    """
    event = {
        "specversion": "1.0",
        "id": "17",
        "source": "/pbx",
        "type": "call.started",
        "subject": "call-2",
        "time": to_wire(centre.clock.now_ms()),
        "tenant": "demo",
        "data": {"direction": "outbound"},
    }
    structured = (("content-type", b"application/cloudevents+json; charset=utf-8"),)
    odd = Event(
        id=ODD,
        source="/pbx",
        type="call.rung",
        subject="call-2",
        time_ms=centre.clock.now_ms(),
        tenant="demo",
        data=b"{}",
    )
    key = call_key("demo", "call-2")
    await centre.log.append(
        [
            Message(TELEPHONY_EVENTS, key, structured, msgspec.json.encode(event)),
            *(
                to_message(odd, topic, key)
                for topic in (TELEPHONY_EVENTS, DISPOSITION_REQUESTS, CALLS_CHANGED)
            ),
        ]
    )
    await settled(centre)
    letters, _ = read_letters(one for topic in TOPICS for one in centre.log.all(dead(topic)))
    await put_back(centre.log, letters)
    await settled(centre)


def written(centre: Centre) -> Iterator[Written]:
    """Every record that is one of ours to tell of."""
    for topic in (*TOPICS, *map(dead, TOPICS)):
        for record in centre.log.all(topic):
            if dict(record.headers).get("ce_id") != ODD.encode() or topic.endswith(".dead"):
                yield Written(topic, record.key, record.headers, record.value)


async def told() -> list[Written]:
    async with running_centre(demo_tenant()) as centre:
        await a_whole_call(centre)
        await subjects_by_themselves(centre)
        await centre.tell("demo", "call-3", "call.started", direction="inbound")
        await centre.tell("demo", "call-3", "call.agent_joined", agent_id="agent-3")
        await centre.tell("demo", "call-3", "call.disconnected")
        await sweep(centre, later_ms=60_000)
        await to_be_called_back(centre)
        await from_strangers(centre)
        return list(written(centre))


@pytest.fixture(scope="module")
def story() -> list[Written]:
    return asyncio.run(told())


@pytest.fixture(scope="module")
def tables() -> list[Written]:
    played = asyncio.run(play(Memory()))
    return [
        Written(name.split()[0], name.split()[1], headers, value)
        for name, records in played.items()
        if name.split()[0].removesuffix(".dead") in TOPICS
        for headers, value in records
    ]


def named(records: list[Written]) -> dict[str, list[Written]]:
    """The records by the message that each is; every one of them is one."""
    found: dict[str, list[Written]] = {}
    for one in records:
        if one.topic.removesuffix(".dead") != GATEWAY_REPLIES:
            name = message_of(one.topic, one.key, one.headers, one.value)
            found.setdefault(name, []).append(one)
    return found


def test_every_record_of_the_story_is_a_message_and_every_message_is_in_the_story(
    story: list[Written],
) -> None:
    found = named(story)
    channels = document()["channels"]
    of_topics = (set(channels[name]["messages"]) for name in channels if name != SOCKET)
    assert set(found) == set().union(*of_topics)
    for name in (DEAD_LETTER, DEAD_RECEIPT):
        assert {one.topic for one in found[name]} == {
            name for name in channels if name.endswith(".dead")
        }


def test_every_record_of_all_tables_of_calls_is_a_message(tables: list[Written]) -> None:
    found = named(tables)
    assert len(found) > 20
    assert sum(map(len, found.values())) > 1_000


def test_each_is_written_by_whom_the_document_says(story: list[Written]) -> None:
    said = {
        (message.name, writer)
        for message in MESSAGES
        for writer in message.written_by
        # What a switch says has its own source, whoever of ours has put it on the topic.
        if SWITCH not in message.written_by or writer == "worker"
    }
    seen = {
        (name, SERVICE_OF.get(name) or SERVICE_OF[source.split("/")[2]])
        for name, records in named(story).items()
        for source in {dict(one.headers).get("ce_source", b"").decode() for one in records}
        if source.startswith("/aftercall/")
    }
    assert seen == said


def test_a_record_that_the_document_does_not_know_would_be_found(story: list[Written]) -> None:
    (one, *_) = [one for one in story if one.topic == CALLS_CHANGED]
    strange = tuple(
        (name, b"call.moved" if name == "ce_type" else value) for name, value in one.headers
    )
    with pytest.raises(AssertionError, match=r"'call\.changed' was expected"):
        message_of(one.topic, one.key, strange, one.value)
    with pytest.raises(AssertionError, match="payload"):
        message_of(one.topic, one.key, one.headers, b"{}")
    with pytest.raises(AssertionError, match="key"):
        message_of(one.topic, "demo:customer:77", one.headers, one.value)
