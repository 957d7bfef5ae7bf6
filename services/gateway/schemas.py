"""JSON Schema of the contract structs, with what their docstrings say of them and their fields.

What msgspec makes is of draft 2020-12, but holds nothing that draft 07 does not know: that is what
AsyncAPI's own schemas are a superset of.
"""

import inspect
import re
from collections.abc import Iterable
from typing import Any, Final

import msgspec
from msgspec import Struct

REF: Final = "#/components/schemas/{name}"
_NULL: Final = {"type": "null"}
_INSTANTS: Final = ("at", "time")
_MS: Final = "in milliseconds since 1970-01-01T00:00:00Z"
_S: Final = "in seconds"

_ATTRIBUTES: Final = "\nAttributes:\n"
_attribute: Final = re.compile(r"^    ([a-z_, ]+): (.+(?:\n {8}.+)*)", re.MULTILINE)


def struct_schemas(structs: Iterable[type[Struct]]) -> dict[str, dict[str, Any]]:
    """The schemas of these and of all they are made of, by name; they refer by `REF`."""
    _, schemas = msgspec.json.schema_components(structs, ref_template=REF)
    return {name: _told(schema) for name, schema in schemas.items()}


def _told(schema: dict[str, Any]) -> dict[str, Any]:
    words, _, attributes = inspect.cleandoc(schema.get("description", "")).partition(_ATTRIBUTES)
    told = {**schema, "description": _line(words)}
    if "properties" in schema:
        said = _said(attributes)
        # Ours leave out what they don't know; a switch may write that it knows nothing.
        ours = schema.get("additionalProperties") is not False
        told["properties"] = {
            name: _field(name, _present(field) if ours else field, said.get(name, ""))
            for name, field in schema["properties"].items()
        }
    return told


def _said(attributes: str) -> dict[str, str]:
    """What an `Attributes` section says of each field."""
    return {
        name: _line(words)
        for names, words in _attribute.findall(attributes)
        for name in names.split(", ")
    }


def _line(words: str) -> str:
    """The words with spaces for the breaks of lines within a paragraph."""
    paragraphs = words.strip().split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def _present(field: dict[str, Any]) -> dict[str, Any]:
    """A field that is left out rather than null."""
    if _NULL not in field.get("anyOf", ()) or field.get("default", 0) is not None:
        return field
    left = [kind for kind in field["anyOf"] if kind != _NULL]
    rest = {name: value for name, value in field.items() if name not in ("anyOf", "default")}
    return {**rest, **left[0]} if len(left) == 1 else {**rest, "anyOf": left}


def _field(name: str, field: dict[str, Any], said: str) -> dict[str, Any]:
    """A field with its words and its unit, which its name tells."""
    unit = _MS if name.endswith("_ms") else _S if name == "seconds" else ""
    words = ", ".join(part for part in (said.removesuffix("."), unit) if part)
    if (name.endswith("_at") or name in _INSTANTS) and field.get("type") == "string":
        field = {**field, "format": "date-time"}
    if not words:
        return field
    if "$ref" in field:  # whose neighbours draft 07 passes over
        field = {"allOf": [field]}
    return {**field, "description": words}
