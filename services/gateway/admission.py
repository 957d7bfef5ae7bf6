"""Admission: a neutral request and its tenant's rules give a request to publish, or a refusal.

Pure. What can be refused without knowing the call is refused here, before anything is written;
what depends on the call is for the worker to decide.
"""

import re
from hashlib import blake2b
from typing import Final

import msgspec
from msgspec import Struct

from shared.contracts import limits
from shared.contracts.dispositions import DispositionRequest, Policy
from shared.contracts.errors import Refused
from shared.contracts.ids import is_call_id, is_id
from shared.contracts.instants import INSTANT_MS_MAX
from shared.contracts.tenants import Tenant
from shared.contracts.values import check_json, check_text

_idempotency_key_matches: Final = re.compile(
    rf"[\x20-\x7e]{{1,{limits.IDEMPOTENCY_KEY_CHARS_MAX}}}"
).fullmatch
_encode: Final = msgspec.json.Encoder().encode


class Asked(Struct, frozen=True, kw_only=True):
    """What a client asks for, whatever dialect it speaks.

    Attributes:
        dialect: which one it spoke; kept for the history.
        policy: what that dialect asks of the rules.
        key: under which the code stands in user data; the tenant's own by default.
        comment: at most `COMMENT_CHARS_MAX` characters.
        callback_ms: when to call back.
        idempotency_key: the client's own; printable ASCII.
    """

    call_id: str
    agent_id: str
    code: str
    dialect: str
    policy: Policy
    key: str | None = None
    comment: str | None = None
    callback_ms: int | None = None
    pause_after: bool = False
    pause_reason: str | None = None
    release_after: bool = False
    idempotency_key: str | None = None


def admit(asked: Asked, tenant: Tenant, fresh_id: str) -> DispositionRequest:
    """The request to publish.

    Args:
        asked: the neutral request.
        tenant: whose agents, codes and rules count. A tenant that lists no agents takes any.
        fresh_id: the request id, unless the client's own key decides it.

    Raises:
        Refused: `validation`, `agent_not_on_call` (no such agent), `invalid_disposition`,
            `callback_required`.
    """
    key = asked.key or tenant.disposition_key
    _check_shape(asked, key)
    if tenant.agents and tenant.agent(asked.agent_id) is None:
        raise Refused("agent_not_on_call", "no such agent")
    code = tenant.code(asked.code)
    if code is None:
        raise Refused("invalid_disposition", "the code is not in the tenant's catalogue")
    if code.needs_callback and asked.callback_ms is None:
        raise Refused("callback_required", "this code needs a callback time")
    request_id = fresh_id
    if asked.idempotency_key is not None:
        request_id = request_id_of(tenant.id, asked.call_id, asked.idempotency_key)
    return DispositionRequest(
        request_id=request_id,
        idempotency_key=asked.idempotency_key or request_id,
        body_hash=_body_hash(asked, key),
        call_id=asked.call_id,
        agent_id=asked.agent_id,
        code=asked.code,
        key=key,
        dialect=asked.dialect,
        policy=asked.policy,
        comment=asked.comment,
        callback_ms=asked.callback_ms,
        pause_after=asked.pause_after,
        pause_reason=asked.pause_reason,
        release_after=asked.release_after,
    )


def request_id_of(tenant_id: str, call_id: str, idempotency_key: str) -> str:
    """The request id that a client's own key stands for: a retry has the same one."""
    return f"req-{digest((tenant_id, call_id, idempotency_key))}"


def _check_shape(asked: Asked, key: str) -> None:
    """Refuse what a store or a log could not hold, whichever dialect let it through."""
    if not is_call_id(asked.call_id) or not is_id(asked.agent_id):
        raise Refused("validation", "an id breaks the pattern of ids")
    try:
        check_json({key: asked.code})  # it is to stand in user data, under these very rules
    except ValueError as error:
        raise Refused("validation", f"key: {error}") from None
    check_key(asked.idempotency_key)
    if asked.callback_ms is not None and not 0 <= asked.callback_ms <= INSTANT_MS_MAX:
        raise Refused("validation", "the callback time is not in the years 1970 to 9999")
    check_length("comment", asked.comment, limits.COMMENT_CHARS_MAX)
    check_length("pause_reason", asked.pause_reason, limits.TEXT_CHARS_MAX)


def check_key(idempotency_key: str | None) -> None:
    """Refuse a key that is none.

    Raises:
        Refused: `validation`.
    """
    if idempotency_key is not None and _idempotency_key_matches(idempotency_key) is None:
        raise Refused(
            "validation",
            f"an idempotency key is 1 to {limits.IDEMPOTENCY_KEY_CHARS_MAX} printable ASCII",
        )


def check_length(name: str, text: str | None, chars_max: int) -> None:
    """Refuse a text that is too long, or that no store could hold.

    Raises:
        Refused: `validation`.
    """
    if text is None:
        return
    if len(text) > chars_max:
        raise Refused("validation", f"{name} is over {chars_max} characters")
    try:
        check_text(text)
    except ValueError as error:
        raise Refused("validation", f"{name}: {error}") from None


def _body_hash(asked: Asked, key: str) -> str:
    """Of all that must be equal under one idempotency key; not the policy, which is ours."""
    return digest(
        (
            asked.call_id,
            asked.agent_id,
            asked.code,
            key,
            asked.comment,
            asked.callback_ms,
            asked.pause_after,
            asked.pause_reason,
            asked.release_after,
        )
    )


def digest(parts: tuple[str | int | bool | None, ...]) -> str:
    """32 hex digits of all of them, in order."""
    return blake2b(_encode(parts), digest_size=16).hexdigest()
