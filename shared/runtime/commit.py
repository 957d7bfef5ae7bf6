"""A batch made durable step by step: documents, answers, then messages and positions."""

from collections.abc import Awaitable, Callable

from shared.runtime.ports import Batch, Consumer, StateStore


class SeparateCommit:
    """`Commit` over a log and a store that share no transaction."""

    def __init__(self, store: StateStore) -> None:
        self._store = store

    async def __call__(
        self, consumer: Consumer, batch: Batch, stored: Callable[[], Awaitable[None]]
    ) -> None:
        """Documents first: what is published later can then never be decided otherwise."""
        if batch.documents:
            await self._store.save(batch.documents)
        await stored()
        await consumer.publish_and_advance(batch.messages, batch.positions)
