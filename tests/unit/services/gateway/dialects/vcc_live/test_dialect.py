"""What stands in no row of the golden files: keys, tenants, limits, and what is stored."""

import json
from base64 import b64encode
from collections.abc import AsyncIterator
from hashlib import sha256
from io import BytesIO
from typing import Any

import pytest
import pytest_asyncio
from msgspec.structs import replace

from services.gateway.dialects.vcc_live import VccLive
from services.gateway.status_admission import NamingAsked
from shared.contracts import limits
from shared.contracts.subjects import Subject
from shared.contracts.tenants import Credential
from shared.contracts.topics import DISPOSITION_REQUESTS, SWITCH_COMMANDS
from tests.support.centre import Centre, demo_tenant, running_centre

pytestmark = pytest.mark.asyncio

BATCH = "/v2/projects/17/records/dispositions"
SECRET = "secret"
MOST = limits.VCC_LIVE_ELEMENTS_MAX


def credential(name: str, *scopes: str) -> Credential:
    digest = sha256(SECRET.encode()).hexdigest()
    return Credential(id=name, sha256=digest, kind="basic", name=name, scopes=scopes)


def basic(name: str, secret: str = SECRET) -> dict[str, str]:
    return {"Authorization": f"Basic {b64encode(f'{name}:{secret}'.encode()).decode()}"}


KEY = basic("demo", "demo-key")
DEMO = demo_tenant()
DEMO = replace(
    DEMO,
    project_ids=("17", "18"),
    project_time_zones={"17": "Europe/Budapest"},
    credentials=(*DEMO.credentials, credential("reader", "read"), credential("nothing")),
)
NORTH = replace(
    DEMO,
    id="north",
    agents=(),
    project_ids=("17", "19"),
    credentials=(credential("north", "read", "disposition:write"),),
)


@pytest_asyncio.fixture
async def centre() -> AsyncIterator[Centre]:
    async with running_centre(DEMO, NORTH, dialects=(VccLive(),)) as centre:
        yield centre


async def name(centre: Centre, *numbers: str, project: str = "17", **data: str) -> None:
    asked = [
        NamingAsked(subject=Subject("record", number, project), dialect="test", data=data)
        for number in numbers
    ]
    await centre.desk.subjects.ask_all(DEMO, asked)


async def put(
    centre: Centre, *elements: Any, headers: dict[str, str] = KEY, **more: Any
) -> tuple[int, Any]:
    body = {"elements": list(elements)} | more
    response = await centre.client.put(BATCH, json=body, headers=headers)
    return response.status, json.loads(await response.read())


async def shown(
    centre: Centre, number: str = "1", headers: dict[str, str] = KEY, project: str = "17"
) -> Any:
    path = f"/v2/projects/{project}/records/{number}"
    response = await centre.client.get(path, headers=headers)
    answer = json.loads(await response.read())["response"]
    return answer if response.status == 200 else response.status


def commands(centre: Centre) -> list[dict[str, Any]]:
    return [json.loads(record.value) for record in centre.log.all(SWITCH_COMMANDS)]


async def test_what_an_element_says_goes_before_what_is_common(centre: Centre) -> None:
    await name(centre, "1", "2")
    common = {"dispositionid": 2, "userid": 7, "description": "common"}
    elements = ({"numberid": "1", "dispositionid": "1", "description": "own"}, {"numberid": 2})
    status, answer = await put(centre, *elements, disposition=common)
    assert (status, answer) == (200, {"errors": [], "response": {"0": True, "1": True}})
    records = [await shown(centre, number) for number in ("1", "2")]
    of_it = ("act_status", "disposition", "pref_userid")
    assert [[one[field] for field in of_it] for one in records] == [
        [1, "Sale", 7],
        [2, "Interested", 7],
    ]
    assert [one["events"][-1]["description"] for one in records] == ["own", "common"]


async def test_a_disposition_replaces_the_one_before_which_stays_in_the_history(
    centre: Centre,
) -> None:
    await name(centre, "1")
    for number in (1, 2):
        await put(centre, {"numberid": 1, "dispositionid": number})
    assert [event["dispositionid"] for event in (await shown(centre))["events"]] == [1, 2]


async def test_a_callback_is_by_the_clock_on_the_projects_wall(centre: Centre) -> None:
    await name(centre, "1")
    await name(centre, "1", project="18")
    when = "2027-07-10 11:00:00"
    await put(centre, {"numberid": "1", "dispositionid": 4, "next_calldate": when})
    body = {"dispositionid": 4, "userid": 1, "next_calldate": when}
    path = "/v2/projects/18/records/1/dispositions"
    assert (await centre.client.post(path, json=body, headers=KEY)).status == 200
    callbacks = {}
    for project in ("17", "18"):
        view = await centre.desk.subjects.read(DEMO, Subject("record", "1", project))
        assert view is not None
        assert view.document.status is not None
        callbacks[project] = view.document.status.callback_ms
        assert (await shown(centre, project=project))["next_calldate"] == when
    two_hours_ms = 2 * 3600 * 1000
    assert callbacks == {"17": 1_815_217_200_000 - two_hours_ms, "18": 1_815_217_200_000}


async def test_messages_are_sent_for_those_elements_that_ask(centre: Centre) -> None:
    await name(centre, "1", "2")
    elements = [{"numberid": number, "dispositionid": 1} for number in ("1", "2")]
    await put(centre, elements[0] | {"sendDispositionMessages": "true"}, elements[1])
    await shown(centre)
    assert [(one["record_id"], one["code"]) for one in commands(centre)] == [("1", "Sale")]


