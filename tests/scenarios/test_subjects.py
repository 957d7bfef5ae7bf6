"""Calls and their subjects, through both processors: what a disposition does to its customer."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from services.gateway.admission import Asked
from services.worker.entries import read
from shared.contracts.dispositions import Outcome, Policy
from shared.contracts.envelope import Message, from_record
from shared.contracts.subjects import StatusPolicy, SubjectDocument
from shared.contracts.topics import DISPOSITION_EVENTS, DISPOSITION_REQUESTS, TOLD
from tests.support.centre import Centre, demo_tenant, running_centre
from tests.unit.services.worker.subject_field import naming, wish, wished

pytestmark = pytest.mark.asyncio

CALL = "call-1"
ABOUT = {"customer_id": "77", "campaign_id": "c1", "project_id": "17", "record_id": "4711"}
NAMES = ("customer:77", "enrolment:c1/77", "record:17/4711")
WITHIN_S = 5.0


@pytest_asyncio.fixture
async def centre() -> AsyncIterator[Centre]:
    async with running_centre(demo_tenant()) as centre:
        yield centre


async def call(centre: Centre, call_id: str = CALL, **about: str) -> None:
    """Agent 1 speaks on a call about somebody."""
    first = {"direction": "inbound", "agent_id": "agent-1", **(about or ABOUT)}
    await centre.tell("demo", call_id, "call.started", **first)
    await centre.tell("demo", call_id, "call.agent_joined", agent_id="agent-1")


async def dispose(centre: Centre, code: str, call_id: str = CALL) -> Outcome:
    asked = Asked(call_id=call_id, agent_id="agent-1", code=code, dialect="native", policy=Policy())
    return (await centre.desk.dispose(demo_tenant(), asked)).outcome


async def settled(centre: Centre) -> None:
    """Until the worker has read all there is, what it has asked itself included."""
    topics = ("telephony.events", "calls.changed", DISPOSITION_REQUESTS)
    async with asyncio.timeout(WITHIN_S):
        while True:
            ends = await centre.log.ends(topics)
            reached = {
                **await centre.log.positions("callstate", topics[:1]),
                **await centre.log.positions("worker", topics[1:]),
            }
            if reached == ends:
                return
            await asyncio.sleep(0.005)


async def subject(centre: Centre, name: str) -> SubjectDocument | None:
    key = f"demo:{name}"
    found = await centre.store.load("subjects", [key])
    return msgspec.json.decode(found[key].state, type=SubjectDocument) if found else None


async def statuses(centre: Centre, name: str) -> list[str | None]:
    """Every status that the subject has had, oldest first."""
    document = await subject(centre, name)
    if document is None or document.status is None:
        return []
    return [status.code for status in (*document.earlier, document.status)]


def told(centre: Centre, name: str) -> list[tuple[str, Any]]:
    """What is told of a call or a subject on `disposition.events`, in order."""
    events = [from_record(record) for record in centre.log.all(DISPOSITION_EVENTS)]
    return [
        (event.type, msgspec.json.decode(event.data)) for event in events if event.subject == name
    ]


def history(centre: Centre, name: str) -> list[Any]:
    """The lines of a call or a subject, in order."""
    records = [
        record for topic in TOLD if topic != "switch.commands" for record in centre.log.all(topic)
    ]
    entries = [entry for record in records for entry in read(record).entries]
    mine = [entry for entry in entries if entry.call_id == name]
    mine.sort(key=lambda entry: (entry.at_ms, entry.rank, entry.sequence))
    return [msgspec.json.decode(entry.body) for entry in mine]


async def test_a_saved_disposition_becomes_the_status_of_whom_the_call_is_about(
    centre: Centre,
) -> None:
    await call(centre)
    assert await dispose(centre, "Sale") is Outcome.QUEUED
    await settled(centre)
    assert [await subject(centre, name) for name in NAMES] == [None] * 3

    await centre.tell("demo", CALL, "call.disconnected", by="caller")
    await settled(centre)
    for name in NAMES:
        document = await subject(centre, name)
        assert document is not None
        assert document.status is not None
        assert document.status.code == "Sale"
        assert document.status.origin is not None
        assert document.status.origin.call_id == CALL
        ((kind, data),) = told(centre, name)
        assert (kind, data["code"], data["call_id"]) == ("status.changed", "Sale", CALL)


async def test_a_correction_and_a_late_disposition_replace_the_status(centre: Centre) -> None:
    await call(centre)
    await centre.tell("demo", CALL, "call.disconnected", by="caller")
    assert await dispose(centre, "Sale") is Outcome.SAVED
    assert await dispose(centre, "Interested") is Outcome.CORRECTED
    await centre.tell("demo", CALL, "call.released")
    assert await dispose(centre, "DoNotCall") is Outcome.USER_EVENT
    await settled(centre)
    for name in NAMES:
        assert await statuses(centre, name) == ["Sale", "Interested", "DoNotCall"]
        assert [data["revision"] for _, data in told(centre, name)] == [1, 2, 3]


async def test_a_call_about_nobody_asks_for_nothing(centre: Centre) -> None:
    await call(centre, campaign_id="c1", project_id="17")
    await centre.tell("demo", CALL, "call.disconnected", by="caller")
    await dispose(centre, "Sale")
    await settled(centre)
    assert len(centre.log.all(DISPOSITION_REQUESTS)) == 1


async def test_history_shows_both_ways(centre: Centre) -> None:
    await call(centre)
    await centre.tell("demo", CALL, "call.disconnected", by="caller")
    await dispose(centre, "Sale")
    await settled(centre)
    lines = history(centre, CALL)
    saved = next(n for n, line in enumerate(lines) if line["type"] == "disposition.saved")
    changed = [
        (n, line["subject"]) for n, line in enumerate(lines) if line["type"] == "status.changed"
    ]
    assert sorted(name for _, name in changed) == sorted(NAMES)
    assert all(n > saved for n, _ in changed)
    (line,) = history(centre, "customer:77")
    assert (line["call_id"], line["agent_id"], line["code"]) == (CALL, "agent-1", "Sale")


async def put(centre: Centre, *messages: Message) -> None:
    await centre.log.append(messages)
    await settled(centre)


async def test_a_subject_is_known_while_a_call_names_it_and_once_it_has_a_status(
    centre: Centre,
) -> None:
    await put(centre, wished(wish("Sale", number=1)))
    assert [kind for kind, _ in told(centre, "customer:77")] == ["disposition.refused"]
    await call(centre)
    await put(centre, wished(wish("Interested", number=2)))
    assert await statuses(centre, "customer:77") == ["Interested"]
    await put(centre, wished(wish("Sale", subject="enrolment:c1/77", number=3)))
    assert await statuses(centre, "enrolment:c1/77") == ["Sale"]
    await put(centre, wished(wish("Sale", subject="enrolment:c2/77", number=4)))
    assert await statuses(centre, "enrolment:c2/77") == []


async def test_a_record_in_a_call_is_left_alone_until_the_call_is_over(centre: Centre) -> None:
    gentle = StatusPolicy(avoid_in_call=True)
    record = "record:17/4711"
    await call(centre)
    await put(centre, wished(wish("Sale", subject=record, policy=gentle, number=1)))
    await centre.tell("demo", CALL, "call.disconnected", by="caller")
    await put(centre, wished(wish("Sale", subject=record, policy=gentle, number=2)))
    await centre.tell("demo", CALL, "call.released")
    assert await statuses(centre, record) == []
    await put(centre, wished(wish("Sale", subject=record, policy=gentle, number=3)))
    assert await statuses(centre, record) == ["Sale"]
    assert [kind for kind, _ in told(centre, record)] == [
        "disposition.refused",
        "disposition.refused",
        "status.changed",
    ]


async def test_one_batch_decides_each_subject_on_its_own_calls(centre: Centre) -> None:
    await call(centre, customer_id="77")
    await call(centre, "call-2", customer_id="78")
    await put(
        centre,
        *(wished(wish("Sale", subject=f"customer:{n}", number=n)) for n in (76, 77, 78, 79)),
        wished(naming(subject="customer:79", number=80)),
        wished(wish("Sale", subject="customer:79", number=81)),
    )
    for n, expected in ((76, []), (77, ["Sale"]), (78, ["Sale"]), (79, ["Sale"])):
        assert await statuses(centre, f"customer:{n}") == expected


async def test_what_a_disposition_asks_for_twice_is_decided_once(centre: Centre) -> None:
    """After a crash it may stand in the log again."""
    await call(centre, customer_id="77")
    await centre.tell("demo", CALL, "call.disconnected", by="caller")
    await dispose(centre, "Sale")
    await settled(centre)
    (asked,) = [r for r in centre.log.all(DISPOSITION_REQUESTS) if r.key == "demo:customer:77"]
    await put(centre, Message(asked.topic, asked.key, asked.headers, asked.value))
    assert await statuses(centre, "customer:77") == ["Sale"]
    assert len(told(centre, "customer:77")) == 1


async def test_two_calls_never_ask_under_one_name(centre: Centre) -> None:
    for call_id in ("call-1", "call-2"):
        await call(centre, call_id, customer_id="77")
        await centre.tell("demo", call_id, "call.disconnected", by="caller")
        await dispose(centre, "Sale", call_id)
    await settled(centre)
    events = [from_record(record) for record in centre.log.all(DISPOSITION_REQUESTS)]
    asked = [event.id for event in events if event.subject == "customer:77"]
    assert len(set(asked)) == 2
    assert await statuses(centre, "customer:77") == ["Sale", "Sale"]
