"""The toolbar in Chromium, in a page of another origin, against the product as a process."""

import asyncio
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, Request, Route, expect

from tests.e2e.toolbar.stage import STRICT, Stage, choose, says, staged
from tests.support.browser import WAIT_MS, faults, keep, watched
from tests.support.product import ROOT, Product

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

WRAP_UP_S: Final = 5


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    async with staged(browser, tmp_path_factory.mktemp("toolbar"), WRAP_UP_S) as opened:
        yield opened


async def test_what_is_queued_while_talking_is_saved_when_the_call_ends(stage: Stage) -> None:
    page = await stage.open("agent-1")
    await says(page, "none", "No call")
    call = await stage.talk("agent-1")
    await expect(page.locator("[part=call]")).to_contain_text("+3120555")
    await choose(page, "sale")
    await page.locator("[part=comment]").fill("wants two")
    await page.locator("[part=save]").click()
    await says(page, "queued", "Queued: Sale")
    await keep(page, "toolbar-queued")
    await choose(page, "do not")
    await page.locator("[part=save]").click()
    await says(page, "queued", "Queued: Do not call")
    assert await stage.dispositions(call) == [None]
    await stage.tell(call, "call.disconnected", by="caller")
    await says(page, "saved", "Saved: Do not call")
    (disposition,) = await stage.dispositions(call)
    assert (disposition["code"], disposition["origin"]) == ("DoNotCall", "queue")
    assert disposition["comment"] == "wants two"
    await page.context.close()


async def test_by_keyboard_alone_and_events_leave_the_focus_where_it_is(stage: Stage) -> None:
    page = await stage.open("agent-2")
    call = await stage.talk("agent-2")
    await expect(page.locator("[part=call]")).to_be_visible()
    await page.locator("#note").focus()
    await page.keyboard.press("Alt+c")
    await expect(page.locator("[part=search]")).to_be_focused()
    await page.keyboard.press("Tab")  # the first folder
    await page.keyboard.press("Enter")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Space")
    await expect(page.get_by_role("radio", name="Sale", exact=True)).to_be_checked()
    await page.keyboard.press("ArrowDown")
    await expect(page.get_by_role("radio", name="Interested")).to_be_checked()
    await page.keyboard.press("Enter")
    await says(page, "queued", "Interested")
    await page.locator("#note").focus()
    await stage.tell(call, "call.disconnected", by="caller")
    await says(page, "saved", "Interested")
    await expect(page.locator("#note")).to_be_focused()
    await page.keyboard.press("Alt+c")
    await page.keyboard.type("nterestd")
    assert await page.get_by_role("radio").and_(page.locator(":visible")).count() == 0
    await page.locator("[part=search]").fill("TALK")  # the folder's name
    assert await page.get_by_role("radio").and_(page.locator(":visible")).count() == 2
    await page.keyboard.press("Enter")
    await page.keyboard.press("Enter")
    await says(page, "corrected", "Corrected: Sale, before: Interested")
    await page.context.close()


async def seconds_left(page: Page) -> int:
    text = await page.locator("[part=countdown]").inner_text()
    minutes, _, seconds = text.partition(":")
    return int(minutes) * 60 + int(seconds)


@pytest.mark.parametrize("skew_ms", [3_600_000, -3_600_000])
async def test_wrap_up_counts_by_the_servers_clock(stage: Stage, skew_ms: int) -> None:
    agent = "agent-3" if skew_ms > 0 else "agent-4"
    page = await stage.open(agent, skew_ms)
    call = await stage.talk(agent)
    await expect(page.locator("[part=extend]")).to_be_hidden()
    await stage.tell(call, "call.disconnected", by="caller")
    await expect(page.locator("[part=countdown]")).to_have_text(re.compile("00:0[1-6]"))
    await page.locator("[part=extend]").click()
    await expect(page.locator("[part=countdown]")).to_have_text(re.compile("00:3[0-6]"))
    (agent_now,) = (await stage.get(f"/v1/calls/{call}"))["agents"]
    left = await seconds_left(page)
    assert 20 < left <= WRAP_UP_S + 31, agent_now
    await page.context.close()


async def test_wrap_up_that_runs_out_is_missed_and_what_comes_late_is_a_user_event(
    stage: Stage,
) -> None:
    page = await stage.open("agent-5")
    call = await stage.talk("agent-5")
    await stage.tell(call, "call.disconnected", by="caller")
    await says(page, "missed", "without a code")
    await choose(page, "sale")
    await page.locator("[part=save]").click()
    await says(page, "user_event", "After release: Sale")
    await page.locator("[part=dismiss]").click()
    await says(page, "none")
    await page.reload()
    await says(page, "none")
    await page.context.close()


