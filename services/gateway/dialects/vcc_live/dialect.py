"""The three routes: who asks, for which project, what for, and the verdicts in the page's words."""

from collections.abc import Sequence
from typing import Final

from aiohttp import web

from services.gateway.admission import digest
from services.gateway.bodies import idempotency_key, read_json
from services.gateway.desk import Desk
from services.gateway.dialects.exchange import RETRY_SAFE
from services.gateway.dialects.vcc_live import answers
from services.gateway.dialects.vcc_live.answers import Issue, Stop, Wrong
from services.gateway.dialects.vcc_live.asker import Project, admit
from services.gateway.dialects.vcc_live.batch import Change, plan
from services.gateway.dialects.vcc_live.fields import (
    Wish,
    read_avoid_in_call,
    read_batch,
    read_single,
    read_wish,
)
from services.gateway.dialects.vcc_live.record import record_json
from services.gateway.dialects.vcc_live.search import NOT_FOUND
from services.gateway.dialects.vcc_live.shapes import (
    REFUSED,
    TEXT,
    TOLD,
    VccLiveBatch,
    VccLiveOne,
    VccLiveOutcome,
    VccLiveOutcomes,
    VccLiveShown,
)
from services.gateway.route import (
    AWAY,
    OF_A_BODY,
    OFTEN,
    UNDECIDED,
    Body,
    Handler,
    Route,
)
from services.gateway.status_admission import StatusAsked
from shared.contracts import limits
from shared.contracts.errors import Unavailable
from shared.contracts.subjects import StatusOutcome, StatusPolicy, StatusVerdict, Subject

NAME: Final = "vcc_live"

_PROJECT: Final = "/v2/projects/{projectid}/records"
# A record of that id can be changed, but not shown: its path is the batch's.
_NUMBER: Final = "/{numberid:(?!dispositions$)[A-Za-z0-9._:-]+}"
_CONFLICT: Final = "error.idempotency_conflict"
_WHY: Final = {"unknown_subject": NOT_FOUND, "idempotency_conflict": _CONFLICT}

_ACCOUNT: Final = {401: "no such account", 403: "the account does not allow this"}
_ASKED: Final = {
    **OF_A_BODY,
    **UNDECIDED,
    **_ACCOUNT,
    422: "the Idempotency-Key is none",
}


class VccLive:
    """The dialect; see the package."""

    name: Final = NAME
    prefixes: Final = ("/v2/projects",)

    def __init__(self) -> None:
        self.routes: Final = (
            Route(
                method="PUT",
                path=f"{_PROJECT}/dispositions",
                handler=_told(set_batch),
                operation_id="vccLiveSetDispositions",
                summary="Set the dispositions of many records of a project",
                tag=NAME,
                security=NAME,
                request=VccLiveBatch,
                parameters=(RETRY_SAFE,),
                responses={
                    200: Body("a part at least is done", VccLiveOutcomes, TEXT, headers=TOLD),
                    **REFUSED(
                        {
                            **_ASKED,
                            404: "no such project",
                            413: f"over {limits.VCC_LIVE_ELEMENTS_MAX} elements, or as many "
                            "records; or the body is over the limit",
                        }
                    ),
                },
                body_bytes_max=limits.VCC_LIVE_BODY_BYTES_MAX,
            ),
            Route(
                method="POST",
                path=_PROJECT + "/{numberid}/dispositions",
                handler=_told(set_one),
                operation_id="vccLiveAddDisposition",
                summary="Set the disposition of a record",
                tag=NAME,
                security=NAME,
                request=VccLiveOne,
                parameters=(RETRY_SAFE,),
                responses={
                    200: Body("done, or left alone", VccLiveOutcome, TEXT, headers=TOLD),
                    **REFUSED(
                        {
                            **_ASKED,
                            404: "no such project or record",
                            417: "a field that breaks its rule",
                        }
                    ),
                },
            ),
            Route(
                method="GET",
                path=_PROJECT + _NUMBER,
                handler=_told(show_record),
                operation_id="vccLiveShowRecord",
                summary="A record: its disposition, those before it, its calls and data",
                tag=NAME,
                security=NAME,
                responses={
                    200: Body("the record", VccLiveShown, TEXT, headers=TOLD),
                    **REFUSED({**_ACCOUNT, 404: "no such project or record", **OFTEN, **AWAY}),
                },
            ),
        )

    def error(self, status: int, message: str) -> web.Response:
        """See `Dialect`."""
        return answers.of_http(status, message)


