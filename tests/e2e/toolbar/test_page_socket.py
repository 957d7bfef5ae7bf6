"""`GET /v1/socket` from pages in Chromium: of the gateway, of a listed origin, of another one."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest
import pytest_asyncio
import yaml
from aiohttp import web
from playwright.async_api import Browser, Page

from tests.support.line import Line
from tests.support.product import AGENT, DEMO_TENANTS, Product

CALL: Final = "page-1"
# Says hello, disposes once it is ready, and tells all that it heard once it knows the outcome.
SCRIPT: Final = """([url, authorization, call]) => new Promise((resolve) => {
  const heard = [];
  const socket = new WebSocket(url, ["aftercall.v1"]);
  socket.onopen = () => socket.send(JSON.stringify({type: "hello", authorization}));
  socket.onclose = ({code, reason}) => resolve({heard, code, reason});
  socket.onmessage = ({data}) => {
    const message = JSON.parse(data);
    heard.push(message);
    if (message.type === "ready") socket.send(JSON.stringify({
      type: "dispose", id: "1", call_id: call, disposition: {agent_id: "agent-1", code: "Sale"}}));
    if (["answer", "event"].every((type) => heard.some((one) => one.type === type))) socket.close();
  };
})"""

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]


class Stage(Line):
    """The product, and a browser's page."""

    def __init__(
        self, product: Product, http: aiohttp.ClientSession, page: Page, port: int
    ) -> None:
        super().__init__(product, http)
        self.page = page
        self.url = product.url.replace("http", "ws", 1) + "/v1/socket"
        self.origins = {
            "own": product.url,
            "listed": f"http://127.0.0.1:{port}",
            "other": f"http://localhost:{port}",  # the same pages, and another origin
        }

    async def converse(self, origin: str, authorization: str) -> dict[str, Any]:
        """What a page of this origin hears, and how it ends."""
        await self.page.goto(f"{self.origins[origin]}/docs")
        told: dict[str, Any] = await self.page.evaluate(SCRIPT, [self.url, authorization, CALL])
        return told

    async def token(self) -> str:
        url, body = f"{self.product.url}/v1/toolbar-tokens", {"agent_id": "agent-1"}
        async with self.http.post(url, json=body, headers=AGENT) as answer:
            return f"Bearer {(await answer.json())['token']}"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    folder = tmp_path_factory.mktemp("socket")
    async with (
        crm() as port,
        Product(folder / "data", tenants_file=listing(folder, port)) as product,
        aiohttp.ClientSession() as http,
    ):
        opened = Stage(product, http, await browser.new_page(), port)
        await opened.tell(CALL, "call.agent_joined", agent_id="agent-1")
        yield opened


def listing(folder: Path, port: int) -> Path:
    """The demo's tenants, with the origin of that port for the toolbar."""
    tenants = yaml.safe_load(DEMO_TENANTS.read_text("utf-8"))
    tenants["tenants"][0]["toolbar_origins"] = [f"http://127.0.0.1:{port}"]
    file = folder / "tenants.yaml"
    file.write_text(yaml.safe_dump(tenants), "utf-8")
    return file


@asynccontextmanager
async def crm() -> AsyncIterator[int]:
    """A page of nothing; on which port."""

    async def page(_: web.Request) -> web.Response:
        return web.Response(text="<!doctype html><title>A CRM</title>", content_type="text/html")

    app = web.Application()
    app.router.add_get("/docs", page)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(("origin", "by"), [("own", "key"), ("own", "token"), ("listed", "token")])
async def test_a_page_disposes_and_hears_of_it(stage: Stage, origin: str, by: str) -> None:
    key = AGENT["Authorization"] if by == "key" else await stage.token()
    told = await stage.converse(origin, key)
    kinds = {message["type"]: message for message in told["heard"]}
    assert kinds["answer"]["status"] == 200, told
    assert kinds["answer"]["body"]["outcome"] == "queued"
    assert kinds["event"]["event"]["tenant"] == "demo"


@pytest.mark.parametrize(
    ("origin", "by"), [("listed", "key"), ("other", "key"), ("other", "token")]
)
async def test_a_page_that_may_not_is_told_so(stage: Stage, origin: str, by: str) -> None:
    key = AGENT["Authorization"] if by == "key" else await stage.token()
    told = await stage.converse(origin, key)
    assert (told["code"], told["heard"]) == (4403, [])
    assert told["reason"].startswith("forbidden: ")


async def test_a_page_reads_why_it_was_refused(stage: Stage) -> None:
    told = await stage.converse("listed", "Bearer nobody")
    assert (told["code"], told["reason"]) == (4401, "unauthorized: no such key")
