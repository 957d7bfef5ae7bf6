"""`aftercall verify` on real parts: a shift at rest, services at work or stuck, broken things."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast

import aiokafka
import pytest
import pytest_asyncio
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from msgspec.structs import replace

from services.callstate.topology import CallstateTopology
from services.cli.verify.checks import CHECKS
from shared.adapters.cluster import reading
from shared.adapters.cluster.broker import Broker
from shared.adapters.cluster.kafka import open_kafka
from shared.adapters.cluster.log import KafkaLog
from shared.adapters.cluster.mongo import open_mongo
from shared.adapters.cluster.mongo_reading import Stored, read_stored
from shared.adapters.tenants_file import FileTenantDirectory
from shared.contracts.envelope import Message
from shared.contracts.topics import DISPOSITION_EVENTS, TELEPHONY_EVENTS
from shared.runtime.commit import SeparateCommit
from shared.runtime.ports import TopicPartition
from shared.runtime.processor import Processor
from tests.cluster.kafka_parts import PARTITIONS, Place, everything, make_place
from tests.cluster.mongo_parts import fresh, raw
from tests.support.clock import FakeClock
from tests.support.faults import Crash, Fault, FaultyStore
from tests.support.memory import MemoryReplies
from tests.support.ports import free_ports
from tests.unit.services.cli.shift import TENANTS, Shift, behind
from tests.unit.services.cli.typed import typed

pytestmark = [pytest.mark.asyncio, pytest.mark.cluster]


@dataclass
class Played:
    """A shift that was played, and how the command line is told of it."""

    bootstrap: str
    prefix: str
    mongo_url: str
    clock: FakeClock

    @property
    def settings(self) -> dict[str, str]:
        return {
            "AFTERCALL_PROFILE": "cluster",
            "AFTERCALL_KAFKA_BOOTSTRAP": self.bootstrap,
            "AFTERCALL_TOPIC_PREFIX": self.prefix,
            "AFTERCALL_MONGO_URL": self.mongo_url,
        }

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Shift]:
        mongo = await open_mongo(self.mongo_url, "motor")
        kafka = await open_kafka(self.bootstrap, self.clock, prefix=self.prefix, broker_time=False)
        try:
            commit = SeparateCommit(mongo.store)
            yield Shift(self.clock, kafka.log, mongo.store, mongo.history, mongo.letters, commit)
        finally:
            await kafka.close()
            await mongo.close()

    async def verify(self, *options: str) -> tuple[int, Any]:
        """The exit code, and what was printed as JSON, or said."""
        ended = await asyncio.to_thread(typed, "verify", "--json", *options, **self.settings)
        return ended.exit_code, json.loads(ended.stdout) if ended.stdout else ended.stderr


@pytest_asyncio.fixture
async def played(kafka: str, mongo_url: str) -> Played:
    place = await make_place(kafka)
    shift = Played(kafka, place.prefix, fresh(mongo_url), FakeClock())
    async with shift.opened() as services:
        await services.play()
    return shift


def violations(found: dict[str, Any]) -> dict[str, list[str]]:
    return {row["name"]: row["first"] for row in found["checks"] if row["violations"]}


async def test_a_shift_is_clean_and_every_check_had_something_to_look_at(played: Played) -> None:
    code, found = await played.verify()
    assert violations(found) == {}
    assert (code, found["clean"], found["topic_prefix"]) == (0, True, played.prefix)
    counted = {row["name"] for row in found["checks"] if row["counted"]}
    assert counted == set(CHECKS) - {"answers"}  # nobody waited for any
    assert "mongodb" not in json.dumps(found)


async def test_what_somebody_else_wrote_into_the_store_is_found(played: Played) -> None:
    with raw(played.mongo_url) as database:
        database["calls"].update_one({"_id": "demo:one"}, {"$set": {"body": b"?"}})
        database["history"].delete_one({"_id": {"$regex": "^demo:calls.changed:"}})
        database["outcomes"].update_many({}, {"$set": {"code": "Other"}})
        database["strange"].insert_one({"_id": "demo:one", "v": 1})
    code, found = await played.verify()
    assert code == 1
    broken = violations(found)
    assert "calls demo:one in the store is no document of ours" in broken["envelopes"]
    assert "strange demo:one in the store is no document of ours" in broken["envelopes"]
    assert broken["history entries"][0].endswith("has no line in the history")
    assert broken["outcomes"][0].endswith("was not told as reported")


async def test_a_record_that_everybody_has_read_and_nobody_told_is_found(played: Played) -> None:
    async with played.opened() as services:
        (told,) = [
            record
            for record in await everything(cast("KafkaLog", services.log), DISPOSITION_EVENTS)
            if b'"still-waiting"' in record.value
        ]
        again = Message(told.topic, told.key, told.headers, told.value)
        await services.log.append([again, replace(again, value=told.value.replace(b"Sale", b"No"))])
        await services.settle()
    code, found = await played.verify()
    assert code == 1
    assert "and differs from it" in violations(found)["sequences"][0]
    (sequences,) = [row for row in found["checks"] if row["name"] == "sequences"]
    assert sequences["notes"] == ["1 repeated after a crash, the same each time"]


async def test_records_that_nobody_reads_are_waited_for_and_then_named(played: Played) -> None:
    async with played.opened() as services:
        await services.tell("demo:live", "call.held")
    code, said = await played.verify("--wait", "1.5")
    assert code == 2
    stuck = "the services are not at rest: callstate is 1 record behind, and nobody reads on"
    assert said.startswith(f"aftercall: {stuck}; ")
    code, found = await played.verify("--as-it-stands")
    assert (code, violations(found)) == (0, {})


async def test_a_document_ahead_of_its_position_is_judged_as_it_stands(played: Played) -> None:
    """As a crash between the store and the log leaves it; once it is read again, all is well."""
    async with played.opened() as services:
        await services.tell("demo:live", "call.held")
    await die_when_stored(played)
    code, found = await played.verify("--as-it-stands")
    assert (code, violations(found)) == (0, {})
    (rest,) = [row for row in found["checks"] if row["name"] == "quiescence"]
    assert rest["notes"] == [
        "1 ahead of the committed positions, until their records are read again"
    ]
    async with played.opened() as services:
        await services.settle()
    code, found = await played.verify()
    assert (code, violations(found)) == (0, {})


async def test_services_at_work_are_not_judged(played: Played) -> None:
    stopping = asyncio.Event()

    async def work(services: Shift) -> None:
        while not stopping.is_set():
            await services.tell("demo:live", "call.held")
            await services.settle()

    async with played.opened() as services:
        working = asyncio.create_task(work(services))
        code, said = await played.verify("--wait", "1", "--as-it-stands")
        stopping.set()
        await working
    assert code == 2
    assert said.startswith("aftercall: the services are not at rest: records come, or are read")
    assert "; stop what feeds them and try again" in said


async def test_what_comes_while_the_store_is_read_makes_it_begin_again(
    played: Played, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it would find documents and rows of records that it has not read."""
    meddled: list[bool] = []

    async def meddling(store: Any) -> Stored:
        if not meddled:
            meddled.append(True)
            async with played.opened() as services:
                await services.tell("demo:live", "call.held")
                await services.settle()
        return await read_stored(store)

    monkeypatch.setattr(reading, "read_stored", meddling)
    code, found = await played.verify()
    assert meddled
    assert (code, violations(found)) == (0, {})
    assert (await played.verify("--wait", "0"))[0] == 2  # two looks are the least there must be


