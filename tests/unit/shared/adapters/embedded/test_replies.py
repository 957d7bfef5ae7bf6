"""Answers within one process."""

import pytest

from shared.adapters.embedded.replies import LocalReplies
from shared.contracts.envelope import ReplyTo
from shared.runtime.ports import Answer

pytestmark = pytest.mark.asyncio


def answer(address: str, number: int) -> Answer:
    return Answer(ReplyTo(address, f"{number}"), b"{}")


async def test_answers_go_to_their_address_in_order() -> None:
    replies = LocalReplies()
    first: list[Answer] = []
    second: list[Answer] = []
    replies.register("gateway-1", first.extend)
    replies.register("gateway-2", second.extend)
    sent = [answer("gateway-1", 1), answer("gateway-2", 2), answer("gateway-1", 3)]
    await replies.send(sent)
    assert (first, second) == ([sent[0], sent[2]], [sent[1]])


async def test_an_address_that_is_gone_holds_nobody_up() -> None:
    replies = LocalReplies()
    heard: list[Answer] = []
    replies.register("gateway-1", heard.extend)
    replies.register("gateway-2", heard.extend)
    replies.unregister("gateway-1")
    replies.unregister("gateway-1")
    sent = [answer("gateway-1", 1), answer("nowhere", 2), answer("gateway-2", 3)]
    await replies.send(sent)
    await replies.send([])
    assert heard == [sent[2]]
