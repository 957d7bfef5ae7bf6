"""Whose request it is: one good key, of the right kind, with the scope; else 401 or 403."""

import pytest

from services.gateway.app import TABLE, build_app
from services.gateway.openapi import template
from tests.unit.services.gateway.floor import ADMIN, NATIVE, SWITCH, Floor, problem

pytestmark = pytest.mark.asyncio

Headers = list[tuple[str, str]]


def bearer(value: str) -> Headers:
    return [("Authorization", value)]


REFUSED: list[tuple[str, Headers]] = [
    ("none", []),
    ("empty", bearer("")),
    ("no key", bearer("Bearer")),
    ("only a space", bearer("Bearer ")),
    ("another scheme", bearer("Basic ZGVtbzpkZW1vLWtleQ==")),
    ("no scheme", bearer("demo-key")),
    ("no such key", bearer("Bearer demo-kez")),
    ("nearly", bearer("Bearer demo-ke")),
    ("with something behind", bearer("Bearer demo-key x")),
    ("in capitals", bearer("Bearer DEMO-KEY")),
    ("not ASCII", bearer("Bearer démo-key")),
    ("one of another kind", bearer("Bearer cc_demo_key")),
    ("an agent's password", bearer("Bearer demo")),
    ("513 characters", bearer("Bearer " + "x" * 513)),
    ("7000 characters", bearer("Bearer " + "x" * 7000)),
    ("two headers", [*bearer("Bearer demo-key"), *bearer("Bearer demo-key")]),
    ("two different", [*bearer("Bearer demo-key"), *bearer("Bearer x")]),
    ("two in one", bearer("Bearer demo-key, Bearer demo-key")),
    ("in another header", [("X-Api-Key", "demo-key")]),
]


@pytest.mark.parametrize("headers", [pytest.param(row[1], id=row[0]) for row in REFUSED])
async def test_anything_but_one_good_key_is_401(floor: Floor, headers: Headers) -> None:
    response = await floor.client.get("/v1/codes", headers=headers)
    assert await problem(response) == (401, "unauthorized")
    assert response.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_the_scheme_is_case_blind(floor: Floor, scheme: str) -> None:
    response = await floor.client.get("/v1/codes", headers=bearer(f"{scheme} demo-key"))
    assert response.status == 200


async def test_a_key_in_the_address_is_no_key(floor: Floor) -> None:
    response = await floor.client.get("/v1/codes?access_token=demo-key")
    assert await problem(response) == (401, "unauthorized")


@pytest.mark.parametrize(
    ("key", "method", "path", "allowed"),
    [
        (NATIVE, "GET", "/v1/codes", True),
        (SWITCH, "GET", "/v1/codes", True),
        (ADMIN, "GET", "/v1/codes", True),
        (NATIVE, "POST", "/v1/events", False),
        (ADMIN, "POST", "/v1/events", False),
        (SWITCH, "POST", "/v1/calls/c/disposition", False),
        (ADMIN, "POST", "/v1/calls/c/disposition", False),
    ],
)
async def test_what_the_demo_keys_may(
    floor: Floor, key: dict[str, str], method: str, path: str, *, allowed: bool
) -> None:
    response = await floor.client.request(method, path, headers=key)
    assert (response.status != 403) == allowed
    if not allowed:
        assert await problem(response) == (403, "forbidden")


OPEN = {
    "/openapi.json",
    "/asyncapi.json",
    "/docs",
    "/docs/topics",
    "/docs/page.css",
    "/docs/draw.js",
    "/docs/page.js",
    "/docs/topics.js",
}


async def test_no_route_is_open_by_oversight(floor: Floor) -> None:
    for route in build_app(floor.desk)[TABLE]:
        path = template(route.path).format(
            call_id="call-1", request_id="req-1", kind="customer", id="77"
        )
        for method in {route.method, "HEAD" if route.method == "GET" else route.method}:
            response = await floor.client.request(method, path)
            expected = 200 if route.path in OPEN else 401
            assert response.status == expected, (method, path)
        response = await floor.client.request(route.method, f"{path}/")
        assert response.status == 404, path


async def test_options_tells_the_methods_and_another_method_is_405(floor: Floor) -> None:
    response = await floor.client.options("/v1/calls")
    assert (response.status, response.headers["Allow"]) == (204, "GET,HEAD,OPTIONS")
    response = await floor.client.delete("/v1/calls", headers=NATIVE)
    assert await problem(response) == (405, "method_not_allowed")
    assert response.headers["Allow"] == "GET,HEAD,OPTIONS"


async def test_head_has_no_body(floor: Floor) -> None:
    response = await floor.client.head("/v1/codes", headers=NATIVE)
    assert (response.status, await response.read()) == (200, b"")
    assert int(response.headers["Content-Length"]) > 100


@pytest.mark.parametrize(
    "path", ["/", "/v1", "/v1/", "/v1/nothing", "/metrics", "/healthz", "/v2/%00"]
)
async def test_what_is_not_there_is_404(floor: Floor, path: str) -> None:
    assert await problem(await floor.client.get(path, headers=NATIVE)) == (404, "not_found")


async def test_a_broken_handler_is_a_plain_500(
    floor: Floor, capsys: pytest.CaptureFixture[str]
) -> None:
    floor.log.fail_next("append", error=RuntimeError("the secret detail"))
    body = {"agent_id": "agent-1", "code": "Sale"}
    response = await floor.client.post("/v1/calls/c/disposition", json=body, headers=NATIVE)
    assert await problem(response) == (500, "internal")
    assert "secret" not in await response.text()
    assert "the secret detail" in "".join(capsys.readouterr())


async def test_the_log_line_has_no_secret_and_no_body(
    floor: Floor, capsys: pytest.CaptureFixture[str]
) -> None:
    body = {"agent_id": "agent-1", "code": "Sale", "comment": "a private note"}
    await floor.client.post("/v1/calls/call-77/disposition", json=body, headers=NATIVE)
    await floor.client.get("/v1/call%0d%0aX/evil-path", headers=NATIVE)
    written = "".join(capsys.readouterr())
    assert "/v1/calls/{call_id}/disposition" in written
    for secret in ("demo-key", "private", "evil-path", "call-77"):
        assert secret not in written
