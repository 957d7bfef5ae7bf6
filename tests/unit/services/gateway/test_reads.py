"""Reads: calls, history, requests, outcomes, reports, codes; pages, filters and bad queries."""

import json
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from services.gateway import models
from services.gateway.routes import reports
from shared.contracts.calls import AgentOnCall, Call, Phase
from shared.contracts.dispositions import (
    AgentDispositions,
    Disposition,
    DispositionsDocument,
    Origin,
    Queued,
)
from shared.contracts.errors import TooLong
from shared.contracts.topics import CALLS_CHANGED
from shared.runtime.history import Count, Entry, OutcomeRow
from shared.runtime.ports import TopicPartition
from tests.support.clock import START_MS
from tests.unit.services.gateway.floor import NATIVE, Floor, open_floor, problem

pytestmark = pytest.mark.asyncio

CALL = Call(
    tenant="demo",
    id="call-1",
    version=7,
    phase=Phase.WRAP_UP,
    created_ms=START_MS,
    direction="inbound",
    from_="+49301",
    did="800",
    customer_id="c-9",
    user_data={"Language": "de", "Tries": 2},
    started_ms=START_MS,
    answered_ms=START_MS + 1_000,
    disconnected_ms=START_MS + 60_000,
    by="caller",
    agents=(
        AgentOnCall(
            agent_id="agent-1",
            phase=Phase.WRAP_UP,
            joined_ms=START_MS,
            left_ms=START_MS + 60_000,
            wrap_up_ends_ms=START_MS + 90_000,
        ),
        AgentOnCall(agent_id="agent-2", phase=Phase.ACTIVE, held=True),
        AgentOnCall(agent_id="agent-3", phase=Phase.RELEASED, released_ms=START_MS),
    ),
)
SAID = DispositionsDocument(
    agents=(
        AgentDispositions(
            agent_id="agent-1",
            disposition=Disposition(
                code="Callback",
                key="DispositionCode",
                origin=Origin.CORRECTION,
                decided_ms=START_MS + 70_000,
                revision=2,
                request_id="req-2",
                comment="later",
                callback_ms=START_MS + 3_600_000,
            ),
            earlier=(
                Disposition(
                    code="Sale",
                    key="DispositionCode",
                    origin=Origin.QUEUE,
                    decided_ms=START_MS + 60_000,
                    revision=1,
                ),
            ),
        ),
        AgentDispositions(
            agent_id="agent-2",
            queued=Queued(
                code="Sale",
                key="DispositionCode",
                request_id="req-3",
                queued_ms=START_MS,
                release_after=True,
            ),
        ),
        AgentDispositions(agent_id="agent-3", missed=True),
    )
)
SHOWN = {
    "id": "call-1",
    "phase": "wrap_up",
    "version": 7,
    "direction": "inbound",
    "from": "+49301",
    "did": "800",
    "customer_id": "c-9",
    "user_data": {"Language": "de", "Tries": 2},
    "started_at": "2026-11-21T14:06:40.000Z",
    "answered_at": "2026-11-21T14:06:41.000Z",
    "disconnected_at": "2026-11-21T14:07:40.000Z",
    "by": "caller",
    "agents": [
        {
            "agent_id": "agent-1",
            "phase": "wrap_up",
            "joined_at": "2026-11-21T14:06:40.000Z",
            "left_at": "2026-11-21T14:07:40.000Z",
            "wrap_up_ends_at": "2026-11-21T14:08:10.000Z",
            "disposition": {
                "code": "Callback",
                "key": "DispositionCode",
                "origin": "correction",
                "decided_at": "2026-11-21T14:07:50.000Z",
                "request_id": "req-2",
                "comment": "later",
                "callback_at": "2026-11-21T15:06:40.000Z",
                "previous": {
                    "code": "Sale",
                    "origin": "queue",
                    "decided_at": "2026-11-21T14:07:40.000Z",
                },
            },
        },
        {
            "agent_id": "agent-2",
            "phase": "active",
            "held": True,
            "queued": {
                "code": "Sale",
                "key": "DispositionCode",
                "request_id": "req-3",
                "queued_at": "2026-11-21T14:06:40.000Z",
                "release_after": True,
            },
        },
        {
            "agent_id": "agent-3",
            "phase": "released",
            "released_at": "2026-11-21T14:06:40.000Z",
            "missed": True,
        },
    ],
}


