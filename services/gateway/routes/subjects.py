"""Reads of customers, records and enrolments, and of their history."""

from typing import Any, Final

from aiohttp import web

from services.gateway.bodies import answer
from services.gateway.desk import Desk
from services.gateway.models import HistoryView, SubjectStateView
from services.gateway.problems import Invalid
from services.gateway.queries import Query
from services.gateway.route import FOUND, JSON, Body, Parameter, Route
from services.gateway.subject_desk import SubjectView
from shared.contracts.errors import Refused
from shared.contracts.ids import ID_PATTERN, SUBJECT_KINDS, is_subject_name
from shared.contracts.instants import to_wire, to_wire_or_none
from shared.contracts.subjects import Status, Subject, read_subject

WITHIN: Final = Parameter(
    "within",
    "of an enrolment its campaign, of a record its project, of a customer its subtenant",
    schema={"type": "string", "pattern": ID_PATTERN},
)


async def show_subject(request: web.Request, desk: Desk) -> web.Response:
    """One subject."""
    view = await desk.subjects.read(request[FOUND].tenant, _subject(request))
    if view is None:
        raise _unknown()
    return answer(subject_json(view))


async def show_history(request: web.Request, desk: Desk) -> web.Response:
    """What was asked of a subject and what came of it; refused requests of one unknown, too."""
    tenant, subject = request[FOUND].tenant, _subject(request)
    lines = await desk.subjects.lines(tenant, subject)
    if not lines and await desk.subjects.read(tenant, subject) is None:
        raise _unknown()
    return web.Response(body=b'{"entries":[' + b",".join(lines) + b"]}", content_type=JSON)


def subject_json(view: SubjectView) -> dict[str, Any]:
    """The subject as the native API shows it; absent is what is not known."""
    subject, document = view.subject, view.document
    shown: dict[str, Any] = {"kind": subject.kind, "id": subject.id}
    if subject.within is not None:
        shown["within"] = subject.within
    shown["in_call"] = view.in_call
    if document.status is not None:
        shown["status"] = _status(document.status)
    shown["earlier"] = [_status(status) for status in document.earlier]
    shown["calls"] = [call.id for call in view.calls]
    if document.data:
        shown["data"] = document.data
    return shown


def _status(status: Status) -> dict[str, Any]:
    shown = {
        "code": status.code,
        "revision": status.revision,
        "decided_at": to_wire(status.decided_ms),
        "request_id": status.request_id,
        "dialect": status.dialect,
        "comment": status.comment,
        "callback_at": to_wire_or_none(status.callback_ms),
        "user_id": status.user_id,
        "call_id": None if status.origin is None else status.origin.call_id,
        "agent_id": None if status.origin is None else status.origin.agent_id,
    }
    return {name: value for name, value in shown.items() if value is not None or name == "code"}


def _subject(request: web.Request) -> Subject:
    kind, id_ = request.match_info["kind"], request.match_info["id"]
    within = Query(request, WITHIN).id("within")
    name = f"{kind}:{id_}" if within is None else f"{kind}:{within}/{id_}"
    if kind not in SUBJECT_KINDS:
        raise web.HTTPNotFound
    if not is_subject_name(name):
        raise Invalid(f"{kind}: say within what", [{"field": "within", "detail": "missing"}])
    return read_subject(name)


def _unknown() -> Refused:
    return Refused("unknown_subject", "nothing has named it")


ROUTES: Final = (
    Route(
        method="GET",
        path="/v1/subjects/{kind}/{id}",
        handler=show_subject,
        operation_id="showSubject",
        summary="A customer, record or enrolment: its status, those before it, its newest calls",
        scope="read",
        parameters=(WITHIN,),
        responses={200: Body("The subject", SubjectStateView)},
        refuses=("unknown_subject", "validation", "unavailable"),
    ),
    Route(
        method="GET",
        path="/v1/subjects/{kind}/{id}/history",
        handler=show_history,
        operation_id="showSubjectHistory",
        summary="What was asked of a customer, record or enrolment, and what came of it",
        scope="read",
        parameters=(WITHIN,),
        responses={200: Body("The entries, in order", HistoryView)},
        refuses=("unknown_subject", "validation", "unavailable"),
    ),
)
