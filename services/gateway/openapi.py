"""/openapi.json (3.1), made from the very rows that the router is made from."""

import re
from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from services.gateway.models import ProblemView
from services.gateway.problems import PROBLEMS
from services.gateway.route import JSON, PROBLEM, Body, Parameter, Route
from shared.contracts.ids import ID_PATTERN

SECURITY_SCHEMES: Final = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "ozonetel": {"type": "http", "scheme": "bearer", "description": "from generateToken"},
    "ozonetel_key": {"type": "apiKey", "in": "header", "name": "apiKey"},
    "genesys": {"type": "http", "scheme": "basic", "description": "the agent's own"},
    "vcc_live": {"type": "http", "scheme": "basic"},
    "carecycle": {"type": "apiKey", "in": "header", "name": "x-api-key"},
    "zipteams": {"type": "apiKey", "in": "header", "name": "x-api-key"},
}
_IN_ITS_SHAPE: Final = "Refused, in the shape that this dialect has for it"
_REF: Final = "#/components/schemas/{model}"
_parts: Final = re.compile(r"\{([A-Za-z_]+)(:[^{}]+)?\}")

Schemas = dict[tuple[type[BaseModel], JsonSchemaMode], dict[str, Any]]


def openapi(routes: Sequence[Route]) -> dict[str, Any]:
    """The document.

    Raises:
        ValueError: two routes share an operation id, or one names a scheme that is not known.
    """
    schemas, definitions = _schemas(routes)
    paths: dict[str, dict[str, Any]] = {}
    seen: set[str] = set()
    for route in routes:
        if route.operation_id in seen:
            raise ValueError(f"operation id {route.operation_id} stands twice")
        seen.add(route.operation_id)
        operation = _operation(route, schemas)
        paths.setdefault(template(route.path), {})[route.method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Aftercall",
            "version": product_version(),
            "description": "Every call ends with one honest outcome.",
        },
        "paths": paths,
        "components": {"schemas": definitions, "securitySchemes": SECURITY_SCHEMES},
        "tags": [{"name": tag} for tag in dict.fromkeys(route.tag for route in routes)],
    }


def template(path: str) -> str:
    """The path as OpenAPI writes it: without the router's patterns."""
    return _parts.sub(r"{\1}", path)


def _operation(route: Route, schemas: Schemas) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.operation_id,
        "summary": route.summary,
        "tags": [route.tag],
        "responses": {
            str(status): _response(body, schemas) for status, body in route.responses.items()
        },
    }
    parameters = [*_path_parameters(route.path), *map(_parameter, route.parameters)]
    if parameters:
        operation["parameters"] = parameters
    requests = _requests(route)
    if requests:
        content: dict[str, Any] = {}
        for body in requests:
            content |= _content(body, schemas, "validation")
        operation["requestBody"] = {"required": not route.may_be_empty, "content": content}
    if route.scope is not None:
        operation["security"] = [{"bearer": []}]
        operation["description"] = f"Needs the scope `{route.scope}`."
        operation["responses"] |= _refusals(schemas)
    elif route.security is not None:
        if route.security not in SECURITY_SCHEMES:
            raise ValueError(f"{route.operation_id}: no security scheme {route.security}")
        operation["security"] = [{route.security: []}]
        operation["responses"]["default"] = _response(_in_its_shape(route), schemas)
    return operation


def _in_its_shape(route: Route) -> Body:
    """Refused as it answers otherwise, if it always answers in one media type."""
    types = {body.media_type for body in route.responses.values()}
    return Body(_IN_ITS_SHAPE, media_type=types.pop() if len(types) == 1 else JSON)


def _refusals(schemas: Schemas) -> dict[str, Any]:
    """One row for all problems: their codes are a table, the same on every native route."""
    codes = ", ".join(f"`{code}` {row.status}" for code, row in PROBLEMS.items())
    problem = Body(f"A problem, by its stable code: {codes}", ProblemView, PROBLEM)
    return {"default": _response(problem, schemas)}


def _response(body: Body, schemas: Schemas) -> dict[str, Any]:
    response: dict[str, Any] = {"description": body.description}
    content = _content(body, schemas, "serialization")
    if content:
        response["content"] = content
    return response


def _content(body: Body, schemas: Schemas, mode: JsonSchemaMode) -> dict[str, Any]:
    if body.media_type is None:
        return {}
    media: dict[str, Any] = {}
    if body.model is not None:
        schema = schemas[body.model, mode]
        media["schema"] = {"type": "array", "items": schema} if body.many else schema
    content = {body.media_type: media}
    if body.also is not None:
        content[body.also] = {"schema": {"type": "string"}}
    return content


def _path_parameters(path: str) -> Iterator[dict[str, Any]]:
    for name, pattern in _parts.findall(path):
        schema = {"pattern": ID_PATTERN} if not pattern else {"minLength": 1}
        yield {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string", **schema},
        }


def _parameter(parameter: Parameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "in": parameter.place,
        "description": parameter.description,
        "required": parameter.required,
        "schema": dict(parameter.schema),
    }


def _requests(route: Route) -> tuple[Body, ...]:
    if route.request is not None:
        return (Body("", route.request), *route.requests)
    return route.requests


def _schemas(routes: Iterable[Route]) -> tuple[Schemas, dict[str, Any]]:
    """Each model's reference, and the definitions they refer to."""
    used: dict[tuple[type[BaseModel], JsonSchemaMode], None] = {
        (ProblemView, "serialization"): None
    }
    for route in routes:
        for body in _requests(route):
            if body.model is not None:
                used[body.model, "validation"] = None
        for body in route.responses.values():
            if body.model is not None:
                used[body.model, "serialization"] = None
    references, document = models_json_schema(list(used), ref_template=_REF)
    return {key: references[key] for key in used}, document["$defs"]


def product_version() -> str:
    """The version that is installed; `0` where nothing is."""
    try:
        return version("aftercall")
    except PackageNotFoundError:
        return "0"
