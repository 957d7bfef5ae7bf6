"""What `StateStore` promises, over every adapter."""

import asyncio
import base64
from dataclasses import dataclass
from typing import Any

import pytest
from msgspec.structs import replace

from shared.contracts.envelope import Message
from shared.contracts.errors import WriteConflict
from shared.runtime.ports import Document, Effect, Index, StateStore, Tagged, pack, part
from tests.conformance.adapters import STORES, Parts, Profile

pytestmark = pytest.mark.asyncio
PROFILES = STORES

NOW_MS = 1_795_270_000_000


def call(
    key: str = "demo:call-1", revision: int = 1, state: bytes = b"{}", **index: object
) -> Document:
    return Document(
        collection="calls",
        key=key,
        revision=revision,
        state=state,
        watermarks={},
        sequences={},
        index=Index(**{"created_ms": NOW_MS, **index}),  # type: ignore[arg-type]
    )


async def stored(store: StateStore, key: str = "demo:call-1") -> Document | None:
    return (await store.load("calls", [key])).get(key)


async def keys_of(store: StateStore, tenant: str = "demo", **wanted: str) -> list[str]:
    page = await store.find("calls", tenant, **wanted)  # type: ignore[arg-type]
    assert page.next is None
    return [document.key for document in page.documents]


async def test_a_document_comes_back_as_it_was_saved(profile: Profile) -> None:
    message = Message("user.events", "demo:call-1", (("ce_id", b"\x00\xff"),), b"{}")
    document = Document(
        collection="calls",
        key="demo:call-1",
        revision=1,
        state='{"from_": "Ünïcode☎"}'.encode(),
        watermarks={"telephony.events": 2**62, "calls.changed": 0},
        sequences={"calls.changed": 7, "user.events demo:call-1": 1},
        index=Index(created_ms=NOW_MS, phase="active", due_ms=0, tags=("agent:agent-1", "did:1")),
        outbox=pack(part([Effect(("telephony.events", 3, 2**62), message)])),
    )
    async with profile.open() as parts:
        await parts.store.save([document])
        assert await stored(parts.store) == document
    async with profile.open() as parts:
        assert await stored(parts.store) == document


async def test_what_was_never_written_does_not_exist(parts: Parts) -> None:
    await parts.store.save([call()])
    assert await parts.store.load("calls", ["demo:call-2"]) == {}
    assert await parts.store.load("calls", []) == {}
    assert await parts.store.load("dispositions", ["demo:call-1"]) == {}


@pytest.mark.parametrize("count", [1, 500, 501, 1_203])
async def test_any_number_of_documents_is_loaded_at_once(parts: Parts, count: int) -> None:
    documents = [call(f"demo:call-{number}") for number in range(count)]
    await parts.store.save(documents)
    keys = [document.key for document in documents]
    found = await parts.store.load("calls", [*keys, "demo:missing"])
    assert found == dict(zip(keys, documents, strict=True))


async def test_saving_nothing_is_nothing(parts: Parts) -> None:
    await parts.store.save([])
    assert await keys_of(parts.store) == []


async def test_the_next_revision_replaces_the_one_before(profile: Profile) -> None:
    async with profile.open() as parts:
        for revision in range(1, 4):
            await parts.store.save([call(revision=revision, state=b"%d" % revision)])
            assert await stored(parts.store) == call(revision=revision, state=b"%d" % revision)
    async with profile.open() as parts:
        await parts.store.save([call(revision=4, state=b"4")])
        assert await stored(parts.store) == call(revision=4, state=b"4")


@pytest.mark.parametrize(
    ("standing", "written"),
    [(0, 2), (0, 7), (1, 1), (1, 3), (2, 1), (2, 2), (2, 4), (3, 2)],
)
async def test_any_other_revision_is_a_conflict(parts: Parts, standing: int, written: int) -> None:
    for revision in range(1, standing + 1):
        await parts.store.save([call(revision=revision, state=b"stands")])
    before = await stored(parts.store)
    with pytest.raises(WriteConflict):
        await parts.store.save([call(revision=written, state=b"late")])
    assert await stored(parts.store) == before


