"""Answers on their way out, over a publisher that does not do what it says."""

import asyncio
from collections.abc import Sequence
from typing import cast

import pytest

from shared.adapters.cluster.publisher import Publisher
from shared.adapters.cluster.replies import KafkaReplies
from shared.contracts.envelope import Message, ReplyTo
from shared.runtime.ports import Answer


class Stumbling:
    """A publisher that fails once with what nobody has foreseen."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self._stumbled = False

    async def publish(self, messages: Sequence[Message]) -> None:
        if not self._stumbled:
            self._stumbled = True
            raise RuntimeError("not among the client's errors")
        self.bodies += [message.value for message in messages]

    async def close(self) -> None:
        """Nothing is open."""


@pytest.mark.asyncio
async def test_an_error_of_any_kind_costs_the_answers_it_met_and_no_later_ones() -> None:
    publisher = Stumbling()
    replies = KafkaReplies(cast(Publisher, publisher))
    await replies.send([Answer(ReplyTo("gateway", "1"), b"first")])
    async with asyncio.timeout(3):
        while replies.lost == 0:
            await asyncio.sleep(0)
        await replies.send([Answer(ReplyTo("gateway", "2"), b"second")])
        while not publisher.bodies:
            await asyncio.sleep(0)
    assert publisher.bodies == [b"second"]
    assert replies.lost == 1
    await replies.close()
