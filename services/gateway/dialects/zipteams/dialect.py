"""The routes: who asks, for what, how often, and the verdict in the page's words."""

from typing import Final

from aiohttp import web

from services.gateway.bodies import idempotency_key, read_json
from services.gateway.desk import Desk
from services.gateway.dialects.exchange import IDEMPOTENCY_KEY, RETRY_SAFE
from services.gateway.dialects.zipteams import answers, recorded
from services.gateway.dialects.zipteams.answers import NotValid, Stop, issue
from services.gateway.dialects.zipteams.batch import read_batch
from services.gateway.dialects.zipteams.fields import read_wish
from services.gateway.dialects.zipteams.headers import SUBTENANT_HEADERS, Caller, admit
from services.gateway.dialects.zipteams.shapes import (
    REFUSED,
    ZipteamsBatch,
    ZipteamsDone,
    ZipteamsWish,
)
from services.gateway.problems import Invalid
from services.gateway.rates import TooMany
from services.gateway.route import OF_A_BODY, UNDECIDED, Body, Handler, Parameter, Route
from services.gateway.status_admission import StatusAsked
from shared.contracts import limits
from shared.contracts.errors import Refused, Unavailable
from shared.contracts.ids import is_id
from shared.contracts.subjects import StatusOutcome

NAME: Final = "zipteams"
PREFIXES: Final = ("/api/v1/partner", "/partner")
_HEADERS: Final = (
    Parameter("x-api-secret", "the other half of the key", "header", required=True),
    Parameter("x-tenant-id", "the key's tenant", "header", required=True),
    *(
        Parameter(name, "one of the tenant's; either spelling", "header")
        for name in SUBTENANT_HEADERS
    ),
    RETRY_SAFE,
)
_REFUSALS: Final = {
    **OF_A_BODY,
    **UNDECIDED,
    400: "tenant or subtenant not named; or the body is no JSON",
    403: "no such key and secret, or not for this tenant or subtenant",
    422: "fields that break their rules",
    429: "too many in a minute; Retry-After says how long to wait",
}


class Zipteams:
    """The dialect; see the package."""

    name: Final = NAME
    prefixes: Final = PREFIXES

    def __init__(self) -> None:
        self.routes: Final = tuple(route for prefix in PREFIXES for route in self._below(prefix))

    def _below(self, prefix: str) -> tuple[Route, ...]:
        short = "" if prefix == PREFIXES[0] else "Unversioned"
        return (
            Route(
                method="PUT",
                path=f"{prefix}/ingest/disposition-status",
                handler=_told(self.set_status),
                operation_id=f"zipteamsSetDispositionStatus{short}",
                summary="Set or take away the disposition status of a customer",
                tag=NAME,
                security=NAME,
                request=ZipteamsWish,
                parameters=_HEADERS,
                responses={
                    200: Body("success", ZipteamsDone),
                    **REFUSED({**_REFUSALS, 404: "no such customer"}),
                },
                body_bytes_max=limits.ZIPTEAMS_BODY_BYTES_MAX,
            ),
            Route(
                method="POST",
                path=f"{prefix}/ingest/batch-call",
                handler=_told(self.ingest),
                operation_id=f"zipteamsIngestCalls{short}",
                summary="Calls that are over; their customers are known from then on",
                tag=NAME,
                security=NAME,
                request=ZipteamsBatch,
                parameters=_HEADERS,
                responses={200: Body("success", ZipteamsDone), **REFUSED(_REFUSALS)},
                body_bytes_max=limits.ZIPTEAMS_BODY_BYTES_MAX,
            ),
        )

    async def set_status(self, request: web.Request, desk: Desk) -> web.Response:
        """`PUT /partner/ingest/disposition-status`."""
        caller = admit(request, desk)
        wish = read_wish(await read_json(request))
        key = idempotency_key(request)
        await desk.rates.count(NAME, caller.tenant, caller.found.credential.id)
        if not is_id(wish.customer_id):
            raise _unknown()  # none could have been named so
        asked = StatusAsked(
            subject=caller.customer(wish.customer_id),
            status=wish.status,
            dialect=NAME,
            idempotency_key=key,
        )
        await _set(caller, asked, desk)
        return answers.done()

    async def ingest(self, request: web.Request, desk: Desk) -> web.Response:
        """`POST /partner/ingest/batch-call`: accepted once it is durable, as the page has it."""
        caller = admit(request, desk)
        calls = read_batch(await read_json(request))
        idempotency_key(request)  # calls are known by their ids already: only its shape counts
        await desk.rates.count(NAME, caller.tenant, caller.found.credential.id)
        known = await recorded.known_calls(caller, calls, desk)
        new = [call for call in calls if not recorded.is_done(known.get(call.call_id), NAME)]
        # Customers first: a call that is there shows that its customer is named.
        named = [recorded.naming(caller, call, NAME) for call in new]
        await desk.subjects.ask_all(caller.tenant, named)
        told = [
            event
            for call in new
            if call.call_id not in known or recorded.is_own(known[call.call_id], NAME)
            for event in recorded.events(caller, call, NAME)
        ]
        await desk.tell(caller.tenant, told, wait=True)
        return answers.done()

    def error(self, status: int, message: str) -> web.Response:
        """See `Dialect`."""
        return answers.of_http(status, message)


async def _set(caller: Caller, asked: StatusAsked, desk: Desk) -> None:
    try:
        verdict = await desk.subjects.ask(caller.tenant, asked)
    except Refused as refused:
        match refused.code:
            case "unknown_subject":
                raise _unknown() from None
            case "idempotency_conflict":
                message = f"{IDEMPOTENCY_KEY} was used with another body"
                raise NotValid([issue(IDEMPOTENCY_KEY, message)]) from None
            case _:
                raise
    if verdict.outcome is StatusOutcome.PENDING:
        raise Unavailable("the verdict was not there in time")


def _unknown() -> Stop:
    return Stop(404, "Customer not found")


def _told(handler: Handler) -> Handler:
    """The handler, its refusals in the vendor's shape."""

    async def handle(request: web.Request, desk: Desk) -> web.StreamResponse:
        try:
            return await handler(request, desk)
        except Stop as stop:
            return stop.response()
        except Invalid as invalid:
            rows = [issue(row["field"], row["detail"]) for row in invalid.errors]
            return NotValid(rows).response()
        except TooMany as many:
            return answers.too_many(many.retry_after_s)

    return handle
