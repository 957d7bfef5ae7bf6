"""Opening a database: by several at once, one that is not ours, one that does not answer."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from shared.adapters.cluster import mongo as mongo_module
from shared.adapters.cluster.mongo import MongoDriver, StoreRefused, open_mongo
from shared.adapters.cluster.mongo_client import Connection
from shared.adapters.cluster.mongo_schema import INDEXES
from shared.adapters.cluster.mongo_url import UrlRefused
from shared.contracts.errors import Unavailable
from tests.cluster.mongo_parts import (
    DRIVERS,
    KEY,
    both_drivers,
    call,
    collect_sockets,
    fresh,
    hear,
    opened,
    outcome,
    raw,
)
from tests.support.parts import MongoServer, or_skipped
from tests.support.ports import free_ports

pytestmark = [pytest.mark.asyncio, pytest.mark.cluster]


@pytest.fixture(autouse=True)
def _sockets() -> Iterator[None]:
    yield
    collect_sockets()


async def test_several_processes_open_a_new_database_at_once(mongo_url: str) -> None:
    url = fresh(mongo_url)
    opening = [open_mongo(url, DRIVERS[n % 2]) for n in range(6)]
    several = await asyncio.gather(*opening)
    try:
        await several[0].store.save([call()])
        for one in several:
            assert list(await one.store.load("calls", [KEY])) == [KEY]
    finally:
        for one in several:
            await one.close()
    with raw(url) as database:
        for name, indexes in INDEXES.items():
            wanted = {"_id_", *(index.document["name"] for index in indexes)}
            assert set(database[name].index_information()) == wanted
        assert set(database.list_collection_names()) == {*INDEXES, "meta"}


@both_drivers
async def test_opening_again_makes_nothing_anew(
    mongo_url: str, driver: MongoDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = fresh(mongo_url)
    async with opened(url, driver):
        pass
    heard = hear(monkeypatch)
    async with opened(url, driver):
        assert "createIndexes" not in heard.names()


@both_drivers
async def test_an_index_of_an_earlier_program_is_replaced_and_it_is_said(
    mongo_url: str, driver: MongoDriver
) -> None:
    url = fresh(mongo_url)
    async with opened(url, driver) as mongo:
        await mongo.history.upsert([], [outcome()])
    with raw(url) as database:
        database.outcomes.drop_index("reported")
        database.outcomes.create_index([("tenant", 1), ("decided_ms", -1)], name="newest")
        with capture_logs() as told:
            several = await asyncio.gather(*(open_mongo(url, driver) for _ in range(3)))
        for one in several:
            await one.close()
        assert set(database.outcomes.index_information()) == {"_id_", "reported", "called_back"}
    events = {line["event"] for line in told if line.get("collection") == "outcomes"}
    assert "index_begun" in events


@both_drivers
@pytest.mark.parametrize("version", [0, 2, "1", None])
async def test_another_schema_is_refused(
    mongo_url: str, driver: MongoDriver, version: object
) -> None:
    url = fresh(mongo_url)
    with raw(url) as database:
        database.meta.insert_one({"_id": "schema", "version": version})
        with pytest.raises(StoreRefused, match=f"schema {version}"):
            await open_mongo(url, driver)
        assert database.list_collection_names() == ["meta"]


@both_drivers
async def test_an_index_of_another_form_is_refused(mongo_url: str, driver: MongoDriver) -> None:
    url = fresh(mongo_url)
    with raw(url) as database:
        (call_index, _) = INDEXES["history"]
        database.history.create_index(list(call_index.document["key"].items()), name="by hand")
        with pytest.raises(StoreRefused, match="index"):
            await open_mongo(url, driver)


class Standalone(MongoServer):
    """A mongod that is a member of nothing."""

    def command(self) -> list[str]:
        given = super().command()
        at = given.index("--replSet")
        return given[:at] + given[at + 2 :]

    def answers(self) -> bool:
        with raw(f"mongodb://127.0.0.1:{self.port}/x?serverSelectionTimeoutMS=1000") as database:
            try:
                return bool(database.command("hello")["isWritablePrimary"])
            except Exception:  # noqa: BLE001 - not yet
                return False


async def test_a_server_without_a_replica_set_is_refused(tmp_path: Path) -> None:
    with or_skipped():
        alone = Standalone(tmp_path)
    alone.start()
    try:
        for driver in DRIVERS:
            with pytest.raises(StoreRefused, match="replica set"):
                await open_mongo(f"mongodb://127.0.0.1:{alone.port}/x", driver)
    finally:
        alone.end()


@both_drivers
@pytest.mark.parametrize(
    "url",
    [
        "",
        "postgres://secret@127.0.0.1/x",
        "mongodb://user:secret/more@127.0.0.1/x",
        "mongodb://user:secret@127.0.0.1:port/x",
        "mongodb://127.0.0.1/a b",
        "mongodb://user:secret@127.0.0.1/x?w=0&journal=true",
    ],
)
async def test_what_is_no_url_is_refused_without_repeating_it(
    driver: MongoDriver, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mongo_module, "START_S", 0.0)
    with pytest.raises(UrlRefused) as refused:
        await open_mongo(url, driver)
    assert "secret" not in repr(refused.value)


async def test_where_nobody_listens_opening_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mongo_module, "START_S", 1.0)
    (port,) = free_ports(1)
    url = f"mongodb://127.0.0.1:{port}/x?replicaSet=rs0"
    before = time.monotonic()
    told = await asyncio.gather(
        *(open_mongo(url, driver) for driver in DRIVERS), return_exceptions=True
    )
    assert [type(error) for error in told] == [Unavailable] * 2
    assert time.monotonic() - before < 20


@both_drivers
async def test_a_primary_that_comes_late_is_waited_for(driver: MongoDriver, tmp_path: Path) -> None:
    with or_skipped():
        mongod = MongoServer(tmp_path)
    opening = asyncio.create_task(open_mongo(mongod.url, driver))
    try:
        await asyncio.sleep(0.5)
        assert not opening.done()
        mongod.spawn()  # by this thread: a process of another ends with that thread
        await asyncio.to_thread(mongod.wait)
        mongo = await opening
        await mongo.ping()
        await mongo.close()
    finally:
        mongod.end()


@both_drivers
@pytest.mark.parametrize(
    ("path", "name"), [("", "aftercall"), ("/", "aftercall"), ("/?w=1", "aftercall"), ("/x", "x")]
)
async def test_a_url_without_a_database_means_ours(
    driver: MongoDriver, path: str, name: str
) -> None:
    connection = Connection(f"mongodb://127.0.0.1{path}", driver)
    try:
        assert connection.database.name == name
    finally:
        await connection.close()
