"""The console in Chromium, against the product as a process: what people see of calls."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import aiohttp
import pytest
import pytest_asyncio
import yaml
from playwright.async_api import Browser, Page, expect

from tests.support.browser import Scheme, faults, keep, open_console, set_clock, watched
from tests.support.line import Line
from tests.support.product import DEMO_TENANTS, Product

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

WRAP_UP_S: Final = 8
HOUR_MS: Final = 3_600_000
HOURS: Final = 24
DAY_MS: Final = HOURS * HOUR_MS
RELEASED: Final = 30
AGAIN_MS: Final = 4000  # it would be asked again after 3 s
FOLDER: Final = {
    "code": "Sales",
    "label": "Sales talk",
    "children": [{"code": "Sale", "id": 1}, {"code": "Interested", "id": 2}],
}

# 5,000 calls through what the page keeps; how much of each kind it holds then.
MANY_CALLS: Final = """async () => {
  const { Floor } = await import("/console/floor.js");
  const floor = new Floor();
  const at = (n) => new Date(1.7e12 + n * 1000).toISOString();
  for (let n = 0; n < 5000; n += 1) {
    const agent = { agent_id: `agent-${n}` };
    const told = { ...agent, call_id: `call-${n}`, code: "Sale", decided_at: at(n) };
    const callback = { ...told, callback_at: at(n + 9) };
    const tell = (type, data) => floor.hear({ type, data });
    ["active", "wrap_up", "released"].forEach((phase, number) => {
      const call = { call_id: told.call_id, started_at: at(n), change: { at: at(n) }, phase };
      tell("call.changed", { ...call, version: number + 1, agents: [{ ...agent, phase }] });
      if (phase === "wrap_up") tell("disposition.saved", { ...told, origin: "wrap_up" });
    });
    tell("callback.scheduled", callback);
    tell("EventUserEvent", { ...told, origin: "late", decided_at: at(n + 1) });
    tell("callback.scheduled", callback);
  }
  const due = floor.callbacks.due(4e12);
  return [floor.calls.size, floor.dispositions.length, floor.free.size, due.length];
}"""

# So much time passes at once, by the browser's clock.
PASS: Final = """(ms) => {
  const Known = Date;
  globalThis.Date = class extends Known {
    constructor(...told) {
      super(...(told.length > 0 ? told : [Known.now() + ms]));
    }
    static now() {
      return Known.now() + ms;
    }
  };
}"""
BY_HOUR: Final = """async ([rows, firstMs]) => {
  const { byHour } = await import("/console/charts_page.js");
  return byHour(rows, firstMs);
}"""
# A zone, the first of 24 hours in which its clocks change, and the names that would be the same.
CLOCKS_CHANGE: Final[tuple[tuple[str, str, list[str]], ...]] = (
    ("Europe/Berlin", "2026-10-24T12:00Z", ["02:00 UTC+2", "02:00 UTC+1"]),
    ("Europe/Berlin", "2027-03-27T12:00Z", ["13:00 UTC+1", "13:00 UTC+2"]),
    ("America/St_Johns", "2026-10-31T18:00Z", ["01:30 UTC-2:30", "01:30 UTC-3:30"]),
    ("Australia/Lord_Howe", "2027-04-03T03:00Z", []),  # by half an hour
)

# A list of callbacks that was read while the stream told of some of them: what is shown then.
READ_LATE: Final = """async () => {
  const { Callbacks } = await import("/console/callbacks.js");
  const callbacks = new Callbacks();
  const row = (call, at) => ({ call_id: call, agent_id: "a", code: "Callback", callback_at: at });
  const shown = () => callbacks.due(4e12).map(({ callId, at }) => [callId, at.slice(0, 4)]).sort();
  callbacks.read(row("forgotten", "2020-01-01T00:00:00Z"));
  callbacks.begin();
  callbacks.hear("disposition.corrected", row("replaced", null));
  callbacks.hear("callback.scheduled", row("moved", "2022-01-01T00:00:00Z"));
  for (const call of ["replaced", "moved", "listed"]) {
    callbacks.read(row(call, "2021-01-01T00:00:00Z"));
  }
  callbacks.end();
  const first = shown();
  callbacks.hear("EventUserEvent", { ...row("listed"), origin: "late" });
  return [first, shown()];
}"""

# Many callbacks that are due, and few to come a day later: how many are known, by their own clock.
DUE_AND_TO_COME: Final = """async () => {
  const { Callbacks } = await import("/console/callbacks.js");
  const nowMs = 1.7e12;
  const callbacks = new Callbacks(() => nowMs);
  const take = (call, atMs) => callbacks.read({
    call_id: call, agent_id: "a", code: "Callback", callback_at: new Date(atMs).toISOString(),
  });
  for (let n = 0; n < 50; n += 1) take(`to-come-${n}`, nowMs + 86400000 + n);
  for (let n = 0; n < 5000; n += 1) take(`due-${n}`, nowMs - n * 1000);
  const due = callbacks.due(nowMs);
  return [due[0].callId, due.at(299).callId, callbacks.scheduled(nowMs).length];
}"""

# The API tells the newest first: whom a page that began so forgets, when one more becomes free.
FREE_READ: Final = """async () => {
  const { Floor } = await import("/console/floor.js");
  const floor = new Floor();
  const at = (n) => new Date(1.7e12 + n * 1000).toISOString();
  for (let n = 500; n > 0; n -= 1) {
    const agent = { agent_id: `agent-${n}`, phase: "released", released_at: at(n) };
    const call = { id: `call-${n}`, version: 2, phase: "released", started_at: at(n) };
    floor.read({ ...call, released_at: at(n), agents: [agent] });
  }
  const call = { call_id: "last", version: 1, phase: "released", started_at: at(501) };
  const agents = [{ agent_id: "agent-501", phase: "released" }];
  floor.hear({ type: "call.changed", data: { ...call, change: { at: at(501) }, agents } });
  return [floor.free.size, ...["agent-1", "agent-2", "agent-501"].map((id) => floor.free.has(id))];
}"""


class Stage(Line):
    """The product, a browser, a switch and agents."""

    def __init__(self, product: Product, http: aiohttp.ClientSession, browser: Browser) -> None:
        super().__init__(product, http)
        self.browser = browser

    @asynccontextmanager
    async def open(
        self,
        address: str = "",
        *,
        skew_ms: int = 0,
        scheme: Scheme = "light",
        time_zone: str | None = None,
    ) -> AsyncIterator[Page]:
        """The console, in a browser whose clock is wrong by so much; `watched`."""
        url = self.product.url
        async with watched(self.browser, url, scheme, time_zone=time_zone) as page:
            await set_clock(page, skew_ms)
            await open_console(page, self.product.url, address)
            yield page

    async def talk(self, call: str, agent: str, **data: Any) -> None:
        """A call that this agent is on."""
        await self.tell(call, "call.started", direction="inbound", **data)
        await self.tell(call, "call.agent_joined", agent_id=agent)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    folder = tmp_path_factory.mktemp("console")
    (tenant,) = yaml.safe_load(DEMO_TENANTS.read_text())["tenants"]
    kept = [code for code in tenant["codes"] if code["code"] not in ("Sale", "Interested")]
    tenants = folder / "tenants.yaml"
    tenants.write_text(yaml.safe_dump({"tenants": [tenant | {"codes": [FOLDER, *kept]}]}))
    product = Product(folder / "data", tenants_file=tenants, demo_wrap_up_s=WRAP_UP_S)
    async with product, aiohttp.ClientSession() as http:
        yield Stage(product, http, browser)


async def test_the_page_of_a_call_follows_it_and_says_which_rule_decided(stage: Stage) -> None:
    # An hour ahead: by the browser's own clock the wrap-up would be over before it begins.
    async with stage.open("/calls/followed", skew_ms=HOUR_MS) as page:
        await expect(page.get_by_text("No call of this id is known.")).to_be_visible()
        await stage.talk("followed", "agent-1", customer_id="c-1")
        await expect(page.locator(".call > h2 .phase")).to_have_text("on the call")
        await stage.tell("followed", "call.held")
        await expect(page.locator(".call > h2 .phase")).to_have_text("on the call, on hold")
        await stage.dispose("followed", "agent-1", "Sale")
        entries = page.locator(".history li")
        await expect(entries.last).to_contain_text("it waits until the agent leaves. queued")
        await stage.dispose("followed", "agent-2", "Sale", status=409)
        await expect(entries.last).to_contain_text("The agent has no part in this call.")
        await expect(entries.last).to_have_attribute("data-kind", "refused")
        await stage.tell("followed", "call.disconnected", by="caller")
        await expect(page.locator(".agents .timer")).to_have_text(re.compile(r"^[1-9] s$"))
        await expect(page.locator(".agents .said")).to_have_text("Sale")
        await keep(page, "console-call")
        await stage.tell("followed", "call.released", agent_id="agent-1")
        await expect(entries.last).to_contain_text("The wrap-up is over. released")
        await expect(page.locator(".call > h2 .phase")).to_have_text("released")
        told = await entries.all_inner_texts()
        shown = [
            entry["rule"] for entry in (await stage.get("/v1/calls/followed/history"))["entries"]
        ]
        assert len(told) == len(shown)
        for text, rule in zip(told, shown, strict=True):
            assert rule in text.split()
        await page.get_by_role("link", name="customer:c-1").first.click()
        await expect(page.locator("#page h2").first).to_have_text("customer:c-1")
        await expect(page.locator(".history")).to_contain_text("It had no status before.")
        await expect(page.locator(".facts")).to_contain_text("Sale")


async def test_the_board_counts_and_says_who_waits_and_what_runs_over(stage: Stage) -> None:
    def count(name: str) -> Any:
        return page.locator(f"[data-count='{name}'] output")

    def rows(name: str) -> Any:
        return page.locator(f"[data-list='{name}'] tbody tr")

    async with stage.open("/board") as page:
        await stage.tell("rings", "call.started", direction="inbound", agent_id="agent-3")
        await stage.talk("waits", "agent-4")
        await stage.dispose("waits", "agent-4", "DoNotCall")
        await stage.talk("wraps", "agent-5")
        await stage.tell("wraps", "call.disconnected", by="caller")
        for name in ("ringing", "active", "wrap_up", "queued", "over"):
            await expect(count(name)).to_have_text("1")
        await expect(rows("queued")).to_contain_text("DoNotCall")
        await expect(rows("over")).to_contain_text("not disposed")  # 8 s is near
        await stage.tell("wraps", "call.wrap_up_extended", agent_id="agent-5", seconds=60)
        await expect(count("over")).to_have_text("0")
        await expect(rows("agents").filter(has_text="agent-5")).to_contain_text("wrap-up")
        await expect(rows("agents").filter(has_text="agent-4")).to_contain_text(" s")
        soon = (datetime.now(UTC) + timedelta(seconds=3)).isoformat()
        await stage.dispose("wraps", "agent-5", "Callback", callback_at=soon)
        await expect(rows("scheduled")).to_contain_text("agent-5")
        await expect(rows("due")).to_contain_text("agent-5")
        await expect(count("due")).to_have_text("1")
        await expect(rows("scheduled")).to_have_count(0)
        await keep(page, "console-board")
        await stage.dispose("wraps", "agent-5", "DoNotCall")
        await expect(count("due")).to_have_text("0")
        await stage.tell("wraps", "call.released")
        await expect(rows("agents").filter(has_text="agent-5")).to_contain_text("free")
        await stage.tell("waits", "call.disconnected", by="caller")
        await expect(count("queued")).to_have_text("0")


async def test_the_board_begins_with_the_callbacks_that_were_told_of_before(stage: Stage) -> None:
    now = datetime.now(UTC)
    for number, (hours, code) in enumerate(((-1, "Callback"), (25, "Callback"), (1, "Referred"))):
        call, agent = f"promised-{number}", f"agent-{number + 7}"
        await stage.talk(call, agent)
        await stage.tell(call, "call.disconnected", by="caller")
        at = (now + timedelta(hours=hours)).isoformat()
        await stage.dispose(call, agent, "Callback", callback_at=at)
        if code != "Callback":
            await stage.dispose(call, agent, code)
    async with stage.open("/board") as page:
        due = page.locator("[data-list='due'] tbody tr")
        scheduled = page.locator("[data-list='scheduled'] tbody tr")
        await expect(due.filter(has_text="agent-7")).to_contain_text("promised-0")
        await expect(scheduled).to_contain_text("agent-8")
        await stage.dispose("promised-1", "agent-8", "DoNotCall")
        await expect(scheduled).to_have_count(0)
        await page.reload()
        await expect(due.filter(has_text="agent-7")).to_be_visible()
        await expect(scheduled).to_have_count(0)


async def test_charts_show_the_report_and_stand_as_tables_too(stage: Stage) -> None:
    await stage.talk("lapses", "agent-1")
    await stage.tell("lapses", "call.disconnected", by="caller")  # for the test behind this one
    await stage.talk("charted", "agent-6")
    await stage.dispose("charted", "agent-6", "WrongNumber")
    await stage.tell("charted", "call.disconnected", by="caller")
    await stage.tell("charted", "call.released")
    await stage.talk("missed", "agent-9")
    await stage.tell("missed", "call.disconnected", by="caller")
    await stage.tell("missed", "call.released")
    async with stage.open("/charts") as page:
        figure = page.locator("[data-chart='codes']")
        report = await stage.get("/v1/reports/dispositions?group_by=code")
        total = sum(row["count"] for row in report["rows"])
        await expect(figure.get_by_role("img")).to_have_attribute(
            "aria-label", re.compile(f"^Dispositions by code. {total} dispositions in the last 24")
        )
        await figure.get_by_text("As a table").click()
        heads = await figure.locator("thead th").all_inner_texts()
        hours = [
            await row.locator("th, td").all_inner_texts()
            for row in await figure.locator("tbody tr").all()
        ]
        assert len(hours) == HOURS
        shown = {name: sum(int(hour[heads.index(name)]) for hour in hours) for name in heads[1:]}
        counts = {row["code"]: row["count"] for row in report["rows"]}
        assert shown.pop("all", total) == total  # of a single code there is no such column
        assert shown == counts
        await expect(page.locator("[data-chart='times'] .says")).to_contain_text("Half of them")
        await expect(page.locator("[data-chart='shares'] tbody tr").first).to_contain_text("queued")
        outcomes = await stage.get("/v1/reports/outcomes?group_by=origin")
        assert {row["origin"] for row in outcomes["rows"]} >= {"queue", "missed"}
        owed = sum(row["count"] for row in outcomes["rows"] if row["origin"] != "status")
        await expect(page.locator("[data-chart='shares'] .says")).to_contain_text(
            f" of {owed} in the last 24 hours missed."
        )
        await keep(page, "console-charts")
        # One more, told while the page is open.
        await stage.talk("charted-2", "agent-6")
        await stage.tell("charted-2", "call.disconnected", by="caller")
        await stage.dispose("charted-2", "agent-6", "WrongNumber")
        await expect(figure.locator(".says")).to_contain_text(f"{total + 1} dispositions")


async def test_the_charts_go_on_when_an_hour_passes_in_which_nothing_is_told(
    stage: Stage,
) -> None:
    async with stage.open("/charts") as page:
        names = page.locator("[data-chart='codes'] tbody th")
        await expect(names).to_have_count(HOURS)
        then = await page.evaluate("Date.now()") + HOUR_MS
        first = then // HOUR_MS * HOUR_MS - (HOURS - 1) * HOUR_MS
        from_ = datetime.fromtimestamp(first / 1000, UTC).strftime("from=%Y-%m-%dT%H%%3A")
        async with page.expect_request(lambda request: from_ in request.url):
            await page.evaluate(PASS, HOUR_MS)


async def test_hours_are_named_as_they_begin_where_the_zone_is_not_whole_hours_off(
    stage: Stage,
) -> None:
    async with stage.open("/charts", time_zone="Asia/Kolkata") as page:
        names = page.locator("[data-chart='codes'] tbody th")
        await expect(names).to_have_text([re.compile(r"^[0-2]\d:30$")] * HOURS)
        *_, last = await names.all_text_contents()
    now = datetime.now(ZoneInfo("Asia/Kolkata"))
    begun = [now - timedelta(hours=hours, minutes=30) for hours in (0, 1)]  # if one has passed
    assert last[:2] in [f"{at:%H}" for at in begun]


@pytest.mark.parametrize(("zone", "first", "alike"), CLOCKS_CHANGE)
async def test_each_hour_has_its_own_name_when_the_clocks_change(
    stage: Stage, zone: str, first: str, alike: list[str]
) -> None:
    at = datetime.fromisoformat(first)
    rows = [
        {"hour": f"{at + timedelta(hours=n):%Y-%m-%dT%H}", "code": "Sale", "count": n + 1}
        for n in range(HOURS)
    ]
    async with stage.open("/codes", time_zone=zone) as page:
        shown = await page.evaluate(BY_HOUR, [rows, at.timestamp() * 1000])
    assert len(set(shown["labels"])) == HOURS
    assert [label for label in shown["labels"] if "UTC" in label] == alike
    assert [count for (count,) in shown["counts"]] == [n + 1 for n in range(HOURS)]
    for n, label in enumerate(shown["labels"]):
        begins = (at + timedelta(hours=n)).astimezone(ZoneInfo(zone))
        assert label.startswith(f"{begins:%H:%M}")


async def test_a_wrap_up_that_ran_out_is_told_with_its_timer_and_what_was_missed(
    stage: Stage,
) -> None:
    async with stage.open("/calls/lapses") as page:
        entries = page.locator(".history li")
        await expect(entries.last).to_contain_text("Wrap-up ended without a disposition. missed")
        timer = page.locator(".history [data-kind='timer']")
        await expect(timer).to_contain_text("The time for wrap-up is over. wrap_up_over")
        await expect(page.locator(".agents .said")).to_have_text("missed")


async def test_codes_are_a_tree_that_opens_and_closes_by_the_keyboard(stage: Stage) -> None:
    async with stage.open("/codes") as page:
        folder = page.locator(".tree summary")
        await expect(folder).to_contain_text("Sales talk")
        await expect(page.locator(".tree").get_by_text("Interested", exact=True)).to_be_visible()
        await folder.focus()
        await page.keyboard.press("Enter")
        await expect(page.locator(".tree").get_by_text("Interested", exact=True)).to_be_hidden()
        await expect(page.locator(".tree li", has_text="Call back")).to_contain_text(
            "callback time"
        )


async def test_who_gives_a_key_by_the_keyboard_goes_on_in_the_page(stage: Stage) -> None:
    await stage.talk("entered", "agent-7")
    async with watched(stage.browser, stage.product.url) as page:
        await page.goto(f"{stage.product.url}/console")
        await page.keyboard.type("demo-key")
        await page.keyboard.press("Enter")
        await expect(page.locator("#page")).to_be_focused()
        await expect(page.locator("[data-phase='active'] a", has_text="entered")).to_be_visible()
        await page.keyboard.press("Tab")
        await expect(page.locator("#page ol:focus")).to_have_count(1)
        await page.reload()
        await expect(page.locator("#page a", has_text="entered")).to_be_visible()
        await expect(page.locator("#page")).not_to_be_focused()  # nobody has asked for it


async def test_what_is_of_another_day_says_so_also_when_the_day_ends_meanwhile(
    stage: Stage,
) -> None:
    await stage.talk("of-yesterday", "agent-7", customer_id="c-3")
    await stage.dispose("of-yesterday", "agent-7", "Sale")
    await stage.tell("of-yesterday", "call.disconnected", by="caller")
    for address in ("/", "/calls/of-yesterday", "/subjects/customer/c-3"):
        async with stage.open(address, time_zone="UTC") as page:
            times = page.locator("#page time").filter(visible=True)
            await expect(times.first).to_have_text(re.compile(r"^\d\d:\d\d:\d\d$"))
            await page.evaluate(PASS, DAY_MS)
            await expect(times.filter(has_not_text="/")).to_have_count(0)  # 11/21/2026 14:05:38
            assert await times.count() > 1, address
            if address == "/":
                await stage.talk("of-today", "agent-8")
                await expect(page.locator("[data-call='of-today'] time")).to_contain_text("/")


async def test_the_focus_stays_where_it_is_while_calls_come_and_go(stage: Stage) -> None:
    await stage.talk("focused", "agent-7")
    async with stage.open() as page:
        link = page.locator("[data-phase='active'] a", has_text="focused")
        await link.focus()
        for number in range(3):
            await stage.talk(f"passing-{number}", "agent-8")
        await expect(page.locator("[data-phase='active'] a", has_text="passing-2")).to_be_visible()
        await expect(link).to_be_focused()
        await stage.tell("focused", "call.disconnected", by="caller")
        await expect(page.locator("[data-phase='wrap_up'] a", has_text="focused")).to_be_focused()
        for number in range(3):
            await stage.tell(f"passing-{number}", "call.released")
        await expect(
            page.locator("[data-phase='released'] a", has_text="passing-2")
        ).to_be_visible()
        await expect(page.locator("a:focus")).to_have_text("focused")
        await page.keyboard.press("Enter")
        await expect(page.locator(".call h2 .call-id")).to_have_text("focused")


async def test_the_console_outlives_a_gateway_and_a_reload(stage: Stage) -> None:
    await stage.talk("outlives", "agent-9")
    async with stage.open("/calls/outlives") as page:
        await expect(page.locator(".call > h2 .phase")).to_have_text("on the call")
        stage.product.kill()
        await expect(page.locator("#connection")).to_contain_text("Connection lost")
        await stage.product.start()
        await stage.tell("outlives", "call.disconnected", by="caller")
        await expect(page.locator("#connection")).to_have_text("Live")
        await expect(page.locator(".call > h2 .phase")).to_have_text("wrap-up")
        await page.reload()
        await expect(page.locator(".agents .phase")).to_have_text("wrap-up")
        assert "demo-key" not in page.url


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("/subjects/enrolment/7", "It can't be read: enrolment: say within what."),
        (
            "/subjects/record/7?within=%3Cb%3E",
            "It can't be read: query parameter within: not an id.",
        ),
    ],
)
async def test_what_is_refused_is_said_in_the_servers_words_and_not_asked_again(
    stage: Stage, address: str, says: str
) -> None:
    async with stage.open("/codes") as page:
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        await page.goto(f"{stage.product.url}/console#{address}")
        await expect(page.locator(".problem")).to_have_text(says)
        before = len(asked)
        await page.wait_for_timeout(AGAIN_MS)
        assert asked[before:] == []


@pytest.mark.parametrize("status", [404, 408, 425, 429, 503])
async def test_what_may_be_answered_later_is_asked_again(stage: Stage, status: int) -> None:
    await stage.talk("later", "agent-1")
    async with stage.open("/codes") as page:
        path = re.compile(r"/v1/calls/later$")
        await page.route(path, lambda route: route.fulfill(status=status, json={}), times=1)
        await page.goto(f"{stage.product.url}/console#/calls/later")
        if status == 404:
            await expect(page.get_by_text("No call of this id is known.")).to_be_visible()
            await stage.tell("later", "call.held")
        await expect(page.locator(".call > h2 .phase")).to_contain_text("on the call")
        await expect(page.locator(".problem")).to_be_empty()


async def test_what_the_page_knows_stays_small_however_many_calls_pass(stage: Stage) -> None:
    async with stage.open("/codes") as page:
        kept = await page.evaluate(MANY_CALLS)
    calls, dispositions, free, callbacks = kept
    assert calls == 30
    assert dispositions == 40
    assert free == 500
    assert 300 <= callbacks <= 650


async def test_callbacks_to_come_are_kept_however_many_are_due(stage: Stage) -> None:
    async with stage.open("/codes") as page:
        assert await page.evaluate(DUE_AND_TO_COME) == ["due-0", "due-299", 50]


async def test_of_the_agents_who_are_free_the_newest_are_kept(stage: Stage) -> None:
    async with stage.open("/codes") as page:
        assert await page.evaluate(FREE_READ) == [500, False, True, True]


async def test_of_the_released_calls_the_newest_are_shown_read_or_told(stage: Stage) -> None:
    async def release(numbers: range) -> None:
        for number in numbers:
            await stage.talk(f"gone-{number:03}", "agent-11")
            await stage.tell(f"gone-{number:03}", "call.released")

    def newest(last: int) -> list[str]:
        return [f"gone-{number:03}" for number in range(last, last - RELEASED, -1)]

    await stage.talk("goes-last", "agent-12")
    await release(range(34))
    async with stage.open() as page:
        shown = page.locator("[data-phase='released'] h3 a")
        await expect(shown).to_have_text(newest(33))
        await release(range(34, 38))
        await expect(shown).to_have_text(newest(37))
        await page.reload()
        await expect(shown).to_have_text(newest(37))
        # One that began before them all is none the less the last that was released.
        await stage.tell("goes-last", "call.released")
        await expect(shown).to_have_text([*newest(37)[:-1], "goes-last"])


async def test_what_the_stream_tells_is_newer_than_the_list_that_is_read(stage: Stage) -> None:
    async with stage.open("/codes") as page:
        first, then = await page.evaluate(READ_LATE)
    assert first == [["listed", "2021"], ["moved", "2022"]]
    assert then == [["moved", "2022"]]


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_finds_nothing_on_any_page(stage: Stage, scheme: Scheme) -> None:
    await stage.talk("shown", "agent-10", customer_id="c-2")
    await stage.dispose("shown", "agent-10", "Sale")
    await stage.dispose("shown", "agent-2", "Sale", status=409)
    await stage.tell("shown", "call.disconnected", by="caller")
    async with stage.open(scheme=scheme) as page:
        for address in (
            "/",
            "/board",
            "/charts",
            "/codes",
            "/calls/shown",
            "/subjects/customer/c-2",
        ):
            await page.goto(f"{stage.product.url}/console#{address}")
            await expect(page.locator("#page h2").first).to_be_attached()
            await asyncio.sleep(0)
            assert await faults(page) == [], address