async def get(floor: Floor, path: str, **headers: str) -> Any:
    return await floor.client.get(path, headers={**NATIVE, **headers})


async def test_a_call_as_the_contract_shows_it(floor: Floor) -> None:
    await floor.put_call(CALL, SAID)
    response = await get(floor, "/v1/calls/call-1")
    assert response.status == 200
    assert await response.json() == SHOWN
    models.CallView.model_validate(SHOWN, strict=True)


async def test_a_call_that_has_only_just_begun(floor: Floor) -> None:
    bare = Call(tenant="demo", id="call-2", version=1, phase=Phase.RINGING, created_ms=START_MS)
    await floor.put_call(bare)
    told = await (await get(floor, "/v1/calls/call-2")).json()
    assert told == {
        "id": "call-2",
        "phase": "ringing",
        "version": 1,
        "direction": None,
        "did": "",
        "user_data": {},
        "started_at": None,
        "agents": [],
    }
    models.CallView.model_validate(told, strict=True)


async def test_another_tenant_s_call_is_as_unknown_as_one_that_is_not(floor: Floor) -> None:
    await floor.put_call(msgspec.structs.replace(CALL, tenant="other"))
    other, none = await get(floor, "/v1/calls/call-1"), await get(floor, "/v1/calls/call-9")
    assert await problem(other) == await problem(none) == (404, "unknown_call")
    assert await other.read() == await none.read()
    assert await (await get(floor, "/v1/calls")).json() == {"calls": []}
    assert await problem(await get(floor, "/v1/calls/call-1/history")) == (404, "unknown_call")


async def test_calls_come_in_pages_newest_first(floor: Floor) -> None:
    for number in range(5):
        call = msgspec.structs.replace(CALL, id=f"call-{number}")
        await floor.put_call(call, SAID, created_ms=START_MS + number)
    seen: list[str] = []
    path = "/v1/calls?limit=2"
    pages = 0
    while path:
        page = await (await get(floor, path)).json()
        models.CallsPage.model_validate(page, strict=True)
        seen += [call["id"] for call in page["calls"]]
        path = f"/v1/calls?limit=2&cursor={page['next']}" if "next" in page else ""
        pages += 1
    assert seen == ["call-4", "call-3", "call-2", "call-1", "call-0"]
    assert pages == 3


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["call-2", "call-1"]),
        ("phase=wrap_up", ["call-1"]),
        ("phase=active", ["call-2"]),
        ("phase=ringing", []),
        ("agent_id=agent-1", ["call-1"]),
        ("agent_id=agent-1&phase=active", []),
        ("limit=1", ["call-2"]),
        ("limit=200", ["call-2", "call-1"]),
    ],
)
async def test_calls_are_filtered(floor: Floor, query: str, expected: list[str]) -> None:
    await floor.put_call(CALL)
    other = Call(tenant="demo", id="call-2", version=1, phase=Phase.ACTIVE, created_ms=START_MS)
    await floor.put_call(other, created_ms=START_MS + 1)
    page = await (await get(floor, f"/v1/calls?{query}")).json()
    assert [call["id"] for call in page["calls"]] == expected


