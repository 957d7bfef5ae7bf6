"""The pages of the documents in a browser that finds no host but the product."""

import html
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from services.gateway.__main__ import DIALECTS, MORE
from services.gateway.app import TABLE, build_app
from services.gateway.openapi import template
from services.gateway.sockets.documents import messages
from shared.contracts.messages import MESSAGES
from shared.contracts.topics import GATEWAY_REPLIES, TOPICS
from tests.support.chromium import chromium, page
from tests.support.parts import or_skipped
from tests.support.product import Product
from tests.unit.services.gateway.floor import Floor

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def product(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Product]:
    with or_skipped():
        chromium()
    async with Product(tmp_path_factory.mktemp("product") / "data") as started:
        yield started


def opened(shown: str) -> list[str]:
    """What stands open on the page, by its id."""
    return [html.unescape(one) for one in re.findall(r'<details id="([^"]+)" open=""', shown)]


async def test_the_page_of_the_topics_shows_each_message_and_opens_the_one_that_is_asked_for(
    product: Product, tmp_path: Path
) -> None:
    shown = page(f"{product.url}/docs/topics#calls.changed/call.changed", tmp_path)
    for name in set(TOPICS) - {GATEWAY_REPLIES}:
        assert f'<h2 id="{name}">' in shown
    for message in MESSAGES:
        assert f'<details id="{message.topic}/{message.name}"' in shown
    for said in messages():
        assert f'<details id="socket/{said}"' in shown
    assert "At <code>/v1/socket</code>." in shown
    assert opened(shown) == ["calls.changed/call.changed"]
    for what in ("wrap_up_ends_at", "ce_sequence", "date-time", "{tenant}:{call id}"):
        assert what in html.unescape(shown)
    assert "can't be shown" not in shown
    assert "undefined" not in shown


async def test_the_page_of_the_api_shows_each_route(product: Product, tmp_path: Path) -> None:
    shown = html.unescape(page(f"{product.url}/docs", tmp_path))
    for route in build_app(Floor().desk, dialects=DIALECTS, more=MORE)[TABLE]:
        assert f'id="{route.operation_id}"' in shown
        assert template(route.path) in shown
    assert "can't be shown" not in shown
