"""What `HistoryStore` promises, over every adapter."""

import base64
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import pytest
from msgspec.structs import replace

from shared.contracts.instants import from_wire
from shared.runtime.history import (
    FILTERS,
    GROUPS,
    MISSED,
    NOT_COUNTED,
    Callback,
    CallbackPage,
    Count,
    Entry,
    HistoryStore,
    OutcomePage,
    OutcomeRow,
)
from tests.conformance.adapters import STORES, Parts, Profile

pytestmark = pytest.mark.asyncio
PROFILES = STORES
Page = TypeVar("Page", OutcomePage, CallbackPage)

NOW_MS = from_wire("2026-11-21T14:00:00Z")
HOUR_MS = 3_600_000
LAST_MS = NOW_MS + 1_000 * HOUR_MS
EVER: dict[str, Any] = {"from_ms": 0, "to_ms": LAST_MS}


def entry(id: str = "e-1", body: bytes = b"", **fields: object) -> Entry:  # noqa: A002 - the field's name
    named = {"tenant": "demo", "call_id": "call-1", "at_ms": 0, "rank": 0, "sequence": 0}
    return Entry(id=id, body=body or id.encode(), **{**named, **fields})  # type: ignore[arg-type]


def outcome(call_id: str = "call-1", agent_id: str = "agent-1", **fields: object) -> OutcomeRow:
    named = {
        "tenant": "demo",
        "revision": 1,
        "code": "Sale",
        "origin": "wrap_up",
        "decided_ms": NOW_MS,
        "campaign_id": None,
        "project_id": None,
        "body": f"{call_id} {agent_id}".encode(),
    }
    return OutcomeRow(call_id=call_id, agent_id=agent_id, **{**named, **fields})  # type: ignore[arg-type]


FOUR = [
    outcome("call-1", decided_ms=NOW_MS + 1, origin="queue", body=b"call-1"),
    outcome(
        "call-2",
        "agent-2",
        decided_ms=NOW_MS + 2,
        code="Referred",
        origin="queue",
        project_id="17",
        body=b"call-2",
    ),
    outcome("call-3", decided_ms=NOW_MS + 3, code="Referred", campaign_id="spring", body=b"call-3"),
    outcome(
        "call-4",
        "agent-2",
        decided_ms=NOW_MS + 4,
        campaign_id="spring",
        project_id="17",
        body=b"call-4",
    ),
]


async def bodies(history: HistoryStore, tenant: str = "demo", /, **wanted: object) -> list[bytes]:
    spread = {"from_ms": 0, "to_ms": LAST_MS, **wanted}
    page = await history.outcomes(tenant, **spread)  # type: ignore[arg-type]
    assert page.next is None
    return list(page.bodies)


async def all_pages(ask: Callable[..., Awaitable[Page]], **wanted: object) -> list[Page]:
    """From the first until one says that it is the last."""
    pages = [await ask("demo", **wanted)]
    while (cursor := pages[-1].next) is not None:
        pages.append(await ask("demo", cursor=cursor, **wanted))
    return pages


async def counted(history: HistoryStore, *group_by: str) -> list[Count]:
    return await history.counts("demo", group_by=group_by, from_ms=0, to_ms=LAST_MS)


async def test_entries_come_by_time_then_rank_then_sequence(profile: Profile) -> None:
    rows = [
        entry("verdict", at_ms=5, rank=2, sequence=1),
        entry("later", at_ms=6),
        entry("third", at_ms=5, rank=0, sequence=3),
        entry("request", at_ms=5, rank=1),
        entry("second", at_ms=5, rank=0, sequence=2),
        entry("first", at_ms=4, rank=2, sequence=9),
        entry("elsewhere", call_id="call-2"),
    ]
    in_order = [b"first", b"second", b"third", b"request", b"verdict", b"later"]
    async with profile.open() as parts:
        await parts.history.upsert(rows, [])
        assert await parts.history.entries("demo", "call-1") == in_order
    async with profile.open() as parts:
        assert await parts.history.entries("demo", "call-1") == in_order
        assert await parts.history.entries("demo", "call-2") == [b"elsewhere"]