BAD_QUERIES = [
    "/v1/calls?limit=0",
    "/v1/calls?limit=201",
    "/v1/calls?limit=-1",
    "/v1/calls?limit=1e2",
    "/v1/calls?limit=%C2%B2",
    "/v1/calls?limit=",
    "/v1/calls?phase=gone",
    "/v1/calls?phase[$ne]=active",
    "/v1/calls?agent_id=a%00b",
    "/v1/calls?agent_id=",
    "/v1/calls?agent=agent-1",
    "/v1/calls?tenant=other",
    "/v1/calls?limit=2&limit=3",
    "/v1/calls?cursor=nonsense",
    "/v1/calls?cursor=" + "x" * 1001,
    "/v1/calls?cursor=bnVsbA==",
    "/v1/calls/call-1?tenant=other",
    "/v1/calls/call-1/history?x=1",
    "/v1/codes?x=1",
    "/v1/dispositions?cursor=nonsense",
    "/v1/dispositions?limit=201",
    "/v1/dispositions?from=yesterday",
    "/v1/dispositions?from=2026-11-21T10:00:00",
    "/v1/dispositions?from=20261121T100000Z",
    "/v1/dispositions?from=2026-W47-6T10:00:00Z",
    "/v1/requests/req-1?verbose=1",
    "/v1/dispositions?to=2026-02-30",
    "/v1/dispositions?to=1969-01-01",
    "/v1/dispositions?from=9999-12-31T23:59:59-01:00",
    "/v1/dispositions?code=a%0ab",
    "/v1/dispositions?origin=magic",
    "/v1/dispositions?origin=",
    "/v1/dispositions?campaign_id=a%20b",
    "/v1/dispositions?project_id=",
    "/v1/dispositions?group_by=code",
    "/v1/reports/dispositions?origin=magic",
    "/v1/reports/dispositions?agent_id=a%20b",
    "/v1/reports/dispositions?limit=5",
    "/v1/dispositions?code=" + "x" * 257,
    "/v1/reports/dispositions?group_by=tenant",
    "/v1/reports/dispositions?group_by=code,code",
    "/v1/reports/dispositions?group_by=code,",
    "/v1/reports/dispositions?group_by=",
    "/v1/reports/dispositions?cursor=x",
    "/v1/reports/dispositions?origin=missed",
    "/v1/dispositions?origin=missed",
    "/v1/reports/outcomes?origin=magic",
    "/v1/reports/outcomes?group_by=code,code",
    "/v1/reports/outcomes?limit=5",
    "/v1/reports/outcomes?missed=true",
    "/v1/callbacks?cursor=nonsense",
    "/v1/callbacks?cursor=bnVsbA==",
    "/v1/callbacks?limit=201",
    "/v1/callbacks?from=tomorrow",
    "/v1/callbacks?to=2026-02-30",
    "/v1/callbacks?agent_id=a%20b",
    "/v1/callbacks?code=Sale",
    "/v1/callbacks?campaign_id=",
]


@pytest.mark.parametrize("path", BAD_QUERIES)
async def test_a_bad_query_is_422(floor: Floor, path: str) -> None:
    assert await problem(await get(floor, path)) == (422, "validation")


def entry(number: int, request_id: str | None = None, **body: Any) -> Entry:
    return Entry(
        id=f"topic:{number}",
        tenant="demo",
        call_id="call-1",
        at_ms=START_MS + number,
        rank=0,
        sequence=number,
        request_id=request_id,
        body=json.dumps({"kind": "event", **body}).encode(),
    )


async def test_the_history_is_told_as_it_is_stored(floor: Floor) -> None:
    await floor.history.upsert([entry(2, type="b"), entry(1, type="a")], [])
    told = await (await get(floor, "/v1/calls/call-1/history")).json()
    assert told == {"entries": [{"kind": "event", "type": "a"}, {"kind": "event", "type": "b"}]}


async def test_a_call_without_a_history_yet(floor: Floor) -> None:
    await floor.put_call(CALL)
    assert await (await get(floor, "/v1/calls/call-1/history")).json() == {"entries": []}


ASKED = entry(1, "req-1", kind="request", type="disposition.requested", code="Sale")
QUEUED = entry(
    2,
    "req-1",
    kind="verdict",
    outcome="queued",
    code="Sale",
    call_id="call-1",
    agent_id="agent-1",
    decided_at="2026-11-21T14:06:40.000Z",
    rule="queue",
)
SAVED = entry(3, "req-1", kind="verdict", outcome="saved", code="Sale")


async def test_a_request_shows_the_verdict_that_was_answered(floor: Floor) -> None:
    await floor.history.upsert([SAVED, QUEUED, ASKED], [])
    told = await (await get(floor, "/v1/requests/req-1")).json()
    assert told == {
        "request_id": "req-1",
        "outcome": "queued",
        "call_id": "call-1",
        "agent_id": "agent-1",
        "code": "Sale",
        "decided_at": "2026-11-21T14:06:40.000Z",
    }
    models.RequestView.model_validate(told, strict=True)


async def test_a_request_without_a_verdict_is_pending(floor: Floor) -> None:
    await floor.history.upsert([ASKED], [])
    told = await (await get(floor, "/v1/requests/req-1")).json()
    assert told == {"request_id": "req-1", "outcome": "pending"}