async def test_one_conflict_among_many_is_told(parts: Parts) -> None:
    await parts.store.save([call("demo:call-1"), call("demo:call-2"), call("demo:call-3")])
    with pytest.raises(WriteConflict):
        await parts.store.save(
            [
                call("demo:call-1", revision=2),
                call("demo:call-2", revision=3),
                call("demo:call-3", revision=2),
                call("demo:call-4"),
            ]
        )
    assert await stored(parts.store, "demo:call-2") == call("demo:call-2")


async def test_the_same_key_in_another_collection_is_another_document(parts: Parts) -> None:
    other = replace(call(state=b"other"), collection="dispositions")
    await parts.store.save([call(), other])
    assert await stored(parts.store) == call()
    assert await parts.store.load("dispositions", ["demo:call-1"]) == {"demo:call-1": other}


async def test_of_racing_writers_one_wins(parts: Parts) -> None:
    await parts.store.save([call()])
    writers = [call(revision=2, state=b"%d" % number) for number in range(8)]
    outcomes = await asyncio.gather(
        *(parts.store.save([writer]) for writer in writers), return_exceptions=True
    )
    won = [writer for writer, outcome in zip(writers, outcomes, strict=True) if outcome is None]
    lost = [outcome for outcome in outcomes if outcome is not None]
    assert [await stored(parts.store)] == won
    assert [type(error) for error in lost] == [WriteConflict] * 7


async def test_every_reader_sees_a_write_at_once(parts: Parts) -> None:
    for revision in range(1, 30):
        await parts.store.save([call(revision=revision, phase=f"{revision}", due_ms=revision)])
        documents = [
            await stored(parts.store),
            *(await parts.store.find("calls", "demo")).documents,
            *await parts.store.due("calls", NOW_MS),
        ]
        assert [document.revision for document in documents if document] == [revision] * 3


async def test_lists_show_the_newest_first(parts: Parts) -> None:
    await parts.store.save(
        [
            call("demo:b", created_ms=20),
            call("demo:old", created_ms=10),
            call("demo:a", created_ms=20),
            call("demo:new", created_ms=30),
        ]
    )
    assert await keys_of(parts.store) == ["demo:new", "demo:b", "demo:a", "demo:old"]


async def test_a_later_write_does_not_move_a_document_in_its_list(parts: Parts) -> None:
    await parts.store.save([call("demo:old", created_ms=10), call("demo:new", created_ms=30)])
    await parts.store.save([call("demo:old", revision=2, created_ms=10)])
    assert await keys_of(parts.store) == ["demo:new", "demo:old"]


async def test_lists_are_of_one_tenant_and_one_collection(parts: Parts) -> None:
    await parts.store.save(
        [
            call("demo:1", tags=("agent:1",)),
            call("demo-2:1", tags=("agent:1",)),
            call("dem:1", tags=("agent:1",)),
            call("Demo:1", tags=("agent:1",)),
            replace(call("demo:2", tags=("agent:1",)), collection="dispositions"),
        ]
    )
    assert await keys_of(parts.store) == ["demo:1"]
    assert await keys_of(parts.store, tag="agent:1") == ["demo:1"]
    assert await keys_of(parts.store, "dem") == ["dem:1"]
    assert await keys_of(parts.store, "nobody") == []


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({}, ["demo:4", "demo:3", "demo:2", "demo:1"]),
        ({"phase": "active"}, ["demo:3", "demo:1"]),
        ({"phase": ""}, ["demo:4"]),
        ({"phase": "released"}, []),
        ({"tag": "agent:1"}, ["demo:2", "demo:1"]),
        ({"tag": "agent:2"}, ["demo:3", "demo:2"]),
        ({"tag": "agent:"}, []),
        ({"tag": "agent:1", "phase": "active"}, ["demo:1"]),
        ({"tag": "agent:2", "phase": "active"}, ["demo:3"]),
    ],
)
async def test_lists_by_phase_and_tag(
    parts: Parts, wanted: dict[str, str], expected: list[str]
) -> None:
    await parts.store.save(
        [
            call("demo:1", created_ms=1, phase="active", tags=("agent:1",)),
            call("demo:2", created_ms=2, phase="wrap_up", tags=("agent:1", "agent:2")),
            call("demo:3", created_ms=3, phase="active", tags=("agent:2",)),
            call("demo:4", created_ms=4),
        ]
    )
    assert await keys_of(parts.store, **wanted) == expected


