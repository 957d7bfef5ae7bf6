import re
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from services.gateway import console
from services.gateway.administration import console as office
from services.gateway.console import BESIDE, Beside
from services.gateway.route import Route
from shared.contracts.tenants import Tenant
from tests.unit.services.gateway.floor import DEMO, Client, Floor

CONSOLES = {"public": console.ROUTES, "admin": office.ROUTES}


@pytest.fixture(params=CONSOLES)
def routes(request: pytest.FixtureRequest) -> tuple[Route, ...]:
    return CONSOLES[request.param]


@pytest_asyncio.fixture
async def client(routes: tuple[Route, ...]) -> AsyncIterator[Client]:
    async with TestClient(TestServer(serving(routes, DEMO))) as client:
        yield client


def serving(routes: tuple[Route, ...], tenants: tuple[Tenant, ...]) -> web.Application:
    app = web.Application()
    app[BESIDE] = Beside()
    desk = Floor(tenants=tenants).desk

    def add(route: Route) -> None:
        async def handle(request: web.Request) -> web.StreamResponse:
            return await route.handler(request, desk)

        app.router.add_route(route.method, route.path, handle)

    for route in routes:
        add(route)
    return app


async def texts(client: Client, routes: tuple[Route, ...]) -> dict[str, str]:
    """Every file by its path."""
    return {route.path: await (await client.get(route.path)).text() for route in routes}


@pytest.mark.asyncio
async def test_each_file_is_served_under_a_strict_policy(
    client: Client, routes: tuple[Route, ...]
) -> None:
    for route in routes:
        response = await client.get(route.path)
        assert response.status == 200
        policy = response.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; script-src 'self';")
        assert "unsafe" not in policy
        assert "http" not in policy
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Content-Type"].endswith("; charset=utf-8")


@pytest.mark.asyncio
async def test_who_has_a_file_is_told_that_it_is_as_it_was(
    client: Client, routes: tuple[Route, ...]
) -> None:
    for route in routes:
        tag = (await client.get(route.path)).headers["ETag"]
        again = await client.get(route.path, headers={"If-None-Match": tag})
        assert (again.status, await again.read(), again.headers["ETag"]) == (304, b"", tag)
        other = await client.get(route.path, headers={"If-None-Match": '"other"'})
        assert other.status == 200


@pytest.mark.asyncio
@pytest.mark.parametrize("routes", ["public"], indirect=True)
async def test_a_page_that_knows_more_has_another_tag(client: Client) -> None:
    tag = (await client.get("/console")).headers["ETag"]
    client.app[BESIDE].admin_port = 8081
    again = await client.get("/console", headers={"If-None-Match": tag})
    assert (again.status, again.headers["ETag"] == tag) == (200, False)


@pytest.mark.asyncio
async def test_the_pages_name_only_files_of_their_own_and_pages_beside_them(
    client: Client, routes: tuple[Route, ...]
) -> None:
    shown = await texts(client, routes)
    own, used = {*shown, "/docs", "/docs/topics"}, {"/console"}
    if routes is console.ROUTES:
        own |= {"/toolbar/demo"}
    for path, text in shown.items():
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text), path
        named = re.findall(r"""(?:src|href|from|import|action)=?\s*["']([^"'#]+)["']""", text)
        assert set(named) <= own, path
        used |= set(named)
    assert used >= set(shown)


@pytest.mark.asyncio
async def test_the_pages_hold_no_inline_code_and_write_no_markup(
    client: Client, routes: tuple[Route, ...]
) -> None:
    shown = await texts(client, routes)
    inline = r"<script(?![^>]*\bsrc=)|<style|\son[a-z]+=|\sstyle=|javascript:"
    assert not re.search(inline, shown["/console"])
    for text in shown.values():
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", text)


def test_no_route_of_the_page_asks_for_a_credential(routes: tuple[Route, ...]) -> None:
    assert {route.scope for route in routes} == {None}


def test_what_is_for_admins_is_on_their_port_alone() -> None:
    only = {route.path for route in office.ROUTES} - {route.path for route in console.ROUTES}
    assert {"/console/letters_page.js", "/console/letter_page.js"} <= only


@pytest.mark.asyncio
@pytest.mark.parametrize("tenants", [DEMO, ()])
async def test_the_toolbar_is_shown_where_there_is_one_to_show(tenants: tuple[Tenant, ...]) -> None:
    async with TestClient(TestServer(serving(console.ROUTES, tenants))) as client:
        page = await (await client.get("/console")).text()
    assert ('href="/toolbar/demo"' in page) == bool(tenants)


@pytest.mark.asyncio
@pytest.mark.parametrize("routes", ["public"], indirect=True)
@pytest.mark.parametrize(("port", "said"), [(None, ""), (8081, "8081")])
async def test_the_page_knows_the_admin_port_where_everybody_may(
    client: Client, port: int | None, said: str
) -> None:
    client.app[BESIDE].admin_port = port
    page = await (await client.get("/console")).text()
    assert f'<meta name="admin-port" content="{said}">' in page
