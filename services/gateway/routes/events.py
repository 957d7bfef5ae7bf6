"""`POST /v1/events`: what a switch says of calls."""

from dataclasses import replace
from typing import Any, Final

import msgspec
from aiohttp import web

from services.gateway.bodies import answer, idempotency_key, receive
from services.gateway.cloudevents_in import BATCH, STRUCTURED, read_events
from services.gateway.desk import Desk
from services.gateway.models import AcceptedView, CloudEventBody, EventsView
from services.gateway.route import FOUND, JSON, Body, Parameter, Route
from services.gateway.routes.asking import IDEMPOTENCY_KEY
from shared.contracts.calls import EventOutcome

# Many clients send one with whatever they send.
KEY: Final = replace(
    IDEMPOTENCY_KEY,
    description="1 to 255 printable ASCII characters, and of no other effect: an event is known "
    "by its `source` and `id`, and one that comes twice is applied once",
)
RESPOND_ASYNC: Final = "respond-async"
PREFER: Final = Parameter("Prefer", "`respond-async`: don't wait until applied", place="header")


async def tell(request: web.Request, desk: Desk) -> web.Response:
    """Take the events; answer once they are applied, or durable where that is preferred."""
    idempotency_key(request)  # events are known by source and id already: only its shape counts
    tenant = request[FOUND].tenant
    events = read_events(
        request.headers,
        request.content_type,
        await receive(request),
        tenant=tenant.id,
        now_ms=desk.clock.now_ms(),
    )
    wait = not _prefers_async(request)
    results = await desk.tell(tenant, events, wait=wait)
    if results is not None and wait:
        return answer({"accepted": len(events), "results": [_outcome(row) for row in results]})
    applied = {} if wait else {"Preference-Applied": RESPOND_ASYNC}
    return answer({"accepted": len(events)}, status=202, headers=applied)


def _outcome(outcome: EventOutcome) -> dict[str, Any]:
    shown: dict[str, Any] = msgspec.to_builtins(outcome)
    return shown


def _prefers_async(request: web.Request) -> bool:
    """Whether `respond-async` is among the preferences (RFC 7240)."""
    told = request.headers.getall("Prefer", None)
    if told is None or told == [RESPOND_ASYNC]:
        return told is not None
    preferences = ",".join(told).lower().split(",")
    return any(one.partition(";")[0].strip() == RESPOND_ASYNC for one in preferences)


ROUTES: Final = (
    Route(
        method="POST",
        path="/v1/events",
        handler=tell,
        operation_id="tellEvents",
        summary="Telephony events from a switch, as CloudEvents",
        scope="events:write",
        requests=(
            Body("One event, structured", CloudEventBody, STRUCTURED),
            Body("Up to 1,000 events", CloudEventBody, BATCH, many=True),
            Body("Binary mode: attributes as `ce-` headers, the data as the body", None, JSON),
        ),
        parameters=(PREFER, KEY),
        responses={
            200: Body("Applied durably: whoever asks next sees it", EventsView),
            202: Body("Durably in the log", AcceptedView),
        },
        refuses=("validation", "too_many_requests", "unavailable"),
    ),
)
