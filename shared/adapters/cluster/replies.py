"""Answers on their way back to the gateway that waits, over a topic of their own.

An answer goes to the partition of its reply address; the gateway of that address reads this one
partition, from where it ended when it registered, and takes what bears its address. Best effort on
both sides: an answer that can't be sent now is never sent, for it stands in the store.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

import structlog

from shared.adapters.cluster.broker import Broker, Fetched, OutOfRange
from shared.adapters.cluster.names import Names
from shared.adapters.cluster.publisher import Publisher
from shared.contracts.envelope import CORRELATION_ID, JSON, REPLY_TO, Message, Record, reply_to_of
from shared.contracts.errors import AftercallError, Unavailable
from shared.contracts.topics import GATEWAY_REPLIES
from shared.runtime.ports import Answer, TopicPartition
from shared.runtime.profile import Deliver

ANSWERS_WAITING_MAX: Final = 16_384
FETCH_WAIT_S: Final = 0.5
RETRY_S: Final = 0.2

# CloudEvents, as on every topic.
_EVERY_ANSWER: Final = (
    ("ce_specversion", b"1.0"),
    ("ce_source", b"/aftercall/answers"),
    ("ce_type", b"request.answered"),
    ("content-type", JSON),
)

log = structlog.get_logger()


class KafkaReplies:
    """`Replies` on one cluster. `publisher` is for this alone.

    One request is under way at a time, and takes along everything that has gathered meanwhile; the
    client would not have more of them under way to one broker anyhow.

    Attributes:
        lost: how many answers were not sent, or not acknowledged.
    """

    def __init__(self, publisher: Publisher) -> None:
        self.lost = 0
        self._publisher = publisher
        self._waiting: list[Message] = []
        self._came = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def send(self, answers: Sequence[Answer]) -> None:
        """See `Replies`; returns before anything is acknowledged."""
        if len(self._waiting) + len(answers) > ANSWERS_WAITING_MAX:
            self.lost += len(answers)
            return
        self._waiting += map(_to_message, answers)
        self._came.set()
        if self._task is None:
            self._task = asyncio.ensure_future(self._run())
        await asyncio.sleep(0)  # let it begin before whatever the caller does next

    async def _run(self) -> None:
        while True:
            await self._came.wait()
            self._came.clear()
            messages, self._waiting = self._waiting, []
            try:
                await self._publisher.publish(messages)
            except AftercallError as error:
                self.lost += len(messages)
                log.warning("answers_lost", count=len(messages), error=str(error))
            except Exception:
                self.lost += len(messages)
                log.exception("answers_lost", count=len(messages))  # the next ones may go out

    async def close(self) -> None:
        """Never raises, never hangs."""
        await self._publisher.close()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})


class Listener:
    """Delivers the answers for one address. `broker` is for this alone."""

    def __init__(self, broker: Broker, names: Names, address: str, deliver: Deliver) -> None:
        self._broker = broker
        self._place = TopicPartition(GATEWAY_REPLIES, names.partition(address))
        self._address = address
        self._deliver = deliver
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listen; nothing that is sent after this returns is missed.

        Raises:
            Unavailable: the broker did not answer.
        """
        await self._broker.open()
        offset = await self._end()
        self._task = asyncio.ensure_future(self._run(offset))

    async def close(self) -> None:
        """Never raises, never hangs."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
        await self._broker.close()

    async def _end(self) -> int:
        return (await self._broker.ends([self._place]))[self._place]

    async def _run(self, offset: int) -> None:
        while True:
            try:
                fetched = await self._broker.fetch(self._place, offset, wait_s=FETCH_WAIT_S)
                offset = fetched.next
                self._take(fetched)
            except OutOfRange:  # nobody waits any more for what was sent so long ago
                offset = await self._next_end(offset)
            except Unavailable as error:
                log.warning("answers_wait", error=str(error))
                await asyncio.sleep(RETRY_S)
            except Exception:
                log.exception("answers_stand_still")  # a foreign record, until it is gone
                offset = await self._next_end(offset)

    async def _next_end(self, offset: int) -> int:
        try:
            return await self._end()
        except Unavailable:
            await asyncio.sleep(RETRY_S)
            return offset

    def _take(self, fetched: Fetched) -> None:
        answers = [answer for record in fetched.records if (answer := self._ours(record))]
        if not answers:
            return
        try:
            self._deliver(answers)
        except Exception:
            log.exception("answers_not_delivered", count=len(answers))

    def _ours(self, record: Record) -> Answer | None:
        reply_to = reply_to_of(dict(record.headers))
        if reply_to is None or reply_to.address != self._address:
            return None
        return Answer(reply_to, record.value)


def _to_message(answer: Answer) -> Message:
    address = answer.reply_to.address.encode()
    correlation_id = answer.reply_to.correlation_id.encode()
    headers = (
        *_EVERY_ANSWER,
        ("ce_id", b"%b/%b" % (address, correlation_id)),
        (REPLY_TO, address),
        (CORRELATION_ID, correlation_id),
    )
    return Message(GATEWAY_REPLIES, answer.reply_to.address, headers, answer.body)