async def set_batch(request: web.Request, desk: Desk) -> web.Response:
    """`PUT /v2/projects/{projectid}/records/dispositions`."""
    project = await admit(request, desk, "disposition:write")
    batch = read_batch(await read_json(request))
    key = idempotency_key(request)
    changes, errors = await plan(batch, project, desk)
    asked = [
        _asked(
            project,
            change.record_id,
            change.wish,
            avoid_in_call=batch.avoid_in_call,
            # Each element has a key of its own: two of them may change the same record.
            key=None if key is None else f"vcc-{digest((key, change.index))}",
        )
        for change in changes
    ]
    verdicts = await desk.subjects.ask_all(project.tenant, asked)
    response, refused = _results(changes, verdicts)
    issues = sorted((*errors, *refused), key=lambda issue: int(issue["index"]))
    return answers.told(request, "RecordsDispositionsResource", response, issues)


async def set_one(request: web.Request, desk: Desk) -> web.Response:
    """`POST /v2/projects/{projectid}/records/{numberid}/dispositions`."""
    project = await admit(request, desk, "disposition:write")
    fields = read_single(await read_json(request))
    avoid = read_avoid_in_call(fields)
    key = idempotency_key(request)
    wish = read_wish(fields, {}, project)
    if wish.user_id is None:  # may be absent in a batch, but not here
        raise Wrong("error.invalid_userid")
    record_id = request.match_info["numberid"]
    asked = _asked(project, record_id, wish, avoid_in_call=avoid, key=key)
    (verdict,) = await desk.subjects.ask_all(project.tenant, [asked])
    outcome = _outcome(verdict)
    if outcome == NOT_FOUND:
        raise Stop(404, NOT_FOUND)
    if isinstance(outcome, str):
        raise Wrong(outcome)
    return answers.told(request, "RecordDispositionsResource", outcome)


async def show_record(request: web.Request, desk: Desk) -> web.Response:
    """`GET /v2/projects/{projectid}/records/{numberid}`."""
    project = await admit(request, desk, "read")
    record = Subject("record", request.match_info["numberid"], project.id)
    view = await desk.subjects.read(project.tenant, record)
    if view is None:
        raise Stop(404, NOT_FOUND)
    return answers.told(request, "RecordResource", record_json(view, project))


def _asked(
    project: Project, record_id: str, wish: Wish, *, avoid_in_call: bool, key: str | None
) -> StatusAsked:
    return StatusAsked(
        subject=Subject("record", record_id, project.id),
        status=wish.code,
        dialect=NAME,
        policy=StatusPolicy(avoid_in_call=avoid_in_call),
        comment=wish.comment,
        callback_ms=wish.callback_ms,
        user_id=wish.user_id,
        send_messages=wish.send_messages,
        idempotency_key=key,
    )


def _outcome(verdict: StatusVerdict) -> bool | str:
    """Whether the record was changed; the word of the error where it could not be.

    Raises:
        Unavailable: nobody has decided in time.
    """
    match verdict.outcome:
        case StatusOutcome.PENDING:
            raise Unavailable("a verdict was not there in time")
        case StatusOutcome.REFUSED if verdict.problem == "subject_in_call":
            return False
        case StatusOutcome.REFUSED:
            return _WHY.get(verdict.problem or "", "error.internal")
        case _:
            return True


def _results(
    changes: Sequence[Change], verdicts: Sequence[StatusVerdict]
) -> tuple[dict[str, bool], list[Issue]]:
    """For each element: true if one record changed, false if all were left alone; else an error."""
    outcomes: dict[int, list[bool | str]] = {}
    for change, verdict in zip(changes, verdicts, strict=True):
        outcomes.setdefault(change.index, []).append(_outcome(verdict))
    response: dict[str, bool] = {}
    errors: list[Issue] = []
    for index, of_it in sorted(outcomes.items()):
        if True in of_it or False in of_it:
            response[str(index)] = True in of_it
        else:
            errors.append(Wrong(str(of_it[0])).issue(index))
    return response, errors


def _told(handler: Handler) -> Handler:
    """The handler, its refusals in the vendor's shape."""

    async def handle(request: web.Request, desk: Desk) -> web.StreamResponse:
        try:
            return await handler(request, desk)
        except Stop as stop:
            return stop.response()
        except Wrong as wrong:
            return answers.failed(answers.REFUSED, wrong.word)

    return handle