async def test_a_callback_needs_its_time(stage: Stage) -> None:
    page = await stage.open("agent-6")
    call = await stage.talk("agent-6")
    await choose(page, "back")
    await page.locator("[part=save]").click()
    invalid = page.locator("[part=callback_at]:invalid")
    await expect(invalid).to_be_visible()
    assert await stage.verdicts(call) == []
    await page.locator("[part=callback_at]").fill("2031-05-06T07:08")
    await page.locator("[part=pause_after]").check()
    await page.locator("[part=pause_reason]").fill("lunch")
    await page.locator("[part=save]").click()
    await says(page, "queued", "Call back")
    (agent,) = (await stage.get(f"/v1/calls/{call}"))["agents"]
    assert agent["queued"]["callback_at"].startswith("2031-05-0")
    assert (agent["queued"]["pause_after"], agent["queued"]["pause_reason"]) == (True, "lunch")
    await page.context.close()


async def test_a_refusal_is_told_in_the_servers_sentence(stage: Stage) -> None:
    page = await stage.open("agent-1", key="strict-key")
    call = await stage.talk("agent-1", key=STRICT)
    await choose(page, "sale")
    await stage.tell(call, "call.disconnected", STRICT, by="caller")
    await expect(page.locator("[part=extend]")).to_be_visible()
    await page.locator("[part=save]").click()
    await says(page, "saved", "Saved: Sale")
    await choose(page, "do not")
    await page.locator("[part=save]").click()
    await says(page, "refused", "Refused: ")
    assert "already" in await page.locator("[part=outcome]").inner_text()
    assert await faults(page) == []
    await page.context.close()


async def test_what_was_typed_survives_a_reload_and_each_call_has_its_own(stage: Stage) -> None:
    page = await stage.open("agent-7")
    first = await stage.talk("agent-7", "+311")
    await choose(page, "sale")
    await page.locator("[part=comment]").fill("about the first")
    second = await stage.talk("agent-7", "+312")
    await expect(page.locator("[part=call]")).to_have_count(2)
    await expect(page.locator("[part=comment]")).to_have_value("about the first")
    await page.locator("[part=call]", has_text="+312").click()
    await expect(page.locator("[part=comment]")).to_have_value("")
    await choose(page, "do not")
    await page.locator("[part=comment]").fill("about the second")
    assert await faults(page) == []
    await page.reload()
    for caller, comment in (("+311", "about the first"), ("+312", "about the second")):
        await page.locator("[part=call]", has_text=caller).click()
        await expect(page.locator("[part=comment]")).to_have_value(comment)
        await page.locator("[part=save]").click()
        await says(page, "queued")
    await stage.tell(first, "call.agent_left", agent_id="agent-7", reason="transfer")
    await page.locator("[part=call]", has_text="+311").click()
    await says(page, "saved", "Sale")
    await page.locator("[part=call]", has_text="+312").click()
    await says(page, "queued", "Do not call")
    await stage.tell(second, "call.disconnected")
    await says(page, "saved", "Do not call")
    await page.context.close()


async def test_both_agents_of_a_transfer_say_their_own(stage: Stage) -> None:
    first, second = await stage.open("agent-11"), await stage.open("agent-12")
    call = await stage.talk("agent-11", "+331")
    await stage.tell(call, "call.agent_joined", agent_id="agent-12")
    for page in (first, second):
        await expect(page.locator("[part=call]", has_text="+331")).to_contain_text("on the call")
    await choose(first, "sale")
    await first.locator("[part=comment]").fill("for my eyes")
    await first.locator("[part=save]").click()
    await says(first, "queued")
    await stage.tell(call, "call.agent_left", agent_id="agent-11", reason="transfer")
    await says(first, "saved", "Sale")
    await expect(first.locator("[part=call]")).to_contain_text("wrap-up")
    await second.locator("[part=call]", has_text="+331").click()
    await choose(second, "do not")
    await second.locator("[part=save]").click()
    await says(second, "queued", "Do not call")
    await stage.tell(call, "call.disconnected", by="caller")
    await says(second, "saved", "Do not call")
    await says(first, "saved", "Sale")
    codes = [said["code"] for said in await stage.dispositions(call)]
    assert codes == ["Sale", "DoNotCall"]
    for page in (first, second):
        await page.context.close()


