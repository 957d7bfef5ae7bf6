"""Two agents' toolbars and a console follow the same calls; and what agents see in between."""

import asyncio
import os
import re
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime
from hashlib import sha256
from typing import Any, Final

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, Route, expect

from tests.e2e.toolbar.stage import STRICT, Stage, choose, says, staged, tenants
from tests.support.browser import WAIT_MS, faults, keep, open_console

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

WRAP_UP_S: Final = 4
MANDATORY: Final = {"Authorization": "Bearer mandatory-key"}
COMMENT_CHARS: Final = 10_000
# As another program of the page's might, by the toolbar's own way.
ASK_FOR_AN_HOUR: Final = """async (call) => {
  const token = await (await fetch(`/token${location.search}`)).text();
  const { src } = document.querySelector("script[src$='aftercall-toolbar.js']");
  await fetch(new URL(`/v1/calls/${call}/wrap-up-extension`, src), {
    method: "POST",
    headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
    body: JSON.stringify({ agent_id: "agent-1", seconds: 3600 }),
  });
}"""
DEEP: Final = {
    "code": "Deep",
    "label": "Of the second kind",
    "children": [
        {
            "code": "Deeper",
            "children": [
                {"code": "Moved", "label": "Has moved to another town, and left no number"}
            ],
        }
    ],
}


def more_tenants(origin: str) -> list[dict[str, Any]]:
    """The same, with a folder in a folder; and one that must have a code, within 2 s."""
    told = [tenant | {"codes": [*tenant["codes"], DEEP]} for tenant in tenants(origin)]
    *_, strict = told
    (key,) = strict["credentials"]
    digest = sha256(b"mandatory-key").hexdigest()
    kept = {name: key[name] for name in ("id", "kind", "scopes")} | {"sha256": digest}
    mandatory = {"id": "mandatory", "demo": False, "wrap_up": {"seconds": 2, "mode": "mandatory"}}
    return [*told, strict | mandatory | {"credentials": [kept]}]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    folder = tmp_path_factory.mktemp("together")
    async with staged(browser, folder, WRAP_UP_S, more_tenants) as opened:
        yield opened


async def console(stage: Stage, address: str, key: str = "demo-key") -> Page:
    """The console at this address behind its "#"."""
    page = await stage.page()
    await open_console(page, stage.product.url, address, key=key)
    return page


async def tells(page: Page, text: str) -> None:
    """The last line of the history on a console's page of a call, in seconds."""
    await expect(page.locator(".history li").last).to_contain_text(text)


async def counts(board: Page, **wanted: int) -> None:
    for name, number in wanted.items():
        tile = board.locator(f"[data-count='{name}'] output")
        await expect(tile).to_have_text(str(number))


def losing(stage: Stage) -> Callable[[Route], Awaitable[None]]:
    """Takes a request to the gateway, and kills the gateway before anybody hears of it."""

    async def lose(route: Route) -> None:
        await route.fetch()
        stage.product.kill()
        await route.abort()

    return lose


async def test_two_toolbars_and_a_console_follow_the_same_calls(stage: Stage) -> None:
    first, second = await stage.open("agent-1"), await stage.open("agent-2")
    board = await console(stage, "/board")
    await counts(board, active=0, wrap_up=0, queued=0)

    call = await stage.talk("agent-1", "+3120555")
    page = await console(stage, f"/calls/{call}")
    await expect(page.locator(".call > h2 .phase")).to_have_text("on the call")
    await counts(board, active=1)

    # What is disposed while talking waits, and is saved by the end of the talk alone.
    await choose(first, "sale")
    await first.locator("[part=save]").click()
    await says(first, "queued", "Queued: Sale")
    await tells(page, "it waits until the agent leaves. queued")
    await counts(board, queued=1)
    for shown, name in ((first, "together-toolbar"), (board, "together-board")):
        await keep(shown, name)
    await stage.tell(call, "call.agent_joined", agent_id="agent-2")
    await expect(second.locator("[part=call]")).to_contain_text("on the call")
    await stage.tell(call, "call.agent_left", agent_id="agent-1", reason="transfer")
    await says(first, "saved", "Saved: Sale")
    await tells(page, "It was queued, and the agent has left: it is final. queue_applied")
    await counts(board, queued=0, active=1)

    # The one who took the call says nothing until wrap-up has run out.
    await stage.tell(call, "call.disconnected", by="caller")
    await expect(second.locator("[part=countdown]")).to_contain_text("00:0")
    await counts(board, active=0, wrap_up=1)
    await says(second, "missed", "Wrap-up ended without a code")
    await tells(page, "Wrap-up ended without a disposition. missed")
    await expect(page.locator(".call > h2 .phase")).to_have_text("released")
    await counts(board, wrap_up=0)
    said = await page.locator(".agents .said").all_inner_texts()
    assert said == ["Sale", "missed"]
    await keep(page, "together-call")
    for shown in (first, second, board, page):
        assert await faults(shown) == [], shown.url
        await shown.context.close()