async def test_what_is_pruned_while_the_log_is_read_makes_it_begin_again(
    played: Played, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, asked = Broker.starts, []

    async def long_ago(broker: Broker, places: Any) -> Any:
        asked.append(True)
        return dict.fromkeys(places, 0) if len(asked) == 1 else await real(broker, places)

    await prune(played)
    monkeypatch.setattr(Broker, "starts", long_ago)
    code, found = await played.verify()
    assert (code, violations(found), len(asked)) == (0, {}, 2)


async def test_what_strangers_write_elsewhere_and_in_transactions_is_clean(played: Played) -> None:
    place = Place(played.bootstrap, played.prefix)
    topic = played.prefix + TELEPHONY_EVENTS
    async with played.opened() as services:
        event = services.event("demo:live", "call.held")
        elsewhere = (services.log.partition("demo:live") + 1) % PARTITIONS
        spot = TopicPartition(TELEPHONY_EVENTS, elsewhere)
        end = (await services.log.ends([TELEPHONY_EVENTS]))[spot]
        strange = place.foreign_writer(transactional_id=f"{played.prefix}strange")
        headers = list(event.headers)
        async with strange as writer, writer.transaction():
            await writer.send_and_wait(topic, event.value, b"demo:live", elsewhere, headers=headers)
        async with asyncio.timeout(30):  # the marker is written after the writer was told
            while (await services.log.ends([TELEPHONY_EVENTS]))[spot] < end + 2:
                await asyncio.sleep(0.01)
        await services.settle()
    code, found = await played.verify()
    assert (code, violations(found)) == (0, {})
    notes = {row["name"]: row["notes"] for row in found["checks"]}
    assert notes["places"] == ["1 put elsewhere by a stranger, and moved"]
    assert notes["offsets"] == ["1 gaps where strangers may have written in transactions"]


async def test_a_log_whose_beginning_was_deleted_is_clean(played: Played) -> None:
    await prune(played)
    code, found = await played.verify()
    assert (code, violations(found)) == (0, {})
    notes = [note for row in found["checks"] for note in row["notes"]]
    assert any("no longer kept" in note for note in notes)


async def prune(played: Played) -> None:
    """Delete the older half of two topics, as the broker does by age."""
    admin = AIOKafkaAdminClient(bootstrap_servers=played.bootstrap)
    await admin.start()
    try:
        async with played.opened() as services:
            ends = await services.log.ends([TELEPHONY_EVENTS, DISPOSITION_EVENTS])
        await admin.delete_records(
            {
                aiokafka.TopicPartition(played.prefix + place.topic, place.partition): (
                    RecordsToDelete(before_offset=end // 2)
                )
                for place, end in ends.items()
            }
        )
    finally:
        await admin.close()


async def test_nothing_to_read_is_one_clear_line(kafka: str, mongo_url: str) -> None:
    place = await make_place(kafka)
    shift = Played(kafka, place.prefix, fresh(mongo_url), FakeClock())
    code, said = await shift.verify()
    assert code == 2
    assert said.startswith("aftercall: MongoDB: nothing was ever stored in this database; see")
    code, said = await replace_prefix(shift).verify()
    assert code == 2
    assert "no topic none.telephony.events on the broker: run `aftercall topics apply`" in said
    (port,) = free_ports(1)
    away = Played(f"127.0.0.1:{port}", place.prefix, shift.mongo_url, FakeClock())
    code, said = await away.verify()
    assert code == 2
    assert said.startswith(f"aftercall: the broker at 127.0.0.1:{port} did not answer")
    assert said.count("\n") == 1


async def die_when_stored(played: Played) -> None:
    """Callstate's next batch is stored, and never published."""
    mongo = await open_mongo(played.mongo_url, "motor")
    kafka = await open_kafka(
        played.bootstrap, played.clock, prefix=played.prefix, broker_time=False
    )
    store: Any = FaultyStore(mongo.store, Fault("after_save"))
    processor = Processor(
        CallstateTopology(FileTenantDirectory(TENANTS)),
        event_log=kafka.log,
        store=mongo.store,
        commit=SeparateCommit(store),
        replies=MemoryReplies(),
    )
    consumer = kafka.log.consumer("callstate", [TELEPHONY_EVENTS])
    try:
        while await behind(kafka.log, "callstate", [TELEPHONY_EVENTS]):
            await processor.turn(consumer)
    except Crash:
        return
    finally:
        await kafka.close()
        await mongo.close()
    raise AssertionError("it did not die")


def replace_prefix(shift: Played) -> Played:
    return Played(shift.bootstrap, "none.", shift.mongo_url, shift.clock)
