import re
from collections.abc import AsyncIterator
from typing import cast

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from services.gateway import console
from services.gateway.desk import Desk
from services.gateway.route import Route

Client = TestClient[web.Request, web.Application]
PATHS = [route.path for route in console.ROUTES]


@pytest_asyncio.fixture
async def client() -> AsyncIterator[Client]:
    app = web.Application()

    def add(route: Route) -> None:
        async def handle(request: web.Request) -> web.StreamResponse:
            return await route.handler(request, cast("Desk", None))

        app.router.add_route(route.method, route.path, handle)

    for route in console.ROUTES:
        add(route)
    async with TestClient(TestServer(app)) as client:
        yield client


@pytest.mark.asyncio
@pytest.mark.parametrize("path", PATHS)
async def test_each_file_is_served_under_a_strict_policy(client: Client, path: str) -> None:
    response = await client.get(path)
    assert response.status == 200
    policy = response.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self';")
    assert "unsafe" not in policy
    assert "http" not in policy
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Content-Type"].endswith("; charset=utf-8")


@pytest.mark.asyncio
async def test_the_pages_name_only_files_of_their_own_and_pages_beside_them(
    client: Client,
) -> None:
    for path in PATHS:
        text = await (await client.get(path)).text()
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text), path
        named = re.findall(r"""(?:src|href|from|import|action)=?\s*["']([^"'#]+)["']""", text)
        assert set(named) <= {*PATHS, "/docs", "/docs/topics", "/toolbar/demo"}, path


@pytest.mark.asyncio
async def test_the_pages_hold_no_inline_code_and_write_no_markup(client: Client) -> None:
    page = await (await client.get("/console")).text()
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\son[a-z]+=|\sstyle=|javascript:", page)
    for path in PATHS:
        text = await (await client.get(path)).text()
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", text)


def test_no_route_of_the_page_asks_for_a_credential() -> None:
    assert {route.scope for route in console.ROUTES} == {None}
