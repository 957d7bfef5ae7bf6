"""Outcomes for reporting: each call and agent once, by its latest disposition."""

import csv
from io import StringIO
from typing import Any, Final

import orjson
from aiohttp import web

from services.gateway.bodies import answer
from services.gateway.desk import Desk
from services.gateway.models import DispositionsPage, ReportView
from services.gateway.problems import Invalid
from services.gateway.queries import AGENT, CURSOR, FROM, LIMIT, TO, Query, bad_cursor
from services.gateway.route import FOUND, JSON, Body, Parameter, Route
from shared.contracts.instants import to_wire
from shared.contracts.limits import TEXT_CHARS_MAX
from shared.runtime.history import GROUPS, Count

CSV: Final = "text/csv"
CODE: Final = Parameter(
    "code",
    "only this code",
    schema={"type": "string", "minLength": 1, "maxLength": TEXT_CHARS_MAX},
)
_ONE: Final = "|".join(GROUPS)
GROUP_BY: Final = Parameter(
    "group_by",
    f"of {', '.join(GROUPS)}, each at most once; separated by commas; code by default",
    schema={"type": "string", "pattern": f"^({_ONE})(,({_ONE})){{0,{len(GROUPS) - 1}}}$"},
)
_FILTERS: Final = (FROM, TO, AGENT, CODE, CURSOR, LIMIT)


async def list_dispositions(request: web.Request, desk: Desk) -> web.Response:
    """One page of outcomes, newest first."""
    query = Query(request, *_FILTERS)
    from_ms, to_ms = query.span(desk.clock.now_ms())
    agent_id, code, limit = query.id("agent_id"), query.text("code"), query.limit()
    cursor = query.cursor()
    await desk.settling.history()
    try:
        page = await desk.history.outcomes(
            request[FOUND].tenant.id,
            from_ms=from_ms,
            to_ms=to_ms,
            agent_id=agent_id,
            code=code,
            cursor=cursor,
            limit=limit,
        )
    except ValueError:
        raise bad_cursor() from None
    following = b"" if page.next is None else b',"next":%b' % orjson.dumps(page.next)
    body = b'{"rows":[%b]%b}' % (b",".join(page.bodies), following)
    return web.Response(body=body, content_type=JSON)


async def report(request: web.Request, desk: Desk) -> web.Response:
    """Outcomes counted, as JSON or CSV."""
    query = Query(request, GROUP_BY, FROM, TO)
    group_by = _group_by(query)
    from_ms, to_ms = query.span(desk.clock.now_ms())
    await desk.settling.history()
    counts = await desk.history.counts(
        request[FOUND].tenant.id, group_by=group_by, from_ms=from_ms, to_ms=to_ms
    )
    if _wants_csv(request):
        return web.Response(text=_csv(group_by, counts), content_type=CSV, charset="utf-8")
    return answer(
        {
            "group_by": group_by,
            "from": to_wire(from_ms),
            "to": to_wire(to_ms),
            "rows": [_row(group_by, count) for count in counts],
        }
    )


def _group_by(query: Query) -> list[str]:
    names = (query.text("group_by") or "code").split(",")
    if len(set(names)) != len(names) or not set(names) <= set(GROUPS):
        raise Invalid(
            f"group_by: each of {', '.join(GROUPS)} at most once",
            [{"field": "group_by", "detail": "not a column, or one that stands twice"}],
        )
    return names


def _wants_csv(request: web.Request) -> bool:
    """Whether CSV is named in `Accept` and JSON is not: no client has needed more yet."""
    accept = ",".join(request.headers.getall("Accept", ())).lower()
    return CSV in accept and JSON not in accept


def _row(group_by: list[str], count: Count) -> dict[str, Any]:
    return {**dict(zip(group_by, count.group, strict=True)), "count": count.count}


def _csv(group_by: list[str], counts: list[Count]) -> str:
    out = StringIO()
    rows = csv.writer(out)
    rows.writerow([*group_by, "count"])
    rows.writerows([*count.group, count.count] for count in counts)
    return out.getvalue()


ROUTES: Final = (
    Route(
        method="GET",
        path="/v1/dispositions",
        handler=list_dispositions,
        operation_id="listDispositions",
        summary="Outcomes, newest first",
        scope="read",
        parameters=_FILTERS,
        responses={200: Body("One page", DispositionsPage)},
        refuses=("validation", "unavailable"),
    ),
    Route(
        method="GET",
        path="/v1/reports/dispositions",
        handler=report,
        operation_id="reportDispositions",
        summary="Outcomes, counted; `Accept: text/csv` gives CSV",
        scope="read",
        parameters=(GROUP_BY, FROM, TO),
        responses={200: Body("The counts", ReportView, also=CSV)},
        refuses=("validation", "unavailable"),
    ),
)
