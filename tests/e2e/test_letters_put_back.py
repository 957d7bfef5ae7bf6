"""A dead letter is put back by whichever gateway is asked, and every one knows it at once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final
from urllib.parse import urlsplit

import pytest

from shared.adapters.clock import SystemClock
from shared.adapters.cluster.kafka import open_kafka
from shared.adapters.embedded import open_embedded
from shared.contracts.envelope import Event, Message, to_message
from shared.contracts.ids import call_key
from shared.contracts.topics import TELEPHONY_EVENTS
from shared.runtime.ports import EventLog
from tests.e2e.test_admin import ADMIN, OPERATOR, another_gateway, centre, verify
from tests.e2e.test_product import Centre
from tests.support.product import Product

__all__ = ["centre"]

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio]

LETTERS: Final = "/v1/admin/dead-letters"
SEEN_S: Final = 20.0  # tenths of a second by design; the machine may be busy


@asynccontextmanager
async def log_of(product: Product) -> AsyncIterator[EventLog]:
    """The log, for somebody who does not ask the gateway; embedded it is not served meanwhile."""
    if product.profile == "embedded":
        product.stop()
        embedded = await open_embedded(product.data_dir, SystemClock())
        try:
            yield embedded.log
        finally:
            await embedded.close()
            await product.start()
        return
    named = product.environment()
    bootstrap, prefix = named["AFTERCALL_KAFKA_BOOTSTRAP"], named["AFTERCALL_TOPIC_PREFIX"]
    kafka = await open_kafka(bootstrap, SystemClock(), prefix=prefix)
    try:
        yield kafka.log
    finally:
        await kafka.close()


def started(tenant: str) -> Message:
    event = Event(
        id="c1-1",
        source="/switch",
        type="call.started",
        subject="c1",
        time_ms=SystemClock().now_ms(),
        tenant=tenant,
        data=b'{"direction": "inbound", "did": "1"}',
    )
    return to_message(event, TELEPHONY_EVENTS, call_key(tenant, "c1"))


async def ask(
    centre: Centre,
    url: str,
    path: str,
    *,
    method: str = "GET",
    who: Any = OPERATOR,
    body: Any = None,
) -> tuple[int, Any]:
    """The answer of the admin port beside a public URL."""
    split = urlsplit(url)
    port = (split.port or 0) + 1
    asked = f"http://{split.hostname}:{port}{path}"
    async with centre.http.request(method, asked, headers=who, json=body) as answer:
        return answer.status, await answer.json()


async def letter_of(centre: Centre, reason: str) -> dict[str, Any]:
    """The letter with this reason, once it is there."""
    async with asyncio.timeout(SEEN_S):
        while True:
            _, page = await ask(centre, centre.product.url, LETTERS)
            found: list[dict[str, Any]] = [
                one for one in page["letters"] if one["reason"] == reason
            ]
            if found:
                return found[0]
            await asyncio.sleep(0.05)


async def test_a_letter_is_put_back_by_one_gateway_known_to_all_and_processed(
    centre: Centre,
) -> None:
    async with log_of(centre.product) as log:
        await log.append([started("acme")])
    letter = await letter_of(centre, "unknown_tenant")
    path, url = f"{LETTERS}/{letter['place']}", centre.product.url
    assert (await ask(centre, url, path, who=ADMIN))[0] == 404
    await ask(centre, url, "/v1/admin/tenants/acme", method="PUT")
    keys = "/v1/admin/tenants/acme/keys/own"
    _, key = await ask(centre, url, keys, method="PUT", body={"scopes": ["read"]})
    async with another_gateway(centre) as other:
        status, told = await ask(centre, url, f"{path}/put-back", method="POST")
        assert status == 200, told
        for gateway in (url, other):
            _, shown = await ask(centre, gateway, path)
            assert shown["put_back_at"] >= told["put_back_at"]
            _, page = await ask(centre, gateway, f"{LETTERS}?put_back=true")
            assert [one["place"] for one in page["letters"]] == [letter["place"]]
            status, problem = await ask(centre, gateway, f"{path}/put-back", method="POST")
            assert (status, problem["code"]) == (409, "already_put_back")
    own = {"Authorization": f"Bearer {key['secret']}"}
    async with asyncio.timeout(SEEN_S):
        while True:
            async with centre.http.get(f"{url}/v1/calls/c1", headers=own) as answer:
                if answer.status == 200:
                    break
            await asyncio.sleep(0.05)
    centre.product.kill()
    await centre.product.start()
    _, shown = await ask(centre, url, path)
    assert "put_back_at" in shown
    _, page = await ask(centre, url, f"{LETTERS}?put_back=false")
    assert page["letters"] == []
    verify(centre.product)
