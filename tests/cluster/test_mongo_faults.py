"""A store that is killed, frozen, deposed or told to fail: nothing acknowledged is lost."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pymongo
import pymongo.errors
import pytest

from shared.adapters.cluster import history
from shared.adapters.cluster.history import REACH_S
from shared.adapters.cluster.mongo import Mongo, MongoDriver
from shared.adapters.cluster.mongo_client import OPERATION_S
from shared.contracts.errors import Bug, TooLong, Unavailable, WriteConflict
from shared.runtime.ports import Document
from tests.cluster.mongo_parts import (
    DRIVERS,
    KEY,
    NOW_MS,
    FailingMongod,
    both_drivers,
    call,
    collect_sockets,
    entry,
    fresh,
    letter,
    opened,
    outcome,
    raw,
)
from tests.support.parts import or_skipped

pytestmark = [pytest.mark.asyncio, pytest.mark.cluster]

SPAN: dict[str, Any] = {"from_ms": 0, "to_ms": NOW_MS * 2}


@pytest.fixture(autouse=True)
def _sockets() -> Iterator[None]:
    yield
    collect_sockets()


@pytest.fixture(scope="module")
def _mongod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FailingMongod]:
    with or_skipped():
        mongod = FailingMongod(tmp_path_factory.mktemp("mongod"))
    mongod.start()
    try:
        yield mongod
    finally:
        mongod.end()


@pytest.fixture
def mongod(_mongod: FailingMongod) -> FailingMongod:
    """One of the module's own, running; whatever the test before did to it."""
    assert _mongod.process is not None
    if _mongod.process.poll() is not None:
        _mongod.start()
    _mongod.thaw()
    return _mongod


@asynccontextmanager
async def by_each(mongod: FailingMongod, options: str = "") -> AsyncIterator[list[Mongo]]:
    """One database, opened by each driver."""
    url = fresh(mongod.url, options)
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(opened(url, driver)) for driver in DRIVERS]