async def test_a_call_that_nobody_spoke_of_has_no_entries(parts: Parts) -> None:
    assert await parts.history.entries("demo", "call-1") == []
    assert await parts.history.of_request("demo", "request-1") == []


async def test_writing_rows_again_changes_nothing(parts: Parts) -> None:
    rows = [entry("e-1", at_ms=1), entry("e-2", at_ms=2)]
    for _ in range(3):
        await parts.history.upsert([*rows, rows[0]], [outcome(), outcome()])
    assert await parts.history.entries("demo", "call-1") == [b"e-1", b"e-2"]
    assert await bodies(parts.history) == [b"call-1 agent-1"]


async def test_an_id_told_again_at_another_time_changes_nothing(parts: Parts) -> None:
    """A request retried with its own key is the same request, in the log twice."""
    await parts.history.upsert([entry("e-1", b"first", at_ms=1)], [])
    await parts.history.upsert([entry("e-1", b"again", at_ms=2)], [])
    assert await parts.history.entries("demo", "call-1") == [b"first"]


async def test_writing_nothing_is_nothing(parts: Parts) -> None:
    await parts.history.upsert([], [])
    assert await bodies(parts.history) == []


async def test_tenants_never_meet_even_under_one_id(parts: Parts) -> None:
    rows = [entry(tenant=tenant, body=tenant.encode(), request_id="r") for tenant in ("a", "b")]
    await parts.history.upsert(
        rows, [outcome(tenant=tenant, body=tenant.encode()) for tenant in ("a", "b")]
    )
    for tenant in ("a", "b"):
        assert await parts.history.entries(tenant, "call-1") == [tenant.encode()]
        assert await parts.history.of_request(tenant, "r") == [tenant.encode()]
        assert await bodies(parts.history, tenant) == [tenant.encode()]
    assert await counted(parts.history, "code") == []


async def test_a_request_finds_its_entries_in_order(parts: Parts) -> None:
    await parts.history.upsert(
        [
            entry("verdict", at_ms=5, rank=2, request_id="request-1"),
            entry("asked", at_ms=5, rank=1, request_id="request-1"),
            entry("on another call", at_ms=9, call_id="call-2", request_id="request-1"),
            entry("another's", at_ms=5, rank=1, request_id="request-2"),
            entry("nobody's", at_ms=5),
        ],
        [],
    )
    of_request = await parts.history.of_request("demo", "request-1")
    assert of_request == [b"asked", b"verdict", b"on another call"]


@pytest.mark.parametrize("order", [(1, 2, 3), (3, 2, 1), (2, 3, 1), (1, 3, 2, 3, 1)])
async def test_the_highest_revision_of_an_outcome_stands(
    parts: Parts, order: tuple[int, ...]
) -> None:
    for revision in order:
        row = outcome(
            revision=revision,
            code=f"code-{revision}",
            origin=f"origin-{revision}",
            decided_ms=NOW_MS + revision * HOUR_MS,
            campaign_id=f"campaign-{revision}",
            project_id=f"project-{revision}",
            body=b"%d" % revision,
        )
        await parts.history.upsert([], [row])
    assert await bodies(parts.history) == [b"3"]
    columns = ("code", "origin", "hour", "campaign_id", "project_id")
    assert await counted(parts.history, *columns) == [
        Count(("code-3", "origin-3", "2026-11-21T17", "campaign-3", "project-3"), 1)
    ]


