"""Databases of a test's own on a real mongod, what its commands were, and how to make it fail."""

import gc
import secrets
import warnings
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Any, Final

import pymongo
import pytest
from pymongo.monitoring import (
    CommandFailedEvent,
    CommandListener,
    CommandStartedEvent,
    CommandSucceededEvent,
)

from shared.adapters.cluster import mongo_client
from shared.adapters.cluster.mongo import Mongo, MongoDriver, open_mongo
from shared.runtime.history import Entry, OutcomeRow
from shared.runtime.letters import LetterRow
from shared.runtime.ports import Document, Index
from tests.conformance.adapters import database_url
from tests.support.parts import MongoServer

Row = dict[str, Any]

DRIVERS: Final[tuple[MongoDriver, ...]] = ("motor", "pymongo")
NOW_MS: Final = 1_795_270_000_000
KEY: Final = "demo:call-1"

both_drivers = pytest.mark.parametrize("driver", DRIVERS)


def fresh(mongo_url: str, options: str = "") -> str:
    """The URL of a database that nobody has used."""
    return database_url(mongo_url, f"t{secrets.token_hex(6)}") + options


@asynccontextmanager
async def opened(url: str, driver: MongoDriver) -> AsyncIterator[Mongo]:
    """The database as a process has it."""
    mongo = await open_mongo(url, driver)
    try:
        yield mongo
    finally:
        await mongo.close()


def collect_sockets() -> None:
    """After a server was gone: PyMongo leaves the socket of a cancelled connect to be freed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@contextmanager
def raw(url: str) -> Iterator[Any]:
    """The database as it is, without any code of ours."""
    with pymongo.MongoClient[Row](url) as client:
        yield client.get_default_database()


def call(key: str = KEY, revision: int = 1, state: bytes = b"{}", **index: Any) -> Document:
    return Document(
        collection="calls",
        key=key,
        revision=revision,
        state=state,
        watermarks={},
        sequences={},
        index=Index(**{"created_ms": NOW_MS, **index}),
    )


def entry(id: str = "e-1", **fields: Any) -> Entry:  # noqa: A002 - the field's name
    named: Row = {"tenant": "demo", "call_id": "call-1", "at_ms": NOW_MS, "rank": 0, "sequence": 0}
    return Entry(id=id, body=id.encode(), **{**named, **fields})


def outcome(call_id: str = "call-1", agent_id: str = "agent-1", **fields: Any) -> OutcomeRow:
    named: Row = {
        "tenant": "demo",
        "revision": 1,
        "code": "Sale",
        "origin": "wrap_up",
        "decided_ms": NOW_MS,
        "campaign_id": None,
        "project_id": None,
        "body": f"{call_id} {agent_id}".encode(),
    }
    return OutcomeRow(call_id=call_id, agent_id=agent_id, **{**named, **fields})


def letter(number: int = 0, **fields: Any) -> LetterRow:
    named: Row = {
        "place": f"telephony.events.dead/0/{number}",
        "tenant": "demo",
        "topic": "telephony.events",
        "at_ms": NOW_MS + number,
        "reason": "bad_data",
        "detail": "no",
        "origin": f"telephony.events/0/{number}",
        "key": "demo:one",
        "headers": (),
        "value": b"what?",
    }
    return LetterRow(**{**named, **fields})


class Heard(CommandListener):
    """Every command that was sent, in order."""

    def __init__(self) -> None:
        self.commands: list[Row] = []

    def started(self, event: CommandStartedEvent) -> None:
        self.commands.append(dict(event.command))

    def succeeded(self, event: CommandSucceededEvent) -> None:
        pass

    def failed(self, event: CommandFailedEvent) -> None:
        pass

    def names(self) -> list[str]:
        return [next(iter(command)) for command in self.commands]


def hear(monkeypatch: pytest.MonkeyPatch) -> Heard:
    """Listen to every client that is opened from now on."""
    heard = Heard()
    for name in ("AsyncIOMotorClient", "AsyncMongoClient"):
        client = getattr(mongo_client, name)
        monkeypatch.setattr(mongo_client, name, partial(client, event_listeners=[heard]))
    return heard


class FailingMongod(MongoServer):
    """A mongod that can be told to fail commands."""

    def command(self) -> list[str]:
        return [*super().command(), "--setParameter", "enableTestCommands=1"]

    @contextmanager
    def failing(self, commands: list[str], times: int | None = None, **how: Any) -> Iterator[None]:
        """These commands fail so, always or so many times; see MongoDB's `failCommand`."""
        mode: str | Row = "alwaysOn" if times is None else {"times": times}
        with pymongo.MongoClient[Row](self.url) as client:
            self._tell(client, mode, {"failCommands": commands, **how})
            try:
                yield
            finally:
                self._tell(client, "off", {})

    def _tell(
        self, client: pymongo.MongoClient[Row], mode: str | Row, data: Mapping[str, Any]
    ) -> None:
        client.admin.command("configureFailPoint", "failCommand", mode=mode, data=data)