async def test_a_request_that_never_was_is_404(floor: Floor) -> None:
    assert await problem(await get(floor, "/v1/requests/req-1")) == (404, "not_found")


async def test_while_the_history_is_behind_nothing_is_denied(floor: Floor) -> None:
    floor.log.records[TopicPartition(CALLS_CHANGED, 0)].append(None)  # type: ignore[arg-type]
    told = await (await get(floor, "/v1/requests/req-1")).json()
    assert told == {"request_id": "req-1", "outcome": "pending"}


def outcome(
    number: int, code: str, agent_id: str, days_ago: int = 0, **more: str | int | None
) -> OutcomeRow:
    named = {"origin": "queue", "campaign_id": None, "project_id": None, **more}
    return OutcomeRow(
        tenant="demo",
        call_id=f"call-{number}",
        agent_id=agent_id,
        revision=1,
        code=code,
        decided_ms=START_MS - days_ago * 86_400_000,
        body=json.dumps({"call_id": f"call-{number}", "code": code}).encode(),
        **named,  # type: ignore[arg-type]
    )


OUTCOMES = [
    outcome(1, "Sale", "agent-1"),
    outcome(2, "Sale", "agent-2", campaign_id="spring", origin="status"),
    outcome(3, "Callback", "agent-1", 1, campaign_id="spring", project_id="17"),
    outcome(4, "Sale", "agent-1", 29, origin="late"),
    outcome(5, "Sale", "agent-1", 31),
]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", [2, 1, 3, 4]),
        ("agent_id=agent-1", [1, 3, 4]),
        ("code=Callback", [3]),
        ("origin=queue", [1, 3]),
        ("origin=status", [2]),
        ("campaign_id=spring", [2, 3]),
        ("project_id=17", [3]),
        ("campaign_id=spring&agent_id=agent-2&code=Sale", [2]),
        ("from=2026-10-01", [2, 1, 3, 4, 5]),
        ("to=2026-11-21", [3, 4]),
        ("from=2026-11-21", [2, 1]),
        ("from=2026-11-21T15:06:40%2B01:00", [2, 1]),
        ("from=2026-11-21T15:06:40+01:00", [2, 1]),
        ("from=2026-11-21T14:06:40.0000000000000Z", [2, 1]),
        ("from=2026-09-30T23:59:60Z", [2, 1, 3, 4, 5]),
        ("from=2026-11-21T14:06:40.001Z", []),
        ("from=2026-11-21&to=2026-11-20", []),
    ],
)
async def test_outcomes_are_filtered(floor: Floor, query: str, expected: list[int]) -> None:
    await floor.history.upsert([], OUTCOMES)
    page = await (await get(floor, f"/v1/dispositions?{query}")).json()
    assert page == {
        "rows": [
            {"call_id": f"call-{number}", "code": OUTCOMES[number - 1].code} for number in expected
        ]
    }
    told = await (await get(floor, f"/v1/reports/dispositions?{query}")).json()
    assert sum(row["count"] for row in told["rows"]) == len(expected)


async def test_outcomes_come_in_pages(floor: Floor) -> None:
    await floor.history.upsert([], OUTCOMES)
    first = await (await get(floor, "/v1/dispositions?limit=3")).json()
    rest = await (await get(floor, f"/v1/dispositions?limit=3&cursor={first['next']}")).json()
    assert [row["call_id"] for row in first["rows"]] == ["call-2", "call-1", "call-3"]
    assert rest == {"rows": [{"call_id": "call-4", "code": "Sale"}]}


