"""/openapi.json is valid, whole, and true; the pages need no other host."""

import re
from typing import Any

import jsonschema
import pytest
from schemathesis.specs.openapi.definitions import OPENAPI_31

from services.gateway.__main__ import DIALECTS, MORE
from services.gateway.app import TABLE, build_app
from services.gateway.desk import Desk
from services.gateway.openapi import documented, openapi, template
from services.gateway.route import JSON, Route
from tests.unit.services.gateway.floor import NATIVE, Floor

EVERYTHING = build_app(Floor().desk, dialects=DIALECTS, more=MORE)[TABLE]

# Bayeux messages go to the sessions of this gateway: no log and no store is asked.
NOTHING_KEPT = ("/api/v2/notifications", "/v1/toolbar-tokens")


async def handler(_: Any, __: Desk) -> Any:
    raise AssertionError


@pytest.mark.slow
def test_the_document_is_valid_openapi_3_1() -> None:
    document = openapi(EVERYTHING)
    jsonschema.validate(document, OPENAPI_31)
    assert document["openapi"].startswith("3.1")


def references(value: Any) -> set[str]:
    match value:
        case {"$ref": str(name)}:
            return {name}
        case dict():
            return set().union(*map(references, value.values()), set())
        case list():
            return set().union(*map(references, value), set())
        case _:
            return set()


def test_every_reference_leads_somewhere() -> None:
    document = openapi(EVERYTHING)
    known = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert references(document) <= known
    assert len(known) > 15


def test_schemas_are_valid_json_schema_2020_12() -> None:
    for schema in openapi(EVERYTHING)["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


@pytest.mark.asyncio
async def test_every_route_of_the_router_is_in_the_document(floor: Floor) -> None:
    response = await floor.client.get("/openapi.json")
    assert response.content_type == "application/json"
    assert (await response.json())["paths"].keys() <= openapi(EVERYTHING)["paths"].keys()
    document = openapi(EVERYTHING)
    told = {
        (method.upper(), path) for path, methods in document["paths"].items() for method in methods
    }
    app = build_app(floor.desk, dialects=DIALECTS, more=MORE)
    routed = {
        (route.method, route.resource.canonical)
        for route in app.router.routes()
        if route.resource is not None and route.method not in ("HEAD", "OPTIONS")
    }
    assert told == routed
    assert ("GET", "/openapi.json") in told
    assert len(app[TABLE]) == len(told)


def test_patterns_of_the_router_stay_out_of_the_document() -> None:
    assert template(r"/v2/{project:[0-9]+}/x/{id}") == "/v2/{project}/x/{id}"


@pytest.mark.parametrize("route", EVERYTHING, ids=lambda route: route.operation_id)
def test_every_answer_of_a_route_is_told_with_its_shape(route: Route) -> None:
    answers = documented(route)
    keyed = route.scope is not None or route.security is not None
    if keyed:  # it asks for a credential, and may break
        assert answers.keys() & {401, 403} or route.tag == "ozonetel"
        assert 500 in answers
    if route.method != "GET":
        assert answers.keys() >= {400, 408, 413, 415}
    if route.method != "GET" and not route.path.startswith(NOTHING_KEPT):
        assert 503 in answers
    for status, body in answers.items():
        assert body.description
        if status >= 400:
            assert body.model is not None
            assert body.headers.keys() >= {429: {"Retry-After"}, 503: {"Retry-After"}}.get(
                status, set()
            )
        elif body.media_type == JSON and route.tag != "documents":
            assert body.model is not None
        elif body.media_type is not None:
            assert body.media_type.startswith("text/") or route.tag == "documents"


def test_a_problem_that_is_none_is_found_at_start() -> None:
    route = Route(
        method="GET",
        path="/a",
        handler=handler,
        operation_id="a",
        summary="a",
        scope="read",
        refuses=("nonsense",),
    )
    with pytest.raises(ValueError, match="a: no problem \\['nonsense'\\]"):
        openapi([route])


def test_a_doubled_operation_id_and_an_unknown_scheme_are_found_at_start() -> None:
    one = Route(method="GET", path="/a", handler=handler, operation_id="a", summary="a")
    with pytest.raises(ValueError, match="operation id a stands twice"):
        openapi([one, one])
    other = Route(
        method="GET", path="/b", handler=handler, operation_id="b", summary="b", security="none"
    )
    with pytest.raises(ValueError, match="b: no security scheme none"):
        openapi([other])


@pytest.mark.slow
@pytest.mark.asyncio
async def test_the_document_of_the_disposition_route_is_the_model_that_checks_it(
    floor: Floor,
) -> None:
    document = await (await floor.client.get("/openapi.json")).json()
    operation = document["paths"]["/v1/calls/{call_id}/disposition"]["post"]
    assert operation["security"] == [{"bearer": []}]
    assert {row["name"] for row in operation["parameters"]} == {"call_id", "Idempotency-Key"}
    (media,) = operation["requestBody"]["content"].values()
    body = document["components"]["schemas"][media["schema"]["$ref"].split("/")[-1]]
    assert body["required"] == ["agent_id", "code"]
    assert body["additionalProperties"] is False
    statuses = "200 202 400 401 403 404 408 409 413 415 422 429 500 503"
    assert set(operation["responses"]) == set(statuses.split())
    assert "Location" in operation["responses"]["202"]["headers"]
    assert "`already_disposed`" in operation["responses"]["409"]["description"]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        ("/docs", "text/html"),
        ("/docs/topics", "text/html"),
        ("/docs/page.css", "text/css"),
        ("/docs/draw.js", "text/javascript"),
        ("/docs/page.js", "text/javascript"),
        ("/docs/topics.js", "text/javascript"),
    ],
)
async def test_the_pages_load_nothing_from_another_host(
    floor: Floor, path: str, content_type: str
) -> None:
    response = await floor.client.get(path)
    assert (response.status, response.content_type) == (200, content_type)
    assert "default-src 'self'" in response.headers["Content-Security-Policy"]
    text = await response.text()
    assert not re.search(r"https?://|//cdn|innerHTML|style=|onclick", text)
    # Whatever it loads by itself, it names as a path of this host, which is there.
    asked = re.findall(r'(?:src=|href=|from )"([^"#]+)"|fetch\(("?[^")]*)', text)
    for linked, fetched in asked:
        path = linked or fetched.removeprefix('"')
        assert re.match(r"/[^/]", path), path
        assert (await floor.client.get(path)).status == 200
    others = r"import\(|url\(|XMLHttpRequest|WebSocket|EventSource|sendBeacon|Worker|@font-face"
    assert not re.search(others, text)


def test_the_page_shows_what_is_made_of_every_operation() -> None:
    """It reads tags, paths and methods; nothing may be left out for want of one."""
    document = openapi(EVERYTHING)
    shown = {"get", "post", "put", "patch", "delete"}
    tags = {tag["name"] for tag in document["tags"]}
    for methods in document["paths"].values():
        assert methods.keys() <= shown
        for operation in methods.values():
            assert set(operation["tags"]) <= tags


@pytest.mark.asyncio
async def test_documents_need_no_credential_and_take_any(floor: Floor) -> None:
    for headers in ({}, NATIVE, {"Authorization": "Bearer nonsense"}):
        assert (await floor.client.get("/openapi.json", headers=headers)).status == 200