async def test_a_new_call_takes_no_place_under_the_agents_hands(stage: Stage) -> None:
    page = await stage.open("agent-13")
    old = await stage.talk("agent-13", "+341")
    await page.locator("[part=call]", has_text="+341").click()
    await choose(page, "sale")
    await page.locator("[part=release_after]").check()
    await page.locator("[part=save]").click()
    await says(page, "queued")
    comment = page.locator("[part=comment]")
    await comment.fill("still typing")
    await stage.tell(old, "call.disconnected", by="caller")
    await expect(page.locator("[part=call]", has_text="+341")).to_contain_text("released")
    await stage.talk("agent-13", "+342")
    await expect(page.locator("[part=call]", has_text="+342")).to_be_visible()
    await expect(comment).to_be_focused()
    await expect(comment).to_have_value("still typing")
    await page.locator("#note").focus()
    await stage.talk("agent-13", "+343")
    await expect(page.locator("[part=call]", has_text="+343")).to_be_visible()
    await expect(comment).to_have_value("still typing")  # and never said
    await page.locator("[part=save]").click()
    await says(page, "user_event", "Sale")
    await page.locator("#note").focus()
    await stage.talk("agent-13", "+344")
    await expect(page.locator("[part=call]", has_text="+344")).to_be_visible()
    await expect(page.locator("[part=call]", has_text="+341")).to_have_count(0)
    await expect(comment).to_have_value("")
    await page.context.close()


async def test_a_lost_connection_is_unknown_until_the_server_has_said_it(stage: Stage) -> None:
    page = await stage.open("agent-8")
    call = await stage.talk("agent-8")
    await choose(page, "sale")
    await page.context.set_offline(True)
    await page.locator("[part=save]").click()
    await says(page, "unknown", "Retrying")
    await page.context.set_offline(False)
    await says(page, "queued", "Sale")
    assert await stage.verdicts(call) == ["disposition.queued"]
    await page.context.close()


async def test_a_request_under_way_is_asked_anew_after_a_reload_under_its_own_key(
    stage: Stage,
) -> None:
    page = await stage.open("agent-9")
    call = await stage.talk("agent-9")
    keys: list[str | None] = []

    async def lose(route: Route, request: Request) -> None:
        keys.append(await request.header_value("Idempotency-Key"))
        await route.abort()

    await page.route("**/disposition", lose)
    await choose(page, "sale")
    await page.locator("[part=save]").click()
    await says(page, "unknown")
    await page.unroute("**/disposition")
    page.on("request", lambda request: keys.append(request.headers.get("idempotency-key")))
    await page.reload()
    await says(page, "queued", "Sale")
    assert len({key for key in keys if key}) == 1
    assert await stage.verdicts(call) == ["disposition.queued"]
    await page.context.close()


async def test_a_gateway_killed_with_a_request_in_hand_gives_one_outcome(stage: Stage) -> None:
    page = await stage.open("agent-10")
    call = await stage.talk("agent-10")

    async def answer_nobody(route: Route) -> None:
        await route.fetch()  # taken and decided, but whoever asked will not hear of it
        stage.product.kill()
        await route.abort()

    await page.route("**/disposition", answer_nobody, times=1)
    await choose(page, "sale")
    await page.locator("[part=save]").click()
    await says(page, "unknown", "Unknown whether it was done. Retrying.")
    await expect(page.locator("[part=connection]")).to_contain_text("Connection lost")
    await stage.product.start()
    await says(page, "queued", "Queued: Sale")
    await expect(page.locator("[part=connection]")).to_be_empty()
    await stage.tell(call, "call.disconnected", by="caller")
    await says(page, "saved", "Saved: Sale")
    assert await stage.verdicts(call) == ["disposition.queued", "disposition.saved"]
    await page.context.close()


async def test_from_right_to_left_in_the_dark_without_a_fault(stage: Stage) -> None:
    page = await stage.open("agent-15", lang="ar")
    await page.emulate_media(color_scheme="dark")
    await page.evaluate("document.documentElement.style.colorScheme = 'light dark'")
    call = await stage.talk("agent-15")
    await choose(page, "sale")
    await page.locator("[part=save]").click()
    await says(page, "queued", "في الانتظار: Sale")
    toolbar = page.locator("[part=toolbar]")
    assert await toolbar.evaluate("node => getComputedStyle(node).direction") == "rtl"
    assert await faults(page) == []
    await stage.tell(call, "call.disconnected", by="caller")
    await says(page, "saved")
    assert await faults(page) == []
    await keep(page, "toolbar-saved-arabic-dark")
    await page.context.close()


async def test_a_token_is_asked_for_before_it_ends_and_the_stream_goes_on(stage: Stage) -> None:
    page = await stage.open("agent-16", ttl_s=2)
    await says(page, "none")
    await expect(page.locator("h1")).to_be_visible()
    async with asyncio.timeout(WAIT_MS / 1000):
        while len(asked := await page.evaluate("window.asked")) < 3:
            await asyncio.sleep(0.1)
    assert asked[0] == "missing"
    assert "expiring" in asked
    await stage.talk("agent-16")
    await choose(page, "sale")
    await page.locator("[part=save]").click()
    await says(page, "queued")
    await page.context.close()


