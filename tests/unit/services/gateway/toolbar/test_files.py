"""The element's files: small, for pages of every origin, kept by their tag; and the demo page."""

import json
import re
from importlib.resources import files
from typing import Any

import pytest
import pytest_asyncio
from aiohttp.test_utils import TestClient, TestServer

from services.gateway import toolbar
from services.gateway.app import build_app
from services.gateway.toolbar.files import ELEMENT, LOCALES, ROUTES, squeezed
from tests.unit.services.gateway.floor import DEMO, Client, Floor

pytestmark = pytest.mark.asyncio

BYTES_MAX = 15_000
WORDS = [f"/toolbar/locales/{name}.json" for name in LOCALES]
SHARED = [*(f"/toolbar/{name}" for name in ELEMENT), *WORDS]
PAGES = ["/toolbar/demo", "/toolbar/demo.js", "/toolbar/demo.css"]


def source(name: str) -> str:
    return files(toolbar).joinpath(name).read_text("utf-8")


@pytest_asyncio.fixture(params=[True])
async def client(request: pytest.FixtureRequest) -> Any:
    floor = Floor(tenants=DEMO if request.param else ())
    async with TestClient(TestServer(build_app(floor.desk, more=ROUTES))) as opened:
        yield opened


async def test_the_element_is_small(client: Client) -> None:
    sizes = [len(await (await client.get(f"/toolbar/{name}")).read()) for name in ELEMENT]
    assert 10_000 < sum(sizes) < BYTES_MAX


async def test_every_page_may_load_it_and_asks_again_by_its_tag(client: Client) -> None:
    for path in SHARED:
        response = await client.get(path)
        assert response.status == 200
        assert response.headers["Access-Control-Allow-Origin"] == "*"
        assert response.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
        assert response.headers["Cache-Control"] == "no-cache"
        tag = response.headers["ETag"]
        for known in (tag, f'"other", W/{tag}', "*"):
            again = await client.get(path, headers={"If-None-Match": known})
            assert (again.status, await again.read(), again.headers["ETag"]) == (304, b"", tag)
        assert (await client.get(path, headers={"If-None-Match": '"x"'})).status == 200


async def test_the_demo_is_a_page_of_ours_under_a_strict_policy(client: Client) -> None:
    for path in PAGES:
        response = await client.get(path)
        assert response.status == 200
        assert response.headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert "unsafe" not in response.headers["Content-Security-Policy"]
        assert "Access-Control-Allow-Origin" not in response.headers


@pytest.mark.parametrize("client", [False], indirect=True)
async def test_without_a_demo_tenant_there_is_no_demo(client: Client) -> None:
    for path in PAGES:
        assert (await client.get(path)).status == 404
    assert (await client.get(SHARED[0])).status == 200


async def test_only_what_its_readers_need_is_left_out() -> None:
    script = "// one\na {\n\tb = { x : 1 };\n\n\tc(\n\t\td,\n\t)\n}\ne + +f\n[f] = g\n"
    assert squeezed(script) == "a{b={x:1};c(d,)}\ne + +f\n[f]=g\n"
    texts = 'a ( "b ( c \\" = d" , `e = ${ f } ( g` )\n'
    assert squeezed(texts) == 'a("b ( c \\" = d",`e = ${ f } ( g`)\n'
    for name in ELEMENT:
        for line in source(name).splitlines():
            assert "//" not in line.strip()[1:], "the line after it would be a comment, too"
        for text in re.findall(r"`[^`]*`", source(name)):
            if name != "look.js":
                assert "\n" not in text, "its line breaks would be served without indentation"
        for expression in re.findall(r"[(=,] ?(/[^/\n]+/)[a-z.),;]", source(name)):
            assert not re.search(r"[ \"`]", expression), "its spaces would be left out"


async def test_no_script_names_another_host_or_writes_markup() -> None:
    for name in (*ELEMENT, "demo.js"):
        text = source(name)
        assert not re.search(r"https?://", text), name
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", text)


async def test_each_language_says_everything() -> None:
    words = {name: json.loads(source(f"locales/{name}.json")) for name in LOCALES}
    for name, said in words.items():
        assert said.keys() == words["en"].keys(), name
        for key, text in said.items():
            blanks = re.findall(r"{\w+}", text)
            assert sorted(blanks) == sorted(re.findall(r"{\w+}", words["en"][key])), (name, key)
    assert {said["dir"] for said in words.values()} == {"ltr", "rtl"}
    named = set(re.findall(r"LOCALES = \[(.*?)\]", source("aftercall-toolbar.js"))[0].split(", "))
    assert named == {f'"{name}"' for name in LOCALES}
