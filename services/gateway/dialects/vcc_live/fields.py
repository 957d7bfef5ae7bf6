"""The fields of a disposition, and the elements of a batch, as the vendor's clients send them.

Ids come as strings or as integers, switches as booleans or their names; null is absent. An element
that breaks a rule is wrong by itself; a body that is no batch at all is malformed.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from msgspec import Struct

from services.gateway.dialects.vcc_live.answers import Stop, Wrong
from services.gateway.dialects.vcc_live.asker import Project
from shared.contracts import limits
from shared.contracts.instants import from_datetime
from shared.contracts.tenants import Code, Tenant
from shared.contracts.values import check_text

Fields = Mapping[str, Any]

_FIELDS: Final = (
    "description",
    "dispositionid",
    "next_calldate",
    "userid",
    "sendDispositionMessages",
)
_SWITCH: Final = {"true": True, "false": False}
_is_date: Final = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", re.ASCII).fullmatch


class Wish(Struct, frozen=True):
    """What a record is to have. `user_id` is the number of the user, as text."""

    code: str
    comment: str | None
    callback_ms: int | None
    user_id: str | None
    send_messages: bool


class Batch(Struct, frozen=True):
    """A batch; its elements are objects, not yet looked into."""

    elements: Sequence[Fields]
    common: Fields
    avoid_in_call: bool


def read_batch(value: Any) -> Batch:
    """The body of a batch.

    Raises:
        Stop: 400, it is none; 413, it holds too many elements.
    """
    fields = _object(value, "the body")
    elements = fields.get("elements")
    if not isinstance(elements, list) or not all(isinstance(one, dict) for one in elements):
        raise Stop(400, "error.malformed: elements is an array of objects")
    most = limits.VCC_LIVE_ELEMENTS_MAX
    if len(elements) > most:
        raise Stop(413, f"error.too_large: a batch holds at most {most} elements")
    common = fields.get("disposition")
    return Batch(
        elements,
        {} if common is None else _object(common, "disposition"),
        read_avoid_in_call(fields),
    )


def read_single(value: Any) -> Fields:
    """The body of a single disposition.

    Raises:
        Stop: 400, it is no object.
    """
    return _object(value, "the body")


def read_avoid_in_call(fields: Fields) -> bool:
    """Whether records that agents are handling are to be left alone.

    Raises:
        Stop: 400, neither true nor false.
    """
    try:
        return _switch(fields, "avoid_in_call")
    except Wrong:
        raise Stop(400, "error.malformed: avoid_in_call is true or false") from None


def read_wish(fields: Fields, common: Fields, project: Project) -> Wish:
    """The disposition of one element; what it says itself goes before what is common.

    Raises:
        Wrong: the first field that breaks its rule.
    """
    said = {name: common.get(name) for name in _FIELDS}
    said |= {name: fields[name] for name in _FIELDS if fields.get(name) is not None}
    code = _code(said, project.tenant)
    return Wish(
        code=code.code,
        comment=_description(said),
        callback_ms=_callback_ms(said, code, project),
        user_id=_user_id(said, project.tenant),
        send_messages=_switch(said, "sendDispositionMessages"),
    )


def as_id(value: object) -> str | None:
    """An id, a string or an integer, as text; None if it is neither, or empty."""
    if isinstance(value, str):
        return value.strip() or None
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return None


def as_number(value: object) -> int | None:
    """The number of a code or a user; None for what is none."""
    text = as_id(value)
    if text is None or not text.isascii() or not text.isdigit() or len(text) > len(str(2**31)):
        return None
    return int(text)


def code_of(number: int | None, tenant: Tenant) -> Code | None:
    """The code that can be chosen by this number, if any."""
    if number is None:
        return None
    return next((code for code in tenant.leaves() if code.id == number), None)


def _code(said: Fields, tenant: Tenant) -> Code:
    code = code_of(as_number(said["dispositionid"]), tenant)
    if code is None:
        raise Wrong("error.invalid_dispositionid")
    return code


def _user_id(said: Fields, tenant: Tenant) -> str | None:
    """A user of the tenant's; one that lists no agents takes any."""
    if said["userid"] is None:
        return None
    number = as_number(said["userid"])
    if number is None:
        raise Wrong("error.invalid_userid")
    if tenant.agents and all(agent.user_id != number for agent in tenant.agents):
        raise Wrong("error.invalid_userid")
    return str(number)


def _callback_ms(said: Fields, code: Code, project: Project) -> int | None:
    """`YYYY-MM-DD HH:MM:SS` by the clock on the project's wall."""
    when = said["next_calldate"]
    if when is None or when == "":
        if code.needs_callback:
            raise Wrong("error.invalid_next_calldate")
        return None
    if not isinstance(when, str) or _is_date(when) is None:
        raise Wrong("error.invalid_next_calldate")
    zone = ZoneInfo(project.tenant.zone_of(project.id))
    try:
        return from_datetime(datetime.fromisoformat(when).replace(tzinfo=zone))
    except (ValueError, OverflowError):
        raise Wrong("error.invalid_next_calldate") from None


def _description(said: Fields) -> str | None:
    text = said["description"]
    if text is None or text == "":
        return None
    if not isinstance(text, str) or len(text) > limits.COMMENT_CHARS_MAX:
        raise Wrong("error.invalid_description")
    try:
        check_text(text)
    except ValueError:
        raise Wrong("error.invalid_description") from None
    return text


def _switch(fields: Fields, name: str) -> bool:
    value = fields.get(name)
    if isinstance(value, str):
        value = _SWITCH.get(value.strip().lower(), value)
    if value is None or isinstance(value, bool):
        return bool(value)
    raise Wrong(f"error.invalid_{name}")


def _object(value: Any, what: str) -> Fields:
    if not isinstance(value, dict):
        raise Stop(400, f"error.malformed: {what} is an object")
    return value