async def test_each_agent_of_a_call_has_an_outcome_of_its_own(profile: Profile) -> None:
    async with profile.open() as parts:
        await parts.history.upsert([], [outcome(agent_id="agent-1"), outcome(agent_id="agent-2")])
    async with profile.open() as parts:
        assert await bodies(parts.history) == [b"call-1 agent-2", b"call-1 agent-1"]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({}, [b"call-4", b"call-3", b"call-2", b"call-1"]),
        ({"from_ms": NOW_MS + 2}, [b"call-4", b"call-3", b"call-2"]),
        ({"to_ms": NOW_MS + 3}, [b"call-2", b"call-1"]),
        ({"from_ms": NOW_MS + 2, "to_ms": NOW_MS + 3}, [b"call-2"]),
        ({"from_ms": NOW_MS + 2, "to_ms": NOW_MS + 2}, []),
        ({"only": {"agent_id": "agent-1"}}, [b"call-3", b"call-1"]),
        ({"only": {"code": "Sale"}}, [b"call-4", b"call-1"]),
        ({"only": {"origin": "queue"}}, [b"call-2", b"call-1"]),
        ({"only": {"campaign_id": "spring"}}, [b"call-4", b"call-3"]),
        ({"only": {"project_id": "17"}}, [b"call-4", b"call-2"]),
        ({"only": {"agent_id": "agent-1", "code": "Sale"}}, [b"call-1"]),
        ({"only": {"code": "Sale", "agent_id": "agent-2"}, "from_ms": NOW_MS + 4}, [b"call-4"]),
        ({"only": {"code": "Sale", "agent_id": "agent-2"}, "to_ms": NOW_MS + 4}, []),
        ({"only": {"campaign_id": "spring", "project_id": "17", "origin": "wrap_up"}}, [b"call-4"]),
        ({"only": dict.fromkeys(FILTERS, "nobody")}, []),
        ({"only": {"code": NOT_COUNTED}}, []),
        ({"only": {"campaign_id": ""}}, []),
    ],
)
async def test_outcomes_by_time_and_every_filter(
    parts: Parts, wanted: dict[str, Any], expected: list[bytes]
) -> None:
    await parts.history.upsert([], FOUR)
    assert await bodies(parts.history, "demo", **wanted) == expected
    counts = await parts.history.counts(
        "demo", group_by=[], **{"from_ms": 0, "to_ms": LAST_MS, **wanted}
    )
    assert counts == ([Count((), len(expected))] if expected else [])


async def test_a_narrowed_report_counts_by_every_column(parts: Parts) -> None:
    await parts.history.upsert([], FOUR)
    for name in FILTERS:
        counts = await parts.history.counts(
            "demo", group_by=(name,), only={"agent_id": "agent-2"}, **EVER
        )
        assert sum(count.count for count in counts) == 2, name


async def test_no_more_counts_are_given_than_asked_for(parts: Parts) -> None:
    await parts.history.upsert([], [outcome(f"call-{n}", f"agent-{n}") for n in range(5)])
    for limit, given in ((1, 1), (4, 4), (5, 5), (6, 5)):
        counts = await parts.history.counts("demo", group_by=["agent_id"], limit=limit, **EVER)
        assert len(counts) == given


async def test_filters_and_pages_go_together_where_times_are_the_same(parts: Parts) -> None:
    rows = [
        outcome(f"call-{n // 3}", f"agent-{n % 3}", code=f"code-{n % 2}", body=b"%d" % n)
        for n in range(12)
    ]
    await parts.history.upsert([], rows)
    pages = await all_pages(parts.history.outcomes, only={"code": "code-0"}, limit=2, **EVER)
    seen = [body for page in pages for body in page.bodies]
    assert seen == [b"10", b"8", b"6", b"4", b"2", b"0"]


async def test_a_cursor_leads_no_further_than_the_span(parts: Parts) -> None:
    rows = [outcome(f"call-{n}", decided_ms=NOW_MS + n, body=b"%d" % n) for n in range(6)]
    await parts.history.upsert([], rows)
    page = await parts.history.outcomes("demo", limit=1, **EVER)
    narrower = await parts.history.outcomes(
        "demo", from_ms=NOW_MS + 1, to_ms=NOW_MS + 3, cursor=page.next
    )
    assert narrower.bodies == (b"2", b"1")


