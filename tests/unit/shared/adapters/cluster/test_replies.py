"""Answers on their way out, over a publisher that does not do what it says."""

import asyncio
from collections.abc import Sequence
from typing import cast

import pytest
from cloudevents.core.bindings.kafka import KafkaMessage, from_binary
from cloudevents.core.formats.json import JSONFormat

from shared.adapters.cluster.publisher import Publisher
from shared.adapters.cluster.replies import KafkaReplies
from shared.contracts.envelope import Message, ReplyTo
from shared.runtime.ports import Answer


class Stumbling:
    """A publisher that fails once with what nobody has foreseen."""

    def __init__(self, *, stumbled: bool = False) -> None:
        self.sent: list[Message] = []
        self._stumbled = stumbled

    async def publish(self, messages: Sequence[Message]) -> None:
        if not self._stumbled:
            self._stumbled = True
            raise RuntimeError("not among the client's errors")
        self.sent += messages

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
        while not publisher.sent:
            await asyncio.sleep(0)
    assert [message.value for message in publisher.sent] == [b"second"]
    assert replies.lost == 1
    await replies.close()


@pytest.mark.asyncio
async def test_an_answer_is_a_cloudevent_of_its_own() -> None:
    publisher = Stumbling(stumbled=True)
    replies = KafkaReplies(cast(Publisher, publisher))
    await replies.send(
        [Answer(ReplyTo("gateway", "1"), b"{}"), Answer(ReplyTo("other", "1"), b"{}")]
    )
    async with asyncio.timeout(3):
        while not publisher.sent:
            await asyncio.sleep(0)
    await replies.close()
    read = [
        from_binary(KafkaMessage(dict(one.headers), one.key.encode(), one.value), JSONFormat())
        for one in publisher.sent
    ]
    assert [event.get_type() for event in read] == ["request.answered"] * 2
    assert len({(event.get_source(), event.get_id()) for event in read}) == 2
