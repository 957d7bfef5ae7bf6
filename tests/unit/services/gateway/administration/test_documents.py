"""The admin port's own /openapi.json: valid, and of the very routes that are served."""

import jsonschema
import pytest
from schemathesis.specs.openapi.definitions import OPENAPI_31

from services.gateway.administration import models
from services.gateway.administration.app import PREFIX, ROUTES
from services.gateway.openapi import template
from tests.unit.services.gateway.administration.office import OPERATOR, Office
from tests.unit.services.gateway.floor import ADMIN

pytestmark = pytest.mark.asyncio


@pytest.mark.slow
async def test_every_admin_route_is_in_a_valid_document(office: Office) -> None:
    async with office.admin.get("/openapi.json") as answer:
        document = await answer.json()
    jsonschema.validate(document, OPENAPI_31)
    told = {
        (method.upper(), path)
        for path, methods in document["paths"].items()
        for method in methods
        if path.startswith(PREFIX)
    }
    assert told == {(route.method, template(route.path)) for route in ROUTES}
    assert {route.scope for route in ROUTES} == {"admin"}


async def test_answers_are_as_the_models_say(office: Office) -> None:
    await office.ask("PUT", "/subtenants/north", ADMIN)
    _, tenants = await office.ask("GET", "/v1/admin/tenants", OPERATOR)
    models.TenantsPage.model_validate(tenants, strict=True)
    for many, model in (
        ("agents", models.AgentView),
        ("codes", models.CodeView),
        ("projects", models.ProjectView),
        ("campaigns", models.CampaignView),
        ("subtenants", models.SubtenantView),
        ("keys", models.KeyView),
    ):
        _, page = await office.ask("GET", f"/{many}", ADMIN)
        assert page["rows"]
        for row in page["rows"]:
            model.model_validate(row, strict=True)
    _, key = await office.ask("POST", "/keys", ADMIN, {"scopes": ["read"]})
    models.SecretView.model_validate(key, strict=True)


async def test_metrics_and_health_pass_nothing_of_the_edge(office: Office) -> None:
    for path in ("/metrics", "/healthz", "/readyz", "/openapi.json", "/docs"):
        async with office.admin.get(path) as answer:
            assert answer.status == 200
    async with office.admin.get("/v1/calls") as answer:
        assert answer.status == 404