@pytest.mark.parametrize("limit", [1, 2, 5, 10, 11, 50])
async def test_pages_show_every_outcome_once(parts: Parts, limit: int) -> None:
    rows = [
        outcome(f"call-{n // 2}", f"agent-{n}", decided_ms=NOW_MS + n // 4, body=b"%d" % n)
        for n in range(10)
    ]
    await parts.history.upsert([], rows)
    span = {"from_ms": NOW_MS, "to_ms": LAST_MS}
    pages = await all_pages(parts.history.outcomes, **span, limit=limit)
    assert [body for page in pages for body in page.bodies] == [b"%d" % n for n in range(9, -1, -1)]
    assert len(pages) == -(-10 // limit)


@pytest.mark.parametrize("text", [b"", b"{", b"[1]", b'[1,"a"]', b'["1","a","b"]', b'[1,"a",2]'])
async def test_a_cursor_that_is_not_ours_is_refused(parts: Parts, text: bytes) -> None:
    cursor = base64.urlsafe_b64encode(text).decode()
    for wrong in (cursor, "not base64!"):
        with pytest.raises(ValueError, match="cursor"):
            await parts.history.outcomes("demo", from_ms=0, to_ms=LAST_MS, cursor=wrong)


@pytest.mark.parametrize(
    ("group_by", "expected"),
    [
        (("code",), [("Referred", 1), ("Sale", 3)]),
        (("agent_id",), [("agent-1", 2), ("agent-2", 2)]),
        (("day",), [("2026-11-20", 1), ("2026-11-21", 3)]),
        (("hour",), [("2026-11-20T23", 1), ("2026-11-21T00", 2), ("2026-11-21T13", 1)]),
        (("origin",), [("queue", 1), ("wrap_up", 3)]),
        (("campaign_id",), [("", 3), ("spring", 1)]),
        (("project_id",), [("", 3), ("17", 1)]),
        (("code", "agent_id"), [("Referred", "agent-2", 1), ("Sale", "agent-1", 2),
                                ("Sale", "agent-2", 1)]),
        (("agent_id", "code"), [("agent-1", "Sale", 2), ("agent-2", "Referred", 1),
                                ("agent-2", "Sale", 1)]),
        (("day", "code"), [("2026-11-20", "Sale", 1), ("2026-11-21", "Referred", 1),
                           ("2026-11-21", "Sale", 2)]),
    ],
)  # fmt: skip
async def test_reports_count_each_call_and_agent_once(
    parts: Parts, group_by: tuple[str, ...], expected: list[tuple[str | int, ...]]
) -> None:
    rows = [
        ("call-1", "agent-1", "2026-11-20T23:59:59.999Z", {"campaign_id": "spring"}),
        ("call-2", "agent-1", "2026-11-21T00:00:00Z", {"project_id": "17"}),
        ("call-2", "agent-2", "2026-11-21T00:59:59.999Z", {"origin": "queue"}),
        ("call-3", "agent-2", "2026-11-21T13:00:00Z", {"code": "Referred"}),
    ]
    await parts.history.upsert(
        [],
        [
            outcome(call_id, agent_id, decided_ms=from_wire(at), **fields)
            for call_id, agent_id, at, fields in rows
        ],
    )
    assert await counted(parts.history, *group_by) == [
        Count(row[:-1], row[-1])  # type: ignore[arg-type]
        for row in expected
    ]


async def test_every_group_of_the_port_can_be_counted(parts: Parts) -> None:
    await parts.history.upsert([], [outcome()])
    (count,) = await counted(parts.history, *GROUPS)
    day, hour = "2026-11-21", "2026-11-21T14"
    assert count == Count(("Sale", "agent-1", day, "wrap_up", "", "", hour), 1)


async def test_reports_count_from_inclusive_to_exclusive(parts: Parts) -> None:
    rows = [outcome(f"call-{n}", decided_ms=NOW_MS + n) for n in range(4)]
    await parts.history.upsert([], rows)
    counts = await parts.history.counts(
        "demo", group_by=("code",), from_ms=NOW_MS + 1, to_ms=NOW_MS + 3
    )
    assert counts == [Count(("Sale",), 2)]


async def test_a_correction_moves_the_count(parts: Parts) -> None:
    await parts.history.upsert([], [outcome()])
    await parts.history.upsert([], [replace(outcome(), revision=2, code="Referred")])
    assert await counted(parts.history, "code") == [Count(("Referred",), 1)]


async def test_an_outcome_that_was_taken_away_is_neither_counted_nor_listed(parts: Parts) -> None:
    there = outcome("customer:7", "", code="Interested", origin="status")
    await parts.history.upsert([], [there, outcome()])
    assert await counted(parts.history, "code") == [Count(("Interested",), 1), Count(("Sale",), 1)]
    assert sorted(await bodies(parts.history)) == [b"call-1 agent-1", b"customer:7 "]
    await parts.history.upsert([], [replace(there, revision=2, code=NOT_COUNTED)])
    assert await counted(parts.history, "code") == [Count(("Sale",), 1)]
    assert await counted(parts.history, "origin") == [Count(("wrap_up",), 1)]
    assert await bodies(parts.history) == [b"call-1 agent-1"]


def missed(call_id: str = "call-1", agent_id: str = "agent-1", **fields: object) -> OutcomeRow:
    return outcome(call_id, agent_id, revision=0, code=NOT_COUNTED, origin=MISSED, **fields)


async def test_what_was_missed_is_counted_only_where_that_is_asked_for(parts: Parts) -> None:
    cleared = outcome("customer:7", "", code=NOT_COUNTED, origin="status")
    rows = [missed("call-1", campaign_id="spring"), missed("call-2", "agent-2"), *FOUR[2:], cleared]
    await parts.history.upsert([], rows)
    groups = {"group_by": ["origin", "code", "campaign_id"], **EVER}
    disposed = [
        Count(("wrap_up", "Referred", "spring"), 1),
        Count(("wrap_up", "Sale", "spring"), 1),
    ]
    assert await parts.history.counts("demo", **groups) == disposed
    assert await parts.history.counts("demo", missed=True, **groups) == [
        Count((MISSED, "", ""), 1),
        Count((MISSED, "", "spring"), 1),
        *disposed,
    ]
    assert len(await bodies(parts.history)) == 2
    for only, count in (
        ({"origin": MISSED}, 2),
        ({"origin": MISSED, "agent_id": "agent-2"}, 1),
        ({"campaign_id": "spring"}, 3),
        ({"code": "Sale"}, 1),
    ):
        counts = await parts.history.counts("demo", group_by=[], missed=True, only=only, **EVER)
        assert counts == [Count((), count)], only


@pytest.mark.parametrize("late_first", [True, False])
async def test_a_late_disposition_takes_the_place_of_the_miss(
    parts: Parts, late_first: bool
) -> None:
    late = outcome(code="Referred", origin="late", decided_ms=NOW_MS + 5)
    for row in (late, missed()) if late_first else (missed(), late):
        await parts.history.upsert([], [row])
    counts = await parts.history.counts("demo", group_by=["origin"], missed=True, **EVER)
    assert counts == [Count(("late",), 1)]
    assert await bodies(parts.history) == [b"call-1 agent-1"]


SOON = NOW_MS + HOUR_MS


def awaited(number: int, callback_ms: int | None, **fields: Any) -> OutcomeRow:
    body = b'{"n":%d}' % number
    return outcome(f"call-{number}", callback_ms=callback_ms, body=body, **fields)


async def called_back(history: HistoryStore, tenant: str = "demo", /, **wanted: Any) -> list[int]:
    """The numbers of the rows, in the order given."""
    page = await history.callbacks(tenant, **{**EVER, **wanted})
    assert page.next is None
    return [int(row.body[5:-1]) for row in page.rows]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({}, [4, 1, 3, 2, 6]),
        ({"from_ms": SOON}, [1, 3, 2, 6]),
        ({"from_ms": SOON + 1}, [2, 6]),
        ({"to_ms": SOON}, [4]),
        ({"to_ms": SOON + 1}, [4, 1, 3]),
        ({"from_ms": SOON, "to_ms": SOON}, []),
        ({"only": {"agent_id": "agent-2"}}, [3]),
        ({"only": {"campaign_id": "spring"}}, [1, 2]),
        ({"only": {"campaign_id": "spring", "project_id": "17"}}, [2]),
        ({"only": {"code": "Sale", "origin": "wrap_up"}}, [4, 1, 3, 2]),
    ],
)
async def test_callbacks_come_by_their_time_and_every_filter(
    profile: Profile, wanted: dict[str, Any], expected: list[int]
) -> None:
    rows = [
        awaited(1, SOON, campaign_id="spring"),
        awaited(2, SOON + 1, campaign_id="spring", project_id="17"),
        awaited(3, SOON, agent_id="agent-2"),
        awaited(4, 0),
        awaited(5, None),
        awaited(6, SOON + 2, code=NOT_COUNTED, origin="status"),
        awaited(7, SOON, tenant="other"),
    ]
    async with profile.open() as parts:
        await parts.history.upsert([], rows)
    async with profile.open() as parts:
        assert await called_back(parts.history, **wanted) == expected
        assert await called_back(parts.history, "other") == [7]
        first = (await parts.history.callbacks("demo", limit=1, **EVER)).rows
        assert first == (Callback(0, b'{"n":4}'),)


