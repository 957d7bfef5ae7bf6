"""Naming of a customer, a record or an enrolment: from then on it is known, with its fields."""

from typing import Final, cast

from aiohttp import web

from services.gateway.administration.models import NamedBody, PendingView
from services.gateway.administration.requests import CHANGES, newest, read
from services.gateway.administration.tenants import PATH
from services.gateway.bodies import answer, idempotency_key
from services.gateway.desk import Desk
from services.gateway.models import SubjectStateView
from services.gateway.problems import Invalid
from services.gateway.queries import Query
from services.gateway.route import Body, Parameter, Route
from services.gateway.routes.subjects import WITHIN, subject_json
from services.gateway.status_admission import NamingAsked
from shared.contracts.errors import Refused
from shared.contracts.ids import SUBJECT_KINDS
from shared.contracts.limits import IDEMPOTENCY_KEY_CHARS_MAX, SUBJECT_DATA_BYTES_MAX
from shared.contracts.subjects import Kind, StatusOutcome, Subject, is_subject
from shared.contracts.tenants import Tenant

DIALECT: Final = "admin"
KEY: Final = Parameter(
    "Idempotency-Key",
    "your own, for a retry",
    "header",
    {"type": "string", "maxLength": IDEMPOTENCY_KEY_CHARS_MAX},
)


async def name_subject(request: web.Request, desk: Desk) -> web.Response:
    """Make a subject known through the log, as every dialect does, and answer once it is."""
    body, key = await read(request, NamedBody), idempotency_key(request)
    tenant = (await newest(request)).there
    subject = _subject(request, tenant)
    standing = await desk.subjects.read(tenant, subject)
    _check_size({} if standing is None else standing.document.data, body.data)
    asked = NamingAsked(
        subject=subject, dialect=DIALECT, status=body.status, data=body.data, idempotency_key=key
    )
    verdict = await desk.subjects.ask(tenant, asked)
    view = None
    if verdict.outcome is not StatusOutcome.PENDING:
        view = await desk.subjects.read(tenant, subject)
    if view is None:
        return answer({"request_id": verdict.request_id, "outcome": "pending"}, status=202)
    return answer(subject_json(view))


def _subject(request: web.Request, tenant: Tenant) -> Subject:
    """The subject of the path, within what the tenant has."""
    kind, within = request.match_info["kind"], Query(request, WITHIN).id("within")
    if kind not in SUBJECT_KINDS:
        raise web.HTTPNotFound
    places = {
        "customer": tenant.subtenant_ids,
        "record": tenant.project_ids,
        "enrolment": tenant.campaign_ids,
    }[kind]
    if within is not None and within not in places:
        raise _within("the tenant has none of this id")
    if kind == "customer" and tenant.subtenant_ids[:1] == (within,):
        within = None  # the first subtenant's customers are known to all dialects
    if kind == "enrolment" and within is None:
        raise _within("say of which campaign")
    subject = Subject(cast(Kind, kind), request.match_info["id"], within)
    if not is_subject(subject):
        raise Refused("validation", "it can't be named so")
    return subject


def _within(detail: str) -> Invalid:
    return Invalid(f"within: {detail}", [{"field": "within", "detail": detail}])


def _check_size(known: dict[str, str], more: dict[str, str]) -> None:
    """The worker passes over fields that are too many; who names them is told before."""
    size = sum(len(name.encode()) + len(value.encode()) for name, value in (known | more).items())
    if size > SUBJECT_DATA_BYTES_MAX:
        raise Invalid(
            f"data: with what is known it is over {SUBJECT_DATA_BYTES_MAX} bytes",
            [{"field": "data", "detail": "too much"}],
        )


ROUTES: Final = (
    Route(
        method="PUT",
        path=PATH + "/{tenant}/subjects/{kind}/{id}",
        handler=name_subject,
        operation_id="nameSubject",
        summary="Make a customer, record or enrolment known, with its fields",
        scope="admin",
        tag="subjects",
        refuses=CHANGES,
        parameters=(WITHIN, KEY),
        request=NamedBody,
        may_be_empty=True,
        responses={
            200: Body("As it is known now", SubjectStateView),
            202: Body("Not known yet whether it is", PendingView),
        },
    ),
)
