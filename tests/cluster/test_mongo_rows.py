"""Rows as MongoDB holds them: what conflicts, what is refused, and what no value may confuse."""

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

from shared.adapters.cluster.mongo import MongoDriver
from shared.adapters.cluster.store import BODY_BYTES_MAX
from shared.contracts.errors import Bug, WriteConflict
from shared.runtime.history import Count
from tests.cluster.mongo_parts import (
    DRIVERS,
    KEY,
    NOW_MS,
    both_drivers,
    call,
    entry,
    fresh,
    opened,
    outcome,
    raw,
)

pytestmark = [pytest.mark.asyncio, pytest.mark.cluster]

ODD = ["", "=active", "#agent:1", "$code", "a.b", "nul\0nul", "ünïcode☎", " ", "\U0010ffff", "0"]
SPAN: dict[str, Any] = {"from_ms": 0, "to_ms": NOW_MS * 2}


@both_drivers
async def test_one_stale_document_among_ten_is_a_conflict_and_the_others_are_written(
    mongo_url: str, driver: MongoDriver
) -> None:
    async with opened(fresh(mongo_url), driver) as mongo:
        keys = [f"demo:{n}" for n in range(10)]
        await mongo.store.save([call(key) for key in keys])
        await mongo.store.save([call("demo:4", revision=2, state=b"theirs")])
        with pytest.raises(WriteConflict, match="1 of 10"):
            await mongo.store.save([call(key, revision=2, state=b"ours") for key in keys])
        found = await mongo.store.load("calls", keys)
    states = [found[key].state for key in keys]
    assert states == [b"ours"] * 4 + [b"theirs"] + [b"ours"] * 5


@both_drivers
async def test_one_document_that_exists_among_ten_is_a_conflict_and_the_others_are_written(
    mongo_url: str, driver: MongoDriver
) -> None:
    async with opened(fresh(mongo_url), driver) as mongo:
        keys = [f"demo:{n}" for n in range(10)]
        await mongo.store.save([call("demo:4", state=b"theirs")])
        with pytest.raises(WriteConflict) as conflict:
            await mongo.store.save([call(key, state=b"ours") for key in keys])
        found = await mongo.store.load("calls", keys)
    assert [key for key in keys if found[key].state == b"theirs"] == ["demo:4"]
    assert "theirs" not in repr(conflict.value)
    assert conflict.value.__cause__ is None  # the driver's own error repeats the rows


@both_drivers
@pytest.mark.parametrize(
    "row",
    [
        {},
        {"body": None},
        {"body": "text"},
        {"body": b""},
        {"body": b"\xc1 no MessagePack"},
        {"body": b"\x80"},  # an empty map
        {"body": b"\x93\x01\x02\x03"},
    ],
)
async def test_a_row_that_is_no_document_is_a_bug_and_not_repeated(
    mongo_url: str, driver: MongoDriver, row: dict[str, object]
) -> None:
    url = fresh(mongo_url)
    with raw(url) as database:
        fields = {"tenant": "demo", "created_ms": 1, "found": [""], "due_ms": 1}
        database.calls.insert_one({"_id": KEY, "v": 1, **fields, **row})
    async with opened(url, driver) as mongo:
        for ask in (
            mongo.store.load("calls", [KEY]),
            mongo.store.find("calls", "demo"),
            mongo.store.due("calls", NOW_MS),
        ):
            with pytest.raises(Bug, match=f"calls {KEY}: what is stored is no document") as bug:
                await ask
            assert "MessagePack" not in str(bug.value)


@pytest.mark.parametrize("into", ["calls", "dispositions"])
async def test_a_document_of_another_place_is_a_bug(mongo_url: str, into: str) -> None:
    url = fresh(mongo_url)
    async with opened(url, "pymongo") as mongo:
        await mongo.store.save([call()])
        with raw(url) as database:
            row = database.calls.find_one({"_id": KEY})
            database[into].insert_one({**row, "_id": "demo:call-2"})
        with pytest.raises(Bug, match="another document"):
            await mongo.store.load(into, ["demo:call-2"])


@both_drivers
async def test_the_largest_document_is_stored_and_a_larger_one_is_a_bug(
    mongo_url: str, driver: MongoDriver
) -> None:
    beside = len(b"x" * 70_000) + 600  # room for the other fields of the document
    async with opened(fresh(mongo_url), driver) as mongo:
        tags = tuple(f"agent:{n:0>1000}" for n in range(64))  # beyond what any call can have
        largest = call(state=b"x" * (BODY_BYTES_MAX - beside), tags=tags)
        await mongo.store.save([largest])
        assert await mongo.store.load("calls", [KEY]) == {KEY: largest}
        with pytest.raises(Bug, match=r"calls demo:call-2: \d+ bytes are too many"):
            await mongo.store.save([call(), call("demo:call-2", state=b"x" * BODY_BYTES_MAX)])


@both_drivers
async def test_a_text_that_is_no_unicode_is_a_bug(mongo_url: str, driver: MongoDriver) -> None:
    async with opened(fresh(mongo_url), driver) as mongo:
        for wrong in (call("demo:\ud800"), call(tags=("\ud800",)), call(phase="\ud800")):
            with pytest.raises(Bug):
                await mongo.store.save([wrong])
        assert (await mongo.store.find("calls", "demo")).documents == ()


