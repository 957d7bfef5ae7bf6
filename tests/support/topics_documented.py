"""Records of the topics held against /asyncapi.json: which of its messages each of them is."""

from functools import cache
from typing import Any, Final

import jsonschema
import msgspec

from services.gateway.asyncapi import asyncapi
from shared.contracts.envelope import Headers
from shared.contracts.instants import is_rfc_3339

FORMATS: Final = jsonschema.FormatChecker(())


@FORMATS.checks("date-time")
def _is_date_time(value: object) -> bool:
    return not isinstance(value, str) or is_rfc_3339(value)


@cache
def document() -> dict[str, Any]:
    """The document, made once."""
    return msgspec.json.decode(msgspec.json.encode(asyncapi()))  # type: ignore[no-any-return]


@cache
def _validator(*path: str) -> jsonschema.Draft7Validator:
    """Of the schema that stands there in the document."""
    schema = {
        "allOf": [{"$ref": "#/" + "/".join(path)}],
        "components": document()["components"],
    }
    return jsonschema.Draft7Validator(schema, format_checker=FORMATS)


def faults(name: str, key: str | None, headers: dict[str, str], data: Any) -> list[str]:
    """Everything by which this is not the message of this name."""
    at = ("components", "messages", name)
    message = document()["components"]["messages"][name]
    checked: list[tuple[tuple[str, ...], Any]] = [(("payload",), data)]
    if "headers" in message:
        checked.append((("headers",), headers))
    if key is not None and "bindings" in message:
        checked.append((("bindings", "kafka", "key"), key))
    return [
        f"{part[-1]} {error.json_path}: {error.message}"
        for part, value in checked
        for error in _validator(*at, *part).iter_errors(value)
    ]


def message_of(topic: str, key: str, headers: Headers, value: bytes) -> str:
    """The name of the one message that this record is.

    Raises:
        AssertionError: the document has none such on this topic, with what speaks against each.
    """
    told = {name: text.decode() for name, text in headers}
    data = None if topic.endswith(".dead") else msgspec.json.decode(value)
    names: list[str] = list(document()["channels"][topic]["messages"])
    against = {name: faults(name, key, told, data) for name in names}
    fitting = [name for name, found in against.items() if not found]
    assert len(fitting) == 1, (topic, key, told, value, fitting or against)
    return fitting[0]