async def test_a_document_is_found_by_its_present_phase_and_an_added_tag(parts: Parts) -> None:
    await parts.store.save([call(phase="active", tags=("agent:1",))])
    await parts.store.save([call(revision=2, phase="wrap_up", tags=("agent:1", "agent:2"))])
    assert await keys_of(parts.store, phase="active") == []
    assert await keys_of(parts.store, phase="wrap_up") == ["demo:call-1"]
    assert await keys_of(parts.store, tag="agent:1") == ["demo:call-1"]
    assert await keys_of(parts.store, tag="agent:2") == ["demo:call-1"]


@dataclass(frozen=True)
class Paging:
    """A way to list, and the documents that it shows."""

    wanted: dict[str, str]
    every: int


@pytest.mark.parametrize("limit", [1, 3, 4, 12, 13, 50])
@pytest.mark.parametrize(
    "paging",
    [
        Paging({}, every=1),
        Paging({"phase": "active"}, every=2),
        Paging({"tag": "agent:1"}, every=3),
        Paging({"phase": "active", "tag": "agent:1"}, every=6),
    ],
)
async def test_pages_show_every_document_once(parts: Parts, paging: Paging, limit: int) -> None:
    await parts.store.save(
        [
            call(
                f"demo:{n:02}",
                created_ms=n // 4,  # four of each millisecond, so that the key decides too
                phase="wrap_up" if n % 2 else "active",
                tags=() if n % 3 else ("agent:1",),
            )
            for n in range(12)
        ]
    )
    seen: list[str] = []
    cursor: str | None = None
    pages = 0
    while pages == 0 or cursor is not None:
        page = await parts.store.find(
            "calls",
            "demo",
            **paging.wanted,
            cursor=cursor,
            limit=limit,
        )
        assert len(page.documents) <= limit
        seen += [document.key for document in page.documents]
        cursor = page.next
        pages += 1
    assert seen == [f"demo:{n:02}" for n in range(11, -1, -1) if n % paging.every == 0]
    assert pages == -(-len(seen) // limit)


async def test_a_new_document_does_not_disturb_who_turns_pages(parts: Parts) -> None:
    await parts.store.save([call(f"demo:{n}", created_ms=n) for n in range(4)])
    first = await parts.store.find("calls", "demo", limit=2)
    await parts.store.save([call("demo:9", created_ms=9)])
    second = await parts.store.find("calls", "demo", cursor=first.next, limit=2)
    shown = [document.key for document in (*first.documents, *second.documents)]
    assert shown == ["demo:3", "demo:2", "demo:1", "demo:0"]


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "1",
        "not base64!",
        "Ünïcode",
        *(
            base64.urlsafe_b64encode(text).decode()
            for text in (
                b"",
                b"{",
                b"null",
                b"[]",
                b"[1]",
                b'["1","a"]',
                b'[1,"a","b"]',
                b"[1,2]",
                b'[1.5,"a"]',
                b'[true,"a"]',
                b'{"1":"a"}',
                b"\xff\xff",
            )
        ),
    ],
)
async def test_a_cursor_that_is_not_ours_is_refused(parts: Parts, cursor: str) -> None:
    with pytest.raises(ValueError, match="cursor"):
        await parts.store.find("calls", "demo", cursor=cursor)


