"""The two routes: who asks, how often, what for, and the verdict in the page's words."""

from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5

from aiohttp import web

from services.gateway.bodies import answer, idempotency_key, read_json
from services.gateway.desk import Desk
from services.gateway.dialects.carecycle import answers
from services.gateway.dialects.carecycle.answers import Stop
from services.gateway.dialects.carecycle.fields import (
    LISTED_MAX,
    SIZE_DEFAULT,
    SIZE_MAX,
    Wish,
    read_window,
    read_wish,
    reused_key,
)
from services.gateway.dialects.carecycle.shapes import (
    REFUSED,
    CareCycleChanged,
    CareCycleCustomers,
    CareCycleWish,
)
from services.gateway.dialects.exchange import RETRY_SAFE, secret_header
from services.gateway.rates import TooMany
from services.gateway.route import (
    AWAY,
    OF_A_BODY,
    UNDECIDED,
    Body,
    Handler,
    Parameter,
    Route,
    Scope,
)
from services.gateway.status_admission import StatusAsked
from services.gateway.subject_desk import SubjectView
from shared.contracts.errors import Refused, Unavailable
from shared.contracts.subjects import StatusOutcome, Subject
from shared.contracts.tenants import Tenant

NAME: Final = "carecycle"
TERMINAL: Final = ("completed", "failed")
BEFORE_THE_FIRST: Final = "pending"  # what an enrolment is in that nobody has given a status
ENROLMENTS_MAX: Final = 20  # of a customer in the list, the newest

_TOO_MANY: Final = "too many in a minute; retryAfter says how long to wait"
_KEYS: Final = {401: "no such key", 403: "the key does not allow this"}


class CareCycle:
    """The dialect; see the package."""

    name: Final = NAME
    prefixes: Final = ("/v2/customers",)

    def __init__(self) -> None:
        self.routes: Final = (
            Route(
                method="PATCH",
                path="/v2/customers/campaign-status",
                handler=_told(self.set_status),
                operation_id="carecycleSetCampaignStatus",
                summary="Set the final status of a customer's enrolment in a campaign",
                tag=NAME,
                security=NAME,
                request=CareCycleWish,
                parameters=(RETRY_SAFE,),
                responses={
                    200: Body("the status holds", CareCycleChanged),
                    **REFUSED(
                        {
                            **OF_A_BODY,
                            **UNDECIDED,
                            400: "the status is not a terminal one; or the body is no JSON",
                            **_KEYS,
                            404: "no such customer or enrolment",
                            422: "fields that break their rules",
                            429: _TOO_MANY,
                        }
                    ),
                },
            ),
            Route(
                method="GET",
                path="/v2/customers",
                handler=_told(self.list_customers),
                operation_id="carecycleListCustomers",
                summary="Customers and their enrolments, newest first",
                tag=NAME,
                security=NAME,
                parameters=(
                    Parameter(
                        "page",
                        "1 by default",
                        schema={"type": "integer", "minimum": 1, "maximum": LISTED_MAX},
                    ),
                    Parameter(
                        "size",
                        f"{SIZE_DEFAULT} by default",
                        schema={"type": "integer", "minimum": 1, "maximum": SIZE_MAX},
                    ),
                ),
                responses={
                    200: Body("one page", CareCycleCustomers),
                    **REFUSED(
                        {**_KEYS, 422: "parameters that break their rules", 429: _TOO_MANY, **AWAY}
                    ),
                },
            ),
        )

    async def set_status(self, request: web.Request, desk: Desk) -> web.Response:
        """`PATCH /v2/customers/campaign-status`."""
        tenant = await _admit(request, desk, "disposition:write")
        wish = read_wish(await read_json(request))
        if wish.status not in TERMINAL:
            raise Stop(400, f"Only terminal statuses ({', '.join(TERMINAL)}) are allowed")
        key = idempotency_key(request)
        return await _set(tenant, wish, key, desk)

    async def list_customers(self, request: web.Request, desk: Desk) -> web.Response:
        """`GET /v2/customers`."""
        tenant = await _admit(request, desk, "read")
        window = read_window(request.query)
        end = window.page * window.size
        views, following = await desk.subjects.page(tenant, "customer", limit=end)
        shown = [view.subject for view in views[end - window.size :]]
        enrolments = await desk.subjects.enrolments(tenant, shown, ENROLMENTS_MAX)
        data = [
            {"id": customer.id, "campaigns": [_enrolment(tenant, view) for view in of_it]}
            for customer, of_it in zip(shown, enrolments, strict=True)
        ]
        more = following is not None
        return answer({"data": data, "page": window.page, "size": window.size, "hasMore": more})

    def error(self, status: int, message: str) -> web.Response:
        """See `Dialect`."""
        return answers.of_http(status, message)


async def _admit(request: web.Request, desk: Desk, scope: Scope) -> Tenant:
    """Whose request this is, if it is allowed, and not one too many."""
    found = desk.tenants.find(NAME, secret_header(request, "x-api-key"))
    if found is None:
        raise Stop(401, "Invalid or missing API key")
    if scope not in found.credential.scopes:
        raise Stop(403, "The API key does not allow this")
    await desk.rates.count(NAME, found.tenant, found.credential.id)
    return found.tenant


async def _set(tenant: Tenant, wish: Wish, key: str | None, desk: Desk) -> web.Response:
    enrolment = Subject("enrolment", wish.customer_id, wish.campaign_id)
    asked = StatusAsked(subject=enrolment, status=wish.status, dialect=NAME, idempotency_key=key)
    try:
        verdict = await desk.subjects.ask(tenant, asked)
    except Refused as refused:
        match refused.code:
            case "unknown_subject":
                raise Stop(404, "Customer or campaign enrollment not found") from None
            case "idempotency_conflict":
                raise reused_key() from None
            case _:
                raise
    if verdict.outcome is StatusOutcome.PENDING:
        raise Unavailable("the verdict was not there in time")
    previous = BEFORE_THE_FIRST if verdict.previous is None else verdict.previous.code
    return answer(
        {
            "success": True,
            "previousStatus": previous,
            "newStatus": wish.status,
            "customerCampaignId": enrolment_id(tenant, enrolment),
        }
    )


def enrolment_id(tenant: Tenant, enrolment: Subject) -> str:
    """A UUID of its own for each enrolment, the same for ever."""
    name = f"urn:aftercall:{tenant.id}:{enrolment.name}"
    return str(uuid5(NAMESPACE_URL, name))


def _enrolment(tenant: Tenant, view: SubjectView) -> dict[str, Any]:
    status = view.document.status
    code = None if status is None else status.code
    return {
        "customerCampaignId": enrolment_id(tenant, view.subject),
        "campaignId": view.subject.within,
        "status": code or BEFORE_THE_FIRST,
    }


def _told(handler: Handler) -> Handler:
    """The handler, its refusals in the vendor's shape."""

    async def handle(request: web.Request, desk: Desk) -> web.StreamResponse:
        try:
            return await handler(request, desk)
        except Stop as stop:
            return stop.response()
        except TooMany as many:
            return answers.too_many(many.retry_after_s)

    return handle
