"""Topics, the doctor and dead letters on real parts, as an operator types them."""

import asyncio
import json
import secrets
from typing import Any

import pytest
from typer.testing import Result

from shared.adapters.cluster.kafka import open_kafka
from shared.adapters.cluster.log import KafkaLog
from shared.adapters.cluster.mongo import open_mongo
from shared.adapters.cluster.names import ALL_TOPICS
from shared.contracts.envelope import Message
from shared.contracts.topics import TELEPHONY_EVENTS, dead
from shared.runtime.commit import SeparateCommit
from tests.cluster.kafka_parts import PARTITIONS, everything
from tests.cluster.mongo_parts import fresh, raw
from tests.support.clock import FakeClock
from tests.support.product import DEMO_TENANTS
from tests.unit.services.cli.shift import Shift
from tests.unit.services.cli.typed import typed

pytestmark = [pytest.mark.asyncio, pytest.mark.cluster]


class Operator:
    """Somebody at a terminal, with topics and a database of their own."""

    def __init__(self, kafka: str, mongo_url: str) -> None:
        self.prefix = f"t{secrets.token_hex(6)}."
        self.kafka = kafka
        self.mongo_url = fresh(mongo_url)
        self.settings = {
            "AFTERCALL_PROFILE": "cluster",
            "AFTERCALL_KAFKA_BOOTSTRAP": kafka,
            "AFTERCALL_TOPIC_PREFIX": self.prefix,
            "AFTERCALL_TOPIC_PARTITIONS": str(PARTITIONS),
            "AFTERCALL_MONGO_URL": self.mongo_url,
            "AFTERCALL_PORT": "0",
            "AFTERCALL_TENANTS_FILE": str(DEMO_TENANTS),
        }

    async def type(self, line: str) -> Result:
        return await asyncio.to_thread(typed, *line.split(), **self.settings)

    async def ask(self, line: str) -> Any:
        return json.loads((await self.type(f"{line} --json")).stdout)

    async def levels(self) -> dict[str, str]:
        return {row["name"]: row["level"] for row in await self.ask("doctor")}

    async def work(self, *messages: Message) -> list[bytes]:
        """Append, let callstate and worker work it off, and give the events that there are."""
        mongo = await open_mongo(self.mongo_url, "motor")
        kafka = await open_kafka(self.kafka, FakeClock(), prefix=self.prefix)
        try:
            await kafka.log.append(messages)
            commit = SeparateCommit(mongo.store)
            shift = Shift(FakeClock(), kafka.log, mongo.store, mongo.history, mongo.letters, commit)
            await shift.settle()
            assert isinstance(kafka.log, KafkaLog)
            return [record.value for record in await everything(kafka.log, TELEPHONY_EVENTS)]
        finally:
            await kafka.close()
            await mongo.close()


@pytest.fixture
def operator(kafka: str, mongo_url: str) -> Operator:
    return Operator(kafka, mongo_url)


async def test_topics_are_made_once_and_listed(operator: Operator) -> None:
    missing = await operator.ask("topics list")
    assert {row["partitions"] for row in missing} == {"missing"}
    made = await operator.ask("topics apply")
    assert sorted(made["made"]) == sorted(operator.prefix + name for name in ALL_TOPICS)
    again = await operator.type("topics apply")
    assert again.stdout == f"0 made, {len(ALL_TOPICS)} are there, {PARTITIONS} partitions each\n"
    listed = await operator.ask("topics list")
    assert [row["topic"] for row in listed] == [operator.prefix + name for name in ALL_TOPICS]
    assert {(row["partitions"], row["replication"]) for row in listed} == {(PARTITIONS, 1)}


async def test_a_change_of_topics_is_refused_and_said(operator: Operator) -> None:
    await operator.type("topics apply")
    refused = await operator.type("topics apply --partitions 5")
    assert refused.exit_code == 2
    assert f"has {PARTITIONS} partitions, not 5" in refused.stderr
    fewer = await operator.type("topics apply --replication 3")
    assert fewer.exit_code == 0
    assert "of some there were 1 copies before, and still are" in fewer.stdout
    assert {row["partitions"] for row in await operator.ask("topics list")} == {PARTITIONS}