async def test_a_token_that_is_refused_is_asked_for_anew(stage: Stage) -> None:
    page = await stage.open("agent-17")
    bad = True

    async def spoil(route: Route) -> None:
        nonlocal bad
        answer = await route.fetch()
        token = await answer.text()
        head, _, mac = token.partition(".")
        await route.fulfill(response=answer, body=f"{head}.{mac[::-1]}" if bad else token)
        bad = False

    await stage.talk("agent-17", "+351")
    await page.route("**/token*", spoil)
    await page.reload()
    await expect(page.locator("[part=call]", has_text="+351")).to_be_visible()
    assert await page.evaluate("window.asked") == ["missing", "refused"]
    await choose(page, "sale")
    await page.evaluate(
        """async () => {
          const [head, mac] = (await (await fetch("/token?agent=agent-17")).text()).split(".");
          const spoilt = [...mac].reverse().join("");
          document.querySelector("aftercall-toolbar").token = `${head}.${spoilt}`;
        }"""
    )
    await page.locator("[part=save]").click()
    await says(page, "queued", "Sale")  # by the token that was asked for then
    assert (await page.evaluate("window.asked"))[-1] == "refused"
    await page.context.close()


async def test_an_older_answer_hides_no_newer_one(stage: Stage) -> None:
    page = await stage.open("agent-18")
    call = await stage.talk("agent-18", "+361")
    await expect(page.locator("[part=call]", has_text="+361")).to_be_visible()
    taken, go_on = asyncio.Event(), asyncio.Event()

    async def hold(route: Route) -> None:
        answer = await route.fetch()
        taken.set()
        await go_on.wait()
        await route.fulfill(response=answer)

    await page.route(f"**/v1/calls/{call}", hold, times=1)
    await stage.dispose(call, "agent-18", "Sale")
    await taken.wait()
    await stage.dispose(call, "agent-18", "Interested")
    await says(page, "queued", "Interested")
    async with page.expect_response(f"**/v1/calls/{call}"):
        go_on.set()
    await says(page, "queued", "Interested")
    await page.context.close()


async def test_the_stream_is_taken_up_anew_now_and_then_unseen(stage: Stage) -> None:
    page = await stage.page()
    await page.add_init_script(
        "const after = AbortSignal.timeout; window.anew = 0;"
        "AbortSignal.timeout = (ms) => after(ms === 30000 ? (window.anew += 1, 400) : ms);"
    )
    positions: list[str | None] = []

    def note(request: Request) -> None:
        if "/v1/stream" in request.url and request.method == "GET":
            positions.append(request.headers.get("last-event-id"))

    page.on("request", note)
    await page.goto(stage.crm.address("agent-14"))
    await says(page, "none")
    await page.locator("[part=connection]").evaluate(
        "node => { window.lost = 0; const note = () => { window.lost += node.textContent ? 1 : 0 };"
        " new MutationObserver(note).observe(node, { childList: true }) }"
    )
    for caller in ("+321", "+322", "+323"):
        await stage.talk("agent-14", caller)
        await expect(page.locator("[part=call]", has_text=caller)).to_be_visible()
        await asyncio.sleep(0.5)  # it is anew each 0.4 s
    assert await page.evaluate("window.anew") >= 3
    assert await page.evaluate("window.lost") == 0
    assert positions[0] is None
    assert all(positions[1:])
    await page.context.close()


async def test_the_demo_page_rings_and_hangs_up(stage: Stage, tmp_path: Path) -> None:
    product = Product(tmp_path / "data")
    async with product, watched(stage.browser, product.url) as page:
        await page.goto(f"{product.url}/toolbar/demo")
        await page.get_by_role("button", name="A call comes in").click()
        await expect(page.locator("[part=call]")).to_contain_text("+31205550100")
        await choose(page, "sale")
        await page.locator("[part=save]").click()
        await says(page, "queued")
        assert await faults(page) == []
        await page.get_by_role("button", name="The caller hangs up").click()
        await says(page, "saved")
        await page.get_by_label("Language").select_option("ar")
        await says(page, "saved", "حُفظ: Sale")
        assert await faults(page) == []


async def test_nobody_else_was_asked_and_nothing_broke(stage: Stage) -> None:
    """Last in this file, for it stops the product: of all pages before, and of their calls."""
    assert stage.hosts == {f"127.0.0.1:{stage.crm.port}", f"127.0.0.1:{stage.product.port}"}
    assert stage.complaints == []
    assert await asyncio.to_thread(stage.product.stop) == 0
    verify = [sys.executable, "-m", "services.cli", "verify"]
    done = await asyncio.create_subprocess_exec(
        *verify, cwd=ROOT, env=stage.product.environment(), stdout=asyncio.subprocess.PIPE
    )
    told, _ = await done.communicate()
    assert done.returncode == 0, told.decode()
