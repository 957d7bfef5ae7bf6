"""Both drivers behind one face: motor over PyMongo's threads, and PyMongo's asynchronous client.

Methods and arguments are the same. What differs stands here: `aggregate` gives motor a cursor at
once, and `close` blocks with motor.

What a URL might say against the promises of the ports is overruled: writes are acknowledged by a
majority and its journals, reads see only what a majority has, on the primary, and every operation
has a deadline.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Iterator, Mapping, Sequence
from inspect import isawaitable
from typing import Any, Final, Literal, Protocol, cast

import pymongo
from bson.codec_options import CodecOptions
from motor.motor_asyncio import AsyncIOMotorClient
from pymongo import AsyncMongoClient, IndexModel, ReadPreference, WriteConcern
from pymongo.errors import PyMongoError
from pymongo.read_concern import ReadConcern
from pymongo.results import BulkWriteResult

from shared.adapters.cluster.mongo_url import WHAT, UrlRefused, check_options

MongoDriver = Literal["motor", "pymongo"]
Row = dict[str, Any]

OPERATION_S: Final = 5.0  # every operation, its retries included; see `timeoutMS` of the drivers
CONNECT_S: Final = 3.0  # to connect, and to wait for a heartbeat
CLOSE_S: Final = 3.0
DATABASE: Final = "aftercall"

_CONCERNS: Final[dict[str, Any]] = {
    "write_concern": WriteConcern(w="majority", j=True),
    "read_concern": ReadConcern("majority"),
    "read_preference": ReadPreference.PRIMARY,
    "codec_options": CodecOptions[Row](),
}


class Cursor(Protocol):
    """Rows on their way."""

    def to_list(self, length: int | None) -> Awaitable[list[Row]]:
        """All of them, or this many."""
        ...


class Collection(Protocol):
    """What the adapters use of a collection; see the drivers' documentation."""

    name: str

    def find(self, wanted: Mapping[str, Any], shown: Row | None = ..., **more: Any) -> Cursor: ...  # noqa: D102
    def find_one(self, wanted: Mapping[str, Any]) -> Awaitable[Row | None]: ...  # noqa: D102
    def aggregate(  # noqa: D102
        self, pipeline: Sequence[Row], **more: Any
    ) -> Cursor | Awaitable[Cursor]: ...
    def index_information(self) -> Awaitable[Row]: ...  # noqa: D102
    def create_indexes(self, indexes: Sequence[IndexModel]) -> Awaitable[list[str]]: ...  # noqa: D102
    def drop_index(self, index_or_name: str) -> Awaitable[None]: ...  # noqa: D102
    def bulk_write(  # noqa: D102
        self, requests: Sequence[Any], *, ordered: bool
    ) -> Awaitable[BulkWriteResult]: ...


class Database(Protocol):
    """What the adapters use of a database."""

    name: str

    def __getitem__(self, name: str) -> Collection: ...

    def command(self, command: str) -> Awaitable[Row]: ...  # noqa: D102


class Connection:
    """One client of either driver, and its database.

    Raises:
        UrlRefused: see there.
    """

    def __init__(self, url: str, driver: MongoDriver) -> None:
        check_options(url)
        make: Any = AsyncIOMotorClient if driver == "motor" else AsyncMongoClient
        self._driver = driver
        with _refusing():
            self._client: Any = make(
                url,
                appname="aftercall",
                timeoutMS=int(OPERATION_S * 1000),
                serverSelectionTimeoutMS=int(OPERATION_S * 1000),
                connectTimeoutMS=int(CONNECT_S * 1000),
                retryWrites=False,  # the reason stands in the README
                retryReads=True,
            )
            name = self._client.get_default_database(DATABASE).name
        self.database = cast(Database, self._client.get_database(name, **_CONCERNS))
        self.admin = cast(Database, self._client.get_database("admin"))

    async def close(self) -> None:
        """Let go of every connection. Never raises, never hangs, whatever the server does."""
        with contextlib.suppress(PyMongoError, OSError), pymongo.timeout(CLOSE_S):
            async with asyncio.timeout(2 * CLOSE_S):
                if self._driver == "motor":
                    await asyncio.to_thread(self._client.close)
                else:
                    await self._client.close()


@contextlib.contextmanager
def _refusing() -> Iterator[None]:
    """Raise what goes wrong inside as `UrlRefused`."""
    try:
        yield
    except OSError as error:  # of TLS: a file that is no certificate, a key without its password
        raise UrlRefused(f"{WHAT}TLS as it says can't be had: {error}") from None
    except (PyMongoError, ValueError) as error:  # its text may hold a part of the password
        raise UrlRefused(f"not a URL of MongoDB: {type(error).__name__}") from None


async def bulk_written(collection: Collection, requests: Sequence[Any]) -> BulkWriteResult:
    """What a bulk of writes has done; none of them waits for another's success."""
    return await collection.bulk_write(requests, ordered=False)


async def aggregated(
    collection: Collection, pipeline: Sequence[Row], at_once: int | None = None
) -> list[Row]:
    """The rows that a pipeline gives, so many with each answer; None: 101, then all that fit."""
    cursor = collection.aggregate(pipeline, batchSize=at_once)
    if isawaitable(cursor):
        cursor = await cursor
    return await cursor.to_list(None)
