"""/openapi.json (3.1), made from the very rows that the router is made from."""

import re
from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from services.gateway.models import ProblemView
from services.gateway.problems import PROBLEMS
from services.gateway.route import (
    CHALLENGED,
    COME_BACK,
    JSON,
    PROBLEM,
    Body,
    Parameter,
    Route,
)
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
_OF_A_BODY: Final = (
    "malformed_json",
    "bad_request",
    "too_slow",
    "too_large",
    "unsupported_media_type",
)
_HEADERS: Final = {401: CHALLENGED, 429: COME_BACK, 503: COME_BACK}
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
            str(status): _response(body, schemas) for status, body in documented(route).items()
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
    elif route.security is not None:
        if route.security not in SECURITY_SCHEMES:
            raise ValueError(f"{route.operation_id}: no security scheme {route.security}")
        operation["security"] = [{route.security: []}]
    return operation


def documented(route: Route) -> dict[int, Body]:
    """Every answer of the route, by status: its own, and of a native one its problems."""
    if route.scope is None:
        return dict(route.responses)
    by_status: dict[int, list[str]] = {}
    for code in _problems_of(route):
        by_status.setdefault(PROBLEMS[code].status, []).append(code)
    problems = {
        status: Body(
            "; ".join(f"`{code}`: {PROBLEMS[code].title}" for code in codes),
            ProblemView,
            PROBLEM,
            headers=_HEADERS.get(status, {}),
        )
        for status, codes in sorted(by_status.items())
    }
    return {**route.responses, **problems}


def _problems_of(route: Route) -> list[str]:
    codes = ["bad_request", "unauthorized", "forbidden", *route.refuses, "internal"]
    if route.scope != "admin":
        codes.append("too_many_requests")  # of a tenant with limits
    if _parts.search(route.path):
        codes.append("not_found")
    if _requests(route):
        codes += _OF_A_BODY
    unknown = set(codes) - PROBLEMS.keys()
    if unknown:
        raise ValueError(f"{route.operation_id}: no problem {sorted(unknown)}")
    return sorted(set(codes), key=tuple(PROBLEMS).index)


def _response(body: Body, schemas: Schemas) -> dict[str, Any]:
    response: dict[str, Any] = {"description": body.description}
    if body.headers:
        response["headers"] = {
            name: {"description": words, "required": True, "schema": {"type": "string"}}
            for name, words in body.headers.items()
        }
    content = _content(body, schemas, "serialization")
    if content:
        response["content"] = content
    return response


def _content(body: Body, schemas: Schemas, mode: JsonSchemaMode) -> dict[str, Any]:
    if body.media_type is None:
        return {}
    media: dict[str, Any] = {}
    if body.model is not None:
        schema: dict[str, Any] = schemas[body.model, mode]
        if body.many:
            schema = {"type": "array", "items": schema}
        if not _is_json(body.media_type):
            schema = {"type": "string", "contentMediaType": JSON, "contentSchema": schema}
        media["schema"] = schema
    content = {body.media_type: media}
    if body.also is not None:
        content[body.also] = {"schema": {"type": "string"}}
    return content


def _is_json(media_type: str) -> bool:
    return media_type == JSON or media_type.endswith("+json")


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
