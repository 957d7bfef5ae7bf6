"""Outcomes for reporting: each call and agent once, by its latest disposition, or as missed."""

import asyncio
from collections.abc import Collection, Mapping
from typing import Any, Final

import orjson
from aiohttp import web

from services.gateway.accepting import rather
from services.gateway.bodies import answer
from services.gateway.desk import Desk
from services.gateway.models import DispositionsPage, ReportView
from services.gateway.problems import Invalid
from services.gateway.queries import AGENT, CURSOR, FROM, LIMIT, TO, Query, bad_cursor
from services.gateway.route import FOUND, JSON, Body, Parameter, Route
from services.gateway.sheet import sheet
from shared.contracts.dispositions import Origin
from shared.contracts.ids import ID_PATTERN
from shared.contracts.instants import to_wire
from shared.contracts.limits import TEXT_CHARS_MAX
from shared.runtime.history import COUNTS_MAX, GROUPS, MISSED, Count

CSV: Final = "text/csv"
OF_A_SUBJECT: Final = "status"
ORIGINS: Final = (*(origin.value for origin in Origin), OF_A_SUBJECT)
CODE: Final = Parameter(
    "code",
    "only this code",
    schema={"type": "string", "minLength": 1, "maxLength": TEXT_CHARS_MAX},
)
ORIGIN: Final = Parameter(
    "origin",
    f"only what came to be so; `{OF_A_SUBJECT}`: a subject's status, set without a call",
    schema={"type": "string", "enum": list(ORIGINS)},
)
ORIGINS_OR_MISSED: Final = (*ORIGINS, MISSED)
ORIGIN_OR_MISSED: Final = Parameter(
    "origin",
    f"likewise; `{MISSED}`: wrap-up has ended without a disposition",
    schema={"type": "string", "enum": list(ORIGINS_OR_MISSED)},
)
_ID: Final = {"type": "string", "pattern": ID_PATTERN}
CAMPAIGN: Final = Parameter("campaign_id", "only this campaign's", schema=_ID)
PROJECT: Final = Parameter("project_id", "only this project's", schema=_ID)
_ONE: Final = "|".join(GROUPS)
GROUP_BY: Final = Parameter(
    "group_by",
    f"of {', '.join(GROUPS)}, each at most once, in any order and number; separated by commas; "
    "code by default. Rows come in their order, a row for each combination that occurs, "
    "`day` and `hour` in UTC (`2026-11-21`, `2026-11-21T14`), nothing as an empty text",
    schema={"type": "string", "pattern": f"^({_ONE})(,({_ONE})){{0,{len(GROUPS) - 1}}}$"},
)
_NARROWED: Final = (AGENT, CODE, ORIGIN, CAMPAIGN, PROJECT)
_LISTED: Final = (FROM, TO, *_NARROWED, CURSOR, LIMIT)
_REPORTED: Final = (GROUP_BY, FROM, TO, *_NARROWED)
_REPORTED_OR_MISSED: Final = (
    *(GROUP_BY, FROM, TO),
    *(AGENT, CODE, ORIGIN_OR_MISSED, CAMPAIGN, PROJECT),
)


async def list_dispositions(request: web.Request, desk: Desk) -> web.Response:
    """One page of outcomes, newest first."""
    query = Query(request, *_LISTED)
    from_ms, to_ms = query.span(desk.clock.now_ms())
    only, limit, cursor = narrowed(query), query.limit(), query.cursor()
    await desk.settling.history()
    try:
        page = await desk.history.outcomes(
            request[FOUND].tenant.id,
            from_ms=from_ms,
            to_ms=to_ms,
            only=only,
            cursor=cursor,
            limit=limit,
        )
    except ValueError:
        raise bad_cursor() from None
    following = b"" if page.next is None else b',"next":%b' % orjson.dumps(page.next)
    body = b'{"rows":[%b]%b}' % (b",".join(page.bodies), following)
    return web.Response(body=body, content_type=JSON)