async def test_a_gateway_killed_under_them_gives_one_outcome_to_all(stage: Stage) -> None:
    toolbar, board = await stage.open("agent-8"), await console(stage, "/board")
    call = await stage.talk("agent-8", "+3120556")
    page = await console(stage, f"/calls/{call}")
    await tells(page, "The agent speaks.")
    await choose(toolbar, "do not")
    await toolbar.route("**/disposition", losing(stage), times=1)
    await toolbar.locator("[part=save]").click()
    await says(toolbar, "unknown", "Unknown whether it was done. Retrying.")
    await keep(toolbar, "together-unknown")
    for one in (page, board):
        await expect(one.locator("#connection")).to_contain_text("Connection lost")
    await stage.product.start()
    await says(toolbar, "queued", "Queued: Do not call")
    await stage.tell(call, "call.disconnected", by="caller")
    await says(toolbar, "saved", "Saved: Do not call")
    await tells(page, "queue_applied")
    assert await stage.verdicts(call) == ["disposition.queued", "disposition.saved"]
    charts = await console(stage, "/charts")
    rows = (await stage.get("/v1/reports/dispositions?group_by=agent_id,code"))["rows"]
    assert [row for row in rows if row["agent_id"] == "agent-8"] == [
        {"agent_id": "agent-8", "code": "DoNotCall", "count": 1}
    ]
    total = sum(row["count"] for row in rows)
    says_it = charts.locator("[data-chart='codes'] .says")
    await expect(says_it).to_contain_text(f"{total} disposition")
    await keep(charts, "together-report")
    for shown in (toolbar, board, page, charts):
        assert await faults(shown) == [], shown.url
        await shown.context.close()


async def test_a_call_that_has_no_code_yet_is_not_told_as_none(stage: Stage) -> None:
    page = await stage.open("agent-3")
    await says(page, "none", "No call.")
    call = await stage.talk("agent-3")
    await expect(page.locator("[part=call]")).to_contain_text("on the call")
    await expect(page.locator("[part=outcome]")).to_be_empty()
    await stage.tell(call, "call.disconnected", by="caller")
    await expect(page.locator("[part=call]")).to_contain_text("wrap-up")
    await expect(page.locator("[part=outcome]")).to_be_empty()
    await page.context.close()


async def test_a_wrap_up_that_must_have_a_code_says_that_it_has_run_over(stage: Stage) -> None:
    page = await stage.open("agent-1", key="mandatory-key")
    call = await stage.talk("agent-1", key=MANDATORY)
    await stage.tell(call, "call.disconnected", MANDATORY, by="caller")
    await says(page, "overdue", "Wrap-up has run over. A code is needed.")
    await expect(page.locator("[part=countdown]")).to_have_text("00:00")
    await page.locator("[part=extend]").click()
    await expect(page.locator("[part=countdown]")).to_have_text(re.compile("^00:[23]"))
    async with page.expect_response("**/wrap-up-extension") as extended:
        await page.evaluate(ASK_FOR_AN_HOUR, call)
    assert (await extended.value).ok
    await expect(page.locator("[part=countdown]")).to_have_text(re.compile("^01:00:[0-3]"))
    await choose(page, "sale")
    await page.locator("[part=save]").click()
    await says(page, "saved")
    await page.context.close()


async def test_what_breaks_a_rule_is_refused_with_the_field_and_the_rule(stage: Stage) -> None:
    page = await stage.open("agent-4")
    call = await stage.talk("agent-4")
    await choose(page, "sale")
    comment = page.locator("[part=comment]")
    await comment.fill("x" * COMMENT_CHARS)
    await page.locator("[part=save]").click()
    await says(page, "refused", "comment: String should have at most 2000 characters")
    assert await stage.verdicts(call) == []
    assert len(await comment.input_value()) == COMMENT_CHARS  # to be shortened, not to be lost
    await comment.fill("\N{GRINNING FACE}" * 2000)
    await page.locator("[part=save]").click()
    await says(page, "queued")
    await page.context.close()


async def test_a_refusal_is_explained_once_and_by_its_rule(stage: Stage) -> None:
    page = await stage.open("agent-1", key="strict-key")
    call = await stage.talk("agent-1", key=STRICT)
    await choose(page, "sale")
    await page.locator("[part=save]").click()
    await says(page, "queued")
    await stage.tell(call, "call.disconnected", STRICT, by="caller")
    await says(page, "saved")
    await choose(page, "do not")
    await page.locator("[part=save]").click()
    await says(page, "refused", "already disposed this call, and nothing is corrected here")
    told = await console(stage, f"/calls/{call}", key="strict-key")
    await tells(told, "correction_refused")
    await expect(told.locator(".history [data-kind='refused'] .why")).to_have_text(
        "It is disposed already, and corrections are not allowed. correction_refused"
    )
    for one in (page, told):
        await one.context.close()


