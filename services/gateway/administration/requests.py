"""What every admin route reads of its request, and how it answers."""

from collections.abc import Mapping
from typing import Any, Final, TypeVar

from aiohttp import web
from pydantic import BaseModel

from services.gateway.administration.asker import ASKER
from services.gateway.administration.changes import Change, Seen
from services.gateway.administration.desk import Administration
from services.gateway.bodies import answer, checked, receive, strict_json
from services.gateway.queries import CURSOR, LIMIT, Query
from services.gateway.route import JSON
from shared.contracts.errors import Refused

Model = TypeVar("Model", bound=BaseModel)

ADMINISTRATION: Final = web.AppKey("administration", Administration)
READS: Final = ("not_found", "validation", "unavailable")
CHANGES: Final = (*READS, "conflict", "too_many_requests")


async def read(request: web.Request, model: type[Model]) -> Model:
    """The body; none at all is an empty one.

    Raises:
        Refused: `unsupported_media_type`, `malformed_json`, `too_slow`, `validation`.
    """
    body = await receive(request)
    if not body:
        return checked(model, {})
    if request.content_type != JSON:
        raise Refused("unsupported_media_type", f"send {JSON}")
    return checked(model, strict_json(body))


def given(body: BaseModel) -> dict[str, Any]:
    """The fields that were sent, and of models in them every field."""
    return {
        name: value for name, value in body.model_dump().items() if name in body.model_fields_set
    }


async def changed(
    request: web.Request, change: Change, what: str, *, creates: bool = False
) -> tuple[Seen, Seen]:
    """The tenant of the path before and after a change; see `Administration.change`."""
    return await request.app[ADMINISTRATION].change(
        request.match_info["tenant"], change, by=request[ASKER].name, what=what, creates=creates
    )


async def newest(request: web.Request) -> Seen:
    """The tenant of the path as it is stored; see `Administration.newest`."""
    return await request.app[ADMINISTRATION].newest(request.match_info["tenant"])


def page(request: web.Request, rows: Mapping[str, Mapping[str, Any]]) -> web.Response:
    """One page of rows by id, in the order of their ids, and the id that continues it.

    Raises:
        Invalid: a query parameter.
    """
    query = Query(request, CURSOR, LIMIT)
    limit, cursor = query.limit(), query.cursor()
    names = sorted(name for name in rows if cursor is None or name > cursor)
    document: dict[str, Any] = {"rows": [rows[name] for name in names[:limit]]}
    if len(names) > limit:
        document["next"] = names[limit - 1]
    return answer(document)


def told(view: Mapping[str, Any], *, made: bool = False) -> web.Response:
    """One thing, and whether it is new."""
    return answer(view, status=201 if made else 200)


def gone() -> web.Response:
    """There is nothing here, whether or not there was."""
    return web.Response(status=204)


def nothing(name: str) -> Refused:
    """There is none of this id."""
    return Refused("not_found", f"no such {name}")