async def report(request: web.Request, desk: Desk) -> web.Response:
    """Dispositions counted, as JSON or CSV."""
    query = Query(request, *_REPORTED)
    return await _counted(request, desk, query, narrowed(query), missed=False)


async def report_outcomes(request: web.Request, desk: Desk) -> web.Response:
    """Dispositions and misses counted, as JSON or CSV."""
    query = Query(request, *_REPORTED_OR_MISSED)
    only = narrowed(query, ORIGINS_OR_MISSED)
    return await _counted(request, desk, query, only, missed=True)


async def _counted(
    request: web.Request, desk: Desk, query: Query, only: Mapping[str, str], *, missed: bool
) -> web.Response:
    group_by = _group_by(query)
    from_ms, to_ms = query.span(desk.clock.now_ms())
    await desk.settling.history()
    counts = await desk.history.counts(
        request[FOUND].tenant.id,
        group_by=group_by,
        from_ms=from_ms,
        to_ms=to_ms,
        only=only,
        missed=missed,
        limit=COUNTS_MAX + 1,
    )
    if len(counts) > COUNTS_MAX:
        detail = f"more than {COUNTS_MAX} rows; group by less, or ask for a shorter span"
        raise Invalid(f"group_by: {detail}", [{"field": "group_by", "detail": detail}])

    def told() -> web.Response:
        if rather(request.headers.getall("Accept", ()), CSV, JSON):
            rows = ((count.group, count.count) for count in counts)
            text = sheet([*group_by, "count"], rows)
            return web.Response(text=text, content_type=CSV, charset="utf-8")
        return answer(
            {
                "group_by": group_by,
                "from": to_wire(from_ms),
                "to": to_wire(to_ms),
                "rows": [_row(group_by, count) for count in counts],
            }
        )

    return await asyncio.to_thread(told)  # of many rows it takes a while, and others go on


def narrowed(query: Query, origins: Collection[str] = ORIGINS) -> dict[str, str]:
    """What the query narrows the outcomes to."""
    wanted = {
        "agent_id": query.id("agent_id"),
        "code": query.text("code"),
        "origin": query.one_of("origin", origins),
        "campaign_id": query.id("campaign_id"),
        "project_id": query.id("project_id"),
    }
    return {name: value for name, value in wanted.items() if value is not None}


def _group_by(query: Query) -> list[str]:
    names = (query.text("group_by") or "code").split(",")
    if len(set(names)) != len(names) or not set(names) <= set(GROUPS):
        raise Invalid(
            f"group_by: each of {', '.join(GROUPS)} at most once",
            [{"field": "group_by", "detail": "not a column, or one that stands twice"}],
        )
    return names


def _row(group_by: list[str], count: Count) -> dict[str, Any]:
    return {**dict(zip(group_by, count.group, strict=True)), "count": count.count}


ROUTES: Final = (
    Route(
        method="GET",
        path="/v1/dispositions",
        handler=list_dispositions,
        operation_id="listDispositions",
        summary="Outcomes, newest first",
        scope="read",
        parameters=_LISTED,
        responses={200: Body("One page", DispositionsPage)},
        refuses=("validation", "unavailable"),
    ),
    Route(
        method="GET",
        path="/v1/reports/dispositions",
        handler=report,
        operation_id="reportDispositions",
        summary="Outcomes, counted; CSV where `Accept` has text/csv before application/json",
        scope="read",
        parameters=_REPORTED,
        responses={200: Body("The counts", ReportView, also=CSV)},
        refuses=("validation", "unavailable"),
    ),
    Route(
        method="GET",
        path="/v1/reports/outcomes",
        handler=report_outcomes,
        operation_id="reportOutcomes",
        summary=(
            "The same, and wrap-ups that ended without a disposition: "
            f"origin `{MISSED}`, no code, until one comes late"
        ),
        scope="read",
        parameters=_REPORTED_OR_MISSED,
        responses={200: Body("The counts", ReportView, also=CSV)},
        refuses=("validation", "unavailable"),
    ),
)