async def test_the_doctor_tells_a_fresh_place_from_one_at_work(operator: Operator) -> None:
    fresh_place = await operator.levels()
    assert (fresh_place["topics"], fresh_place["store"]) == ("fail", "ok")
    await operator.type("topics apply")
    assert set((await operator.levels()).values()) == {"ok"}
    await operator.work(Message(TELEPHONY_EVENTS, "demo:one", (), b"what?"))
    shown = {row["name"]: row["detail"] for row in await operator.ask("doctor")}
    assert shown["data"] == "schema 1"
    assert shown["lag callstate"] == "0 records behind, 0 processes"
    assert shown["log"] == "1 records were ever appended"
    assert "s at the store, newest record of" in shown["clocks"]


async def test_the_doctor_sees_records_that_nobody_reads(operator: Operator) -> None:
    await operator.type("topics apply")
    kafka = await open_kafka(operator.kafka, FakeClock(), prefix=operator.prefix)
    await kafka.log.append([Message(TELEPHONY_EVENTS, "demo:one", (), b"what?")])
    await kafka.close()
    rows = {row["name"]: row for row in await operator.ask("doctor")}
    assert rows["lag callstate"]["level"] == "warn"
    assert rows["lag callstate"]["detail"] == "1 records behind, 0 processes"
    assert rows["lag callstate"]["fix"] == "start `aftercall callstate`"


async def test_the_doctor_sees_a_process_at_work(operator: Operator) -> None:
    await operator.type("topics apply")
    kafka = await open_kafka(operator.kafka, FakeClock(), prefix=operator.prefix)
    try:
        consumer = kafka.log.consumer("callstate", [TELEPHONY_EVENTS])
        await consumer.committed()
        rows = {row["name"]: row["detail"] for row in await operator.ask("doctor")}
        await consumer.close()
    finally:
        await kafka.close()
    assert rows["lag callstate"] == "0 records behind, 1 process"
    assert rows["lag worker"] == "0 records behind, 0 processes"


async def test_the_doctor_sees_a_log_that_was_made_anew_and_data_of_another_version(
    operator: Operator,
) -> None:
    await operator.type("topics apply")
    with raw(operator.mongo_url) as database:
        database["meta"].insert_one({"_id": "schema", "version": 99})
        database["ends"].insert_one({"_id": f"{TELEPHONY_EVENTS}/0", "end": 7})
    levels = await operator.levels()
    assert (levels["data"], levels["log"]) == ("fail", "fail")


async def test_a_dead_letter_goes_back_once(operator: Operator) -> None:
    await operator.type("topics apply")
    await operator.work(Message(TELEPHONY_EVENTS, "demo:one", (("x", b"y"),), b"what?"))
    (letter,) = await operator.ask("dead-letters list")
    place = letter["letter"]
    assert place.startswith(f"{dead(TELEPHONY_EVENTS)}/")
    assert (letter["reason"], letter["put_back"]) == ("bad_envelope", False)
    assert (await operator.ask(f"dead-letters show {place}"))["value"] == "what?"
    would = await operator.type("dead-letters put-back --all")
    assert would.stdout.endswith("1 would be put back; add --yes to do it\n")
    assert (await operator.work()) == [b"what?"]
    done = await operator.type("dead-letters put-back --all --yes")
    assert done.stdout == f"{place} -> {TELEPHONY_EVENTS}\n1 put back; they are read now\n"
    assert (await operator.ask("dead-letters list"))[0]["put_back"] is True
    refused = await operator.type(f"dead-letters put-back {place} --yes")
    assert refused.exit_code == 2
    assert "was put back before; add --again" in refused.stderr
    none = await operator.type("dead-letters put-back --all --yes")
    assert none.stdout == "0 put back; they are read now\n"
    assert (await operator.work()) == [b"what?", b"what?"]  # and dead once more
    letters = await operator.ask("dead-letters list")
    assert [row["put_back"] for row in letters] == [True, False]
    verified = await operator.type("verify")
    assert verified.exit_code == 0, verified.stdout
