"""Dead letters in Chromium: seen, understood, and put back by whoever may, on the admin port."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Locator, Page, expect

from shared.adapters.clock import SystemClock
from shared.adapters.embedded import open_embedded
from shared.contracts.envelope import Event, Message, to_message
from shared.contracts.ids import call_key
from shared.contracts.topics import TELEPHONY_EVENTS
from tests.support.browser import Scheme, faults, keep, open_console, watched
from tests.support.product import Product

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

ADMIN: Final = "demo-admin-key"
OPERATOR: Final = "the-operators-own-key"
LETTERS: Final = "/v1/admin/dead-letters"
LETTERS_S: Final = 30.0  # until all that could not be processed is seen
MANY: Final = 120  # three pages
AGAIN_MS: Final = 5000  # it would be asked again after 4 s
VALUE: Final = (
    b'{"agent": "Ada", "number": 12345678901234567890, "spoke": [], "with": ["<b>x</b>"]}'
)


def started(tenant: str, call: str) -> Message:
    """A call's first event, right in all but that this tenant may be nobody's."""
    event = Event(
        id=f"{call}-1",
        source="/switch",
        type="call.started",
        subject=call,
        time_ms=SystemClock().now_ms(),
        tenant=tenant,
        data=json.dumps({"direction": "inbound", "did": "1"}).encode(),
    )
    return to_message(event, TELEPHONY_EVENTS, call_key(tenant, call))


def poison() -> Sequence[Message]:
    """What callstate can't process, the oldest first."""
    of_old = [Message(TELEPHONY_EVENTS, "demo:old", (), b"old %d" % n) for n in range(MANY)]
    return [
        *of_old,
        Message(TELEPHONY_EVENTS, "", (), b"whose?"),
        Message(TELEPHONY_EVENTS, "demo:bad", (("ce_type", b"call.held"),), VALUE),
        Message(TELEPHONY_EVENTS, "demo:worse", (), b"\xff\x00"),
        started("acme", "c1"),
    ]


class Office:
    """The product with letters in it, and a browser."""

    def __init__(self, product: Product, browser: Browser) -> None:
        self.product = product
        self.browser = browser

    @asynccontextmanager
    async def open(
        self, key: str, address: str = "/letters", *, scheme: Scheme = "light"
    ) -> AsyncIterator[Page]:
        """The admin port's console; `watched`."""
        url = self.product.admin_url
        async with watched(self.browser, url, scheme) as page:
            await open_console(page, url, address, key=key, says="Up to date")
            yield page
            assert key not in page.url

    async def ask(self, method: str, path: str, key: str, body: Any = None) -> Any:
        headers = {"Authorization": f"Bearer {key}"}
        url = path if path.startswith("http") else self.product.admin_url + path
        async with (
            aiohttp.ClientSession(headers=headers) as http,
            http.request(method, url, json=body) as answer,
        ):
            assert answer.status in (200, 201), await answer.text()
            return await answer.json()

    async def waiting(self) -> list[dict[str, str]]:
        """Letters that were not put back."""
        page = await self.ask("GET", f"{LETTERS}?put_back=false&limit=200", OPERATOR)
        letters: list[dict[str, str]] = page["letters"]
        return letters

    async def place(self, key: str) -> str:
        """Of the only letter of this record key that waits."""
        (place,) = (row["place"] for row in await self.waiting() if row["key"] == key)
        return place


def row(page: Page, key: str) -> Locator:
    """The row of a record key."""
    return page.locator("tbody tr").filter(has=page.get_by_role("cell", name=key, exact=True))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def office(
    browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Office]:
    data_dir = tmp_path_factory.mktemp("letters") / "data"
    data_dir.mkdir()
    await append(data_dir, poison())
    product = Product(data_dir, operator_sha256=sha256(OPERATOR.encode()).hexdigest())
    async with product:
        opened = Office(product, browser)
        async with asyncio.timeout(LETTERS_S):
            while len(await opened.waiting()) < len(poison()):
                await asyncio.sleep(0.05)
        yield opened


async def append(data_dir: Path, messages: Sequence[Message]) -> None:
    """Write to the topics as somebody does who does not ask the gateway."""
    embedded = await open_embedded(data_dir, SystemClock())
    try:
        await embedded.log.append(messages)
    finally:
        await embedded.close()


