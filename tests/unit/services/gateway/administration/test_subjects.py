"""Naming by admin route: a request on the log like any other, answered once it is decided."""

import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from services.worker.subject_model import Asked, SubjectState
from services.worker.subject_topology import SubjectsAggregate, read_status_request
from services.worker.subjects import decide
from shared.contracts.envelope import Event
from shared.contracts.limits import SUBJECT_DATA_BYTES_MAX
from shared.contracts.subjects import StatusVerdict
from shared.runtime.ports import Document
from tests.unit.services.gateway.administration.office import Office, open_office
from tests.unit.services.gateway.floor import ADMIN, NATIVE

pytestmark = pytest.mark.asyncio

BASIC = {"Authorization": f"Basic {base64.b64encode(b'demo:demo-key').decode()}"}


class Worker:
    """Decides naming by the worker's own rules, and stores what comes of it."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._aggregate = SubjectsAggregate()
        self.states: dict[str, SubjectState] = {}

    def decide(self, event: Event) -> StatusVerdict:
        key = f"{event.tenant}:{event.subject}"
        given = Asked(
            tenant=event.tenant,
            request=read_status_request(event),
            now_ms=self._office.clock.now_ms(),
        )
        decision = decide(self.states.get(key), given, None)
        assert isinstance(decision.answer, StatusVerdict)
        if decision.state is not None:
            self.states[key] = decision.state
            self._office.store.documents["subjects", key] = Document(
                collection="subjects",
                key=key,
                revision=1,
                state=self._aggregate.encode(decision.state),
                watermarks={},
                sequences={},
                index=self._aggregate.index(decision.state),
            )
        return decision.answer


@pytest_asyncio.fixture
async def office() -> AsyncIterator[Office]:
    async with open_office() as opened:
        opened.log.decide = Worker(opened).decide
        yield opened


async def test_a_record_with_its_fields_is_known_and_found_by_them(office: Office) -> None:
    path = "/subjects/record/4711?within=17"
    body = {"data": {"name": "Ada Lovelace", "city": "London"}}
    status, shown = await office.ask("PUT", path, ADMIN, body)
    assert status == 200
    assert (shown["kind"], shown["id"], shown["within"]) == ("record", "4711", "17")
    assert shown["data"] == body["data"]
    (event,) = office.told("disposition.requests")
    assert (event.type, event.subject) == ("subject.named", "record:17/4711")
    url = "/v2/projects/17/records/dispositions"
    batch = [{"search": {"name": of}, "dispositionid": 1} for of in ("Ada Lovelace", "Nobody")]
    async with office.client.put(url, headers=BASIC, json={"elements": batch}) as answer:
        found = json.loads(await answer.read())
    assert found["response"] == {"0": True}, found
    assert [error["index"] for error in found["errors"]] == [1]


async def test_fields_join_those_that_are_known(office: Office) -> None:
    path = "/subjects/customer/c-1"
    await office.ask("PUT", path, ADMIN, {"data": {"name": "Ada", "city": "Paris"}})
    _, shown = await office.ask("PUT", path, ADMIN, {"data": {"city": "London"}})
    assert shown["data"] == {"name": "Ada", "city": "London"}


async def test_a_first_status_is_set_and_never_replaces_one(office: Office) -> None:
    path = "/subjects/customer/c-1"
    _, shown = await office.ask("PUT", path, ADMIN, {"status": "new"})
    assert shown["status"]["code"] == "new"
    _, shown = await office.ask("PUT", path, ADMIN, {"status": "other"})
    assert shown["status"]["code"] == "new"


async def test_the_native_api_shows_who_was_named(office: Office) -> None:
    url = "/v1/subjects/enrolment/c-1?within=13f8bf6d-dc27-4a04-bffe-6e5b13c19ddf"
    async with office.client.get(url, headers=NATIVE) as answer:
        assert answer.status == 404
    path = url.removeprefix("/v1")
    assert (await office.ask("PUT", path, ADMIN, {}))[0] == 200
    async with office.client.get(url, headers=NATIVE) as answer:
        assert answer.status == 200


async def test_customers_of_the_first_subtenant_have_no_other_name(office: Office) -> None:
    await office.ask("PUT", "/subjects/customer/c-1?within=main", ADMIN)
    assert office.told("disposition.requests")[0].subject == "customer:c-1"
    await office.ask("PUT", "/subtenants/north", ADMIN)
    await office.ask("PUT", "/subjects/customer/c-1?within=north", ADMIN)
    assert office.told("disposition.requests")[1].subject == "customer:north/c-1"


async def test_a_retry_under_its_key_names_once(office: Office) -> None:
    who = ADMIN | {"Idempotency-Key": "import-1"}
    path = "/subjects/customer/c-1"
    assert (await office.ask("PUT", path, who, {"data": {"name": "Ada"}}))[0] == 200
    assert (await office.ask("PUT", path, who, {"data": {"name": "Ada"}}))[0] == 200
    status, problem = await office.ask("PUT", path, who, {"data": {"name": "Bela"}})
    assert (status, problem["code"]) == (422, "idempotency_conflict")
    first, second, _third = office.told("disposition.requests")
    assert first.id == second.id


async def test_a_verdict_that_is_late_is_pending() -> None:
    async with open_office() as office:
        office.log.decide = lambda _: None
        office.waiters.__dict__["_timeout_s"] = 0.01
        status, shown = await office.ask("PUT", "/subjects/customer/c-1", ADMIN, {})
    assert (status, shown["outcome"]) == (202, "pending")


BAD: list[tuple[str, Any, int]] = [
    ("/subjects/person/p-1", {}, 404),
    ("/subjects/customer/a%2Fb", {}, 404),
    ("/subjects/record/1?within=18", {}, 422),
    ("/subjects/enrolment/c-1", {}, 422),
    ("/subjects/enrolment/c-1?within=nothing", {}, 422),
    ("/subjects/customer/c-1?within=nothing", {}, 422),
    ("/subjects/customer/c-1?project=17", {}, 422),
    ("/subjects/customer/c-1", {"data": {"age": 7}}, 422),
    ("/subjects/customer/c-1", {"data": {"": "x"}}, 422),
    ("/subjects/customer/c-1", {"data": {"x": "y" * 2_001}}, 422),
    ("/subjects/customer/c-1", {"status": ""}, 422),
    ("/subjects/customer/c-1", {"name": "Ada"}, 422),
    ("/subjects/customer/c-1", {"data": {f"f{n}": "x" * 2_000 for n in range(9)}}, 422),
]


@pytest.mark.parametrize(("path", "body", "status"), BAD)
async def test_what_is_wrong_is_told_and_nothing_is_written(
    office: Office, path: str, body: Any, status: int
) -> None:
    assert (await office.ask("PUT", path, ADMIN, body))[0] == status
    assert office.nothing_written


async def test_fields_beyond_the_limit_with_those_known_are_refused_before(office: Office) -> None:
    half = {f"f{n}": "x" * 1_998 for n in range(SUBJECT_DATA_BYTES_MAX // 2_000 // 2)}
    path = "/subjects/customer/c-1"
    assert (await office.ask("PUT", path, ADMIN, {"data": half}))[0] == 200
    more = {f"g{n}": "x" * 2_000 for n in range(5)}
    status, problem = await office.ask("PUT", path, ADMIN, {"data": more})
    assert (status, problem["code"]) == (422, "validation")
    assert len(office.told("disposition.requests")) == 1
