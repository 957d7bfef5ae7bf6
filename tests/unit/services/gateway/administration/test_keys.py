"""Keys by admin route: made, used, listed, rotated, revoked; a secret is shown once."""

import base64
import json
from typing import Any

import pytest

from tests.unit.services.gateway.administration.office import Office
from tests.unit.services.gateway.floor import ADMIN

pytestmark = pytest.mark.asyncio

HOUR_MS = 3_600_000


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


async def opens(office: Office, secret: str) -> bool:
    async with office.client.get("/v1/calls", headers=bearer(secret)) as answer:
        assert answer.status in (200, 401)
        return answer.status == 200


async def made(office: Office, **more: Any) -> Any:
    status, key = await office.ask("POST", "/keys", ADMIN, {"scopes": ["read"], **more})
    assert status == 201, key
    return key


async def test_a_key_is_made_used_rotated_with_two_live_and_revoked(office: Office) -> None:
    first = await made(office, id="crm")
    assert await opens(office, first["secret"])
    status, second = await office.ask("POST", "/keys/crm/rotate", ADMIN, {"grace_s": 3600})
    assert status == 200
    assert second["older_until"] is not None
    assert await opens(office, first["secret"])
    assert await opens(office, second["secret"])
    assert await office.ask("DELETE", "/keys/crm", ADMIN) == (204, None)
    assert not await opens(office, first["secret"])
    assert not await opens(office, second["secret"])
    assert await office.ask("DELETE", "/keys/crm", ADMIN) == (204, None)


async def test_another_gateway_knows_it_at_its_next_look(office: Office) -> None:
    key = await made(office, id="crm")
    secret = key["secret"].encode()
    assert office.other.find("bearer", secret) is None
    await office.other.refresh()
    assert office.other.find("bearer", secret) is not None
    await office.ask("DELETE", "/keys/crm", ADMIN)
    await office.other.refresh()
    assert office.other.find("bearer", secret) is None


async def test_the_secret_before_ends_when_its_time_is_over(office: Office) -> None:
    first = await made(office, id="crm")
    _, second = await office.ask("POST", "/keys/crm/rotate", ADMIN, {"grace_s": 3600})
    office.clock.advance(HOUR_MS)
    await office.directory.refresh()
    assert not await opens(office, first["secret"])
    assert await opens(office, second["secret"])
    _, shown = await office.ask("GET", "/keys/crm", ADMIN)
    assert shown["older_until"] is None


async def test_without_a_grace_the_secret_before_ends_at_once(office: Office) -> None:
    first = await made(office, id="crm")
    _, second = await office.ask("POST", "/keys/crm/rotate", ADMIN, {"grace_s": 0})
    assert not await opens(office, first["secret"])
    assert await opens(office, second["secret"])


@pytest.mark.parametrize(
    ("ends", "live"), [("older", [False, True, True]), ("newer", [True, False, True])]
)
async def test_of_two_live_secrets_the_one_that_is_said_ends(
    office: Office, ends: str, live: list[bool]
) -> None:
    keys = [await made(office, id="crm")]
    for more in ({}, {"ends": ends}):
        status, key = await office.ask("POST", "/keys/crm/rotate", ADMIN, more)
        assert status == 200
        keys.append(key)
    assert [await opens(office, key["secret"]) for key in keys] == live


async def test_a_third_live_secret_is_refused_unless_one_is_said_to_end(office: Office) -> None:
    first = await made(office, id="crm")
    _, second = await office.ask("POST", "/keys/crm/rotate", ADMIN)
    status, problem = await office.ask("POST", "/keys/crm/rotate", ADMIN)
    assert (status, problem["code"]) == (409, "conflict")
    assert await opens(office, first["secret"])
    assert await opens(office, second["secret"])


async def test_a_key_of_the_file_is_rotated_and_revoked_too(office: Office) -> None:
    _, fresh = await office.ask("POST", "/keys/native/rotate", ADMIN)
    assert await opens(office, "demo-key")
    assert await opens(office, fresh["secret"])
    await office.ask("DELETE", "/keys/native", ADMIN)
    assert not await opens(office, "demo-key")
    restarted = office.opened()
    await restarted.start()
    assert restarted.find("bearer", b"demo-key") is None


async def test_no_answer_but_the_first_holds_a_secret_or_its_digest(office: Office) -> None:
    key = await made(office, id="crm")
    assert len(key["secret"]) >= 43  # 256 bits in base64
    _, one = await office.ask("GET", "/keys/crm", ADMIN)
    _, page = await office.ask("GET", "/keys", ADMIN)
    for shown in (one, page):
        text = json.dumps(shown)
        assert key["secret"] not in text
        assert "sha256" not in text
    assert one == {name: value for name, value in key.items() if name != "secret"}
    assert key["secret"].encode() not in office.overlays.rows["demo"].body


