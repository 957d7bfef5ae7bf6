"""Topics and a database of a measurement's own, on a broker and a store that others may share."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from pymongo import MongoClient

from shared.adapters.cluster.mongo import open_mongo
from shared.adapters.cluster.topics import apply_topics
from tests.conformance.adapters import database_url

PARTITIONS: Final = 12  # the product's default


@dataclass(frozen=True)
class Place:
    """Where something is measured.

    Attributes:
        name: of the database; with a dot behind it the prefix of the topics.
    """

    bootstrap: str
    mongo_url: str
    name: str

    @property
    def prefix(self) -> str:
        return f"{self.name}."

    @property
    def url(self) -> str:
        """Of the database."""
        return database_url(self.mongo_url, self.name)

    def beside(self, name: str) -> "Place":
        """Another one, for what is measured against it."""
        return Place(self.bootstrap, self.mongo_url, f"{self.name}-{name}")


def fresh_place(bootstrap: str, mongo_url: str) -> Place:
    """One that nobody has."""
    return Place(bootstrap, mongo_url, f"bench{secrets.token_hex(4)}")


@asynccontextmanager
async def prepared(*places: Place) -> AsyncIterator[None]:
    """Topics and indexes are there; the databases are gone afterwards."""
    for place in places:
        await apply_topics(
            place.bootstrap, partitions=PARTITIONS, replication=1, prefix=place.prefix
        )
        await (await open_mongo(place.url, "motor")).close()
    try:
        yield
    finally:
        with MongoClient[dict[str, Any]](places[0].mongo_url) as client:
            for place in places:
                client.drop_database(place.name)
