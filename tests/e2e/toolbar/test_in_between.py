"""The toolbar between an answer and the read after it, and before and after a page has it."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Route, expect

from tests.e2e.toolbar.stage import Stage, choose, save, says, staged

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

WRAP_UP_S: Final = 4
ELEMENT: Final = "document.querySelector('aftercall-toolbar')"
PAST: Final = "Wed, 21 Oct 2015 07:28:00 GMT"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    async with staged(browser, tmp_path_factory.mktemp("between"), WRAP_UP_S) as opened:
        yield opened


async def test_what_is_saved_between_an_answer_and_its_read_is_sent(stage: Stage) -> None:
    page = await stage.open("agent-1")
    call = await stage.talk("agent-1")
    await expect(page.locator("[part=call]")).to_contain_text("on the call")
    go_on = asyncio.Event()

    async def hold(route: Route) -> None:
        await go_on.wait()
        await route.continue_()

    await page.route(f"**/v1/calls/{call}", hold)
    async with page.expect_response("**/disposition"):
        await save(page, "sale")
    await page.locator("[part=comment]").fill("second words")
    await page.locator("[part=save]").click()
    go_on.set()
    await says(page, "queued", "Sale")
    (agent,) = (await stage.get(f"/v1/calls/{call}"))["agents"]
    assert agent["queued"]["comment"] == "second words"
    await page.context.close()


async def test_a_call_that_only_rang_gives_its_place_to_the_next(stage: Stage) -> None:
    page = await stage.open("agent-2")
    started = {"direction": "inbound", "from": "+31000", "agent_id": "agent-2"}
    await stage.tell("rang-1", "call.started", **started)
    await expect(page.locator("[part=call]", has_text="ringing")).to_be_visible()
    await stage.tell("rang-1", "call.disconnected", by="caller")
    await expect(page.locator("[part=call]", has_text="released")).to_be_visible()
    call = await stage.talk("agent-2", "+777")
    await expect(page.locator("[part=call]")).to_have_text(["\u2068+777\u2069 on the call "])
    await save(page, "sale")
    await says(page, "queued", "Sale")
    assert await stage.verdicts(call) == ["disposition.queued"]
    await page.context.close()


async def test_a_new_call_is_shown_in_place_of_the_one_that_is_over_not_an_older(
    stage: Stage,
) -> None:
    page = await stage.open("agent-3")
    missed = await stage.talk("agent-3", "+391")
    await stage.tell(missed, "call.disconnected", by="caller")
    await says(page, "missed")
    over = await stage.talk("agent-3", "+392")
    await page.locator("[part=call]", has_text="+392").click()
    await page.locator("[part=release_after]").check()
    await save(page, "sale")
    await says(page, "queued")
    await stage.tell(over, "call.disconnected", by="caller")
    await expect(page.locator("[part=call]", has_text="+392")).to_contain_text("released")
    await page.locator("#note").focus()
    await stage.talk("agent-3", "+393")
    shown = page.locator("[part=call][aria-pressed=true]")
    await expect(shown).to_contain_text("+393")
    await expect(page.locator("[part=call]")).to_have_count(2)
    await page.context.close()


async def test_a_token_that_was_refused_is_not_tried_again(stage: Stage) -> None:
    page = await stage.page()
    await page.goto(stage.crm.address("agent-4"))
    await says(page, "none")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/v1/" in request.url else None)
    await page.evaluate(
        "fetch('/token?agent=agent-5').then((one) => one.text()).then((token) => {"
        " window.spoilt = token.slice(0, -4) + 'AAAA';"
        f" {ELEMENT}.addEventListener('token-needed', (event) => {{"
        "  event.stopImmediatePropagation(); event.target.token = spoilt; }, true);"
        f" {ELEMENT}.token = spoilt; }})"
    )
    await page.wait_for_function("window.spoilt")
    await asyncio.sleep(2)
    assert 0 < len(asked) < 12, len(asked)
    await page.context.close()


async def test_a_pause_that_is_told_as_a_date_is_no_hurry(stage: Stage) -> None:
    page = await stage.open("agent-6")
    await stage.talk("agent-6")
    posts = 0

    async def refuse(route: Route) -> None:
        nonlocal posts
        posts += 1
        headers = {
            "Retry-After": PAST,
            "Access-Control-Allow-Origin": stage.crm.origin,
            "Access-Control-Expose-Headers": "Retry-After",
        }
        await route.fulfill(status=503, headers=headers, body="{}")

    await page.route("**/disposition", refuse)
    await save(page, "sale")
    await says(page, "unknown")
    await asyncio.sleep(2)
    assert 1 <= posts < 5
    await page.unroute_all()
    await says(page, "queued", "Sale")
    await page.context.close()


async def test_a_token_may_be_given_before_the_element_is_one(stage: Stage) -> None:
    page = await stage.page()
    await page.route(
        "**/crm.js", lambda route: route.fulfill(body="", content_type="text/javascript")
    )
    token = await (await page.request.get(f"{stage.crm.origin}/token?agent=agent-7")).text()
    go_on = asyncio.Event()

    async def hold(route: Route) -> None:
        await go_on.wait()
        await route.continue_()

    await page.route("**/aftercall-toolbar.js", hold)
    await page.goto(stage.crm.address("agent-7"), wait_until="commit")
    await page.locator("aftercall-toolbar").wait_for(state="attached")
    await page.evaluate(f"(token) => {{ {ELEMENT}.token = token; }}", token)
    go_on.set()
    await says(page, "none", "No call.")
    await page.context.close()


async def test_an_element_taken_away_as_it_tells_its_outcome_is_silent(stage: Stage) -> None:
    page = await stage.open("agent-8")
    call = await stage.talk("agent-8")
    await page.evaluate(
        f"window.moved = {ELEMENT}; moved.addEventListener('outcome', () => moved.remove())"
    )
    await choose(page, "sale")
    asked: list[str] = []
    await page.route(f"**/v1/calls/{call}", lambda route: route.fulfill(status=503, body="{}"))
    await page.locator("[part=save]").click()
    await expect(page.locator("aftercall-toolbar")).to_have_count(0)
    page.on("request", lambda request: asked.append(request.url))
    await asyncio.sleep(2)
    assert asked == []
    await page.context.close()


async def test_a_connection_lost_before_all_was_read_is_told(stage: Stage) -> None:
    page = await stage.page()
    go_on = asyncio.Event()

    async def hold(route: Route) -> None:
        await go_on.wait()
        await route.continue_()

    await page.route("**/v1/calls?*", hold, times=1)
    async with page.expect_request("**/v1/calls?*"):
        await page.goto(stage.crm.address("agent-10"))
    stage.product.kill()
    await expect(page.locator("[part=connection]")).to_contain_text("Connection lost")
    await stage.product.start()
    go_on.set()
    await expect(page.locator("[part=connection]")).to_be_empty()
    await says(page, "none", "No call.")
    await page.context.close()


async def test_what_is_stored_and_no_draft_is_passed_over(stage: Stage) -> None:
    page = await stage.open("agent-9")
    call = await stage.talk("agent-9")
    await page.evaluate(f"sessionStorage['aftercall demo agent-9 {call}'] = 'not json'")
    await page.reload()
    await expect(page.locator("[part=call]")).to_contain_text("on the call")
    await page.locator("[part=save]").click()  # without a code: where one is chosen
    await expect(page.locator("[part=search]")).to_be_focused()
    await save(page, "sale")
    await says(page, "queued", "Sale")
    await page.context.close()


async def test_nothing_broke_in_a_page(stage: Stage) -> None:
    """Last in this file: of all pages before."""
    assert stage.complaints == []