async def test_the_code_that_is_chosen_stays_in_sight(stage: Stage) -> None:
    page = await stage.open("agent-5")
    await page.set_viewport_size({"width": 320, "height": 700})
    await stage.talk("agent-5")
    await choose(page, "moved")
    chosen = page.get_by_role("radio", checked=True)
    name = page.get_by_text("Has moved to another town")
    button, beside = await chosen.bounding_box(), await name.bounding_box()
    assert button is not None
    assert beside is not None
    assert beside["x"] >= button["x"] + button["width"]
    assert beside["y"] < button["y"] + button["height"]
    await page.locator("[part=search]").fill("")
    await expect(page.get_by_role("radio", name="Sale", exact=True)).to_be_hidden()
    await expect(chosen).to_be_visible()
    await page.reload()
    await expect(chosen).to_be_visible()
    await stage.talk("agent-5", "+381")
    await page.locator("[part=call]", has_text="+381").click()
    await expect(page.locator("details[open]")).to_have_count(0)
    await page.locator("[part=call]", has_text="+3120555").click()
    await expect(chosen).to_be_visible()
    await page.context.close()


async def test_another_tab_goes_on_with_what_is_queued(stage: Stage) -> None:
    page = await stage.open("agent-6")
    call = await stage.talk("agent-6")
    await choose(page, "back")
    await page.locator("[part=callback_at]").fill("2031-05-06T07:08")
    await page.locator("[part=pause_after]").check()
    await page.locator("[part=pause_reason]").fill("lunch")
    await page.locator("[part=release_after]").check()
    await page.locator("[part=save]").click()
    await says(page, "queued", "Call back")
    (before,) = (await stage.get(f"/v1/calls/{call}"))["agents"]
    assert datetime.fromisoformat(before["queued"]["callback_at"]).tzinfo is not None
    await page.context.close()
    page = await stage.open("agent-6")
    await says(page, "queued", "Call back")
    await expect(page.locator("[part=callback_at]")).to_have_value("2031-05-06T07:08")
    await page.locator("[part=comment]").fill("in the morning")
    await page.locator("[part=save]").click()
    await expect_queued(stage, call, before["queued"] | {"comment": "in the morning"})
    await page.context.close()


async def test_a_tab_left_alone_shows_what_another_has_queued(stage: Stage) -> None:
    alone, page = await stage.open("agent-8"), await stage.open("agent-8")
    call = await stage.talk("agent-8")
    await choose(page, "sale")
    await page.locator("[part=comment]").fill("two of them")
    await page.locator("[part=save]").click()
    await says(alone, "queued", "Sale")
    await expect(alone.locator("[part=comment]")).to_have_value("two of them")
    (before,) = (await stage.get(f"/v1/calls/{call}"))["agents"]
    await choose(alone, "interested")
    await alone.locator("[part=save]").click()
    await expect_queued(stage, call, before["queued"] | {"code": "Interested"})
    for tab in (alone, page):
        await tab.context.close()


async def expect_queued(stage: Stage, call: str, wanted: dict[str, Any]) -> None:
    """What is queued but for when, and by which request."""
    told = ("queued_at", "request_id")
    async with asyncio.timeout(WAIT_MS / 1000):
        while True:
            (agent,) = (await stage.get(f"/v1/calls/{call}"))["agents"]
            if agent["queued"]["request_id"] != wanted["request_id"]:
                break
            await asyncio.sleep(0.05)
    for name in told:
        assert agent["queued"].pop(name) != wanted.pop(name)
    assert agent["queued"] == wanted


async def test_a_gateway_that_says_nothing_is_a_lost_connection(stage: Stage) -> None:
    page = await stage.page()
    await page.add_init_script(
        "const after = AbortSignal.timeout;"
        "AbortSignal.timeout = (ms) => after(ms === 30000 ? 1500 : ms);"
    )
    await page.goto(stage.crm.address("agent-7"))
    await stage.talk("agent-7", "+370")
    await expect(page.locator("[part=call]")).to_contain_text("+370")
    assert stage.product.process is not None
    os.kill(stage.product.process.pid, signal.SIGSTOP)
    try:
        lost = expect(page.locator("[part=connection]"))
        await lost.to_contain_text("Connection lost")
    finally:
        os.kill(stage.product.process.pid, signal.SIGCONT)
    await expect(page.locator("[part=connection]")).to_be_empty()
    await stage.talk("agent-7", "+371")
    await expect(page.locator("[part=call]", has_text="+371")).to_be_visible()
    await page.context.close()


async def test_nothing_is_said_of_calls_before_the_server_has_said_it(stage: Stage) -> None:
    page = await stage.page()
    await page.route("**/v1/calls?*", lambda route: route.abort())
    await page.goto(stage.crm.address("agent-17"))
    await expect(page.locator("[part=codes]")).to_have_attribute("aria-label", "Codes")
    await expect(page.locator("[part=outcome]")).to_be_empty()
    await page.unroute_all()
    await says(page, "none", "No call.")
    await page.context.close()


async def test_nothing_broke_in_a_page(stage: Stage) -> None:
    """Last in this file: of all pages before."""
    assert stage.complaints == []
