"""/openapi.json is valid, whole, and true; the page that shows it needs no other host."""

import re
from typing import Any

import jsonschema
import pytest
from schemathesis.specs.openapi.definitions import OPENAPI_31

from services.gateway.__main__ import DIALECTS, MORE
from services.gateway.app import TABLE, build_app
from services.gateway.desk import Desk
from services.gateway.openapi import openapi, template
from services.gateway.route import Route
from tests.unit.services.gateway.floor import NATIVE, Floor

EVERYTHING = build_app(Floor().desk, dialects=DIALECTS, more=MORE)[TABLE]


async def handler(_: Any, __: Desk) -> Any:
    raise AssertionError


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


def test_a_doubled_operation_id_and_an_unknown_scheme_are_found_at_start() -> None:
    one = Route(method="GET", path="/a", handler=handler, operation_id="a", summary="a")
    with pytest.raises(ValueError, match="operation id a stands twice"):
        openapi([one, one])
    other = Route(
        method="GET", path="/b", handler=handler, operation_id="b", summary="b", security="none"
    )
    with pytest.raises(ValueError, match="b: no security scheme none"):
        openapi([other])


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
    assert set(operation["responses"]) == {"200", "202", "default"}


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        ("/docs", "text/html"),
        ("/docs/page.css", "text/css"),
        ("/docs/page.js", "text/javascript"),
    ],
)
async def test_the_page_loads_nothing_from_another_host(
    floor: Floor, path: str, content_type: str
) -> None:
    response = await floor.client.get(path)
    assert (response.status, response.content_type) == (200, content_type)
    assert "default-src 'self'" in response.headers["Content-Security-Policy"]
    text = await response.text()
    assert not re.search(r"https?://|//cdn|innerHTML|style=|onclick", text)
    for linked in re.findall(r'(?:src|href)="(/[^"#]+)"', text):
        assert (await floor.client.get(linked)).status == 200


@pytest.mark.asyncio
async def test_documents_need_no_credential_and_take_any(floor: Floor) -> None:
    for headers in ({}, NATIVE, {"Authorization": "Bearer nonsense"}):
        assert (await floor.client.get("/openapi.json", headers=headers)).status == 200
