"""What the toolbar plays on: the product, a CRM whose pages embed it, a browser; and a switch."""

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import aiohttp
import yaml
from playwright.async_api import Browser, Page, expect

from tests.e2e.toolbar.crm import Crm
from tests.support.browser import WAIT_MS, set_clock, watch
from tests.support.line import Line
from tests.support.product import DEMO_TENANTS, SWITCH, Product

AGENTS: Final = 20  # no test meets the calls of another
STRICT: Final = {"Authorization": "Bearer strict-key"}
CODES: Final = [
    {
        "code": "Sales",
        "label": "Sales talk",
        "children": [{"code": "Sale", "id": 1}, {"code": "Interested", "id": 2}],
    },
    {"code": "Callback", "id": 4, "label": "Call back", "needs_callback": True},
    {"code": "DoNotCall", "id": 6, "label": "Do not call"},
]


class Stage(Line):
    """Whom its pages have asked, and of what they have complained, is kept."""

    def __init__(
        self, product: Product, http: aiohttp.ClientSession, crm: Crm, browser: Browser
    ) -> None:
        super().__init__(product, http)
        self.crm = crm
        self.browser = browser
        self.hosts: set[str] = set()
        self.complaints: list[str] = []
        self._calls = 0

    async def page(self) -> Page:
        """An empty one, in a context of its own."""
        context = await self.browser.new_context()
        context.set_default_timeout(WAIT_MS)
        page = await context.new_page()
        watch(page, self.hosts, self.complaints)
        return page

    async def open(self, agent: str, skew_ms: int = 0, **more: object) -> Page:
        """A page of the CRM, in a browser whose clock is wrong by so much."""
        page = await self.page()
        await set_clock(page, skew_ms)
        await page.goto(self.crm.address(agent, **more))
        return page

    async def talk(self, agent: str, caller: str = "+3120555", key: Any = SWITCH) -> str:
        """A call that this agent is on."""
        self._calls += 1
        call = f"call-{self._calls}"
        await self.tell(call, "call.started", key, **{"direction": "inbound", "from": caller})
        await self.tell(call, "call.agent_joined", key, agent_id=agent)
        return call

    async def verdicts(self, call: str) -> list[str]:
        entries = (await self.get(f"/v1/calls/{call}/history"))["entries"]
        return [entry["type"] for entry in entries if entry["kind"] == "verdict"]

    async def dispositions(self, call: str) -> list[Any]:
        return [
            agent.get("disposition") for agent in (await self.get(f"/v1/calls/{call}"))["agents"]
        ]


def tenants(origin: str) -> list[dict[str, Any]]:
    """The demo tenant with folders of codes, and this page among its origins; and a strict one."""
    (tenant,) = yaml.safe_load(DEMO_TENANTS.read_text())["tenants"]
    agents = [{"agent_id": f"agent-{number}"} for number in range(1, AGENTS + 1)]
    tenant |= {"codes": CODES, "toolbar_origins": [origin], "agents": agents}
    scopes = ["disposition:write", "events:write", "read"]
    key = {"id": "crm", "kind": "bearer", "secret": "strict-key", "scopes": scopes}
    strict = tenant | {
        "id": "strict",
        "corrections": False,
        "credentials": [key],
        "agents": [{"agent_id": "agent-1"}],
    }
    return [tenant, strict]


@asynccontextmanager
async def staged(
    browser: Browser,
    folder: Path,
    wrap_up_s: int,
    tenants: Callable[[str], list[dict[str, Any]]] = tenants,
) -> AsyncIterator[Stage]:
    """A stage until the block ends, for the tenants that there are with the CRM's origin."""
    async with Crm() as crm:
        file = folder / "tenants.yaml"
        file.write_text(yaml.safe_dump({"tenants": tenants(crm.origin)}))
        product = Product(folder / "data", tenants_file=file, demo_wrap_up_s=wrap_up_s)
        crm.gateway = product.url
        async with product, aiohttp.ClientSession() as http:
            yield Stage(product, http, crm, browser)


async def choose(page: Page, code: str) -> None:
    await page.locator("[part=search]").fill(code)
    await page.locator("[part=search]").press("Enter")


async def save(page: Page, code: str) -> None:
    await choose(page, code)
    await page.locator("[part=save]").click()


async def says(page: Page, state: str, text: str | re.Pattern[str] = "") -> None:
    """The toolbar says so, in seconds."""
    outcome = page.locator("[part=outcome]")
    await expect(outcome).to_have_attribute("data-state", state)
    await expect(outcome).to_contain_text(text)
