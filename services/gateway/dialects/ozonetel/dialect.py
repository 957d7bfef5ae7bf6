"""The two routes: who asks, what for, and the verdict in the page's words."""

from typing import Final

from aiohttp import web

from services.gateway.admission import Asked
from services.gateway.bodies import answer, idempotency_key
from services.gateway.desk import Desk
from services.gateway.dialects.exchange import RETRY_SAFE, read_object, secret_header
from services.gateway.dialects.ozonetel import answers, tokens
from services.gateway.dialects.ozonetel.accounts import KIND, authenticate
from services.gateway.dialects.ozonetel.answers import Row, Stop
from services.gateway.dialects.ozonetel.fields import Fields, Wish, read_action, read_wish, text
from services.gateway.dialects.ozonetel.shapes import (
    REFUSED,
    OzonetelAccount,
    OzonetelAnswer,
    OzonetelTokenAnswer,
    OzonetelUser,
    OzonetelWish,
)
from services.gateway.rates import TooMany
from services.gateway.route import (
    AWAY,
    COME_BACK,
    OF_A_BODY,
    UNDECIDED,
    Body,
    Route,
)
from shared.contracts import limits
from shared.contracts.dispositions import Outcome, Policy, Verdict
from shared.contracts.errors import Refused
from shared.contracts.ids import is_id
from shared.contracts.tenants import Tenant

NAME: Final = "ozonetel"


async def generate_token(request: web.Request, desk: Desk) -> web.StreamResponse:
    """`POST /ca_apis/CAToken/generateToken`: `{"token", "message"}`, or why not."""
    user_name = text(await read_object(request), "userName")
    if not user_name:
        return answer(answers.USER_NAME_NULL)
    found = desk.tenants.find(KIND, secret_header(request, "apiKey"), user_name)
    if found is None:
        return answer(answers.API_KEY_INVALID)
    owner = tokens.Owner(found.tenant.id, user_name)
    try:
        await desk.rates.count("ozonetel_tokens", found.tenant, user_name)
    except TooMany as many:
        wait = {"Retry-After": str(many.retry_after_s)}
        return answer(answers.too_many_tokens(many.most), status=429, headers=wait)
    token = await tokens.issue(desk.store, owner, desk.clock.now_ms())
    return answer({"token": token, "message": ""}, headers={"Cache-Control": "no-store"})


async def disposition(request: web.Request, desk: Desk) -> web.StreamResponse:
    """`POST /ca_apis/DispositionAPIV2`: get the list of codes, or set one for a call."""
    try:
        body = await _body_of(request)
        account = await authenticate(request, body, desk)
        await desk.rates.count(NAME, account.tenant, account.user_name)
        if isinstance(body, Refused):
            raise body
        if read_action(body) == "get":
            account.check_scope("read")
            return answer(_codes(account.tenant))
        account.check_scope("disposition:write")
        wish = read_wish(body, account.tenant)
        return await _set(request, wish, account.tenant, desk)
    except Stop as stop:
        return answer(stop.row)


async def _body_of(request: web.Request) -> Fields | Refused:
    try:
        return await read_object(request)
    except Refused as unreadable:
        return unreadable


def _codes(tenant: Tenant) -> Row:
    codes = [leaf.code for leaf in tenant.leaves()]
    return {"status": "Success", "details": codes} if codes else answers.NO_CODES


async def _set(request: web.Request, wish: Wish, tenant: Tenant, desk: Desk) -> web.Response:
    call = await desk.stored(tenant, wish.ucid) if is_id(wish.ucid) else None
    if call is None or (wish.did and call.did and wish.did != call.did):
        return answer(_no_such_call(wish))
    try:
        verdict = await desk.dispose(tenant, _asked(request, wish, tenant))
    except Refused as refused:
        if refused.code == "unknown_call":
            return answer(_no_such_call(wish))
        if refused.code not in answers.BY_REFUSAL:
            raise
        return answer(answers.BY_REFUSAL[refused.code])
    return _said(verdict)


def _asked(request: web.Request, wish: Wish, tenant: Tenant) -> Asked:
    return Asked(
        call_id=wish.ucid,
        agent_id=wish.agent_id,
        code=wish.code,
        dialect=NAME,
        policy=Policy(correct=False, late=tenant.ozonetel_late),
        comment=wish.comment,
        callback_ms=wish.callback_ms,
        pause_after=wish.pause_after,
        pause_reason=wish.pause_reason,
        release_after=wish.release_after,
        idempotency_key=idempotency_key(request),
    )


def _said(verdict: Verdict) -> web.Response:
    match verdict.outcome:
        case Outcome.QUEUED:
            return answer(answers.QUEUED)
        case Outcome.PENDING:
            return answer(answers.NOT_IN_TIME, status=504)
        case _:
            return answer(answers.SAVED)


def _no_such_call(wish: Wish) -> Row:
    ucid, did = wish.ucid[: limits.TEXT_CHARS_MAX], wish.did[: limits.TEXT_CHARS_MAX]
    return answers.fail(f"Invalid ucid [{ucid}] or did [{did}]")


class Ozonetel:
    """The dialect; see the package."""

    name: Final = NAME
    prefixes: Final = ("/ca_apis",)
    routes: Final = (
        Route(
            method="POST",
            path="/ca_apis/CAToken/generateToken",
            handler=generate_token,
            operation_id="ozonetelGenerateToken",
            summary="A token for an hour; the one before it is void",
            tag=NAME,
            security="ozonetel_key",
            request=OzonetelUser,
            responses={
                200: Body("the token, or why there is none", OzonetelTokenAnswer),
                **REFUSED({**OF_A_BODY, **AWAY}),
                429: Body("ten an hour", OzonetelAccount, headers=COME_BACK),
            },
        ),
        Route(
            method="POST",
            path="/ca_apis/DispositionAPIV2",
            handler=disposition,
            operation_id="ozonetelDisposition",
            summary="Get the list of dispositions, or set one for a call",
            tag=NAME,
            security="ozonetel",
            request=OzonetelWish,
            parameters=(RETRY_SAFE,),
            responses={
                200: Body("done, or why not: `status` says which", OzonetelAnswer),
                **REFUSED(
                    {
                        **OF_A_BODY,
                        **UNDECIDED,
                        403: "none of the user's keys is for that",
                        422: "the Idempotency-Key is none, or came before with another body",
                        504: "not decided in time: ask again",
                    }
                ),
            },
        ),
    )

    def error(self, status: int, message: str) -> web.Response:
        """See `Dialect`."""
        return answer(answers.malformed(message), status=status)
