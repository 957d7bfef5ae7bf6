"""What is really sent to MongoDB, and how it finds what it is asked for."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest
from msgspec.structs import replace

from shared.adapters.cluster.mongo import Mongo, MongoDriver
from shared.runtime.history import FILTERS, GROUPS
from shared.runtime.overlays import Stored
from tests.cluster.mongo_parts import (
    KEY,
    NOW_MS,
    Heard,
    Row,
    both_drivers,
    call,
    entry,
    fresh,
    hear,
    letter,
    opened,
    outcome,
    raw,
)

pytestmark = [pytest.mark.asyncio, pytest.mark.cluster]

DAY_MS = 24 * 3_600_000
SPAN: dict[str, Any] = {"from_ms": NOW_MS, "to_ms": NOW_MS + DAY_MS}
WRITES = {"insert", "update", "delete"}
READS = {"find", "aggregate"}


async def do_everything(mongo: Mongo) -> None:
    """Every operation, with whatever a second round adds."""
    for revision in (1, 2):
        disposition = replace(call(revision=revision), collection="dispositions")
        await mongo.store.save([call(revision=revision, due_ms=1), disposition])
        rows = [outcome(revision=revision), outcome("call-2", revision=revision)]
        await mongo.history.upsert([entry(request_id="r-1"), entry("e-2")], rows)
    await mongo.store.load("calls", [KEY])
    page = await mongo.store.find("calls", "demo", phase="", tag=None, limit=1)
    assert [document.revision for document in page.documents] == [2]
    await mongo.store.due("calls", NOW_MS)
    await mongo.history.entries("demo", "call-1")
    await mongo.history.of_request("demo", "r-1")
    first = await mongo.history.outcomes("demo", **SPAN, limit=1)
    await mongo.history.outcomes("demo", **SPAN, cursor=first.next)
    await mongo.history.counts("demo", group_by=GROUPS, **SPAN)
    await mongo.letters.keep([letter()], {letter().place: NOW_MS})
    await mongo.letters.page(None)
    await mongo.letters.letter(letter().place)
    await mongo.letters.expire(NOW_MS + 1)
    await mongo.history.callbacks("demo", **SPAN)
    for version in (1, 2):
        await mongo.overlays.save("demo", Stored(version, b"{}"))
    await mongo.overlays.versions()
    await mongo.overlays.load(["demo"])
    await mongo.remember_ends({"calls.changed-0": 1})
    await mongo.remembered_ends()
    await mongo.ping()


@both_drivers
@pytest.mark.parametrize(
    "weaker",
    [
        "",
        "&w=0",
        "&w=1&journal=false&wTimeoutMS=1",
        "&readConcernLevel=local&readPreference=secondaryPreferred&retryWrites=true",
        "&timeoutMS=0&socketTimeoutMS=0",
    ],
)
async def test_whatever_the_url_says_a_majority_vouches_and_time_is_bounded(
    mongo_url: str, driver: MongoDriver, weaker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = hear(monkeypatch)
    async with opened(fresh(mongo_url, weaker), driver) as mongo:
        await do_everything(mongo)
        commands = list(heard.commands)
    assert {*heard.names()} >= WRITES | READS
    for command in commands:
        name = next(iter(command))
        if name in WRITES:
            assert command["writeConcern"] == {"w": "majority", "j": True}, command
            assert command.get("ordered") is False
            assert "txnNumber" not in command
        if name in READS:
            assert command["readConcern"] == {"level": "majority"}, command
        if name in WRITES | READS:
            limit_ms = 20_000 if command[name] == "outcomes" else 5_000
            assert 0 < command["maxTimeMS"] <= limit_ms
            assert command.get("$readPreference", {"mode": "primary"}) == {"mode": "primary"}


@both_drivers
async def test_four_thousand_documents_are_one_question_and_one_write(
    mongo_url: str, driver: MongoDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = hear(monkeypatch)
    async with opened(fresh(mongo_url), driver) as mongo:
        documents = [call(f"demo:{n}", state=b"x" * 1_500) for n in range(4_000)]
        heard.commands.clear()
        await mongo.store.save(documents)
        found = await mongo.store.load("calls", [document.key for document in documents])
        assert len(found) == 4_000
        assert heard.names() == ["insert", "find"]


async def test_many_large_letters_are_several_writes(
    mongo_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = hear(monkeypatch)
    async with opened(fresh(mongo_url), "motor") as mongo:
        letters = [letter(n, value=b"x" * 1024 * 1024) for n in range(33)]
        for _ in range(2):
            heard.commands.clear()
            await mongo.letters.keep(letters, {letters[0].place: NOW_MS})
            assert heard.names() == ["insert", "insert", "insert", "update"]
        assert len((await mongo.letters.page(None, limit=50)).lines) == 33


Ask = Callable[[Mongo], Awaitable[object]]


async def second_page(mongo: Mongo, **wanted: Any) -> None:
    page = await mongo.store.find("calls", "demo", **wanted, limit=10)
    await mongo.store.find("calls", "demo", **wanted, limit=10, cursor=page.next)


async def listed(mongo: Mongo, **wanted: Any) -> None:
    assert (await mongo.history.outcomes("demo", **SPAN, **wanted)).bodies


async def counted(mongo: Mongo, **wanted: Any) -> None:
    await mongo.history.counts("demo", **SPAN, **wanted)


async def second_page_of_callbacks(mongo: Mongo) -> None:
    page = await mongo.history.callbacks("demo", **SPAN, limit=10)
    await mongo.history.callbacks("demo", **SPAN, limit=10, cursor=page.next)


async def second_page_of_outcomes(mongo: Mongo, **wanted: Any) -> None:
    page = await mongo.history.outcomes("demo", **SPAN, **wanted, limit=10)
    await mongo.history.outcomes("demo", **SPAN, **wanted, limit=10, cursor=page.next)


async def second_page_of_letters(mongo: Mongo, tenant: str | None, **wanted: Any) -> None:
    page = await mongo.letters.page(tenant, **wanted, limit=10)
    assert page.next is not None
    await mongo.letters.page(tenant, **wanted, limit=10, cursor=page.next)


@pytest.mark.parametrize(
    ("ask", "index", "keys_max", "rows_max"),
    [
        (lambda m: m.store.load("calls", [f"demo:{n}" for n in range(9)]), "_id_", 20, 9),
        (lambda m: m.store.find("calls", "demo", limit=10), "found", 11, 11),
        (lambda m: m.store.find("calls", "demo", phase="rare", limit=10), "found", 11, 11),
        (lambda m: m.store.find("calls", "demo", tag="agent:7", limit=10), "found", 11, 11),
        (lambda m: m.store.find("calls", "demo", tag="one", phase="rare"), "found", 2, 1),
        (second_page, "found", 13, 12),
        (lambda m: second_page(m, phase="rare"), "found", 13, 12),
        (lambda m: second_page(m, tag="agent:7"), "found", 13, 12),
        (lambda m: m.store.due("calls", 1_000, limit=10), "due", 11, 10),
        (lambda m: m.store.due("calls", 1_000, after=(5, "demo:5"), limit=10), "due", 12, 11),
        (lambda m: m.history.entries("demo", "call-7"), "call", 5, 4),
        (lambda m: m.history.of_request("demo", "r-7"), "request", 5, 4),
        (lambda m: m.history.outcomes("demo", **SPAN, limit=10), "reported", 11, 11),
        (second_page_of_outcomes, "reported", 13, 12),
        # Narrowed, every key of the span is looked at, and only what is shown is fetched.
        *(
            (partial(listed, only={name: value}), "reported", 101, shown)
            for name, value, shown in (
                ("agent_id", "agent-7", 2),
                ("code", "code-3", 20),
                ("origin", "queue", 50),
                ("campaign_id", "campaign-1", 25),
                ("project_id", "project-1", 50),
            )
        ),
        (partial(listed, only={"agent_id": "agent-7", "code": "code-2"}), "reported", 101, 2),
        *((partial(counted, group_by=[name]), "reported", 101, 0) for name in GROUPS),
        (partial(counted, group_by=GROUPS), "reported", 101, 0),
        (
            partial(counted, group_by=["code"], only=dict.fromkeys(FILTERS, "x")),
            *("reported", 101, 0),
        ),
        (lambda m: m.letters.page(None, limit=10), "newest", 11, 11),
        (lambda m: m.letters.page("demo", limit=10), "newest_of_tenant", 11, 11),
        (lambda m: second_page_of_letters(m, None), "newest", 13, 12),
        (lambda m: second_page_of_letters(m, "demo"), "newest_of_tenant", 13, 12),
        # Narrowed, keys are looked at until enough fit, and only what is shown is fetched.
        (lambda m: m.letters.page("demo", topic="rare"), "newest_of_tenant", 201, 20),
        (lambda m: m.letters.page("demo", put_back=True), "newest_of_tenant", 201, 40),
        (lambda m: m.letters.page("demo", put_back=False, limit=10), "newest_of_tenant", 101, 11),
        (lambda m: m.letters.page(None, topic="rare", put_back=True), "newest", 401, 20),
        (partial(counted, group_by=GROUPS, missed=True), "reported", 101, 0),
        (partial(counted, group_by=[], only={"origin": "missed"}, missed=True), "reported", 101, 0),
        (lambda m: m.history.callbacks("demo", **SPAN, limit=10), "called_back", 11, 11),
        (second_page_of_callbacks, "called_back", 13, 12),
        (
            lambda m: m.history.callbacks("demo", **SPAN, only={"agent_id": "agent-0"}),
            *("called_back", 21, 2),
        ),
        (lambda m: m.overlays.versions(), "versions", 5, 0),  # every second, of every process
    ],
)
async def test_no_question_reads_more_than_it_shows(
    mongo_url: str,
    ask: Ask,
    index: str,
    keys_max: int,
    rows_max: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url = fresh(mongo_url)
    heard = hear(monkeypatch)
    async with opened(url, "pymongo") as mongo:
        await fill(mongo)
        heard.commands.clear()
        await ask(mongo)
    told = explain(url, heard)
    stages = stages_of(told)
    assert {stage["indexName"] for stage in stages if "indexName" in stage} == {index}
    assert "COLLSCAN" not in {stage["stage"] for stage in stages}
    assert "SORT" not in {stage["stage"] for stage in stages} or index == "request"
    assert told["executionStats"]["totalKeysExamined"] <= keys_max
    assert told["executionStats"]["totalDocsExamined"] <= rows_max


async def fill(mongo: Mongo) -> None:
    """Ten times as much as any question is about."""
    await mongo.store.save(
        [
            call(
                f"{tenant}:{n}",
                created_ms=NOW_MS + n,
                phase="active" if n % 10 else "rare",
                tags=(f"agent:{n % 20}", *(["one"] if n == 40 else [])),
                due_ms=n if n % 2 else None,
            )
            for tenant in ("demo", "other")
            for n in range(400)
        ]
    )
    entries = [
        entry(
            f"{tenant}-{n}",
            tenant=tenant,
            call_id=f"call-{n % 50}",
            request_id=f"r-{n % 50}" if n < 200 else None,
        )
        for tenant in ("demo", "other")
        for n in range(200)
    ]
    outcomes = [
        outcome(
            f"call-{day}-{n}",
            f"agent-{n % 50}",
            tenant=tenant,
            decided_ms=NOW_MS + day * DAY_MS + n,
            code=f"code-{n % 5}",
            origin="queue" if n % 2 else "wrap_up",
            campaign_id=f"campaign-{n % 4}" if n % 4 < 3 else None,
            project_id=f"project-{n % 2}",
            callback_ms=NOW_MS + day * DAY_MS + n if n % 5 == 0 else None,
        )
        for tenant in ("demo", "other")
        for day in range(4)
        for n in range(100)
    ]
    await mongo.history.upsert(entries, outcomes)
    letters = [
        letter(n, tenant=("demo", "other")[n % 2], topic="rare" if n % 20 < 2 else "common")
        for n in range(400)
    ]
    await mongo.letters.keep(letters, {one.place: NOW_MS for one in letters[::10]})
    for n in range(4):
        await mongo.overlays.save(f"tenant-{n}", Stored(1, b"{}"))


def explain(url: str, heard: Heard) -> Row:
    """How the server went about the last question."""
    known = {"find", "filter", "sort", "limit", "projection", "hint"}
    known |= {"aggregate", "pipeline", "cursor"}
    asked = [command for command in heard.commands if next(iter(command)) in READS]
    question = {name: value for name, value in asked[-1].items() if name in known}
    with raw(url) as database:
        told: Row = database.command("explain", question, verbosity="executionStats")
    if "stages" in told:  # an aggregation that is no longer one query
        told = told["stages"][0]["$cursor"]
    return told


def stages_of(told: Row) -> list[Row]:
    found: list[Row] = []
    waiting = [told["queryPlanner"]["winningPlan"]]
    while waiting:
        plan = waiting.pop()
        plan = plan.get("queryPlan", plan)
        found.append(plan)
        waiting += [plan["inputStage"]] if "inputStage" in plan else plan.get("inputStages", [])
    return found
