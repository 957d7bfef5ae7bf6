"""Who reaches what: a tenant's admin its own tenant, the operator all, nobody else anything."""

import pytest

from services.gateway.administration.app import ROUTES
from services.gateway.openapi import template
from services.gateway.route import Route
from tests.unit.services.gateway.administration.office import OPERATOR, Office, open_office
from tests.unit.services.gateway.floor import ADMIN, NATIVE, SWITCH

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]

OF_TENANTS = [route for route in ROUTES if "{tenant}" in route.path]
NEW = "/v1/admin/tenants/acme"


def url(route: Route, tenant: str) -> str:
    """A path of the route; `{id}` of something, of kind `customer`; a place of a letter."""
    path = template(route.path).replace("{tenant}", tenant)
    path = path.replace("{kind}", "customer").replace("{id}", "one")
    return path.replace("{topic}/{partition}/{offset}", "telephony.events.dead/0/0")


def named(routes: list[Route]) -> list[str]:
    return [route.operation_id for route in routes]


@pytest.mark.parametrize("route", OF_TENANTS, ids=named(OF_TENANTS))
async def test_another_tenant_is_as_one_that_there_is_not(office: Office, route: Route) -> None:
    await office.ask("PUT", NEW, OPERATOR)
    before = dict(office.overlays.rows)
    answers = [
        await office.ask(route.method, url(route, tenant), ADMIN, {"scopes": ["read"]})
        for tenant in ("acme", "nobody")
    ]
    assert answers[0] == answers[1]
    assert answers[0][0] == 404
    assert office.overlays.rows == before


@pytest.mark.parametrize("route", ROUTES, ids=named(list(ROUTES)))
@pytest.mark.parametrize(
    ("who", "status"),
    [
        ({}, 401),
        ({"Authorization": "Bearer nobody"}, 401),
        ({"Authorization": "Basic ZGVtbzpkZW1v"}, 401),
        (NATIVE, 403),
        (SWITCH, 403),
    ],
)
async def test_only_admins_are_let_in(
    office: Office, route: Route, who: dict[str, str], status: int
) -> None:
    assert (await office.ask(route.method, url(route, "demo"), who, {}))[0] == status
    assert office.unchanged


async def test_the_operator_makes_a_tenant_whose_own_admin_goes_on(office: Office) -> None:
    status, tenant = await office.ask(
        "PUT", NEW, OPERATOR, {"name": "Acme", "time_zone": "Asia/Kolkata"}
    )
    assert status == 201
    assert (tenant["in_file"], tenant["settings"]["time_zone"]) == (False, "Asia/Kolkata")
    _, key = await office.ask("PUT", f"{NEW}/keys/admin", OPERATOR, {"scopes": ["admin", "read"]})
    own = {"Authorization": f"Bearer {key['secret']}"}
    assert (await office.ask("PUT", f"{NEW}/codes/Sale", own, {}))[0] == 201
    async with office.client.get("/v1/codes", headers=own) as answer:
        assert [row["code"] for row in (await answer.json())["codes"]] == ["Sale"]
    _, page = await office.ask("GET", "/v1/admin/tenants", own)
    assert [row["id"] for row in page["rows"]] == ["acme"]
    _, page = await office.ask("GET", "/v1/admin/tenants", OPERATOR)
    assert [row["id"] for row in page["rows"]] == ["acme", "demo"]


async def test_a_tenant_is_put_twice_and_made_once(office: Office) -> None:
    assert [(await office.ask("PUT", NEW, OPERATOR, {}))[0] for _ in range(2)] == [201, 200]


async def test_a_tenants_admin_makes_and_removes_no_tenant(office: Office) -> None:
    assert (await office.ask("PUT", NEW, ADMIN, {}))[0] == 404
    status, problem = await office.ask("DELETE", "", ADMIN)
    assert (status, problem["code"]) == (403, "forbidden")
    assert office.unchanged


async def test_a_tenant_that_was_removed_is_gone_with_its_keys(office: Office) -> None:
    await office.ask("PUT", NEW, OPERATOR, {"name": "Acme"})
    _, key = await office.ask("PUT", f"{NEW}/keys/admin", OPERATOR, {"scopes": ["admin", "read"]})
    own = {"Authorization": f"Bearer {key['secret']}"}
    assert (await office.ask("DELETE", NEW, OPERATOR))[0] == 204
    assert (await office.ask("GET", NEW, OPERATOR))[0] == 404
    async with office.client.get("/v1/calls", headers=own) as answer:
        assert answer.status == 401
    assert (await office.ask("DELETE", NEW, OPERATOR))[0] == 204
    assert (await office.ask("PUT", NEW, OPERATOR))[0] == 201
    _, tenant = await office.ask("GET", NEW, OPERATOR)
    assert (tenant["settings"]["name"], tenant["credentials"]) == ("", 0)


async def test_a_tenant_of_the_file_is_not_removed(office: Office) -> None:
    status, problem = await office.ask("DELETE", "", OPERATOR)
    assert (status, problem["code"]) == (409, "conflict")


@pytest.mark.parametrize("tenant", ["a:b", "a" * 65])
async def test_a_tenant_has_an_id_that_fits_into_keys(office: Office, tenant: str) -> None:
    status, _ = await office.ask("PUT", f"/v1/admin/tenants/{tenant}", OPERATOR, {})
    assert status == 422
    assert office.unchanged


async def test_without_the_setting_there_is_no_operator() -> None:
    async with open_office(operator=None) as office:
        assert (await office.ask("GET", "/v1/admin/tenants", OPERATOR))[0] == 401


async def test_the_operators_key_opens_nothing_on_the_public_port(office: Office) -> None:
    async with office.client.get("/v1/calls", headers=OPERATOR) as answer:
        assert answer.status == 401


async def test_the_admin_routes_are_not_on_the_public_port(office: Office) -> None:
    async with office.client.get("/v1/admin/tenants", headers=ADMIN) as answer:
        assert answer.status == 404
