"""The toolbar when answers come late, requests cross, storage is full, elements come and go."""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any, Final

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, Route, expect

from tests.e2e.toolbar.stage import Stage, choose, save, says, staged

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

WRAP_UP_S: Final = 10
TOO_LONG: Final = "x" * 2_001
ELEMENT: Final = "document.querySelector('aftercall-toolbar')"
WAKE: Final = "dispatchEvent(new Event('online'))"  # whoever waits to ask again asks now


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    async with staged(browser, tmp_path_factory.mktemp("grain"), WRAP_UP_S) as opened:
        yield opened


async def hear_outcomes(page: Page) -> None:
    """`window.heard`: the codes of the outcomes that the page was told."""
    await page.evaluate(
        f"window.heard = []; {ELEMENT}.addEventListener("
        "'outcome', ({ detail }) => heard.push(detail.code))"
    )


async def posted(page: Page, what: str) -> list[Any]:
    """The bodies of such requests, from now on."""
    bodies: list[Any] = []
    page.on(
        "request",
        lambda request: (
            bodies.append(request.post_data_json)
            if request.method == "POST" and request.url.endswith(what)
            else None
        ),
    )
    return bodies


@pytest.mark.parametrize("release", [False, True])
@pytest.mark.parametrize("lost", [False, True])
async def test_an_answer_that_comes_after_the_call_has_ended_hides_no_newer_truth(
    stage: Stage, *, lost: bool, release: bool
) -> None:
    agent = f"agent-{1 + lost + 2 * release}"
    page = await stage.open(agent)
    call = await stage.talk(agent)

    async def hold(route: Route) -> None:
        answer = await route.fetch()
        await stage.tell(call, "call.disconnected", by="caller")
        await expect(page.locator("[part=call]")).not_to_contain_text("on the call")
        await (route.abort() if lost else route.fulfill(response=answer))

    await page.route("**/disposition", hold, times=1)
    await page.locator("[part=release_after]").set_checked(release)
    await save(page, "sale")
    await says(page, "saved", "Saved: Sale.")
    assert await stage.verdicts(call) == ["disposition.queued", "disposition.saved"]
    await page.context.close()


async def test_more_time_is_asked_for_beside_a_request_that_nobody_answers(stage: Stage) -> None:
    page = await stage.open("agent-5")
    call = await stage.talk("agent-5")
    await stage.tell(call, "call.disconnected", by="caller")
    await hear_outcomes(page)
    await page.route("**/disposition", lambda route: route.abort())
    await save(page, "sale")
    await says(page, "unknown")
    for least in (31, 61, 91):
        await page.locator("[part=extend]").click()
        minutes, seconds = divmod(least, 60)
        shown = rf"0[{minutes}-9]:[{seconds // 10}-5]\d|0[{minutes + 1}-9]:\d\d"
        await expect(page.locator("[part=countdown]")).to_have_text(re.compile(shown))
        await says(page, "unknown")
    await page.unroute_all()
    await page.evaluate(WAKE)
    await says(page, "saved", "Saved: Sale.")
    await save(page, "do not")
    await says(page, "corrected", "Corrected: Do not call, before: Sale.")
    await page.evaluate(WAKE)
    await stage.tell(call, "call.released", agent_id="agent-5")
    await expect(page.locator("[part=call]")).to_contain_text("released")
    await says(page, "corrected", "Corrected: Do not call")
    assert await page.evaluate("heard") == ["Sale", "DoNotCall"]
    await page.context.close()


async def test_words_that_do_not_come_are_asked_for_again(stage: Stage) -> None:
    page = await stage.page()
    await page.route("**/locales/*", lambda route: route.abort())
    await page.goto(stage.crm.address("agent-6"))
    await stage.talk("agent-6")
    await expect(page.locator("[part=call]")).to_be_visible()
    await expect(page.locator("[part=save]")).to_be_hidden()  # nobody could read what it is
    await page.unroute_all()
    await page.evaluate(WAKE)
    await expect(page.locator("[part=save]")).to_have_text("Save")
    await expect(page.locator("[part=call]")).to_contain_text("on the call")
    await page.context.close()