async def test_only_collections_with_indexes_are_listed(mongo_url: str) -> None:
    async with opened(fresh(mongo_url), "pymongo") as mongo:
        await mongo.store.save([replace(call(), collection="dispositions")])
        with pytest.raises(Bug, match="dispositions"):
            await mongo.store.find("dispositions", "demo")
        with pytest.raises(Bug, match="tokens"):
            await mongo.store.due("tokens", NOW_MS)


@both_drivers
async def test_a_collection_in_no_list_is_found_by_when_it_is_due(
    mongo_url: str, driver: MongoDriver
) -> None:
    waiting = replace(call(due_ms=NOW_MS), collection="dispositions")
    async with opened(fresh(mongo_url), driver) as mongo:
        await mongo.store.save([waiting, replace(waiting, key="demo:call-2", index=call().index)])
        assert await mongo.store.due("dispositions", NOW_MS - 1) == []
        assert await mongo.store.due("dispositions", NOW_MS) == [waiting]


@both_drivers
async def test_no_phase_is_taken_for_a_tag_nor_one_value_for_another(
    mongo_url: str, driver: MongoDriver
) -> None:
    async with opened(fresh(mongo_url), driver) as mongo:
        documents = [
            call(f"demo:{p}-{t}", phase=phase, tags=(tag,))
            for p, phase in enumerate(ODD)
            for t, tag in enumerate(ODD)
        ]
        await mongo.store.save(documents)

        async def keys(phase: str | None, tag: str | None) -> set[str]:
            page = await mongo.store.find("calls", "demo", phase=phase, tag=tag, limit=200)
            return {document.key for document in page.documents}

        assert len(await keys(None, None)) == len(ODD) ** 2
        for p, phase in enumerate(ODD):
            assert await keys(phase, None) == {f"demo:{p}-{t}" for t in range(len(ODD))}
            assert await keys(None, phase) == {f"demo:{n}-{p}" for n in range(len(ODD))}
            assert await keys(phase, ODD[0]) == {f"demo:{p}-0"}


@both_drivers
async def test_reports_take_no_value_for_anything_but_itself(
    mongo_url: str, driver: MongoDriver
) -> None:
    async with opened(fresh(mongo_url), driver) as mongo:
        rows = [
            outcome(f"call-{n}", odd, code=f"!{odd}", campaign_id=odd, decided_ms=n)
            for n, odd in enumerate(ODD)
        ]
        await mongo.history.upsert([entry(request_id=odd, id=odd) for odd in ODD], rows)
        for n, odd in enumerate(ODD):
            only = {"code": f"!{odd}", "agent_id": odd, "campaign_id": odd}
            page = await mongo.history.outcomes("demo", **SPAN, only=only)
            assert page.bodies == (rows[n].body,)
            assert await mongo.history.of_request("demo", odd) == [odd.encode()]
        counts = await mongo.history.counts("demo", group_by=["code", "agent_id"], **SPAN)
        assert counts == [Count((f"!{odd}", odd), 1) for odd in sorted(ODD)]
        no_campaign = outcome("call-x", campaign_id=None)
        await mongo.history.upsert([], [no_campaign])
        counts = await mongo.history.counts("demo", group_by=["campaign_id"], **SPAN)
        assert counts[0] == Count(("",), 2)  # none, and the empty one
        assert await mongo.history.counts("demo", group_by=[], **SPAN) == [Count((), len(ODD) + 1)]
        assert await mongo.history.counts("nobody", group_by=[], **SPAN) == []


@both_drivers
async def test_ids_with_colons_and_commas_are_not_mixed_up(
    mongo_url: str, driver: MongoDriver
) -> None:
    async with opened(fresh(mongo_url), driver) as mongo:
        rows = [outcome("a:b", "c"), outcome("a", "b:c"), outcome('a","b', "c"), outcome("a", "b")]
        await mongo.history.upsert([], rows)
        page = await mongo.history.outcomes("demo", **SPAN)
    assert sorted(page.bodies) == sorted(row.body for row in rows)


@pytest.mark.parametrize("seed", range(5))
async def test_of_racing_outcomes_the_highest_revision_stands(mongo_url: str, seed: int) -> None:
    url = fresh(mongo_url)
    async with opened(url, DRIVERS[0]) as one, opened(url, DRIVERS[1]) as other:
        agents = [f"agent-{n}" for n in range(40)]
        revisions = [1 + (seed + n * 5) % 8 for n in range(8)]
        await asyncio.gather(
            *(
                (one, other)[n % 2].history.upsert(
                    [],
                    [
                        outcome(agent_id=agent, revision=revision, body=b"%d" % revision)
                        for agent in agents
                    ],
                )
                for n, revision in enumerate(revisions)
            )
        )
        page = await one.history.outcomes("demo", **SPAN)
    assert page.bodies == (b"8",) * len(agents)


@both_drivers
async def test_ends_only_ever_grow(mongo_url: str, driver: MongoDriver) -> None:
    async with opened(fresh(mongo_url), driver) as mongo:
        assert await mongo.remembered_ends() == {}
        await mongo.remember_ends({})
        await mongo.remember_ends({"telephony.events-0": 5, "telephony.events-1": 0})
        await asyncio.gather(
            *(mongo.remember_ends({"telephony.events-0": n, "$x.y": n}) for n in range(20))
        )
        assert await mongo.remembered_ends() == {
            "telephony.events-0": 19,
            "telephony.events-1": 0,
            "$x.y": 19,
        }
