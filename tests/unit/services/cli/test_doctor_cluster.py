"""What the doctor makes of a broker and a store, by what they have shown."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec.structs import replace

from services.cli.doctor import broker, store
from services.cli.doctor.findings import Finding
from services.watch import LAG_MAX
from shared.adapters.cluster.names import ALL_TOPICS
from shared.adapters.cluster.topics_found import CLEANUP, TIME, TopicFound
from tests.support.clock import START_MS
from tests.support.product import DEMO_TENANTS
from tests.unit.services.cli.typed import typed

pytestmark = pytest.mark.slow

GOOD = TopicFound(
    partitions=12,
    replication=3,
    in_sync=3,
    leaderless=0,
    settings={TIME: "LogAppendTime", CLEANUP: "delete"},
)
AWAY = {
    "AFTERCALL_PROFILE": "cluster",
    "AFTERCALL_KAFKA_BOOTSTRAP": "127.0.0.1:1",
    "AFTERCALL_MONGO_URL": "mongodb://me:hunter2@127.0.0.1:1/",
    "AFTERCALL_PORT": "0",
}
SET = {"setName": "rs0", "hosts": ["a", "b", "c"], "isWritablePrimary": True}


def topics(brokers: int = 3, **changed: Any) -> Finding:
    """Of topics that are all well but for one."""
    found: Mapping[str, TopicFound] = dict.fromkeys(ALL_TOPICS, GOOD)
    return broker.topics({**found, "user.events": replace(GOOD, **changed)}, "p.", brokers)


# level, a word of the detail, the finding
FINDINGS: list[tuple[str, str, Finding]] = [
    ("ok", "2 answering: a:1, b:2", broker.brokers(["a:1", "b:2"])),
    ("ok", "14 with 12 partitions each", topics()),
    ("ok", "14 with 12 partitions each", topics(1, replication=1, in_sync=1)),
    ("fail", "missing: p.telephony.events, p.calls.changed", broker.topics({}, "p.", 1)),
    ("fail", "partition counts differ: 11, 12", topics(partitions=11)),
    ("fail", "p.user.events: nobody leads 2 partitions", topics(leaderless=2)),
    ("fail", "cleanup.policy=compact", topics(settings={**GOOD.settings, CLEANUP: "compact"})),
    ("warn", "type=CreateTime", topics(settings={**GOOD.settings, TIME: "CreateTime"})),
    ("warn", "2 of 3 copies are up to date", topics(in_sync=2)),
    ("warn", "has one copy on 2 brokers", topics(2, replication=1, in_sync=1)),
    ("ok", "0 records behind, 0 processes", broker.lag("callstate", 0, 0, 12)),
    ("ok", "20,000 records behind, 1 process", broker.lag("callstate", 1, LAG_MAX, 12)),
    ("warn", "20,001 records behind, 2 processes", broker.lag("history", 2, LAG_MAX + 1, 12)),
    ("warn", "1 records behind, 0 processes", broker.lag("history", 0, 1, 12)),
    ("ok", "7 records", broker.length({"a/0": 5, "a/1": 2}, {"a/0": 5})),
    ("fail", "a/1 ends at 2, and once ended at 3", broker.length({"a/1": 2}, {"a/1": 3})),
    ("ok", "MongoDB 8.0, replica set rs0 of 3", store.server(SET, "8.0")),
    ("ok", "replica set rs0 of 1", store.server({**SET, "hosts": ["a"]}, "8.0")),
    ("warn", "one of them down", store.server({**SET, "hosts": ["a", "b"]}, "8.0")),
    ("fail", "not the primary", store.server({**SET, "isWritablePrimary": False}, "8.0")),
    ("fail", "no replica set", store.server({"isWritablePrimary": True}, "8.0")),
    ("ok", "by a mongos", store.server({"msg": "isdbgrid"}, "8.0")),
    ("ok", "nothing stored yet", store.schema(None)),
    ("ok", "schema 1", store.schema({"version": 1})),
    ("fail", "schema 2", store.schema({"version": 2})),
    ("ok", "+5.0 s at the store", store.clocks(START_MS, START_MS + 5_000, START_MS - 9_000)),
    ("warn", "-5.0 s at the store", store.clocks(START_MS, START_MS - 5_001, None)),
    ("ok", "newest record of", store.clocks(START_MS, None, START_MS + 5_000)),
    ("warn", "newest record of", store.clocks(START_MS, None, START_MS + 5_001)),
]


@pytest.mark.parametrize(("level", "word", "found"), FINDINGS)
def test_a_finding_has_its_level_and_its_fix(level: str, word: str, found: Finding) -> None:
    assert (found.level, word in found.detail) == (level, True), found
    assert bool(found.fix) == (level != "ok")


def test_the_fix_names_the_process_that_reads() -> None:
    assert broker.lag("history", 0, 1, 12).fix == "start `aftercall worker`"
    assert broker.lag("callstate", 0, 1, 12).fix == "start `aftercall callstate`"
    assert broker.lag("worker", 1, LAG_MAX + 1, 12).fix == (
        "start more of `aftercall worker`, up to 12 at work"
    )


def test_the_server_says_its_time_with_or_without_an_offset() -> None:
    shown = datetime(2026, 11, 21, 14, 6, 40, tzinfo=UTC)
    assert store.server_ms({"localTime": shown}) == START_MS
    assert store.server_ms({"localTime": shown.replace(tzinfo=None)}) == START_MS
    assert store.server_ms({}) is None


def test_a_cluster_without_tenants_of_its_own_is_a_finding() -> None:
    shown = typed("doctor", **AWAY)
    (line,) = [line for line in shown.stdout.splitlines() if line.split()[1:2] == ["tenants"]]
    assert line.startswith("fail")
    assert "AFTERCALL_TENANTS_FILE is not set" in line


def test_nobody_there_is_a_finding_and_no_endless_wait() -> None:
    shown = typed("doctor", **AWAY, AFTERCALL_TENANTS_FILE=str(DEMO_TENANTS))
    lines = [line.split()[:2] for line in shown.stdout.splitlines()]
    assert ["fail", "broker"] in lines
    assert ["fail", "store"] in lines
    assert ["ok", "tenants"] in lines
    assert not {"sqlite", "lock", "disk"} & {name for _, name in lines}
    assert shown.exit_code == 1
    assert "hunter2" not in shown.output