class Writer:
    """Writes one document again and again, and knows which revision was acknowledged last."""

    def __init__(self, mongo: Mongo, key: str) -> None:
        self._mongo = mongo
        self.key = key
        self.acknowledged = 0
        self.unknown = 0

    def document(self, revision: int) -> Document:
        return call(self.key, revision=revision, state=f"{self.key} {revision}".encode())

    async def run(self, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            try:
                await self._mongo.store.save([self.document(self.acknowledged + 1)])
            except Unavailable:
                self.unknown += 1
                await self.find_out()
            except WriteConflict:  # with itself: what was unknown landed after it was looked for
                assert self.unknown
                await self.find_out()
            else:
                self.acknowledged += 1

    async def find_out(self) -> None:
        standing = await self.standing()
        assert self.acknowledged <= standing <= self.acknowledged + 1
        self.acknowledged = standing

    async def standing(self) -> int:
        """The revision that the store has, once it answers again."""
        while True:
            try:
                found = await self._mongo.store.load("calls", [self.key])
            except Unavailable:
                await asyncio.sleep(0.05)
            else:
                return found[self.key].revision if found else 0


async def written_while(stores: list[Mongo], happening: Callable[[], Awaitable[None]]) -> int:
    """Many write while something happens to the store; nothing acknowledged may be lost.

    Returns how many writes had no outcome that was told.
    """
    writers = [Writer(stores[n % 2], f"demo:{n}") for n in range(8)]
    stopping = asyncio.Event()
    running = [asyncio.create_task(writer.run(stopping)) for writer in writers]
    await asyncio.sleep(0.3)
    await happening()
    before = [writer.acknowledged for writer in writers]
    await asyncio.sleep(0.3)
    stopping.set()
    await asyncio.gather(*running)
    assert all(before)
    for writer in writers:
        (stored,) = (await stores[0].store.load("calls", [writer.key])).values()
        assert stored == writer.document(writer.acknowledged)
    return sum(writer.unknown for writer in writers)


@pytest.mark.parametrize("midway", [False, True])
async def test_killed_under_writes_it_loses_nothing_that_it_acknowledged(
    mongod: FailingMongod, *, midway: bool
) -> None:
    async with by_each(mongod) as stores:

        async def kill() -> None:
            if midway:  # every writer surely has sent a write that has no answer yet
                mongod.freeze()
                await asyncio.sleep(0.3)
            mongod.kill()
            await asyncio.sleep(0.2)
            mongod.spawn()  # by this thread: a process of another ends with that thread
            await asyncio.to_thread(mongod.wait)
            for store in stores:
                await answering(store)

        unknown = await written_while(stores, kill)
        assert unknown or not midway


async def test_deposed_under_writes_it_loses_nothing_that_it_acknowledged(
    mongod: FailingMongod,
) -> None:
    async with by_each(mongod) as stores:

        async def depose() -> None:
            with pymongo.MongoClient[dict[str, Any]](mongod.url) as client:
                client.admin.command("replSetStepDown", 1, secondaryCatchUpPeriodSecs=0, force=True)
            for store in stores:
                await answering(store)

        await written_while(stores, depose)


async def answering(mongo: Mongo) -> None:
    async with asyncio.timeout(60):
        while True:
            try:
                return await mongo.ping()
            except Unavailable:
                await asyncio.sleep(0.05)


async def test_frozen_it_is_unavailable_in_time_for_everyone(mongod: FailingMongod) -> None:
    """More ask than there are connections, or threads of motor's."""
    questions: list[Callable[[Mongo], Awaitable[object]]] = [
        lambda m: m.store.save([call(revision=2)]),
        lambda m: m.history.upsert([entry("e-2")], [outcome("call-2")]),
        lambda m: m.store.find("calls", "demo"),
        lambda m: m.store.due("calls", NOW_MS),
        lambda m: m.history.entries("demo", "call-1"),
        lambda m: m.history.outcomes("demo", **SPAN),
        lambda m: m.history.counts("demo", group_by=["code"], **SPAN),
        lambda m: m.letters.keep([letter()], {letter().place: NOW_MS}),
        lambda m: m.letters.page(None),
        lambda m: m.letters.letter(letter().place),
        lambda m: m.letters.expire(NOW_MS),
        lambda m: m.remember_ends({"a": 1}),
        *[lambda m: m.store.load("calls", [KEY])] * 40,
    ]
    async with by_each(mongod, "&maxPoolSize=3") as stores:
        await stores[0].store.save([call()])
        await stores[1].store.load("calls", [KEY])
        mongod.freeze()
        before = time.monotonic()
        pings = await asyncio.gather(*(s.ping() for s in stores), return_exceptions=True)
        pinged_s = time.monotonic() - before
        told = await asyncio.gather(
            *(ask(store) for ask in questions for store in stores), return_exceptions=True
        )
        took_s = time.monotonic() - before - pinged_s
        mongod.thaw()
        assert [type(error) for error in (*pings, *told)] == [Unavailable] * (len(told) + 2)
        assert pinged_s < OPERATION_S
        assert took_s < 3 * OPERATION_S  # as long as one of them may take, on a busy machine
        for store in stores:
            await answering(store)


@both_drivers
async def test_of_a_store_that_is_away_a_report_hears_as_soon_as_any_read(
    mongod: FailingMongod, driver: MongoDriver
) -> None:
    async with opened(fresh(mongod.url), driver) as mongo:
        await mongo.history.outcomes("demo", **SPAN)
        mongod.kill()
        for ask in (
            mongo.history.outcomes("demo", **SPAN),
            mongo.history.counts("demo", group_by=["code"], **SPAN),
        ):
            before = time.monotonic()
            with pytest.raises(Unavailable):
                await ask
            assert time.monotonic() - before < 2 * REACH_S


@both_drivers
async def test_a_report_that_has_had_its_time_is_too_long(
    mongod: FailingMongod, driver: MongoDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "REPORT_S", 2.0)
    async with opened(fresh(mongod.url), driver) as mongo:
        await mongo.history.outcomes("demo", **SPAN)
        for command, ask in (
            ("find", mongo.history.outcomes("demo", **SPAN)),
            ("aggregate", mongo.history.counts("demo", group_by=["code"], **SPAN)),
        ):
            blocked = mongod.failing([command], blockConnection=True, blockTimeMS=6_000)
            with blocked, pytest.raises(TooLong):
                await ask
        with mongod.failing(["aggregate"], errorCode=1):  # at once: not for its length
            with pytest.raises(Unavailable) as refused:
                await mongo.history.counts("demo", group_by=["code"], **SPAN)
            assert type(refused.value) is Unavailable


async def test_a_late_write_and_its_rival_never_both_stand(mongod: FailingMongod) -> None:
    async with by_each(mongod) as stores:
        keys = [f"demo:{n}" for n in range(20)]
        await stores[0].store.save([call(key) for key in keys])
        for store in stores:
            await answering(store)
        mongod.freeze()
        late = await asyncio.gather(
            *(
                stores[n].store.save([call(key, revision=2, state=b"late") for key in keys[n::2]])
                for n in range(2)
            ),
            return_exceptions=True,
        )
        assert [type(error) for error in late] == [Unavailable] * 2
        mongod.thaw()
        at_once = await asyncio.gather(
            *(rival(stores[1 - n % 2], key) for n, key in enumerate(keys[:10]))
        )
        await asyncio.sleep(1)  # whatever is still on its way lands now
        landed = await stores[0].store.load("calls", keys[10:])
        later = await asyncio.gather(
            *(rival(stores[n % 2], key) for n, key in enumerate(keys[10:]))
        )
        assert later == [landed[key].revision == 1 for key in keys[10:]]
        assert not all(later)  # else none had landed late, and nothing was shown
        found = await stores[0].store.load("calls", keys)
        states = [(found[key].revision, found[key].state) for key in keys]
        assert states == [(2, b"rival" if won else b"late") for won in (*at_once, *later)]


async def rival(mongo: Mongo, key: str) -> bool:
    """Write the same revision; whether that was acknowledged and not refused."""
    while True:
        try:
            await mongo.store.save([call(key, revision=2, state=b"rival")])
        except WriteConflict:
            (stored,) = (await mongo.store.load("calls", [key])).values()
            return stored.state == b"rival"
        except Unavailable:
            continue
        return True


@both_drivers
async def test_who_is_cancelled_in_a_write_learns_it_once_the_write_has_landed(
    mongod: FailingMongod, driver: MongoDriver
) -> None:
    async with opened(fresh(mongod.url), driver) as mongo:
        with mongod.failing(["insert"], times=1, blockConnection=True, blockTimeMS=700):
            saving = asyncio.create_task(mongo.store.save([call()]))
            await asyncio.sleep(0.2)
            saving.cancel()
            with pytest.raises(asyncio.CancelledError):
                await saving
            assert list(await mongo.store.load("calls", [KEY])) == [KEY]


@both_drivers
async def test_who_is_cancelled_twice_waits_no_longer_and_the_write_still_lands(
    mongod: FailingMongod, driver: MongoDriver
) -> None:
    async with opened(fresh(mongod.url), driver) as mongo:
        with mongod.failing(["insert"], times=1, blockConnection=True, blockTimeMS=900):
            saving = asyncio.create_task(mongo.store.save([call()]))
            for _ in range(2):
                await asyncio.sleep(0.2)
                assert not saving.done()
                saving.cancel()
            with pytest.raises(asyncio.CancelledError):
                await saving
            assert await mongo.store.load("calls", [KEY]) == {}
            await asyncio.sleep(1)
            assert list(await mongo.store.load("calls", [KEY])) == [KEY]


@both_drivers
async def test_closing_waits_for_a_write_under_way(
    mongod: FailingMongod, driver: MongoDriver
) -> None:
    url = fresh(mongod.url)
    async with opened(url, driver) as mongo:
        with mongod.failing(["insert"], times=1, blockConnection=True, blockTimeMS=700):
            saving = asyncio.create_task(mongo.store.save([call()]))
            await asyncio.sleep(0.2)
            await mongo.close()
            await saving
    with raw(url) as database:
        assert database.calls.count_documents({}) == 1


async def test_closing_ends_while_the_server_is_frozen(mongod: FailingMongod) -> None:
    async with by_each(mongod) as stores:
        await stores[0].store.save([call()])
        await stores[1].ping()
        mongod.freeze()
        before = time.monotonic()
        saving = [asyncio.create_task(s.store.save([call(revision=2)])) for s in stores]
        await asyncio.sleep(0)
        await asyncio.gather(*(store.close() for store in stores))
        assert time.monotonic() - before < 3 * OPERATION_S
        told = await asyncio.gather(*saving, return_exceptions=True)
        assert [type(error) for error in told] == [Unavailable] * 2
        mongod.thaw()


Failing = dict[str, Any]

READS: list[Callable[[Mongo], Awaitable[object]]] = [
    lambda m: m.store.load("calls", [KEY]),
    lambda m: m.store.find("calls", "demo"),
    lambda m: m.store.due("calls", NOW_MS),
    lambda m: m.history.entries("demo", "call-1"),
    lambda m: m.history.of_request("demo", "r-1"),
    lambda m: m.history.outcomes("demo", **SPAN),
    lambda m: m.history.counts("demo", group_by=["code"], **SPAN),
    lambda m: m.remembered_ends(),
    lambda m: m.ping(),
]
WRITES: list[Callable[[Mongo], Awaitable[object]]] = [
    lambda m: m.store.save([call()]),
    lambda m: m.store.save([call(revision=2)]),
    lambda m: m.history.upsert([entry()], []),
    lambda m: m.history.upsert([], [outcome()]),
    lambda m: m.remember_ends({"a": 1}),
]


async def errors_of(mongo: Mongo, *calls: Callable[[Mongo], Awaitable[object]]) -> set[object]:
    """What is raised; with a shorter deadline than usual, for reads are tried again until then."""
    with pymongo.timeout(0.5):
        told = await asyncio.gather(*(ask(mongo) for ask in calls), return_exceptions=True)
    return {type(error) for error in told}


@both_drivers
@pytest.mark.parametrize(
    "how",
    [
        {"closeConnection": True},
        *({"errorCode": code} for code in (10107, 91, 11600, 262, 50, 43, 112, 13, 14031)),
    ],
    ids=str,
)
async def test_whatever_fails_on_the_server_is_unavailable(
    mongod: FailingMongod, driver: MongoDriver, how: Failing
) -> None:
    async with opened(fresh(mongod.url), driver) as mongo:
        with mongod.failing(["find", "aggregate", "insert", "update"], **how):
            assert await errors_of(mongo, *READS, *WRITES) == {Unavailable}


@both_drivers
@pytest.mark.parametrize("how", [{"errorCode": 2}, {"errorCode": 10334}], ids=str)
async def test_what_the_server_does_not_understand_is_a_bug(
    mongod: FailingMongod, driver: MongoDriver, how: Failing
) -> None:
    async with opened(fresh(mongod.url), driver) as mongo:
        with mongod.failing(["find", "aggregate", "insert", "update"], **how):
            assert await errors_of(mongo, *READS, *WRITES) == {Bug}


@both_drivers
@pytest.mark.parametrize("code", [64, 91, 100])
async def test_a_write_that_no_majority_vouches_for_is_unknown_even_beside_a_conflict(
    mongod: FailingMongod, driver: MongoDriver, code: int
) -> None:
    failed: Failing = {"writeConcernError": {"code": code, "errmsg": "no majority"}}
    url = fresh(mongod.url)
    async with opened(url, driver) as mongo:
        await mongo.store.save([call("demo:stands")])
        with mongod.failing(["insert", "update"], **failed):
            assert await errors_of(mongo, *WRITES) == {Unavailable}
            with pytest.raises(Unavailable, match="majority"):
                await mongo.store.save([call("demo:stands"), call("demo:new")])
    with raw(url) as database:
        assert database.calls.count_documents({"_id": "demo:new"}) == 1


@both_drivers
async def test_a_read_survives_a_connection_that_breaks_once(
    mongod: FailingMongod, driver: MongoDriver
) -> None:
    async with opened(fresh(mongod.url), driver) as mongo:
        await mongo.store.save([call()])
        with mongod.failing(["find"], times=1, closeConnection=True):
            assert list(await mongo.store.load("calls", [KEY])) == [KEY]