async def test_another_tenants_project_and_records_are_like_none_at_all(centre: Centre) -> None:
    await name(centre, "1")
    north = basic("north")
    status, answer = await put(centre, {"numberid": "1", "dispositionid": 1}, headers=north)
    assert (status, answer["errors"][0]["errormessage"]) == (200, "error.record_not_found")
    found = await put(centre, {"search": {"name": "x"}, "dispositionid": 1}, headers=north)
    assert found[1]["errors"][0]["errormessage"] == "error.unknown_search_key"
    assert await shown(centre, headers=north) == 404
    others = [
        await centre.client.get(f"/v2/projects/{project}/records/1", headers=KEY)
        for project in ("19", "20")
    ]
    assert [one.status for one in others] == [404, 404]
    assert await others[0].read() == await others[1].read()


async def test_a_key_opens_what_its_scopes_say(centre: Centre) -> None:
    await name(centre, "1")
    element = {"numberid": "1", "dispositionid": 1}
    assert (await put(centre, element, headers=basic("reader")))[0] == 403
    assert (await shown(centre, headers=basic("reader")))["numberid"] == "1"
    assert await shown(centre, headers=basic("nothing")) == 403


async def test_a_retry_changes_nothing_and_has_the_same_answer(centre: Centre) -> None:
    await name(centre, "1", "2")
    headers = KEY | {"Idempotency-Key": "k" * 255}
    elements = [{"numberid": "1", "dispositionid": number} for number in (1, 2)]
    elements.append({"numberid": "3", "dispositionid": 1})
    first = await put(centre, *elements, headers=headers)
    before = await shown(centre)
    assert await put(centre, *elements, headers=headers) == first
    assert await shown(centre) == before
    assert len(before["events"]) == 2
    elements[0]["dispositionid"] = 3
    _, answer = await put(centre, *elements, headers=headers)
    assert answer["errors"][0] == {
        "errorcode": 417,
        "errormessage": "error.idempotency_conflict",
        "index": 0,
    }
    assert await shown(centre) == before


async def test_answers_name_their_content(centre: Centre) -> None:
    await name(centre, "1", "2")
    tags = []
    for number in ("1", "1", "2"):
        path = f"/v2/projects/17/records/{number}"
        response = await centre.client.get(path, headers=KEY)
        tags.append(response.headers["Etag"])
    assert tags[0] == tags[1] != tags[2]


@pytest.mark.slow
async def test_a_batch_of_as_many_elements_as_the_limit_says_and_not_one_more(
    centre: Centre,
) -> None:
    await name(centre, *map(str, range(100)))
    elements = [{"numberid": str(n % 100), "dispositionid": n % 3 + 1} for n in range(MOST)]
    status, answer = await put(centre, *elements)
    assert (status, answer["errors"]) == (200, [])
    assert answer["response"] == {str(n): True for n in range(MOST)}
    before = centre.asked()
    status, answer = await put(centre, *elements, elements[0])
    assert status == 413
    assert str(MOST) in answer["errors"][0]["errormessage"]
    assert centre.asked() == before


async def test_a_batch_that_would_change_too_many_records_changes_none(
    centre: Centre, monkeypatch: pytest.MonkeyPatch
) -> None:
    await name(centre, "1", "2", "3", colour="red")
    element = {"search": {"colour": "red"}, "dispositionid": 1}
    monkeypatch.setattr(limits, "VCC_LIVE_ELEMENTS_MAX", 6)
    assert (await put(centre, element, element))[0] == 200
    before = centre.asked()
    monkeypatch.setattr(limits, "VCC_LIVE_ELEMENTS_MAX", 5)
    status, answer = await put(centre, element, element)
    assert (status, answer["errors"][0]["errormessage"]) == (
        413,
        "error.too_large: at most 5 records in a batch",
    )
    searches = {"search": [{"colour": "red"}] * 6, "dispositionid": 1}
    assert (await put(centre, searches))[0] == 413
    assert centre.asked() == before


async def test_a_project_that_is_too_large_is_not_searched(
    centre: Centre, monkeypatch: pytest.MonkeyPatch
) -> None:
    await name(centre, "1", "2", "3", colour="red")
    element = {"search": {"colour": "red"}, "dispositionid": 1}
    monkeypatch.setattr(limits, "VCC_LIVE_SEARCHED_MAX", 3)
    assert (await put(centre, element))[0] == 200
    monkeypatch.setattr(limits, "VCC_LIVE_SEARCHED_MAX", 2)
    assert (await put(centre, element))[0] == 413
    assert (await put(centre, {"numberid": "1", "dispositionid": 1}))[0] == 200


async def test_a_body_may_be_as_large_as_the_limit_says_and_not_one_byte_more(
    centre: Centre,
) -> None:
    await name(centre, "1")
    most = limits.VCC_LIVE_BODY_BYTES_MAX
    body = json.dumps({"elements": [{"numberid": 1, "dispositionid": 1}]}).ljust(most)
    headers = KEY | {"Content-Type": "application/json"}
    response = await centre.client.put(BATCH, data=BytesIO(body.encode()), headers=headers)
    assert response.status == 200
    response = await centre.client.put(BATCH, data=BytesIO(f"{body} ".encode()), headers=headers)
    told = json.loads(await response.read())["errors"][0]["errormessage"]
    assert response.status == 413
    assert str(MOST) in told
    assert str(most) in told


async def test_every_request_of_a_batch_is_published_at_once(centre: Centre) -> None:
    await name(centre, "1", "2")
    before = len(centre.log.all(DISPOSITION_REQUESTS))
    centre.log.fail_next("append")
    elements = [{"numberid": number, "dispositionid": 1} for number in ("1", "2")]
    assert (await put(centre, *elements))[0] == 503
    assert len(centre.log.all(DISPOSITION_REQUESTS)) == before