async def test_a_report_counts_by_its_columns(floor: Floor) -> None:
    await floor.history.upsert([], OUTCOMES)
    told = await (await get(floor, "/v1/reports/dispositions?group_by=code,agent_id")).json()
    assert told == {
        "group_by": ["code", "agent_id"],
        "from": "2026-10-22T14:06:40.000Z",
        "to": "2026-11-21T14:06:41.000Z",
        "rows": [
            {"code": "Callback", "agent_id": "agent-1", "count": 1},
            {"code": "Sale", "agent_id": "agent-1", "count": 2},
            {"code": "Sale", "agent_id": "agent-2", "count": 1},
        ],
    }
    models.ReportView.model_validate(told, strict=True)


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("text/csv", "text/csv"),
        ("TEXT/CSV; q=0.9, */*; q=0.1", "text/csv"),
        ("application/json;q=0.5, text/csv", "text/csv"),
        ("application/json, text/csv;q=0.5", "application/json"),
        ("application/json, text/csv", "application/json"),
        ("*/*", "application/json"),
    ],
)
async def test_a_report_is_csv_where_that_is_asked_for(
    floor: Floor, accept: str, content_type: str
) -> None:
    await floor.history.upsert([], OUTCOMES)
    response = await get(floor, "/v1/reports/dispositions?group_by=day", Accept=accept)
    assert response.content_type == content_type
    if content_type == "text/csv":
        assert await response.text() == (
            "day,count\r\n2026-10-23,1\r\n2026-11-20,1\r\n2026-11-21,2\r\n"
        )


async def test_a_report_for_a_spreadsheet_calculates_nothing(floor: Floor) -> None:
    await floor.history.upsert([], [outcome(1, "=1+1", "-7"), outcome(2, 'a,"b"', "agent-1")])
    path = "/v1/reports/dispositions?group_by=code,agent_id"
    told = await get(floor, path, Accept="text/csv")
    assert await told.text() == (
        "code,agent_id,count\r\n'=1+1,'-7,1\r\n" + '"a,""b""",agent-1,1\r\n'
    )
    plain = await (await get(floor, path)).json()
    assert plain["rows"][0] == {"code": "=1+1", "agent_id": "-7", "count": 1}


async def test_a_report_has_only_so_many_rows(
    floor: Floor, monkeypatch: pytest.MonkeyPatch
) -> None:
    await floor.history.upsert([], OUTCOMES)
    path = "/v1/reports/dispositions?group_by=code,agent_id"
    monkeypatch.setattr(reports, "COUNTS_MAX", 3)
    assert len((await (await get(floor, path)).json())["rows"]) == 3
    monkeypatch.setattr(reports, "COUNTS_MAX", 2)
    assert await problem(await get(floor, path)) == (422, "validation")


MISSES = [
    outcome(11, "", "agent-1", origin="missed"),
    outcome(12, "", "agent-2", 1, origin="missed", campaign_id="spring"),
    outcome(13, "", "agent-2", origin="status"),  # a status that was taken away
]


@pytest.mark.parametrize(
    ("query", "disposed", "missed"),
    [
        ("", 4, 2),
        ("agent_id=agent-2", 1, 1),
        ("campaign_id=spring", 2, 1),
        ("code=Sale", 3, 0),
        ("origin=late", 1, 0),
        ("from=2026-11-21", 2, 1),
    ],
)
async def test_the_report_of_outcomes_counts_misses_too_and_the_other_never(
    floor: Floor, query: str, disposed: int, missed: int
) -> None:
    await floor.history.upsert([], OUTCOMES + MISSES)

    async def count(path: str) -> int:
        told = await (await get(floor, f"{path}?group_by=origin&{query}")).json()
        return sum(row["count"] for row in told["rows"])

    assert await count("/v1/reports/dispositions") == disposed
    assert await count("/v1/reports/outcomes") == disposed + missed
    listed = await (await get(floor, f"/v1/dispositions?{query}")).json()
    assert len(listed["rows"]) == disposed


async def test_a_miss_has_an_origin_and_no_code(floor: Floor) -> None:
    await floor.history.upsert([], OUTCOMES + MISSES)
    path = "/v1/reports/outcomes?group_by=origin,code&from=2026-11-21"
    told = await (await get(floor, path)).json()
    models.ReportView.model_validate(told, strict=True)
    assert told["rows"] == [
        {"origin": "missed", "code": "", "count": 1},
        {"origin": "queue", "code": "Sale", "count": 1},
        {"origin": "status", "code": "Sale", "count": 1},
    ]
    sheet = await get(floor, path, Accept="text/csv")
    assert (await sheet.text()).splitlines()[:2] == ["origin,code,count", "missed,,1"]
    alone = await (await get(floor, "/v1/reports/outcomes?origin=missed")).json()
    assert alone["rows"] == [{"code": "", "count": 2}]


