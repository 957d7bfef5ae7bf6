"""Every documented row of every dialect, on both profiles: a request in, the exact answer out.

One YAML file per row, in a folder named for its dialect:

    row: what the row is about
    given:                    # all of it optional
      call: active            # a story of STORIES; none: no call
      queued, disposed: Sale  # agent-1 has already said so
      tenant: {}              # settings of the demo tenant that differ
      later_ms: 0             # time that passes after all this
      worker: stopped         # nobody decides
      log: unavailable        # nothing can be published
      store: unavailable      # nothing can be stored
      about: {}               # whom the call is about
      named: {}               # records of project 17, by id, and their data
    request: {method, path, headers, json}    # or body: text, instead of json
      times: 1                # asked so often; the last answer counts
    answer: {status, content_type, headers, json}
    asks: 1                   # disposition requests published because of it

Each row has a tenant of its own; `demo`, where it is a tenant's id in a file, stands for that one.
In a request, `{token}` is a fresh Ozonetel token and `{replaced}` the one before it. In an answer,
a text that starts with `~` is a pattern. JSON is compared by key, value and type.
"""

import io
import json
import re
from base64 import b64encode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
import pytest_asyncio
import yaml
from yarl import URL

from services.gateway.admission import Asked
from services.gateway.dialects.carecycle.dialect import enrolment_id
from services.gateway.status_admission import NamingAsked
from shared.contracts.dispositions import Policy
from shared.contracts.subjects import Subject
from shared.contracts.tenants import Tenant
from tests.support.centre import demo_tenant
from tests.support.row_profiles import open_row_profile
from tests.support.rows import RowCentre, row_centre

CASES: Final = sorted(Path(__file__).parent.glob("*/*.yaml"))
CALL: Final = "9012171"
DID: Final = "914071327663"
AGENT: Final = "agent-1"
ENROLMENT: Final = Subject(  # of every row that is answered with an enrolment's id
    "enrolment", "87d8e330-2878-4742-a86f-dbbb3bf522ac", "13f8bf6d-dc27-4a04-bffe-6e5b13c19ddf"
)

Told = tuple[str, dict[str, Any]]

_STARTED: Final[Told] = (
    "call.started",
    {"direction": "inbound", "from": "+49301234567", "to": "15001", "did": DID, "agent_id": AGENT},
)
_ACTIVE: Final[tuple[Told, ...]] = (
    _STARTED,
    ("call.answered", {}),
    ("call.agent_joined", {"agent_id": AGENT}),
)
_WRAP_UP: Final[tuple[Told, ...]] = (*_ACTIVE, ("call.disconnected", {"by": "caller"}))
STORIES: Final[dict[str, tuple[Told, ...]]] = {
    "none": (),
    "ringing": (_STARTED,),
    "active": _ACTIVE,
    "held": (*_ACTIVE, ("call.held", {"agent_id": AGENT})),
    "held as a whole": (*_ACTIVE, ("call.held", {})),
    "wrap_up": _WRAP_UP,
    "released": (*_WRAP_UP, ("call.released", {})),
}