async def test_an_element_that_comes_while_nobody_answers_says_so_and_goes_on(
    stage: Stage,
) -> None:
    page = await stage.open("agent-7")
    await stage.talk("agent-7")
    await choose(page, "sale")
    await page.context.set_offline(True)
    await page.evaluate(f"const moved = {ELEMENT}; moved.remove(); document.body.append(moved)")
    await expect(page.locator("[part=form]")).to_be_hidden()
    await expect(page.locator("[part=connection]")).to_contain_text("Connection lost")
    await page.context.set_offline(False)
    await page.evaluate(WAKE)
    await expect(page.get_by_role("radio", name="Sale", exact=True)).to_be_checked()
    await expect(page.locator("[part=connection]")).to_be_empty()
    await page.context.close()


async def test_a_refusal_hides_nothing_that_happens_after_it(stage: Stage) -> None:
    page = await stage.open("agent-8")
    call = await stage.talk("agent-8")
    await save(page, "sale")
    await says(page, "queued")
    await page.locator("[part=comment]").fill(TOO_LONG)
    await page.locator("[part=save]").click()
    await says(page, "refused", re.compile("Refused: comment.*Queued: Sale"))
    await stage.tell(call, "call.disconnected", by="caller")
    await says(page, "refused", re.compile("Refused: comment.*Saved: Sale"))
    await page.context.close()


async def test_a_refusal_does_not_hide_that_wrap_up_has_run_out(stage: Stage) -> None:
    page = await stage.open("agent-9")
    call = await stage.talk("agent-9")
    await page.locator("[part=comment]").fill(TOO_LONG)
    await save(page, "sale")
    await says(page, "refused", "Refused: comment")
    await stage.tell(call, "call.disconnected", by="caller")
    await says(page, "refused", re.compile("Refused: comment.*Wrap-up ended without a code"))
    await page.context.close()


async def test_a_search_that_finds_nothing_saves_nothing(stage: Stage) -> None:
    page = await stage.open("agent-10")
    call = await stage.talk("agent-10")
    bodies = await posted(page, "/disposition")
    await choose(page, "sale")
    await choose(page, "complaimt")
    await choose(page, "do not")
    await page.locator("[part=search]").press("Enter")
    await says(page, "queued", "Do not call")
    assert [body["code"] for body in bodies] == ["DoNotCall"]
    assert await stage.verdicts(call) == ["disposition.queued"]
    await page.context.close()


async def test_another_agent_begins_with_nothing_of_the_one_before(stage: Stage) -> None:
    page = await stage.open("agent-11")
    call = await stage.talk("agent-11")
    await stage.tell(call, "call.disconnected", by="caller")
    await expect(page.locator("[part=countdown]")).not_to_be_empty()
    await page.evaluate(
        f"fetch('/token?agent=agent-12').then((one) => one.text())"
        f".then((token) => ({ELEMENT}.token = token))"
    )
    await says(page, "none", "No call.")
    await expect(page.locator("[part=countdown]")).to_be_empty()
    await page.context.close()


async def test_with_a_full_storage_it_goes_on_in_memory(stage: Stage) -> None:
    page = await stage.open("agent-13")
    await says(page, "none")
    await page.evaluate(
        "for (let size = 2 ** 23; size >= 1; size /= 2)"
        " try { for (;;) sessionStorage['filler' + sessionStorage.length] = 'x'.repeat(size) }"
        " catch {}"
    )
    call = await stage.talk("agent-13")
    await page.locator("[part=comment]").fill("kept in memory")
    await stage.tell(call, "call.held")
    await save(page, "sale")
    await says(page, "queued", "Sale")
    (agent,) = (await stage.get(f"/v1/calls/{call}"))["agents"]
    assert agent["queued"]["comment"] == "kept in memory"
    await page.context.close()