async def test_a_cursor_that_was_touched_is_refused(parts: Parts) -> None:
    await parts.store.save([call(f"demo:{n}") for n in range(3)])
    cursor = (await parts.store.find("calls", "demo", limit=1)).next
    assert cursor is not None
    for touched in (cursor[1:], cursor[:-1], f"{cursor}!", f"{cursor[:4]}!{cursor[4:]}"):
        with pytest.raises(ValueError, match="cursor"):
            await parts.store.find("calls", "demo", cursor=touched)


async def test_due_gives_what_is_not_after_now_in_order(parts: Parts) -> None:
    await parts.store.save(
        [
            call("demo:late", due_ms=300),
            call("demo:b", due_ms=200),
            call("demo:early", due_ms=100),
            call("demo:a", due_ms=200),
            call("other:c", due_ms=200),
            call("demo:never"),
            replace(call("demo:elsewhere", due_ms=1), collection="dispositions"),
        ]
    )
    due = [document.key for document in await parts.store.due("calls", 200)]
    assert due == ["demo:early", "demo:a", "demo:b", "other:c"]
    assert await parts.store.due("calls", 99) == []


async def test_due_goes_on_beyond_a_place(parts: Parts) -> None:
    await parts.store.save([call(f"demo:{n}", due_ms=n // 3) for n in range(8)])
    seen: list[str] = []
    after = (-1, "")
    while some := await parts.store.due("calls", 9, after=after, limit=3):
        assert len(some) <= 3
        seen += [document.key for document in some]
        assert some[-1].index.due_ms is not None
        after = (some[-1].index.due_ms, some[-1].key)
    assert seen == [f"demo:{n}" for n in range(8)]


async def test_a_deadline_moves_and_goes_with_the_document(parts: Parts) -> None:
    await parts.store.save([call(due_ms=100)])
    await parts.store.save([call(revision=2, due_ms=200)])
    assert await parts.store.due("calls", 150) == []
    assert len(await parts.store.due("calls", 200)) == 1
    await parts.store.save([call(revision=3)])
    assert await parts.store.due("calls", 10_000) == []


async def newest_of_each(store: StateStore, *wanted: tuple[str, str], each_max: int = 2) -> Any:
    found = await store.tagged("calls", [Tagged(*one) for one in wanted], each_max=each_max)
    return {tuple(one): [document.key for document in some] for one, some in found.items()}


async def test_of_each_tag_asked_for_the_newest_few_are_read(parts: Parts) -> None:
    await parts.store.save(
        [
            *(call(f"demo:{n}", created_ms=n // 2, tags=("customer:1",)) for n in range(5)),
            call("demo:5", created_ms=0, tags=("customer:2", "record:17/1")),
            call("demo:6", created_ms=9, tags=("customer:3",)),
            call("other:7", created_ms=9, tags=("customer:1",)),
            replace(call("demo:8", created_ms=9, tags=("customer:1",)), collection="subjects"),
        ]
    )
    wanted = [("demo", tag) for tag in ("customer:1", "customer:2", "record:17/1", "customer:4")]
    assert await newest_of_each(parts.store, *wanted, ("other", "customer:1")) == {
        ("demo", "customer:1"): ["demo:4", "demo:3"],
        ("demo", "customer:2"): ["demo:5"],
        ("demo", "record:17/1"): ["demo:5"],
        ("other", "customer:1"): ["other:7"],
    }
    assert await newest_of_each(parts.store, ("demo", "customer:1"), each_max=9) == {
        ("demo", "customer:1"): [f"demo:{n}" for n in (4, 3, 2, 1, 0)]
    }
    assert await newest_of_each(parts.store) == {}
    assert await newest_of_each(parts.store, ("demo", "customer"), ("dem", "customer:1")) == {}


async def test_more_tags_than_one_query_takes_are_read_as_well(parts: Parts) -> None:
    await parts.store.save(
        [call(f"demo:{n}", created_ms=n, tags=(f"record:17/{n}",)) for n in range(0, 1100, 2)]
    )
    found = await newest_of_each(parts.store, *(("demo", f"record:17/{n}") for n in range(1100)))
    assert found == {("demo", f"record:17/{n}"): [f"demo:{n}"] for n in range(0, 1100, 2)}