PROFILES: Final = ("embedded", pytest.param("cluster", marks=pytest.mark.cluster))


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=PROFILES)
async def centre(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[RowCentre]:
    profile, clock = await open_row_profile(request, tmp_path_factory.mktemp("rows"))
    async with row_centre(profile, clock) as running:
        yield running


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("path", CASES, ids=lambda path: f"{path.parent.name}/{path.stem}")
async def test_row(centre: RowCentre, path: Path) -> None:
    case = yaml.safe_load(path.read_text("utf-8"))
    given = case.get("given", {})
    await centre.begin(msgspec.structs.replace(demo_tenant(), **given.get("tenant", {})))
    await tell_story(centre, given)
    await name_records(centre, given.get("named", {}))
    tokens = await generate_tokens(centre, case["request"])
    centre.clock.advance(given.get("later_ms", 0))
    await break_parts(centre, given)
    await centre.mark()
    for _ in range(case["request"].get("times", 1) - 1):
        await ask(centre, filled(case["request"], tokens, centre.tenant))
    status, headers, body = await ask(centre, filled(case["request"], tokens, centre.tenant))
    answer = case["answer"]
    assert (status, headers["Content-Type"]) == (answer["status"], answer["content_type"]), body
    for name, value in answer.get("headers", {}).items():
        assert_like(headers.get(name), value)
    assert_like(json.loads(body), of_tenant(answer["json"], centre.tenant))
    assert await centre.asked() == case["asks"]


async def tell_story(centre: RowCentre, given: dict[str, Any]) -> None:
    story = [
        (kind, {**about, **given.get("about", {})} if kind == "call.started" else about)
        for kind, about in STORIES[given.get("call", "none")]
    ]
    kinds = [kind for kind, _ in story]
    end = kinds.index("call.disconnected") if "call.disconnected" in kinds else len(story)
    await centre.tell(CALL, *story[:end])
    await dispose(centre, given.get("queued"))
    await centre.tell(CALL, *story[end:])
    await dispose(centre, given.get("disposed"))


async def dispose(centre: RowCentre, code: str | None) -> None:
    if code is not None:
        asked = Asked(call_id=CALL, agent_id=AGENT, code=code, dialect="native", policy=Policy())
        await centre.desk.dispose(centre.tenant, asked)


async def name_records(centre: RowCentre, named: dict[str, dict[str, str]]) -> None:
    asked = [
        NamingAsked(subject=Subject("record", number, "17"), dialect="test", data=data)
        for number, data in named.items()
    ]
    await centre.desk.subjects.ask_all(centre.tenant, asked)


async def generate_tokens(centre: RowCentre, request: dict[str, Any]) -> dict[str, str]:
    """`replaced`, then `token`, as a client gets them; only for who needs them."""
    if "{token}" not in str(request) and "{replaced}" not in str(request):
        return {}
    tokens = {}
    for name in ("replaced", "token"):
        response = await centre.client.post(
            "/ca_apis/CAToken/generateToken",
            headers={"apiKey": "demo-key"},
            json={"userName": "demo"},
        )
        tokens[name] = (await response.json())["token"]
    return tokens


async def break_parts(centre: RowCentre, given: dict[str, Any]) -> None:
    if given.get("worker") == "stopped":
        await centre.stop_worker()
    if given.get("log") == "unavailable":
        centre.log.fail_next("append")
    if given.get("store") == "unavailable":
        centre.store.fail_next("load")


def of_tenant(expected: Any, tenant: Tenant) -> Any:
    """What a file expects, where it depends on whose enrolment that is."""
    match expected:
        case dict():
            return {name: of_tenant(value, tenant) for name, value in expected.items()}
        case list():
            return [of_tenant(value, tenant) for value in expected]
        case str() if expected == enrolment_id(demo_tenant(), ENROLMENT):
            return enrolment_id(tenant, ENROLMENT)
        case _:
            return expected


def filled(request: dict[str, Any], tokens: dict[str, str], tenant: Tenant) -> dict[str, Any]:
    headers = {
        name: value.format_map(tokens) if "{" in value else value
        for name, value in request.get("headers", {}).items()
    }
    if headers.get("x-tenant-id") == "demo":
        headers["x-tenant-id"] = tenant.id
    if "Basic" in headers.get("Authorization", ""):  # spelt in clear in the files, to be read
        credentials = headers["Authorization"].removeprefix("Basic ")
        credentials = credentials.replace("demo/", f"{tenant.id}/").encode()
        headers["Authorization"] = f"Basic {b64encode(credentials).decode()}"
    return request | {"headers": headers}


async def ask(centre: RowCentre, request: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
    headers = dict(request["headers"])
    body = request.get("body")
    if "json" in request:
        body = json.dumps(request["json"])
        headers.setdefault("Content-Type", "application/json")
    data = None if body is None else io.BytesIO(body.encode())
    response = await centre.client.request(
        request["method"], URL(request["path"], encoded=True), headers=headers, data=data
    )
    return response.status, dict(response.headers), await response.read()


def assert_like(got: Any, expected: Any) -> None:
    """Equal, types included; a text that starts with `~` is a pattern."""
    match expected:
        case dict():
            assert isinstance(got, dict), got
            assert sorted(got) == sorted(expected)
            for key, value in expected.items():
                assert_like(got[key], value)
        case list():
            assert isinstance(got, list), got
            assert len(got) == len(expected), got
            for one, other in zip(got, expected, strict=True):
                assert_like(one, other)
        case str() if expected.startswith("~"):
            assert isinstance(got, str), got
            assert re.fullmatch(expected[1:], got), got
        case _:
            assert (type(got), got) == (type(expected), expected)
