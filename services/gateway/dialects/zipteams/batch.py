"""The body of a batch of calls: read and checked, whole or not at all.

`callback_url` and `metadata` are checked, and go no further: nothing is analysed here that could be
called back about. Nor do names and addresses of agents.
"""

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

from services.gateway.dialects.zipteams import fields
from services.gateway.dialects.zipteams.fields import Issues, Rule
from shared.contracts import limits
from shared.contracts.instants import from_wire

METADATA_MAX: Final = 5
CUSTOM_FIELDS_MAX: Final = 10
# All of a call's custom fields fit into its user data, however their JSON is escaped.
CUSTOM_VALUE: Final = Rule(required=False, chars_max=512)
CUSTOM_NAME: Final = Rule(chars_max=fields.NAME_CHARS_MAX)


class Recorded(Struct, frozen=True, kw_only=True):
    """One call that is over, and the customer it was with.

    Attributes:
        status: the customer's first one; one that has a status keeps it.
        custom_fields: by their internal names.
    """

    call_id: str
    recording_url: str
    start_ms: int
    end_ms: int
    contact_number: str
    agent_id: str
    customer_id: str
    name: str
    email: str
    status: str | None
    custom_fields: tuple[tuple[str, str], ...]


def read_batch(value: Any) -> list[Recorded]:
    """The calls of a batch.

    Raises:
        NotValid: with every field that breaks its rule, up to a bound.
    """
    data = fields.body_object(value).get("data")
    issues = Issues()
    if data is None or data == []:
        issues.add("", "data", "should not be empty")
    elif not isinstance(data, list):
        issues.add("", "data", "must be an array")
    elif len(data) > limits.ZIPTEAMS_CALLS_MAX:
        issues.add("", "data", f"must contain no more than {limits.ZIPTEAMS_CALLS_MAX} elements")
    issues.stop()
    calls = [_recorded(item, f"data[{index}]", issues) for index, item in enumerate(data or ())]
    _refuse_twins(calls, issues)
    issues.stop()
    return [call for call in calls if call is not None]


def _recorded(item: Any, place: str, issues: Issues) -> Recorded | None:
    if not isinstance(item, Mapping):
        issues.add("", place, "must be an object")
        return None
    at, before = f"{place}.", len(issues.found)
    call, agent, customer = (issues.object(item, at, name) for name in _PARTS)
    call_at, customer_at = f"{at}call.", f"{at}customer."
    recorded = Recorded(
        call_id=issues.text(call, call_at, "id", fields.CALL_ID),
        recording_url=issues.text(call, call_at, "recording_url", fields.URL),
        start_ms=_moment(call, call_at, "start_time", issues),
        end_ms=_moment(call, call_at, "end_time", issues),
        contact_number=issues.text(call, call_at, "contact_number", fields.PHONE),
        agent_id=issues.text(agent, f"{at}agent.", "id", fields.AGENT_ID),
        customer_id=issues.text(customer, customer_at, "id", fields.KNOWN_ID),
        name=issues.text(customer, customer_at, "name", fields.NAME),
        email=issues.text(customer, customer_at, "email", fields.EMAIL),
        status=issues.text(customer, customer_at, "disposition_status", fields.STATUS) or None,
        custom_fields=_custom_fields(item.get("custom_fields"), at, issues),
    )
    issues.text(agent, f"{at}agent.", "name", fields.NAME)
    issues.text(agent, f"{at}agent.", "email", fields.EMAIL)
    issues.text(item, at, "callback_url", fields.CALLBACK_URL)
    _check_metadata(item.get("metadata"), at, issues)
    if len(issues.found) == before and recorded.end_ms <= recorded.start_ms:
        issues.add(call_at, "end_time", "must be after start_time")
    return recorded


_PARTS: Final = ("call", "agent", "customer")


def _moment(call: Mapping[str, Any] | None, at: str, name: str, issues: Issues) -> int:
    text = issues.text(call, at, name, fields.MOMENT)
    return from_wire(text.upper()) if text else 0


def _custom_fields(value: Any, at: str, issues: Issues) -> tuple[tuple[str, str], ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        issues.add(at, "custom_fields", "must be an array")
        return ()
    if len(value) > CUSTOM_FIELDS_MAX:
        most = f"must contain no more than {CUSTOM_FIELDS_MAX} elements"
        issues.add(at, "custom_fields", most)
        return ()
    found = []
    for index, item in enumerate(value):
        place = f"custom_fields[{index}]"
        if isinstance(item, Mapping):
            name = issues.text(item, f"{at}{place}.", "internal_name", CUSTOM_NAME)
            found.append((name, issues.text(item, f"{at}{place}.", "value", CUSTOM_VALUE)))
        else:
            issues.add(at, place, "must be an object")
    return tuple(found)


def _check_metadata(value: Any, at: str, issues: Issues) -> None:
    if value is None:
        return
    if not isinstance(value, Mapping):
        issues.add(at, "metadata", "must be an object")
    elif len(value) > METADATA_MAX:
        issues.add(at, "metadata", f"must contain no more than {METADATA_MAX} key-value pairs")
    elif not all(_is_text_or_number(item) for item in value.values()):
        issues.add(at, "metadata", "must have strings or numbers as values")


def _is_text_or_number(value: Any) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool)


def _refuse_twins(calls: list[Recorded | None], issues: Issues) -> None:
    seen = set()
    for index, call in enumerate(calls):
        if call is None or not call.call_id:
            continue
        if call.call_id in seen:
            issues.add(f"data[{index}].call.", "id", "must be unique")
        seen.add(call.call_id)
