"""The admin port: metrics and health, without a credential and on an address of its own."""

from collections.abc import Mapping
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client import CollectorRegistry, Counter

from services.gateway.admin import build_admin_app

pytestmark = pytest.mark.asyncio


def client(parts: Mapping[str, str] | Exception) -> TestClient[web.Request, web.Application]:
    async def readiness() -> Mapping[str, str]:
        if isinstance(parts, Exception):
            raise parts
        return parts

    registry = CollectorRegistry()
    Counter("aftercall_answers", "Answers", registry=registry).inc(42)
    return TestClient(TestServer(build_admin_app(registry, readiness)))


READY: list[tuple[Any, int, dict[str, Any]]] = [
    ({}, 200, {"status": "ok", "parts": {}}),
    ({"log": "ok", "store": "ok"}, 200, {"status": "ok", "parts": {"log": "ok", "store": "ok"}}),
    (
        {"log": "ok", "worker": "behind by 7"},
        503,
        {"status": "not ready", "parts": {"log": "ok", "worker": "behind by 7"}},
    ),
    (OSError("gone"), 503, {"status": "not ready", "parts": {"readiness": "OSError"}}),
]


@pytest.mark.parametrize(("parts", "status", "told"), READY)
async def test_ready_is_when_every_part_is(parts: Any, status: int, told: dict[str, Any]) -> None:
    async with client(parts) as admin:
        response = await admin.get("/readyz")
        assert (response.status, await response.json()) == (status, told)


async def test_alive_even_when_not_ready() -> None:
    async with client(OSError("gone")) as admin:
        response = await admin.get("/healthz")
        assert (response.status, await response.json()) == (200, {"status": "ok"})


@pytest.mark.parametrize(
    "accept",
    [
        "*/*",
        "application/openmetrics-text; version=1.0.0",
        "application/openmetrics-text; version=newest",
        "application/openmetrics-text; version=" + "9" * 5_000,
        "text/plain; version=newest",
        "text/plain; version=2.ü",
    ],
)
async def test_metrics_are_those_of_the_registry(accept: str) -> None:
    async with client({}) as admin:
        response = await admin.get("/metrics", headers={"Accept": accept})
        assert response.status == 200
        assert "aftercall_answers_total 42.0" in await response.text()


async def test_nothing_else_is_here() -> None:
    async with client({}) as admin:
        response = await admin.get("/v1/calls")
        assert (response.status, response.content_type) == (404, "application/problem+json")
        assert (await response.json())["code"] == "not_found"


@pytest.mark.parametrize("path", ["/metrics", "/healthz", "/readyz"])
async def test_another_method_is_told_which_there_are(path: str) -> None:
    async with client({}) as admin:
        response = await admin.post(path)
        assert (response.status, response.content_type) == (405, "application/problem+json")
        assert response.headers["Allow"] == "GET,HEAD"
        assert (await response.json())["code"] == "method_not_allowed"