@pytest.mark.parametrize("order", [(1, 2, 3), (3, 2, 1), (2, 3, 1), (1, 3, 2, 3, 1)])
@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ((SOON, None, None), []),
        ((None, SOON, None), []),
        ((SOON, None, SOON + 1), [SOON + 1]),
        ((None, None, SOON), [SOON]),
        ((SOON, SOON + 1, 0), [0]),
    ],
)
async def test_a_callback_stands_as_long_as_nothing_newer_does(
    parts: Parts, order: tuple[int, ...], times: tuple[int | None, ...], expected: list[int]
) -> None:
    for revision in order:
        row = outcome(revision=revision, callback_ms=times[revision - 1])
        await parts.history.upsert([], [row])
    page = await parts.history.callbacks("demo", **EVER)
    assert [row.callback_ms for row in page.rows] == expected


async def test_a_row_without_its_callback_gets_it_when_it_is_written_again(parts: Parts) -> None:
    """As programs have left it that did not know callbacks; nothing else of it changes."""
    without = outcome(revision=2)
    await parts.history.upsert([], [without])
    await parts.history.upsert([], [replace(without, revision=1, callback_ms=SOON)])
    assert (await parts.history.callbacks("demo", **EVER)).rows == ()
    for _ in range(2):
        await parts.history.upsert([], [replace(without, callback_ms=SOON)])
        await parts.history.upsert([], [without])
        assert (await parts.history.callbacks("demo", **EVER)).rows == (
            Callback(SOON, b"call-1 agent-1"),
        )


