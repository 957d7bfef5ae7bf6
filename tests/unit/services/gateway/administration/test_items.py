"""What belongs to a tenant, by admin route: made, replaced, listed, removed; and felt at once."""

import base64
from io import BytesIO
from typing import Any

import pytest

from shared.contracts.calls import AgentOnCall, Call, Phase
from shared.contracts.limits import TEXT_CHARS_MAX
from tests.support.clock import START_MS
from tests.unit.services.gateway.administration.office import OPERATOR, Office
from tests.unit.services.gateway.floor import ADMIN, NATIVE

pytestmark = pytest.mark.asyncio

ITEMS: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
    (
        "agents",
        "agent-77",
        {"user_id": 77, "name": "Kay"},
        {"agent_id": "agent-77", "user_id": 77, "name": "Kay", "has_password": False},
    ),
    (
        "codes",
        "Later",
        {"id": 77, "label": "Later, perhaps"},
        {
            "code": "Later",
            "id": 77,
            "label": "Later, perhaps",
            "needs_callback": False,
            "folder": None,
            "is_folder": False,
        },
    ),
    (
        "projects",
        "18",
        {"time_zone": "Asia/Tokyo"},
        {"project_id": "18", "time_zone": "Asia/Tokyo"},
    ),
    ("campaigns", "spring", {}, {"campaign_id": "spring"}),
    ("subtenants", "north", {}, {"subtenant_id": "north"}),
]
OF_FILE = [
    ("agents", "agent-1"),
    ("codes", "Sale"),
    ("projects", "17"),
    ("campaigns", "13f8bf6d-dc27-4a04-bffe-6e5b13c19ddf"),
]


@pytest.mark.parametrize(("many", "name", "body", "view"), ITEMS)
async def test_an_item_is_made_shown_listed_and_removed(
    office: Office, many: str, name: str, body: dict[str, Any], view: dict[str, Any]
) -> None:
    path = f"/{many}/{name}"
    assert (await office.ask("GET", path, ADMIN))[0] == 404
    assert await office.ask("PUT", path, ADMIN, body) == (201, view)
    assert await office.ask("PUT", path, ADMIN, body) == (200, view)
    assert await office.ask("GET", path, ADMIN) == (200, view)
    _, page = await office.ask("GET", f"/{many}?limit=200", ADMIN)
    assert view in page["rows"]
    for _ in range(2):
        assert await office.ask("DELETE", path, ADMIN) == (204, None)
        assert (await office.ask("GET", path, ADMIN))[0] == 404


@pytest.mark.parametrize(("many", "name"), OF_FILE)
async def test_an_item_of_the_file_is_removed_everywhere_and_for_good(
    office: Office, many: str, name: str
) -> None:
    _, shown = await office.ask("GET", f"/{many}/{name}", ADMIN)
    assert await office.ask("DELETE", f"/{many}/{name}", ADMIN) == (204, None)
    assert (await office.ask("GET", f"/{many}/{name}", ADMIN))[0] == 404
    restarted = office.opened()
    await restarted.start()
    assert restarted.get("demo") == office.directory.get("demo")
    status, back = await office.ask("PUT", f"/{many}/{name}", ADMIN)
    assert status == 201
    assert back.keys() == shown.keys()


async def test_pages_follow_the_ids(office: Office) -> None:
    found: list[str] = []
    cursor = ""
    while True:
        _, page = await office.ask("GET", f"/agents?limit=3{cursor}", ADMIN)
        found += [row["agent_id"] for row in page["rows"]]
        if "next" not in page:
            break
        cursor = f"&cursor={page['next']}"
    assert found == sorted(f"agent-{number}" for number in range(1, 11))


async def test_a_new_code_can_be_said_of_a_call_and_a_removed_one_no_more(office: Office) -> None:
    said = {"agent_id": "agent-1", "code": "Later"}
    url = "/v1/calls/call-1/disposition"
    async with office.client.post(url, headers=NATIVE, json=said) as answer:
        assert answer.status == 422
    await office.ask("PUT", "/codes/Later", ADMIN)
    async with office.client.post(url, headers=NATIVE, json=said) as answer:
        assert answer.status == 200
    await office.ask("DELETE", "/codes/Later", ADMIN)
    async with office.client.post(url, headers=NATIVE, json=said) as answer:
        assert answer.status == 422