async def test_the_report_of_outcomes_is_for_a_spreadsheet_too(floor: Floor) -> None:
    await floor.history.upsert([], [outcome(1, "=1+1", "-7")])
    told = await get(floor, "/v1/reports/outcomes", Accept="text/csv")
    assert await told.text() == "code,count\r\n'=1+1,1\r\n"


HOUR_MS = 3_600_000


def awaited(number: int, callback_ms: int | None, **more: str | int | None) -> OutcomeRow:
    row = outcome(number, "Callback", "agent-1", callback_ms=callback_ms)
    said = {"call_id": row.call_id, "agent_id": row.agent_id, "code": "Callback", "revision": 1}
    body = json.dumps(said | {"decided_at": "2026-11-21T14:00:00.000Z"}).encode()
    return replace(row, body=body, **more)


CALLBACKS = [
    awaited(1, START_MS + HOUR_MS),
    awaited(2, START_MS - 24 * HOUR_MS, campaign_id="spring"),
    awaited(3, START_MS - 24 * HOUR_MS - 1),
    awaited(4, START_MS + 9000 * HOUR_MS, agent_id="agent-2", project_id="17"),
    awaited(5, None),
    awaited(6, START_MS, tenant="other"),
]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", [2, 1, 4]),
        ("from=2026-11-01", [3, 2, 1, 4]),
        ("from=2026-11-21&to=2026-11-22", [1]),
        ("to=2026-11-21T15:06:40Z", [2]),
        ("agent_id=agent-2", [4]),
        ("campaign_id=spring", [2]),
        ("project_id=17&agent_id=agent-1", []),
    ],
)
async def test_callbacks_come_in_the_order_of_their_times(
    floor: Floor, query: str, expected: list[int]
) -> None:
    await floor.history.upsert([], CALLBACKS)
    page = await (await get(floor, f"/v1/callbacks?{query}")).json()
    assert [row["call_id"] for row in page["rows"]] == [f"call-{n}" for n in expected]
    models.CallbacksPage.model_validate(page, strict=True)


async def test_a_callback_says_when_and_what_has_scheduled_it(floor: Floor) -> None:
    await floor.history.upsert([], CALLBACKS)
    first = await (await get(floor, "/v1/callbacks?limit=2")).json()
    rest = await (await get(floor, f"/v1/callbacks?limit=2&cursor={first['next']}")).json()
    assert first["rows"][1] == {
        "callback_at": "2026-11-21T15:06:40.000Z",
        "call_id": "call-1",
        "agent_id": "agent-1",
        "code": "Callback",
        "revision": 1,
        "decided_at": "2026-11-21T14:00:00.000Z",
    }
    assert [row["call_id"] for row in rest["rows"]] == ["call-4"]
    assert "next" not in rest


async def test_a_report_that_takes_too_long_says_what_to_do(
    floor: Floor, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def counts(*_: object, **__: object) -> list[Count]:
        raise TooLong("not within 20 s")

    monkeypatch.setattr(floor.history, "counts", counts)
    answer = await get(floor, "/v1/reports/dispositions")
    assert "shorter span" in (await answer.json())["detail"]
    assert (answer.status, answer.headers["Retry-After"]) == (503, "1")


async def test_the_codes_of_the_demo_tenant(floor: Floor) -> None:
    told = await (await get(floor, "/v1/codes")).json()
    models.CodesView.model_validate(told, strict=True)
    assert [(code["id"], code["code"], code["needs_callback"]) for code in told["codes"]] == [
        (1, "Sale", False),
        (2, "Interested", False),
        (3, "NotInterested", False),
        (4, "Callback", True),
        (5, "WrongNumber", False),
        (6, "DoNotCall", False),
        (7, "Referred", False),
    ]


async def test_a_store_that_does_not_answer_is_503(floor: Floor) -> None:
    floor.store.fail_next("load")
    assert await problem(await get(floor, "/v1/calls/call-1")) == (503, "unavailable")


async def test_a_read_that_can_t_wait_longer_answers_anyway() -> None:
    async with open_floor() as floor:
        await floor.put_call(CALL)
        floor.log.records[TopicPartition(CALLS_CHANGED, 0)].append(None)  # type: ignore[arg-type]
        assert (await get(floor, "/v1/calls/call-1")).status == 200