async def test_a_revoked_key_stays_listed_and_can_not_come_back(office: Office) -> None:
    await made(office, id="crm")
    await office.ask("DELETE", "/keys/crm", ADMIN)
    _, page = await office.ask("GET", "/keys", ADMIN)
    (row,) = [row for row in page["rows"] if row["id"] == "crm"]
    assert row["revoked_at"] is not None
    for method, path, body in (
        ("POST", "/keys", {"id": "crm", "scopes": ["read"]}),
        ("PUT", "/keys/crm", {"scopes": ["read"]}),
        ("POST", "/keys/crm/rotate", {}),
    ):
        status, problem = await office.ask(method, path, ADMIN, body)
        assert (status, problem["code"]) == (409, "conflict"), path


async def test_put_makes_once_and_then_only_changes_what_the_key_may_do(office: Office) -> None:
    status, key = await office.ask("PUT", "/keys/crm", ADMIN, {"scopes": ["read"]})
    assert status == 201
    status, again = await office.ask("PUT", "/keys/crm", ADMIN, {"scopes": ["events:write"]})
    assert (status, again["scopes"]) == (200, ["events:write"])
    assert "secret" not in again
    async with office.client.get("/v1/calls", headers=bearer(key["secret"])) as answer:
        assert answer.status == 403  # still known, no longer allowed
    status, _ = await office.ask(
        "PUT", "/keys/crm", ADMIN, {"kind": "carecycle", "scopes": ["read"]}
    )
    assert status == 409


async def test_what_changes_nothing_is_not_written(office: Office) -> None:
    await office.ask("PUT", "/keys/crm", ADMIN, {"scopes": ["read"]})
    version = office.overlays.rows["demo"].version
    assert (await office.ask("PUT", "/keys/crm", ADMIN, {"scopes": ["read"]}))[0] == 200
    assert (await office.ask("DELETE", "/keys/nobody", ADMIN))[0] == 204
    assert office.overlays.rows["demo"].version == version


async def test_every_dialect_takes_a_key_made_here(office: Office) -> None:
    scopes = ["disposition:write", "read"]
    carecycle = await made(office, kind="carecycle", scopes=scopes)
    assert carecycle["secret"].startswith("cc_")
    zipteams = await made(office, kind="zipteams", scopes=scopes)
    basic = await made(office, kind="basic", name="crm", scopes=scopes)
    ozonetel = await made(office, kind="ozonetel", name="crm", scopes=scopes)
    pair = base64.b64encode(f"crm:{basic['secret']}".encode()).decode()
    asked: list[tuple[str, str, dict[str, str], Any, int]] = [
        ("GET", "/v2/customers", {"x-api-key": carecycle["secret"]}, None, 200),
        ("GET", "/v2/customers", {"x-api-key": carecycle["secret"] + "x"}, None, 401),
        (
            "PUT",
            "/api/v1/partner/ingest/disposition-status",
            {
                "x-api-key": zipteams["name"],
                "x-api-secret": zipteams["secret"],
                "x-tenant-id": "demo",
                "x-subtenant-id": "main",
            },
            {},
            422,
        ),
        ("GET", "/v2/projects/17/records/1", {"Authorization": f"Basic {pair}"}, None, 404),
        ("GET", "/v2/projects/17/records/1", {"Authorization": "Basic Y3JtOg=="}, None, 401),
    ]
    for method, path, headers, body, status in asked:
        async with office.client.request(method, path, headers=headers, json=body) as answer:
            assert answer.status == status, (path, await answer.text())
    url = "/ca_apis/CAToken/generateToken"
    headers = {"apiKey": ozonetel["secret"]}
    async with office.client.post(url, headers=headers, json={"userName": "crm"}) as answer:
        assert (await answer.json(content_type=None))["token"]


NAMES = [
    ("bearer", "crm", 422),
    ("carecycle", "crm", 422),
    ("basic", None, 422),
    ("ozonetel", None, 422),
    ("basic", "a:b", 422),
    ("basic", "a b", 422),
    ("basic", "ä", 422),
    ("zipteams", "mine", 201),
]


@pytest.mark.parametrize(("kind", "name", "status"), NAMES)
async def test_a_key_has_a_name_where_its_door_has_one(
    office: Office, kind: str, name: str | None, status: int
) -> None:
    body = {"kind": kind, "scopes": ["read"]} | ({} if name is None else {"name": name})
    assert (await office.ask("POST", "/keys", ADMIN, body))[0] == status
    assert office.unchanged == (status == 422)