async def test_a_letter_is_seen_put_back_and_processed_once_what_was_wrong_is_mended(
    office: Office,
) -> None:
    async with office.open(OPERATOR) as page:
        letter = row(page, "acme:c1")
        await expect(letter).to_contain_text("unknown_tenant")
        await expect(letter).to_contain_text("call.started")
        await keep(page, "console-letters")
        await office.ask("PUT", "/v1/admin/tenants/acme", OPERATOR, {})
        scopes = {"scopes": ["read"]}
        own = await office.ask("PUT", "/v1/admin/tenants/acme/keys/own", OPERATOR, scopes)
        await letter.get_by_role("link").press("Enter")
        await page.get_by_role("button", name="Put back…").press("Enter")
        dialog = page.get_by_role("dialog", name="Put this letter back?")
        await expect(dialog).to_contain_text(f"goes to the topic {TELEPHONY_EVENTS}, as it came")
        await expect(dialog).to_contain_text(await office.place("acme:c1"))
        await keep(page, "console-letter-dialog")
        await expect(dialog.get_by_role("button", name="Leave it")).to_be_focused()
        await page.keyboard.press("Tab")
        await page.keyboard.press("Enter")
        await expect(dialog).to_be_hidden()
        await expect(page.locator(".result")).to_contain_text(f"Put back to {TELEPHONY_EVENTS}, ")
        again = page.get_by_role("button", name="Put back again…")
        await expect(again).to_be_focused()
        await page.get_by_role("link", name="All dead letters").click()
        await expect(row(page, "demo:bad")).to_be_visible()
        await expect(letter).to_be_hidden()
        await page.get_by_label("Show").select_option("all")
        await expect(letter.locator("td").last).to_have_text(re.compile(r"\d\d:\d\d:\d\d"))
    calls = await office.ask("GET", f"{office.product.url}/v1/calls", own["secret"])
    assert [call["id"] for call in calls["calls"]] == ["c1"]


async def test_once_more_takes_a_second_word(office: Office) -> None:
    place = await office.place("demo:bad")
    async with office.open(ADMIN, f"/letters/{place}") as page:
        await page.get_by_role("button", name="Put back…").click()
        await page.keyboard.press("Escape")
        await expect(page.get_by_role("dialog")).to_be_hidden()
        await page.get_by_role("button", name="Put back…").click()
        await page.get_by_role("button", name="Put it back").click()
        await page.get_by_role("button", name="Put back again…").click()
        await expect(page.locator(".result")).to_be_empty()
        sure = page.get_by_role("button", name="Put it back")
        await expect(sure).to_be_disabled()
        before = await office.ask("GET", f"{LETTERS}/{place}", ADMIN)
        await page.get_by_role("checkbox", name="put it back once more").check()
        await sure.click()
        await expect(page.get_by_role("dialog")).to_be_hidden()
        await expect(page.locator(".result")).to_contain_text("Put back to")
        after = await office.ask("GET", f"{LETTERS}/{place}", ADMIN)
        assert after["put_back_at"] > before["put_back_at"]
        # What is wrong with it still is: two more letters, of which it says so.
        await page.get_by_role("link", name="All dead letters").click()
        await expect(row(page, "demo:bad")).to_have_count(2)


async def test_a_letter_that_somebody_else_was_faster_with_stays_where_it_is(
    office: Office,
) -> None:
    place = await office.place("demo:worse")
    async with office.open(ADMIN, f"/letters/{place}") as page:
        await expect(page.locator(".value")).to_have_text("/wA=")
        await page.get_by_role("button", name="Put back…").click()
        await office.ask("POST", f"{LETTERS}/{place}/put-back", ADMIN)
        await page.get_by_role("button", name="Put it back").click()
        await expect(page.locator(".result")).to_contain_text("nothing was done now")
        await expect(page.get_by_role("button", name="Put back again…")).to_be_visible()


async def test_an_answer_that_never_came_is_no_success_and_no_failure(office: Office) -> None:
    place = next(one["place"] for one in await office.waiting() if one["key"] == "demo:old")
    async with office.open(ADMIN, f"/letters/{place}") as page:
        await page.route("**/put-back", lambda route: route.abort())
        await page.get_by_role("button", name="Put back…").click()
        await page.get_by_role("button", name="Put it back").click()
        await expect(page.locator(".result")).to_contain_text("It is not known whether")
        await page.unroute("**/put-back")
        await page.get_by_role("button", name="Put back…").click()
        await page.get_by_role("button", name="Put it back").click()
        await expect(page.locator(".result")).to_contain_text("Put back to")


async def test_what_is_refused_is_not_asked_again_until_something_else_is_asked_for(
    office: Office,
) -> None:
    async with office.open(ADMIN, "/letters?topic=calls.changed") as page:
        asked: list[str] = []
        refusal = {"status": 422, "json": {"detail": "so not"}}
        await page.route("**/v1/admin/dead-letters?**", lambda route: route.fulfill(**refusal))
        await expect(page.locator(".problem")).to_have_text("They can't be read: so not.")
        await expect(page.locator("#connection")).to_have_text("Refused")
        page.on("request", lambda request: asked.append(request.url))
        await page.wait_for_timeout(AGAIN_MS)
        assert asked == []
        await page.unroute_all()
        await page.get_by_label("Topic").select_option("")
        await expect(page.locator("tbody tr").first).to_be_visible()
        await expect(page.locator(".problem")).to_be_empty()
        await page.route("**/put-back", lambda route: route.fulfill(**refusal))
        await page.locator("tbody a").first.click()
        await page.get_by_role("button", name=re.compile("Put back…")).click()
        await page.get_by_role("button", name="Put it back").click()
        await expect(page.locator(".result")).to_have_text("Nothing was done: so not.")


