"""What the gateway asks of subjects and reads of them, over the real rules."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from services.gateway.models import SubjectStateView
from services.gateway.refusals import RefusedByRule
from services.gateway.status_admission import AskedOfSubject, NamingAsked, StatusAsked, admit_asked
from shared.contracts import limits
from shared.contracts.errors import Refused
from shared.contracts.instants import INSTANT_MS_MAX
from shared.contracts.subjects import StatusOutcome, StatusPolicy, Subject
from tests.scenarios.test_subjects import call, dispose
from tests.support.centre import Centre, demo_tenant, running_centre

DEMO = demo_tenant()
CUSTOMER = Subject("customer", "77")
RECORD = Subject("record", "4711", "17")
READER = {"Authorization": "Bearer demo-key"}


def wanted(status: str | None = "Sale", subject: Subject = CUSTOMER, **more: Any) -> StatusAsked:
    return StatusAsked(subject=subject, status=status, dialect="test", **more)


def named(**more: Any) -> NamingAsked:
    given: dict[str, Any] = {"subject": CUSTOMER, "dialect": "test"} | more
    return NamingAsked(**given)


@pytest_asyncio.fixture
async def centre() -> AsyncIterator[Centre]:
    async with running_centre(DEMO) as centre:
        centre.desk.settling._timeout_s = 0.02  # nobody projects the history here
        yield centre


@pytest.mark.parametrize(
    "asked",
    [
        wanted(subject=Subject("customer", "a/b")),
        wanted(subject=Subject("enrolment", "77")),
        wanted(""),
        wanted("S" * (limits.TEXT_CHARS_MAX + 1)),
        wanted("a\x00b"),
        wanted(comment="c" * (limits.COMMENT_CHARS_MAX + 1)),
        wanted(callback_ms=INSTANT_MS_MAX + 1),
        wanted(user_id="a b"),
        wanted(idempotency_key=""),
        wanted(idempotency_key="k" * (limits.IDEMPOTENCY_KEY_CHARS_MAX + 1)),
        named(status=""),
        named(data={"name": "\x00"}),
        named(data={"n" * (limits.TEXT_CHARS_MAX + 1): ""}),
        named(data={str(n): "x" * 1_999 for n in range(9)}),
    ],
)
def test_what_no_store_could_hold_is_refused_before_anything_is_written(
    asked: AskedOfSubject,
) -> None:
    with pytest.raises(Refused) as refused:
        admit_asked(asked, DEMO, "fresh")
    assert refused.value.code == "validation"


@pytest.mark.parametrize("asked", [wanted(idempotency_key="k"), named(idempotency_key="k")])
def test_a_client_s_own_key_decides_the_request_id(asked: AskedOfSubject) -> None:
    first, again = (admit_asked(asked, DEMO, fresh) for fresh in ("one", "two"))
    assert first == again
    assert first.request_id.startswith("req-")
    other = msgspec.structs.replace(asked, subject=Subject("customer", "78"))
    assert admit_asked(other, DEMO, "one").request_id != first.request_id


def test_the_hash_is_of_what_the_client_says_and_not_of_our_policy() -> None:
    hashes = [
        admit_asked(asked, DEMO, "fresh").body_hash
        for asked in (
            wanted(),
            wanted(policy=StatusPolicy(avoid_in_call=True)),
            wanted("Other"),
            wanted(None),
            wanted(comment="c"),
            wanted(callback_ms=1),
            wanted(user_id="7"),
            wanted(send_messages=True),
            wanted(subject=RECORD),
        )
    ]
    assert hashes[0] == hashes[1]
    assert len(set(hashes)) == 8


@pytest.mark.asyncio
async def test_one_that_nobody_knows_is_refused_and_shown_to_nobody(centre: Centre) -> None:
    with pytest.raises(RefusedByRule) as refused:
        await centre.desk.subjects.ask(DEMO, wanted())
    assert refused.value.code == "unknown_subject"
    assert await centre.desk.subjects.read(DEMO, CUSTOMER) is None
    await centre.desk.subjects.ask(DEMO, named(subject=Subject("customer", "b", "a")))
    assert await centre.desk.subjects.read(DEMO, Subject("customer", "a/b")) is None


@pytest.mark.asyncio
async def test_a_batch_has_a_verdict_each_in_order(centre: Centre) -> None:
    asked: list[AskedOfSubject] = [
        named(),
        wanted("Sale"),
        wanted("Other"),
        wanted(None),
        wanted("Sale", RECORD),
    ]
    verdicts = await centre.desk.subjects.ask_all(DEMO, asked)
    assert [verdict.outcome for verdict in verdicts] == [
        StatusOutcome.NAMED,
        StatusOutcome.SET,
        StatusOutcome.REPLACED,
        StatusOutcome.CLEARED,
        StatusOutcome.REFUSED,
    ]
    assert verdicts[2].previous is not None
    assert verdicts[2].previous.code == "Sale"
    assert await centre.desk.subjects.ask_all(DEMO, []) == []
    assert centre.waiters.waiting == 0


@pytest.mark.asyncio
async def test_a_verdict_that_is_late_is_pending(centre: Centre) -> None:
    await centre.stop_processor("worker")
    centre.waiters._timeout_s = 0.01
    verdict = await centre.desk.subjects.ask(DEMO, wanted())
    assert (verdict.outcome, verdict.subject) == (StatusOutcome.PENDING, "customer:77")


@pytest.mark.asyncio
async def test_a_subject_is_read_with_what_its_call_made_of_it(centre: Centre) -> None:
    """Without a wait between: what was told before it is waited for."""
    await call(centre)
    view = await centre.desk.subjects.read(DEMO, CUSTOMER)
    assert view is not None
    assert (view.document.status, view.in_call) == (None, True)
    await dispose(centre, "Sale")
    await centre.tell("demo", "call-1", "call.disconnected", by="caller")
    await centre.tell("demo", "call-1", "call.released")
    centre.desk.settling._timeout_s = 5
    view = await centre.desk.subjects.read(DEMO, CUSTOMER)
    assert view is not None
    assert view.document.status is not None
    assert (view.document.status.code, view.in_call) == ("Sale", False)
    assert [one.id for one in view.calls] == ["call-1"]


@pytest.mark.asyncio
async def test_lists_show_who_is_known_by_kind_status_and_place(centre: Centre) -> None:
    desk = centre.desk.subjects
    within = [Subject("record", str(n), "17" if n < 4 else "18") for n in range(6)]
    for subject in (*within, CUSTOMER):
        await desk.ask(DEMO, named(subject=subject))
        centre.clock.advance(1)
    await desk.ask(DEMO, wanted("Sale", within[2]))
    with pytest.raises(RefusedByRule):
        await desk.ask(DEMO, wanted("Sale", Subject("record", "unknown", "17")))
    first, cursor = await desk.page(DEMO, "record", within="17", limit=3)
    rest, end = await desk.page(DEMO, "record", within="17", cursor=cursor, limit=3)
    assert [view.subject.id for view in (*first, *rest)] == ["3", "2", "1", "0"]
    assert end is None
    sold, _ = await desk.page(DEMO, "record", status="Sale", limit=9)
    assert [view.subject for view in sold] == [within[2]]
    assert len((await desk.page(DEMO, "record", limit=9))[0]) == 6


@pytest.mark.asyncio
async def test_the_enrolments_of_customers_are_found_at_once(centre: Centre) -> None:
    desk = centre.desk.subjects
    for campaign, customer in (("c1", "77"), ("c2", "77"), ("c1", "78")):
        await desk.ask(DEMO, named(subject=Subject("enrolment", customer, campaign), status="Won"))
        centre.clock.advance(1)
    found = await desk.enrolments(DEMO, [Subject("customer", id_) for id_ in ("77", "78", "79")], 5)
    assert [[view.subject.within for view in some] for some in found] == [["c2", "c1"], ["c1"], []]


@pytest.mark.asyncio
async def test_the_native_api_shows_a_subject_and_its_history(centre: Centre) -> None:
    await call(centre)
    await centre.tell("demo", "call-1", "call.disconnected", by="caller")
    await dispose(centre, "Sale")
    await centre.desk.subjects.ask(
        DEMO, wanted("Interested", RECORD, comment="asked twice", user_id="7", callback_ms=0)
    )
    async with asyncio.timeout(5):
        response = await centre.client.get("/v1/subjects/record/4711?within=17", headers=READER)
    assert response.status == 200
    shown = await response.json()
    SubjectStateView.model_validate(shown, strict=True)
    assert (shown["kind"], shown["id"], shown["within"]) == ("record", "4711", "17")
    assert (shown["in_call"], shown["calls"]) == (True, ["call-1"])
    assert (shown["status"]["code"], shown["status"]["user_id"]) == ("Interested", "7")
    assert shown["status"]["callback_at"] == "1970-01-01T00:00:00.000Z"
    assert [(one["code"], one["call_id"]) for one in shown["earlier"]] == [("Sale", "call-1")]
    history = await centre.client.get("/v1/subjects/record/4711/history?within=17", headers=READER)
    assert (history.status, await history.json()) == (200, {"entries": []})  # nobody projects here


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("customer/78", 404, "unknown_subject"),
        ("customer/78/history", 404, "unknown_subject"),
        ("customer/77?within=other", 404, "unknown_subject"),
        ("person/77", 404, "not_found"),
        ("enrolment/77", 422, "validation"),
        ("customer/77?within=a/b", 422, "validation"),
        ("customer/77?wthin=a", 422, "validation"),
    ],
)
async def test_what_is_not_there_is_said(centre: Centre, path: str, status: int, code: str) -> None:
    await centre.desk.subjects.ask(DEMO, named())
    response = await centre.client.get(f"/v1/subjects/{path}", headers=READER)
    assert (response.status, (await response.json(content_type=None))["code"]) == (status, code)