async def test_an_element_out_of_the_page_asks_for_nothing(stage: Stage) -> None:
    page = await stage.open("agent-14", ttl_s=2)
    await says(page, "none")
    await page.evaluate(f"window.moved = {ELEMENT}; moved.remove(); asked.length = 0")
    await asyncio.sleep(3)
    assert await page.evaluate("asked") == []
    await page.evaluate("document.body.append(moved)")
    await page.wait_for_function("asked.length > 0")
    await stage.talk("agent-14", "+399")
    await expect(page.locator("[part=call]")).to_contain_text("+399")
    await page.context.close()


async def test_a_key_that_is_held_down_asks_once(stage: Stage) -> None:
    page = await stage.open("agent-15")
    call = await stage.talk("agent-15")
    await stage.tell(call, "call.disconnected", by="caller")
    await expect(page.locator("[part=extend]")).to_be_visible()
    bodies = await posted(page, "/wrap-up-extension")
    await page.keyboard.down("Alt")
    for _ in range(8):
        await page.keyboard.down("x")  # each but the first is a repetition
        await asyncio.sleep(0.1)
    await page.keyboard.up("x")
    await page.keyboard.up("Alt")
    await expect(page.locator("[part=countdown]")).to_have_text(re.compile("00:3[0-9]"))
    assert len(bodies) == 1
    await page.context.close()


async def test_what_was_not_saved_stays_and_what_is_hidden_is_not_sent(stage: Stage) -> None:
    page = await stage.open("agent-16")
    call = await stage.talk("agent-16")
    bodies = await posted(page, "/disposition")
    await page.locator("[part=pause_after]").check()
    await page.locator("[part=pause_reason]").fill("lunch")
    await page.locator("[part=pause_after]").uncheck()
    await page.locator("[part=release_after]").check()
    await save(page, "sale")
    await says(page, "queued")
    assert "pause_reason" not in bodies[0]
    await page.locator("[part=comment]").fill("not said yet")
    await stage.tell(call, "call.disconnected", by="caller")
    await expect(page.locator("[part=call]")).to_contain_text("released")
    await page.reload()
    await expect(page.locator("[part=comment]")).to_have_value("not said yet")
    await stage.talk("agent-16", "+398")
    await expect(page.locator("[part=call]")).to_have_count(2)
    await page.locator("[part=dismiss]").click()
    await expect(page.locator("[part=call]")).to_contain_text("+398")
    await expect(page.locator("[part=call]")).to_be_focused()
    await page.reload()
    await expect(page.locator("[part=call]")).to_contain_text("+398")
    await page.context.close()


async def test_a_year_of_five_digits_is_no_time(stage: Stage) -> None:
    page = await stage.open("agent-17")
    call = await stage.talk("agent-17")
    await expect(page.locator("[part=call]")).to_be_visible()
    await page.locator("[part=callback_at]").evaluate(
        "(field) => field.value = '20266-01-01T10:00'"
    )
    await page.locator("[part=callback_at]").dispatch_event("input")
    await save(page, "sale")
    await expect(page.locator("[part=callback_at]:invalid")).to_be_visible()
    assert await stage.verdicts(call) == []
    await page.context.close()


async def test_of_two_toolbars_a_shortcut_is_that_of_the_one_in_hand(stage: Stage) -> None:
    page = await stage.open("agent-18")
    call = await stage.talk("agent-18")
    await choose(page, "sale")
    await page.evaluate("document.body.append(document.createElement('aftercall-toolbar'))")
    second = page.locator("aftercall-toolbar").nth(1)
    await second.evaluate(
        "async (two) => { two.token = await (await fetch('/token?agent=agent-19')).text(); }"
    )
    other = await stage.talk("agent-19")
    await second.locator("[part=search]").fill("do not")
    await second.locator("[part=search]").press("Enter")
    await second.locator("[part=search]").press("Alt+s")
    await expect(second.locator("[part=outcome]")).to_contain_text("Queued: Do not call")
    assert await stage.verdicts(other) == ["disposition.queued"]
    assert await stage.verdicts(call) == []
    await page.context.close()


async def test_nothing_broke_in_a_page(stage: Stage) -> None:
    """Last in this file: of all pages before."""
    assert stage.complaints == []
