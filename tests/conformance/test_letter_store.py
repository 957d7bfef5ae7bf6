"""What a `LetterStore` promises, whichever adapter it is."""

import base64
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from shared.runtime.letters import LetterLine, LetterRow, LetterStore
from tests.conformance.adapters import STORES, Parts, Profile

PROFILES = STORES
pytestmark = pytest.mark.asyncio

NOW_MS = 1_763_733_600_000


def letter(number: int = 0, **fields: Any) -> LetterRow:
    given: dict[str, Any] = {
        "place": f"telephony.events.dead/1/{number}",
        "tenant": "demo",
        "topic": "telephony.events",
        "at_ms": NOW_MS + number,
        "reason": "bad_envelope",
        "detail": "attribute ce_id is missing",
        "origin": f"telephony.events/1/{number}",
        "key": "demo:one",
        "type": "call.started",
        "headers": (("ce_type", b"call.started"), ("x", b"\xff\x00"), ("x", b"")),
        "value": b"\x00\xffwhat?",
    }
    return LetterRow(**(given | fields))


def line(row: LetterRow) -> LetterLine:
    fields = msgspec.structs.asdict(row)
    return LetterLine(**{name: fields[name] for name in LetterLine.__struct_fields__})


async def places(letters: LetterStore, tenant: str | None = None, **wanted: Any) -> list[int]:
    """The numbers of the letters that a page shows."""
    page = await letters.page(tenant, **wanted)
    return [int(one.place.rpartition("/")[2]) for one in page.lines]


async def test_a_fresh_store_has_none(parts: Parts) -> None:
    await parts.letters.keep([], {})
    page = await parts.letters.page(None)
    assert (page.lines, page.next) == ((), None)
    assert await parts.letters.letter("telephony.events.dead/1/0") is None
    assert await parts.letters.expire(NOW_MS) == 0


async def test_a_letter_is_kept_whole_and_listed_without_what_it_holds(profile: Profile) -> None:
    rows = [
        letter(0),
        letter(1, tenant="", key="", type=None, headers=(), value=b"", reason="", detail=""),
        letter(2, detail="half a sentence \ufffd \x00 \U0001f4de", key="demo:\x00"),
    ]
    async with profile.open() as parts:
        await parts.letters.keep(rows, {})
    async with profile.open() as parts:
        for row in rows:
            assert await parts.letters.letter(row.place) == row
        page = await parts.letters.page(None)
        assert page.lines == tuple(map(line, reversed(rows)))
        assert {type(one) for one in page.lines} == {LetterLine}


async def test_a_large_letter_is_kept(parts: Parts) -> None:
    row = letter(value=b"\x00" * 2 * 1024 * 1024)
    await parts.letters.keep([row], {})
    assert await parts.letters.letter(row.place) == row


async def test_what_is_kept_again_is_there_once_and_stays_marked(parts: Parts) -> None:
    rows = [letter(n) for n in range(3)]
    for _ in range(2):
        await parts.letters.keep(rows, {rows[1].place: NOW_MS + 9})
    await parts.letters.keep(
        rows, {}
    )  # as after a crash: the first records come again by themselves
    assert await places(parts.letters) == [2, 1, 0]
    assert await parts.letters.letter(rows[1].place) == replace(rows[1], put_back_ms=NOW_MS + 9)


async def test_of_letters_of_one_origin_the_first_stays(parts: Parts) -> None:
    first = letter(0)
    twice = replace(letter(1), origin=first.origin)
    await parts.letters.keep([first, twice], {})
    await parts.letters.keep([twice, letter(2)], {twice.place: NOW_MS})
    assert await places(parts.letters) == [2, 0]
    assert await parts.letters.letter(first.place) == first


async def test_the_latest_mark_stands_in_whatever_order_they_come(parts: Parts) -> None:
    row = letter()
    for at_ms in (7, 9, 8):
        await parts.letters.keep([row], {row.place: NOW_MS + at_ms})
    assert await parts.letters.letter(row.place) == replace(row, put_back_ms=NOW_MS + 9)
    ((shown,), _) = msgspec.structs.astuple(await parts.letters.page(None))
    assert shown.put_back_ms == NOW_MS + 9


