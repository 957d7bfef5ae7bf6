"""SetCallDisposition as it stands in a body: which call, which code, under which key."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from services.gateway.dialects.genesys.answers import StatusCode, Stop
from shared.contracts.ids import is_id

SET_CALL_DISPOSITION: Final = "SetCallDisposition"

Fields = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SetCallDisposition:
    """The operation, read. `key` None: the tenant's own."""

    call_id: str
    code: str
    key: str | None


def read_operation(fields: Fields, call_in_path: str | None) -> SetCallDisposition:
    """The operation of a body.

    Args:
        fields: the body.
        call_in_path: the call that the route itself names; None on the device route.

    Raises:
        Stop: a parameter is missing, of the wrong type, or names another call than the rest.
    """
    operation = _text(fields, "operationName")
    if operation is None:
        raise Stop(StatusCode.PARAMETER_MISSING, "operationName is missing")
    if operation != SET_CALL_DISPOSITION:
        raise Stop(StatusCode.BAD_VALUE, "operationName is not an operation of this resource")
    call_id = _call_id(fields, call_in_path)
    code = _text(fields, "disposition")
    if code is None:
        raise Stop(StatusCode.PARAMETER_MISSING, "disposition is missing")
    return SetCallDisposition(call_id, code, _text(fields, "dispositionKey"))


def _call_id(fields: Fields, call_in_path: str | None) -> str:
    """The one call that path, `callUuid` and `callUri` name; any of them will do."""
    uri = _text(fields, "callUri")
    named = (call_in_path, _text(fields, "callUuid"), None if uri is None else _last_part(uri))
    calls = {name for name in named if name is not None}
    if not calls:
        raise Stop(StatusCode.PARAMETER_MISSING, "callUuid or callUri is missing")
    if len(calls) > 1:
        raise Stop(StatusCode.BAD_VALUE, "callUri, callUuid and the path name different calls")
    call_id = calls.pop()
    if not is_id(call_id):
        raise Stop(StatusCode.NOT_FOUND, "No such call")
    return call_id


def _last_part(uri: str) -> str:
    """The call id at the end of a call's URI; its host is whatever the client reached us by."""
    try:
        path = urlsplit(uri).path
    except ValueError:
        raise Stop(StatusCode.BAD_VALUE, "callUri is not a URI") from None
    return unquote(path.rstrip("/").rpartition("/")[2])


def _text(fields: Fields, name: str) -> str | None:
    """A text; None when absent, null or empty.

    Raises:
        Stop: it is of another type.
    """
    value = fields.get(name)
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise Stop(StatusCode.BAD_VALUE, f"{name} is not a string")
    return value
