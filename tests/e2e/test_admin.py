"""A centre is changed while it runs: keys, codes, agents, a tenant; felt by every process."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest
import pytest_asyncio

from tests.e2e.test_documents_hold import Client, asking, config, run
from tests.e2e.test_product import PROFILES, Centre
from tests.support.ports import free_port
from tests.support.product import DEMO_TENANTS, ROOT, ClusterProduct, Product

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio]

ADMIN: Final = {"Authorization": "Bearer demo-admin-key"}
OPERATOR: Final = {"Authorization": "Bearer the-operators-own-key"}
FOLLOWED_S: Final = 10.0  # a second by design; the machine may be busy
SETTINGS: Final[dict[str, Any]] = {
    "demo_wrap_up_s": 30,
    "operator_sha256": sha256(b"the-operators-own-key").hexdigest(),
}


@pytest_asyncio.fixture(params=PROFILES)
async def centre(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Centre]:
    product: Product
    if request.param == "embedded":
        product = Product(tmp_path / "data", **SETTINGS)
    else:
        parts = (request.getfixturevalue("kafka"), request.getfixturevalue("mongo_url"))
        product = ClusterProduct(tmp_path / "data", parts[0], parts[1], **SETTINGS)
    async with product, aiohttp.ClientSession() as http:
        yield Centre(product, http)


async def admin(
    centre: Centre, method: str, path: str, body: Any = None, who: dict[str, str] = ADMIN
) -> Any:
    url = f"{centre.product.admin_url}/v1/admin/tenants{path}"
    async with centre.http.request(method, url, headers=who, json=body) as answer:
        assert answer.status in (200, 201, 204), await answer.text()
        return await answer.json() if answer.status != 204 else None


async def status(centre: Centre, secret: str, url: str = "") -> int:
    headers = {"Authorization": f"Bearer {secret}"}
    async with centre.http.get(f"{url or centre.product.url}/v1/codes", headers=headers) as answer:
        return answer.status


async def until(centre: Centre, secret: str, wanted: int, url: str) -> None:
    async with asyncio.timeout(FOLLOWED_S):
        while await status(centre, secret, url) != wanted:
            await asyncio.sleep(0.05)


@asynccontextmanager
async def another_gateway(centre: Centre) -> AsyncIterator[str]:
    """The URL of a second gateway; of the embedded profile, which has one, that one's own."""
    if centre.product.profile == "embedded":
        yield centre.product.url
        return
    port = free_port()
    named = {"AFTERCALL_PORT": str(port), "AFTERCALL_ADMIN_PORT": str(port + 1)}
    process = subprocess.Popen(
        [sys.executable, "-m", "services.cli", "gateway"],
        cwd=ROOT,
        env=centre.product.environment() | named,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(60):
            while True:
                try:
                    if await status(centre, "demo-key", f"http://127.0.0.1:{port}") == 200:
                        break
                except aiohttp.ClientError:
                    await asyncio.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


async def test_a_key_is_made_used_rotated_and_revoked_on_every_gateway(centre: Centre) -> None:
    async with another_gateway(centre) as other:
        key = await admin(centre, "PUT", "/demo/keys/crm", {"scopes": ["read"]})
        assert await status(centre, key["secret"]) == 200
        await until(centre, key["secret"], 200, other)
        fresh = await admin(centre, "POST", "/demo/keys/crm/rotate", {"grace_s": 3600})
        assert await status(centre, fresh["secret"]) == 200
        await until(centre, fresh["secret"], 200, other)
        for url in (centre.product.url, other):
            assert await status(centre, key["secret"], url) == 200
        await admin(centre, "DELETE", "/demo/keys/crm")
        for secret in (key["secret"], fresh["secret"]):
            assert await status(centre, secret) == 401
            await until(centre, secret, 401, other)


async def test_codes_agents_and_rules_hold_from_then_on_and_after_a_restart(
    centre: Centre,
) -> None:
    await admin(centre, "PUT", "/demo/codes/Later", {"id": 77})
    await admin(centre, "PUT", "/demo/agents/agent-77", {"password": "first-secret"})
    await admin(centre, "PATCH", "/demo", {"wrap_up": {"seconds": 600}})
    await asyncio.sleep(3)  # for callstate, whose knowledge shows by the calls alone
    await centre.talk("c1", agent="agent-77")
    assert (await centre.dispose("c1", "agent-77", "Later"))["outcome"] == "queued"
    await centre.tell("c1", "call.disconnected", by="caller")
    agent = await centre.agent("c1")
    assert (agent["phase"], agent["disposition"]["code"]) == ("wrap_up", "Later")
    headers = {"Authorization": aiohttp.encode_basic_auth("agent-77", "first-secret")}
    async with centre.http.get(f"{centre.product.url}/api/v2/me", headers=headers) as answer:
        assert answer.status == 200
    centre.product.kill()
    await centre.product.start()
    codes = (await centre.get("/v1/codes"))["codes"]
    assert "Later" in [code["code"] for code in codes]
    verify(centre.product)


async def test_a_record_that_was_named_is_found_by_its_fields(centre: Centre) -> None:
    body = {"data": {"name": "Ada Lovelace"}}
    known = await admin(centre, "PUT", "/demo/subjects/record/4711?within=17", body)
    assert known["data"] == body["data"]
    headers = {"Authorization": aiohttp.encode_basic_auth("demo", "demo-key")}
    url = f"{centre.product.url}/v2/projects/17/records/dispositions"
    element = {"search": {"name": "Ada Lovelace"}, "dispositionid": 1}
    async with centre.http.put(url, headers=headers, json={"elements": [element]}) as answer:
        found = await answer.json(content_type=None)
    assert found["response"] == {"0": True}, found
    verify(centre.product)


async def test_a_tenant_is_made_and_its_first_call_is_no_dead_letter(centre: Centre) -> None:
    await admin(centre, "PUT", "/acme", {"name": "Acme"}, OPERATOR)
    await admin(centre, "PUT", "/acme/codes/Sold", {}, OPERATOR)
    scopes = ["events:write", "disposition:write", "read"]
    key = await admin(centre, "PUT", "/acme/keys/all", {"scopes": scopes}, OPERATOR)
    own = {"Authorization": f"Bearer {key['secret']}"}
    event = {
        "specversion": "1.0",
        "id": "1",
        "source": "/switch",
        "type": "call.agent_joined",
        "subject": "c1",
        "data": {"agent_id": "ada"},
    }
    headers = own | {"Content-Type": "application/cloudevents+json"}
    url = f"{centre.product.url}/v1/events"
    async with centre.http.post(url, headers=headers, json=event) as answer:
        assert (await answer.json())["results"][0]["outcome"] == "applied"
    url = f"{centre.product.url}/v1/calls/c1/disposition"
    said = {"agent_id": "ada", "code": "Sold"}
    async with centre.http.post(url, headers=own, json=said) as answer:
        assert (await answer.json())["outcome"] == "queued"


async def test_the_documents_of_the_admin_port_hold(tmp_path: Path) -> None:
    """Requests made of /openapi.json, good ones and bad; whatever comes of it starts again."""
    async with Product(tmp_path / "data", **SETTINGS) as product:
        # Whether an item may be changed so depends on those that there are: no schema says so.
        client = Client("^/v1/admin", OPERATOR, not_taken=(422,))
        file = tmp_path / "schemathesis.toml"
        file.write_text(config(client), "utf-8")
        command = asking(product.admin_url, client, file)
        assert await asyncio.to_thread(run, command, tmp_path) is None
        said = product.log_path.read_text()
        assert "Traceback" not in said
        assert '"level": "error"' not in said
        product.stop()
        await product.start()


def verify(product: Product) -> None:
    """What was changed meanwhile, decides nothing anew: all folds as it was told."""
    product.stop()
    environment = product.environment() | {"AFTERCALL_TENANTS_FILE": str(DEMO_TENANTS)}
    checked = subprocess.run(
        [sys.executable, "-m", "services.cli", "verify"],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