async def test_a_mark_for_a_letter_that_is_not_there_is_passed_over(parts: Parts) -> None:
    await parts.letters.keep([letter(1)], {letter(0).place: NOW_MS, "x": NOW_MS})
    assert await places(parts.letters, put_back=True) == []
    await parts.letters.keep([letter(0)], {})
    assert await places(parts.letters, put_back=False) == [1, 0]


async def test_a_tenant_sees_its_own_and_the_operator_all(parts: Parts) -> None:
    tenants = ("demo", "acme", "", "demo")
    await parts.letters.keep([letter(n, tenant=tenant) for n, tenant in enumerate(tenants)], {})
    assert await places(parts.letters, "demo") == [3, 0]
    assert await places(parts.letters, "acme") == [1]
    assert await places(parts.letters, "") == [2]
    assert await places(parts.letters, "nobody") == []
    assert await places(parts.letters) == [3, 2, 1, 0]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"topic": "telephony.events"}, [4, 2, 0]),
        ({"topic": "disposition.requests"}, [3, 1]),
        ({"topic": "telephony"}, []),
        ({"put_back": True}, [3, 2]),
        ({"put_back": False}, [4, 1, 0]),
        ({"topic": "telephony.events", "put_back": False}, [4, 0]),
        ({"topic": "telephony.events", "put_back": False, "limit": 1}, [4]),
    ],
)
@pytest.mark.parametrize("tenant", [None, "demo"])
async def test_lists_are_narrowed(
    parts: Parts, tenant: str | None, wanted: dict[str, Any], expected: list[int]
) -> None:
    topics = ["telephony.events", "disposition.requests"]
    rows = [letter(n, topic=topics[n % 2]) for n in range(5)]
    await parts.letters.keep(rows, {rows[2].place: NOW_MS, rows[3].place: NOW_MS})
    assert await places(parts.letters, tenant, **wanted) == expected


@pytest.mark.parametrize("tenant", [None, "demo"])
@pytest.mark.parametrize("limit", [1, 2, 5, 10, 11])
async def test_pages_show_every_letter_once(parts: Parts, limit: int, tenant: str | None) -> None:
    rows = [letter(n, at_ms=NOW_MS + n // 4) for n in range(10)]
    await parts.letters.keep(rows, {rows[3].place: NOW_MS})
    seen: list[str] = []
    cursor: str | None = None
    pages = 0
    while pages == 0 or cursor is not None:
        page = await parts.letters.page(tenant, cursor=cursor, limit=limit)
        seen += [one.place for one in page.lines]
        cursor = page.next
        pages += 1
    assert seen == [row.place for row in reversed(rows)]
    assert pages == -(-10 // limit)


@pytest.mark.parametrize("text", [b"", b"{", b"[1]", b'["1","a"]', b'[1,"a",2]', b"[1,2]"])
async def test_a_cursor_that_is_not_ours_is_refused(parts: Parts, text: bytes) -> None:
    for wrong in (base64.urlsafe_b64encode(text).decode(), "not base64!"):
        with pytest.raises(ValueError, match="cursor"):
            await parts.letters.page(None, cursor=wrong)


async def test_old_letters_are_forgotten_and_no_others(profile: Profile) -> None:
    async with profile.open() as parts:
        await parts.letters.keep([letter(n) for n in range(5)], {letter(0).place: NOW_MS + 9})
        assert await parts.letters.expire(NOW_MS + 3) == 3
        assert await parts.letters.expire(NOW_MS + 3) == 0
    async with profile.open() as parts:
        assert await places(parts.letters) == [4, 3]
        assert await parts.letters.letter(letter(0).place) is None


async def test_more_letters_than_one_job_forgets(parts: Parts) -> None:
    rows = [letter(n, value=b"") for n in range(2_001)]
    await parts.letters.keep(rows, {})
    assert await parts.letters.expire(NOW_MS + 2_001) == 2_001
    assert await places(parts.letters) == []