@pytest.mark.parametrize("limit", [1, 2, 5, 10, 11, 50])
async def test_pages_show_every_callback_once(parts: Parts, limit: int) -> None:
    rows = [
        outcome(
            f"call-{n // 3}", f"agent-{n % 3}", callback_ms=SOON + n // 4, body=b"%d" % n
        )
        for n in range(10)
    ]  # fmt: skip
    await parts.history.upsert([], rows)
    span = {"from_ms": SOON, "to_ms": LAST_MS}
    pages = await all_pages(parts.history.callbacks, **span, limit=limit)
    assert [row.body for page in pages for row in page.rows] == [b"%d" % n for n in range(10)]
    assert len(pages) == -(-10 // limit)


async def test_a_cursor_of_callbacks_leads_no_further_than_the_span(parts: Parts) -> None:
    await parts.history.upsert([], [awaited(n, SOON + n) for n in range(6)])
    page = await parts.history.callbacks("demo", limit=1, **EVER)
    span = {"from_ms": SOON + 3, "to_ms": SOON + 5}
    assert await called_back(parts.history, cursor=page.next, **span) == [3, 4]
    for wrong in ("bnVsbA==", "not base64!"):
        with pytest.raises(ValueError, match="cursor"):
            await parts.history.callbacks("demo", cursor=wrong, **EVER)