async def test_codes_stand_in_folders_and_leave_with_them(office: Office) -> None:
    for code, body in (
        ("Sold", {}),
        ("By phone", {"folder": "Sold", "id": 90}),
        ("In/out 100%", {"folder": "By phone"}),
    ):
        path = f"/codes/{code.replace('%', '%25').replace('/', '%2F').replace(' ', '%20')}"
        status, shown = await office.ask("PUT", path, ADMIN, body)
        assert (status, shown["code"]) == (201, code), shown
    _, folder = await office.ask("GET", "/codes/Sold", ADMIN)
    assert folder["is_folder"]
    await office.ask("PUT", "/codes/Sale", ADMIN, {"folder": "Sold", "id": 1})
    _, shown = await office.ask("PUT", "/codes/Sold", ADMIN, {"label": "Sold it"})
    assert shown["is_folder"]
    assert await office.ask("DELETE", "/codes/Sold", ADMIN) == (204, None)
    _, page = await office.ask("GET", "/codes?limit=200", ADMIN)
    left = {row["code"] for row in page["rows"]}
    assert left.isdisjoint({"Sold", "By phone", "In/out 100%", "Sale"})
    assert "Referred" in left


async def test_an_agent_with_a_password_is_let_in_until_it_is_changed_or_taken(
    office: Office,
) -> None:
    async def enters(password: str) -> bool:
        pair = base64.b64encode(f"agent-77:{password}".encode()).decode()
        headers = {"Authorization": f"Basic {pair}"}
        async with office.client.get("/api/v2/me", headers=headers) as answer:
            return answer.status == 200

    _, shown = await office.ask("PUT", "/agents/agent-77", ADMIN, {"password": "first-secret"})
    assert shown["has_password"]
    assert await enters("first-secret")
    await office.ask("PUT", "/agents/agent-77", ADMIN, {"name": "Kay"})  # nothing said of it
    assert await enters("first-secret")
    await office.ask("PUT", "/agents/agent-77", ADMIN, {"password": "other-secret"})
    assert not await enters("first-secret")
    assert await enters("other-secret")
    await office.ask("PUT", "/agents/agent-77", ADMIN, {"password": None})
    assert not await enters("other-secret")
    assert b"secret" not in office.overlays.rows["demo"].body


async def test_a_password_that_opens_somebody_elses_door_is_refused(office: Office) -> None:
    acme = "/v1/admin/tenants/acme"
    await office.ask("PUT", acme, OPERATOR)
    await office.ask("PUT", "/agents/agent-77", ADMIN, {"password": "the-same-one"})
    before = dict(office.overlays.rows)
    path = f"{acme}/agents/agent-77"
    status, problem = await office.ask("PUT", path, OPERATOR, {"password": "the-same-one"})
    assert (status, problem["code"]) == (422, "validation")
    assert "demo" not in problem["detail"]
    assert office.overlays.rows == before


async def test_the_first_subtenant_stays_for_its_customers_have_no_other_name(
    office: Office,
) -> None:
    status, problem = await office.ask("DELETE", "/subtenants/main", ADMIN)
    assert (status, problem["code"]) == (409, "conflict")


async def test_settings_are_set_one_by_one_and_put_back_as_the_file_has_them(
    office: Office,
) -> None:
    _, before = await office.ask("GET", "", ADMIN)
    rules = {"seconds": 5, "mode": "timeout_code", "timeout_code": "Sale"}
    status, after = await office.ask(
        "PATCH", "", ADMIN, {"wrap_up": rules, "disposition_key": "Outcome"}
    )
    assert status == 200
    assert after["settings"] == before["settings"] | {
        "wrap_up": rules,
        "disposition_key": "Outcome",
    }
    tenant = office.directory.get("demo")
    assert tenant is not None
    assert tenant.wrap_up.disposition_key == "Outcome"
    _, after = await office.ask("PATCH", "", ADMIN, {"corrections": False})
    assert after["settings"]["wrap_up"] == rules
    assert not after["settings"]["corrections"]
    assert (await office.ask("DELETE", "/codes/Sale", ADMIN))[0] == 422  # the timeout code
    _, after = await office.ask("PUT", "", ADMIN, {})
    assert after["settings"] == before["settings"]