async def test_a_value_is_shown_as_it_came_and_never_as_markup(office: Office) -> None:
    place = next(one["place"] for one in await office.waiting() if one["key"] == "demo:bad")
    async with office.open(ADMIN, f"/letters/{place}") as page:
        value = page.locator(".value")
        await expect(value).to_contain_text('"number": 12345678901234567890,\n')
        await expect(value).to_contain_text('  "spoke": [],\n')
        await expect(value).to_contain_text("<b>x</b>")
        assert await value.locator("b").count() == 0
        shown = await value.inner_text()
        assert json.loads(shown) == json.loads(VALUE)
        await expect(page.locator(".headers")).to_contain_text("dead_reason")
        await keep(page, "console-letter")


async def test_a_tenants_admin_sees_none_of_anothers(office: Office) -> None:
    listed = await office.ask("GET", f"{LETTERS}?limit=200", OPERATOR)
    (theirs,) = (one["place"] for one in listed["letters"] if one["key"] == "acme:c1")
    async with office.open(ADMIN, f"/letters/{theirs}") as page:
        await expect(page.get_by_text("There is no dead letter here")).to_be_visible()
        await expect(page.get_by_role("button", name="Put back…")).to_be_hidden()
        await page.get_by_role("link", name="All dead letters").click()
        await page.get_by_label("Show").select_option("all")
        await expect(row(page, "demo:worse").first).to_be_visible()
        keys = await page.locator("tbody tr td:nth-child(4)").all_inner_texts()
        assert set(keys) <= {"demo:bad", "demo:worse", "demo:old"}


async def test_earlier_ones_are_a_button_away_and_a_reload_keeps_what_was_chosen(
    office: Office,
) -> None:
    async with office.open(ADMIN) as page:
        rows = page.locator("tbody tr")
        await expect(rows).to_have_count(50)
        await page.get_by_role("button", name="Show earlier ones").click()
        await expect(rows).to_have_count(100)
        await page.get_by_role("button", name="Show earlier ones").click()
        await expect(page.get_by_role("button", name="Show earlier ones")).to_be_hidden()
        assert await rows.count() >= MANY
        await page.get_by_label("Topic").select_option("calls.changed")
        await expect(page.get_by_text("There is none.")).to_be_visible()
        await page.reload()
        await expect(page.get_by_label("Topic")).to_have_value("calls.changed")
        await expect(page.get_by_text("There is none.")).to_be_visible()


async def test_a_letter_that_comes_while_somebody_looks_is_shown(office: Office) -> None:
    place = await office.place("")
    async with office.open(OPERATOR) as page:
        await expect(row(page, "demo:bad").first).to_be_visible()
        await office.ask("POST", f"{LETTERS}/{place}/put-back", OPERATOR)
        first = page.locator("tbody tr").first.locator("td").nth(3)
        await expect(first).to_have_text("")  # the same record, a new letter


@pytest.mark.parametrize("key", ["demo-key", "nobody"])
async def test_a_key_that_may_not_is_asked_for_another(office: Office, key: str) -> None:
    context = await office.browser.new_context()
    page = await context.new_page()
    await page.goto(f"{office.product.admin_url}/console")
    await page.get_by_label("API key").fill(key)
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("alert")).to_have_text(re.compile("The key lacks|No such key"))
    assert await page.evaluate("sessionStorage.length") == 0
    await context.close()


async def test_the_public_console_leads_there_and_shows_none_itself(office: Office) -> None:
    context = await office.browser.new_context()
    page = await context.new_page()
    await page.goto(f"{office.product.url}/console#key=demo-key")
    await page.get_by_role("link", name="Dead letters").click()
    await expect(page.locator("#page")).to_contain_text("on the admin port alone")
    await expect(page.locator("#page .address")).to_be_hidden()
    assert await faults(page) == []
    await page.get_by_role("link", name="Open them on the admin port").click()
    await expect(page.get_by_label("API key")).to_be_visible()
    assert page.url == f"{office.product.admin_url}/console#/letters"
    await context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_finds_nothing_on_these_pages(office: Office, scheme: Scheme) -> None:
    place = next(one["place"] for one in await office.waiting() if one["key"] == "demo:old")
    await office.ask("POST", f"{LETTERS}/{place}/put-back", ADMIN)
    async with office.open(ADMIN, scheme=scheme) as page:
        await expect(row(page, "demo:bad").first).to_be_visible()
        assert await faults(page) == []
        await page.goto(f"{office.product.admin_url}/console#/letters/{place}")
        await page.get_by_role("button", name="Put back again…").click()
        assert await faults(page) == []
        await page.get_by_role("button", name="Leave it").click()
        assert await faults(page) == []
        await page.get_by_role("button", name="Forget the key").click()
        assert await faults(page) == []
        await page.get_by_label("API key").fill(ADMIN)  # for the check that it left the address
