"""The fields of a `set`, read in the page's order of checks: the first that fails answers.

Keys are matched exactly, values are trimmed; a value of the wrong type is an invalid one. Nothing
here knows the call: what depends on it comes later.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from services.gateway.dialects.ozonetel import answers
from services.gateway.dialects.ozonetel.answers import Stop
from shared.contracts import limits
from shared.contracts.ids import is_id
from shared.contracts.instants import from_datetime
from shared.contracts.tenants import Tenant

Fields = Mapping[str, Any]

_call_back_matches: Final = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d", re.ASCII).fullmatch
_SWITCH: Final = {"true": True, "false": False, "": None}


@dataclass(frozen=True, slots=True)
class Wish:
    """What one `set` asks for. `did` is empty when none was given, and then says nothing."""

    ucid: str
    did: str
    agent_id: str
    code: str
    pause_after: bool
    pause_reason: str | None
    comment: str | None
    callback_ms: int | None
    release_after: bool


def read_action(fields: Fields) -> str:
    """`get` or `set`.

    Raises:
        Stop: neither.
    """
    action = (text(fields, "action") or "").lower()
    if action not in {"get", "set"}:
        raise Stop(answers.ACTION_INVALID)
    return action


def read_wish(fields: Fields, tenant: Tenant) -> Wish:
    """The fields of a `set`.

    Raises:
        Stop: the first check that failed.
    """
    agent_id = _agent_id(fields, tenant)
    ucid = _ucid(fields)
    code = _code(fields, tenant)
    pause_after, pause_reason = _pause(fields, tenant)
    return Wish(
        ucid=ucid,
        did=_did(fields),
        agent_id=agent_id,
        code=code,
        pause_after=pause_after,
        pause_reason=pause_reason,
        comment=_comment(fields),
        callback_ms=_callback_ms(fields, code, tenant),
        release_after=_switch(fields, "autoRelease") or False,
    )


def text(fields: Fields, name: str) -> str | None:
    """A text, trimmed; None when absent, null, or not a text."""
    value = fields.get(name)
    return value.strip() if isinstance(value, str) else None


def _agent_id(fields: Fields, tenant: Tenant) -> str:
    agent_id = text(fields, "agentID") or ""
    if not is_id(agent_id) or (tenant.agents and tenant.agent(agent_id) is None):
        raise Stop(answers.AGENT_INVALID)
    return agent_id


def _ucid(fields: Fields) -> str:
    ucid = text(fields, "ucid")
    if ucid is None:
        raise Stop(answers.UCID_MISSING)
    if not ucid:
        raise Stop(answers.UCID_EMPTY)
    return ucid


def _did(fields: Fields) -> str:
    did = fields.get("did")
    if did is None or isinstance(did, str):
        return (did or "").strip()
    return str(did)[: limits.TEXT_CHARS_MAX]  # a number is its digits; the rest names no call


def _code(fields: Fields, tenant: Tenant) -> str:
    code = text(fields, "disposition")
    if code is None:
        raise Stop(answers.DISPOSITION_MISSING)
    if not code:
        raise Stop(answers.DISPOSITION_EMPTY)
    if tenant.code(code) is None:
        raise Stop(answers.DISPOSITION_INVALID)
    return code


def _pause(fields: Fields, tenant: Tenant) -> tuple[bool, str | None]:
    """Whether to pause after the call, and why.

    The page calls true the default and refuses true without a reason; so, unless the tenant
    wants the page's word, an absent switch means: pause if a reason is given.
    """
    reason = text(fields, "pauseReason") or None
    wanted = _switch(fields, "pauseAfterDispose")
    if wanted is None:
        wanted = tenant.ozonetel_pause_default or reason is not None
    if wanted and reason is None:
        raise Stop(answers.PAUSE_REASON_NEEDED)
    if reason is not None and len(reason) > limits.TEXT_CHARS_MAX:
        raise Stop(answers.PAUSE_REASON_TOO_LONG)
    return wanted, reason if wanted else None


def _comment(fields: Fields) -> str | None:
    if fields.get("comments") is None:
        return None
    comment = text(fields, "comments")
    if comment is None:
        raise Stop(answers.COMMENTS_INVALID)
    if len(comment) > limits.OZONETEL_COMMENT_CHARS_MAX:
        raise Stop(answers.COMMENTS_TOO_LONG)
    return comment or None


def _callback_ms(fields: Fields, code: str, tenant: Tenant) -> int | None:
    """`callBackTime`, `YYYY-MM-DD HH:MM` by the clock on the tenant's wall."""
    given = fields.get("callBackTime")
    when = "" if given is None else text(fields, "callBackTime")
    if when == "":
        leaf = tenant.code(code)
        if leaf is not None and leaf.needs_callback:
            raise Stop(answers.CALL_BACK_NEEDED)
        return None
    if when is None or _call_back_matches(when) is None:
        raise Stop(answers.CALL_BACK_INVALID)
    try:
        moment = datetime.fromisoformat(when).replace(tzinfo=ZoneInfo(tenant.time_zone))
        return from_datetime(moment)
    except (ValueError, OverflowError):
        raise Stop(answers.CALL_BACK_INVALID) from None


def _switch(fields: Fields, name: str) -> bool | None:
    """A boolean, or its name as a text; None when absent, null or empty."""
    value = fields.get(name)
    if isinstance(value, str):
        value = _SWITCH.get(value.strip().lower(), value)
    if value is None or isinstance(value, bool):
        return value
    raise Stop(answers.fail(f"Invalid {name}"))