BAD: list[tuple[str, str, Any, int, str]] = [
    ("PUT", "/agents/agent-77", {"user_id": 1}, 422, "validation"),  # agent-1's
    ("PUT", "/agents/agent-77", {"user_id": "77"}, 422, "validation"),
    ("PUT", "/agents/agent-77", {"user_id": True}, 422, "validation"),
    ("PUT", "/agents/agent-77", {"user_id": 2**31}, 422, "validation"),
    ("PUT", "/agents/agent-77", {"password": "short"}, 422, "validation"),
    ("PUT", "/agents/agent-77", {"pasword": "long-enough"}, 422, "validation"),
    ("PUT", "/agents/agent-77", [], 422, "validation"),
    ("PUT", "/agents/a%20b", {}, 404, "not_found"),
    ("PUT", f"/agents/{'a' * 129}", {}, 404, "not_found"),
    ("PUT", "/codes/Later", {"id": 1}, 422, "validation"),  # Sale's
    ("PUT", "/codes/Later", {"folder": "Nowhere"}, 422, "validation"),
    ("PUT", "/codes/Later", {"folder": "Later"}, 422, "validation"),
    ("PUT", "/codes/%01", {}, 422, "validation"),
    ("PUT", f"/codes/{'a' * (TEXT_CHARS_MAX + 1)}", {}, 422, "validation"),
    ("PUT", "/projects/18", {"time_zone": "Mars/Olympus"}, 422, "validation"),
    ("PUT", "/projects/18", {"time_zone": "../../etc/passwd"}, 422, "validation"),
    ("PUT", "/campaigns/spring", {"name": "Spring"}, 422, "validation"),
    ("PATCH", "", {"demo": False}, 422, "validation"),
    ("PATCH", "", {"time_zone": None}, 422, "validation"),
    ("PATCH", "", {"wrap_up": {"seconds": 86_401}}, 422, "validation"),
    ("PATCH", "", {"wrap_up": {"mode": "timeout_code"}}, 422, "validation"),
    ("PATCH", "", {"wrap_up": {"mode": "timeout_code", "timeout_code": "No"}}, 422, "validation"),
    ("POST", "/keys", {}, 422, "validation"),
    ("POST", "/keys", {"scopes": []}, 422, "validation"),
    ("POST", "/keys", {"scopes": ["root"]}, 422, "validation"),
    ("POST", "/keys", {"kind": "genesys", "scopes": ["read"]}, 422, "validation"),
    ("POST", "/keys", {"id": "a/b", "scopes": ["read"]}, 422, "validation"),
    ("POST", "/keys", {"id": "native", "scopes": ["read"]}, 409, "conflict"),
    ("POST", "/keys", {"scopes": ["read"], "secret": "mine"}, 422, "validation"),
    ("POST", "/keys/native/rotate", {"grace_s": -1}, 422, "validation"),
    ("POST", "/keys/native/rotate", {"grace_s": 2_592_001}, 422, "validation"),
    ("POST", "/keys/nobody/rotate", {}, 404, "not_found"),
    ("GET", "/keys/nobody", None, 404, "not_found"),
    ("GET", "/agents?limit=201", None, 422, "validation"),
    ("GET", "/agents?page=1", None, 422, "validation"),
    ("GET", "/nothing", None, 404, "not_found"),
    ("PATCH", "/agents/agent-1", {}, 405, "method_not_allowed"),
]


@pytest.mark.parametrize(("method", "path", "body", "status", "code"), BAD)
async def test_what_is_wrong_is_told_and_nothing_is_written(
    office: Office, method: str, path: str, body: Any, status: int, code: str
) -> None:
    answered, problem = await office.ask(method, path, ADMIN, body)
    assert (answered, problem["code"]) == (status, code), problem
    assert office.unchanged


RAW: list[tuple[bytes, str, int]] = [
    (b"{", "application/json", 400),
    (b'{"name": "a", "name": "b"}', "application/json", 400),
    (b'{"name": "\\ud800"}', "application/json", 400),
    (b"[" * 100_000, "application/json", 400),
    (b"{}", "text/plain", 415),
    (b'{"name": "' + b"x" * 1_100_000 + b'"}', "application/json", 413),
]


@pytest.mark.parametrize(("body", "media_type", "status"), RAW)
async def test_what_can_not_be_read_is_told_and_nothing_is_written(
    office: Office, body: bytes, media_type: str, status: int
) -> None:
    url = "/v1/admin/tenants/demo/agents/agent-77"
    headers = ADMIN | {"Content-Type": media_type}
    async with office.admin.put(url, headers=headers, data=BytesIO(body)) as answer:
        assert answer.status == status
        assert answer.content_type == "application/problem+json"
    assert office.unchanged


async def test_an_agent_added_to_a_call_shows_in_its_own_dialect(office: Office) -> None:
    await office.put_call(
        Call(
            tenant="demo",
            id="call-1",
            version=1,
            phase=Phase.ACTIVE,
            created_ms=START_MS,
            agents=(AgentOnCall(agent_id="agent-77", phase=Phase.ACTIVE),),
        )
    )
    await office.ask("PUT", "/agents/agent-77", ADMIN, {"password": "first-secret"})
    pair = base64.b64encode(b"agent-77:first-secret").decode()
    headers = {"Authorization": f"Basic {pair}"}
    async with office.client.get("/api/v2/me/calls", headers=headers) as answer:
        assert answer.status == 200
        assert len((await answer.json())["calls"]) == 1


async def test_while_the_store_is_away_it_is_said_that_nothing_is_known(office: Office) -> None:
    office.overlays.away = True
    for method, path in (("PUT", "/codes/Later"), ("GET", "/codes"), ("DELETE", "/keys/native")):
        status, problem = await office.ask(method, path, ADMIN)
        assert (status, problem["code"]) == (503, "unavailable")
    async with office.client.get("/v1/codes", headers=NATIVE) as answer:
        assert answer.status == 200  # the last known stays
