"""The official AsyncAPI parser reads what the product as a process serves as /asyncapi.json."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest

from services.gateway.asyncapi import Layout, asyncapi
from shared.contracts.topics import GATEWAY_REPLIES, TOPICS
from tests.support.asyncapi_parser import node, parse
from tests.support.parts import or_skipped
from tests.support.product import Product

pytestmark = pytest.mark.e2e

SOCKET: Final = "/v1/socket"


@pytest.fixture(autouse=True, scope="module")
def _parser() -> None:
    with or_skipped():
        node()


@pytest.mark.asyncio
async def test_it_has_nothing_to_say_against_what_the_product_serves(tmp_path: Path) -> None:
    async with Product(tmp_path / "data") as product, aiohttp.ClientSession() as http:
        async with http.get(f"{product.url}/asyncapi.json") as answer:
            served = json.loads(await answer.read())
        async with http.get(f"{product.url}/docs/topics") as answer:
            assert answer.status == 200
    named = asyncapi(Layout("cluster", "eu.", 48))
    one, other = parse([served, named])
    assert (one.said, other.said) == ((), ())
    assert one.channels is not None
    assert other.channels is not None
    assert set(TOPICS) - {GATEWAY_REPLIES} <= set(one.channels)
    topics = [address for address in one.channels if address != SOCKET]
    assert other.channels == (*(f"eu.{address}" for address in topics), SOCKET)


def without_title(document: dict[str, Any]) -> None:
    del document["info"]["title"]


def lost_message(document: dict[str, Any]) -> None:
    del document["components"]["messages"]["call.changed"]


def wrong_binding(document: dict[str, Any]) -> None:
    document["channels"]["calls.changed"]["bindings"]["kafka"]["partitions"] = 0


def wrong_socket(document: dict[str, Any]) -> None:
    document["channels"]["socket"]["bindings"]["ws"]["method"] = "PUT"


def wrong_schema(document: dict[str, Any]) -> None:
    document["components"]["schemas"]["CallChanged"]["type"] = "map"


BREAKS: Final[tuple[Callable[[dict[str, Any]], None], ...]] = (
    without_title,
    lost_message,
    wrong_binding,
    wrong_socket,
    wrong_schema,
)


def test_it_would_have_something_to_say() -> None:
    """Not of examples, which it does not look at: see the gateway's own tests."""
    documents = []
    for spoil in BREAKS:
        documents.append(copy.deepcopy(asyncapi()))
        spoil(documents[-1])
    for spoil, parsed in zip(BREAKS, parse(documents), strict=True):
        assert any(one["severity"] == 0 for one in parsed.said), spoil.__name__
