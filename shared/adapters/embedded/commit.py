"""A batch made durable in one transaction: documents, messages and positions together.

Documents are written without their outbox: the effects stand in the log by the same commit, so
there is never one that is stored and not yet published.
"""

import sqlite3
from collections.abc import Awaitable, Callable

from msgspec.structs import replace

from shared.adapters.embedded.engine import SqliteEngine
from shared.adapters.embedded.log import SqliteConsumer
from shared.adapters.embedded.store import save_in
from shared.contracts.envelope import Record
from shared.contracts.errors import Bug
from shared.runtime.ports import Batch, Consumer


class SqliteCommit:
    """`Commit` for a log and a store on the same engine."""

    def __init__(self, engine: SqliteEngine) -> None:
        self._engine = engine

    async def __call__(
        self, consumer: Consumer, batch: Batch, stored: Callable[[], Awaitable[None]]
    ) -> None:
        """See `Commit`; after a crash inside, all of the batch stands or none.

        Raises:
            WriteConflict, Unavailable: as the store does; nothing of the batch was written, unless
                `Unavailable` came with a failing disk.
            Bug: the consumer is of another log.
        """
        if not isinstance(consumer, SqliteConsumer):
            raise Bug("one transaction needs a consumer of the same file")
        documents = tuple(replace(document, outbox=b"") for document in batch.documents)

        def write(connection: sqlite3.Connection) -> list[Record]:
            save_in(connection, documents)
            return consumer.publish_in(connection, batch.messages, batch.positions)

        await self._engine.write(write, lambda records: consumer.show(records, batch.positions))
        await stored()
