"""Dead letters: listed, shown whole, put back. What is shown is what somebody sent."""

import asyncio
from base64 import b64encode
from typing import Any, Final

import structlog
from aiohttp import web

from services.gateway.administration.asker import ASKER
from services.gateway.administration.models import (
    LettersPage,
    LetterWhole,
    PutBackBody,
    PutBackView,
)
from services.gateway.administration.requests import READS, nothing, read
from services.gateway.bodies import answer
from services.gateway.desk import Desk
from services.gateway.queries import CURSOR, LIMIT, Query, bad_cursor
from services.gateway.route import Body, Parameter, Route
from shared.contracts.errors import Refused, Unavailable
from shared.contracts.instants import to_wire
from shared.contracts.topics import TOPICS
from shared.runtime.dead_letters import put_back
from shared.runtime.letters import LetterLine, LetterRow, LetterStore

PUT_BACK_S: Final = 10.0  # for the log to take it, and its receipt
TRUTH: Final = {"true": True, "false": False}
NOT_KEPT: Final = {"Cache-Control": "no-store"}
LETTERS: Final = web.AppKey[LetterStore]("letters")

TOPIC: Final = Parameter(
    "topic", "only letters of records from it", schema={"type": "string", "enum": list(TOPICS)}
)
PUT_BACK: Final = Parameter(
    "put_back",
    "only those that were put back, or only those that were not",
    schema={"type": "string", "enum": list(TRUTH)},
)

log: Final = structlog.get_logger()


async def list_letters(request: web.Request, _: Desk) -> web.Response:
    """Letters that the key reaches, newest first, without what was sent."""
    query = Query(request, TOPIC, PUT_BACK, CURSOR, LIMIT)
    wanted = query.one_of("put_back", TRUTH)
    topic, cursor, limit = query.one_of("topic", TOPICS), query.cursor(), query.limit()
    try:
        page = await request.app[LETTERS].page(
            request[ASKER].tenant_id,
            topic=topic,
            put_back=None if wanted is None else TRUTH[wanted],
            cursor=cursor,
            limit=limit,
        )
    except ValueError:
        raise bad_cursor() from None
    document: dict[str, Any] = {"letters": [_line(line) for line in page.lines]}
    if page.next is not None:
        document["next"] = page.next
    return answer(document, headers=NOT_KEPT)


async def show_letter(request: web.Request, _: Desk) -> web.Response:
    """One letter whole. It may hold what is personal, so nobody may keep the answer."""
    letter = await _letter(request)
    headers = {name: value.decode(errors="replace") for name, value in letter.headers}
    return answer(_line(letter) | {"headers": headers} | _value(letter.value), headers=NOT_KEPT)


async def put_letter_back(request: web.Request, desk: Desk) -> web.Response:
    """Append what was sent to the topic that it came from, as it was.

    The store is told at once, so that whoever looks next sees it; the projection finds the receipt
    on the log, and tells the store again.
    """
    body = await read(request, PutBackBody)
    letter = await _letter(request)
    if letter.put_back_ms is not None and not body.again:
        raise Refused("already_put_back", f"it was put back at {to_wire(letter.put_back_ms)}")
    try:
        async with asyncio.timeout(PUT_BACK_S):
            await put_back(desk.log, [letter])
    except TimeoutError:
        raise Unavailable(f"the log took longer than {PUT_BACK_S:.0f} s") from None
    put_back_ms = desk.clock.now_ms()
    log.info(
        "letter_put_back",
        place=letter.place,
        topic=letter.topic,
        of=letter.tenant,
        again=letter.put_back_ms is not None,
        by=request[ASKER].name,
    )
    await request.app[LETTERS].keep([], {letter.place: put_back_ms})
    said = {"place": letter.place, "topic": letter.topic, "put_back_at": to_wire(put_back_ms)}
    return answer(said)


async def _letter(request: web.Request) -> LetterRow:
    """The letter of the path. Another tenant's is refused just as one that there is not."""
    place = "/".join(request.match_info[part] for part in ("topic", "partition", "offset"))
    letter = await request.app[LETTERS].letter(place)
    if letter is None or request[ASKER].tenant_id not in (None, letter.tenant):
        raise nothing("letter")
    return letter


def _line(line: LetterLine) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "place": line.place,
        "topic": line.topic,
        "at": to_wire(line.at_ms),
        "reason": line.reason,
        "detail": line.detail,
        "origin": line.origin,
        "key": line.key,
        "type": line.type,
    }
    if line.put_back_ms is not None:
        shown["put_back_at"] = to_wire(line.put_back_ms)
    return shown


def _value(value: bytes) -> dict[str, str]:
    """As text where it is text."""
    try:
        return {"value": value.decode()}
    except UnicodeDecodeError:
        return {"value_base64": b64encode(value).decode()}


PATH: Final = "/v1/admin/dead-letters"
PLACE: Final = PATH + "/{topic}/{partition}/{offset}"
_SHOWN: Final = {"Cache-Control": "no-store: what it shows may be personal"}
ROUTES: Final = (
    Route(
        method="GET",
        path=PATH,
        handler=list_letters,
        operation_id="listDeadLetters",
        summary="What could not be processed, newest first",
        scope="admin",
        tag="dead letters",
        refuses=READS,
        parameters=(TOPIC, PUT_BACK, CURSOR, LIMIT),
        responses={200: Body("One page", LettersPage, headers=_SHOWN)},
    ),
    Route(
        method="GET",
        path=PLACE,
        handler=show_letter,
        operation_id="showDeadLetter",
        summary="One of them whole, as somebody sent it: it may hold what is personal",
        scope="admin",
        tag="dead letters",
        refuses=READS,
        responses={200: Body("The letter", LetterWhole, headers=_SHOWN)},
    ),
    Route(
        method="POST",
        path=PLACE + "/put-back",
        handler=put_letter_back,
        operation_id="putDeadLetterBack",
        summary="Append it to the topic that it came from, as it was",
        scope="admin",
        tag="dead letters",
        refuses=(*READS, "already_put_back"),
        request=PutBackBody,
        may_be_empty=True,
        responses={200: Body("It was put back", PutBackView)},
    ),
)
