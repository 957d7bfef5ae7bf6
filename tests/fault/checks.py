"""What must hold when the faults are over: by HTTP, by the topics alone, and by `aftercall verify`.

The topics are read with a plain Kafka client, and counted as the contract tells reporting consumers
to: by `sequence`, skipping what was seen before.
"""

import asyncio
import json
import sys
from collections import Counter, defaultdict
from dataclasses import dataclass
from random import Random
from typing import Any, Final

import aiohttp
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from shared.contracts.topics import (
    CALLS_CHANGED,
    DISPOSITION_EVENTS,
    TELEPHONY_EVENTS,
    TOLD,
    USER_EVENTS,
    dead,
)
from tests.fault.client import Told, get
from tests.fault.listener import Listener
from tests.support.cluster_product import PARTITIONS, Cluster, End, ServiceProcess, Use
from tests.support.parts import ROOT

SETTLED_S: Final = 60.0
LOOK_S: Final = 0.2
ASKED_MAX: Final = 500  # verdicts asked for over HTTP; all are looked for in the topics
AT_ONCE: Final = 8
MEMORY_MIB_MAX: Final = 300
DESCRIPTORS_MAX: Final = 120
FINAL: Final = {"disposition.saved", "disposition.corrected"}
MISSED: Final = "disposition.missed"
REPORTED: Final = ("code", "agent_id", "origin")
HOUR: Final = len("2026-11-22T14")
TOLD_OF_A_VERDICT: Final = ("request_id", "outcome", "call_id", "agent_id", "code", "decided_at")


@dataclass(frozen=True)
class Published:
    """One record of the topics that are told, the first time that it came."""

    key: str
    type: str
    sequence: int
    data: dict[str, Any]


async def nothing_acknowledged_was_lost(url: str, told: Told, random: Random) -> None:
    """Every agent has the outcome that was told last, and every verdict is what it was."""
    latest: dict[str, dict[str, str]] = defaultdict(dict)
    late: set[tuple[str, str]] = set()  # missed, perhaps, and then told
    for verdict in told.verdicts.values():
        call_id, agent_id = verdict["call_id"], verdict["agent_id"]
        latest[call_id][agent_id] = verdict["code"]
        if verdict["outcome"] == "user_event":
            late.add((call_id, agent_id))
    async with aiohttp.ClientSession() as http:
        calls = await _calls(http, url)
        assert not told.calls - calls.keys(), "calls that were told of are not there"
        assert not told.poison & calls.keys(), "calls of which nothing was understood"
        for call_id in told.calls:
            wanted, found = latest[call_id], _outcomes(calls[call_id])
            codes = {agent_id: code for agent_id, (code, _) in found.items() if code is not None}
            assert codes == wanted, f"{call_id} should have {wanted}, and has {codes}"
            for agent_id, (code, missed) in found.items():
                if (call_id, agent_id) not in late:
                    assert missed == (code is None), f"{call_id} {agent_id}: {code} {missed}"
        asked = list(told.verdicts.items())
        random.shuffle(asked)
        gate = asyncio.Semaphore(AT_ONCE)
        await asyncio.gather(
            *(_same_verdict(http, url, key, one, gate) for key, one in asked[:ASKED_MAX])
        )


async def _calls(http: aiohttp.ClientSession, url: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    more = ""
    while True:
        page = await get(http, f"{url}/v1/calls?limit=200{more}")
        found |= {call["id"]: call for call in page["calls"]}
        if not page.get("next"):
            return found
        more = f"&cursor={page['next']}"


def _outcomes(call: dict[str, Any]) -> dict[str, tuple[str | None, bool]]:
    """By agent the code that holds, and whether it was missed."""
    assert call["phase"] == "released", f"{call['id']} is in {call['phase']}"
    found: dict[str, tuple[str | None, bool]] = {}
    for agent in call["agents"]:
        assert "queued" not in agent, f"{call['id']} still has a queued code"
        code = agent.get("disposition", {}).get("code")
        found[agent["agent_id"]] = (code, agent.get("missed", False))
    return found


async def _same_verdict(
    http: aiohttp.ClientSession,
    url: str,
    key: str,
    verdict: dict[str, Any],
    gate: asyncio.Semaphore,
) -> None:
    async with gate:
        kept = await get(http, f"{url}/v1/requests/{verdict['request_id']}")
    for name in TOLD_OF_A_VERDICT:
        assert kept[name] == verdict[name], f"{key}: {kept} is not {verdict}"


async def read_topics(cluster: Cluster, topics: tuple[str, ...]) -> list[ConsumerRecord[Any, Any]]:
    """Everything that stands in them, partition after partition."""
    places = [TopicPartition(cluster.prefix + t, n) for t in topics for n in range(PARTITIONS)]
    consumer = AIOKafkaConsumer(
        bootstrap_servers=cluster.broker.bootstrap, auto_offset_reset="earliest"
    )
    await consumer.start()
    records: list[ConsumerRecord[Any, Any]] = []
    try:
        consumer.assign(places)
        await consumer.seek_to_beginning(*places)
        ends = await consumer.end_offsets(places)
        while any([await consumer.position(place) < end for place, end in ends.items()]):
            for found in (await consumer.getmany(timeout_ms=500)).values():
                records += found
    finally:
        await consumer.stop()
    return records


async def published(cluster: Cluster) -> dict[str, list[Published]]:
    """By topic, what a consumer keeps that goes by `sequence`.

    Per topic and key the numbers are 1, 2, 3 ... in the order of the log, and what is repeated is
    the same to the last byte.
    """
    kept: dict[str, list[Published]] = defaultdict(list)
    seen: dict[tuple[str, str], dict[int, ConsumerRecord[Any, Any]]] = defaultdict(dict)
    for record in await read_topics(cluster, TOLD):
        topic = record.topic.removeprefix(cluster.prefix)
        headers = dict(record.headers)
        sequence = int(headers["ce_sequence"])
        before = seen[topic, record.key.decode()]
        if sequence in before:
            first = before[sequence]
            assert (first.value, first.headers) == (record.value, record.headers), (
                f"{topic}/{record.partition}/{record.offset} is not the same as {first.offset}"
            )
            continue
        assert sequence == len(before) + 1, (
            f"{topic}/{record.partition}/{record.offset}: {sequence} after {len(before)}"
        )
        before[sequence] = record
        data = json.loads(record.value)
        kept[topic].append(
            Published(record.key.decode(), headers["ce_type"].decode(), sequence, data)
        )
    return kept


def verdicts_were_told_once(told: Told, topics: dict[str, list[Published]]) -> None:
    """Every acknowledged verdict stands in the topics, once, as it was answered."""
    decided: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for one in topics[DISPOSITION_EVENTS] + topics[USER_EVENTS]:
        request_id = one.data.get("request_id")
        if request_id is not None and one.data.get("outcome") is not None:
            decided[request_id].append(one.data)
    for key, verdict in told.verdicts.items():
        rows = [
            row
            for row in decided[verdict["request_id"]]
            if row["outcome"] == verdict["outcome"] and row["decided_at"] == verdict["decided_at"]
        ]
        assert rows, f"{key}: {verdict} is not in the topics: {decided[verdict['request_id']]}"


def calls_ended_once(told: Told, topics: dict[str, list[Published]]) -> None:
    """Nobody's wrap-up ended twice, and no deadline was met twice."""
    met = Counter(
        (one.key, one.data["change"]["event_id"])
        for one in topics[CALLS_CHANGED]
        if one.data["change"]["kind"] == "timer"
    )
    twice = [name for name, count in met.items() if count > 1]
    assert not twice, f"deadlines met twice: {twice[:5]}"
    missed = Counter(
        (one.key, one.data["agent_id"])
        for one in topics[DISPOSITION_EVENTS]
        if one.type == "disposition.missed"
    )
    assert not [who for who, count in missed.items() if count > 1], "missed twice"
    assert told.calls <= {one.data["call_id"] for one in topics[CALLS_CHANGED]}


async def poison_was_put_aside(cluster: Cluster, told: Told) -> None:
    """What nobody could understand stands among the dead letters, and is no call."""
    letters = await read_topics(cluster, (dead(TELEPHONY_EVENTS),))
    assert {dict(one.headers)["ce_subject"].decode() for one in letters} == told.poison


async def the_stream_told_all(listener: Listener, topics: dict[str, list[Published]]) -> None:
    """Who followed the stream has heard everything, in order, however often it was cut off."""
    names = {(f"{topic}:{one.key}", one.sequence) for topic, rows in topics.items() for one in rows}
    async with asyncio.timeout(SETTLED_S):
        await listener.hears(names)


async def the_report_counts_what_was_told(url: str, topics: dict[str, list[Published]]) -> None:
    """The report is what a plain consumer of the topics counts."""
    newest: dict[tuple[str, str], tuple[int, tuple[str, ...]]] = {}
    for one in topics[DISPOSITION_EVENTS] + topics[USER_EVENTS]:
        if one.type in FINAL or one.data.get("outcome") == "user_event":
            about, revision = (one.key, one.data["agent_id"]), one.data["revision"]
            group = *(one.data[name] for name in REPORTED), one.data["decided_at"][:HOUR]
            newest[about] = max(newest.get(about, (0, group)), (revision, group))
    counted = Counter(group for _, group in newest.values())
    columns = (*REPORTED, "hour")
    async with aiohttp.ClientSession() as http:
        report = await get(http, f"{url}/v1/reports/dispositions?group_by={','.join(columns)}")
    rows = {tuple(row[name] for name in columns): row["count"] for row in report["rows"]}
    assert rows == dict(counted)


async def the_report_counts_misses_too(url: str, topics: dict[str, list[Published]]) -> None:
    """Each call and agent once, by the newest disposition, or as missed where there is none."""
    newest: dict[tuple[str, str], tuple[int, str]] = {}
    for one in topics[DISPOSITION_EVENTS] + topics[USER_EVENTS]:
        said = (one.data.get("revision", 0), one.data.get("origin", "missed"))
        if one.type in {*FINAL, MISSED} or one.data.get("outcome") == "user_event":
            about = (one.key, one.data["agent_id"])
            newest[about] = max(newest.get(about, said), said)
    counted = Counter((origin, agent) for (_, agent), (_, origin) in newest.items())
    async with aiohttp.ClientSession() as http:
        report = await get(http, f"{url}/v1/reports/outcomes?group_by=origin,agent_id")
    assert {(row["origin"], row["agent_id"]): row["count"] for row in report["rows"]} == counted


async def the_callbacks_are_those_scheduled_last(
    url: str, topics: dict[str, list[Published]]
) -> None:
    """A callback is listed from when it is scheduled until the agent says anything else."""
    scheduled: dict[tuple[str, str], tuple[int, str]] = {}
    for one in topics[DISPOSITION_EVENTS]:
        about = (one.data.get("call_id", ""), one.data.get("agent_id", ""))
        if one.type == "callback.scheduled":
            scheduled[about] = (one.data["revision"], one.data["callback_at"])
        elif one.type in FINAL:
            scheduled.pop(about, None)
    for one in topics[USER_EVENTS]:
        about = (one.data["call_id"], one.data["agent_id"])
        if one.data["revision"] > scheduled.get(about, (one.data["revision"], ""))[0]:
            del scheduled[about]
    listed: list[tuple[str, str, str]] = []
    path = f"{url}/v1/callbacks?from=1970-01-01&limit=200"
    async with aiohttp.ClientSession() as http:
        page = await get(http, path)
        listed += map(_called_back, page["rows"])
        while "next" in page:
            page = await get(http, f"{path}&cursor={page['next']}")
            listed += map(_called_back, page["rows"])
    wanted = [(at, *about) for about, (_, at) in scheduled.items()]
    assert listed == sorted(wanted)
    assert listed, "nobody was to be called back"


def _called_back(row: dict[str, Any]) -> tuple[str, str, str]:
    return row["callback_at"], row["call_id"], row["agent_id"]


async def verify(cluster: Cluster, *options: str) -> dict[str, Any]:
    """What `aftercall verify` finds; the services have stopped by now."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "services.cli", "verify", "--json", *options),
        cwd=ROOT,
        env=cluster.environment(),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, error = await process.communicate()
    assert process.returncode in {0, 1}, f"{process.returncode} {out!r} {error!r}"
    found: dict[str, Any] = json.loads(out)
    assert found["clean"] == (process.returncode == 0)
    return found


def violations(found: dict[str, Any]) -> dict[str, list[str]]:
    """By check the first violations that were found."""
    return {row["name"]: row["first"] for row in found["checks"] if row["violations"]}


def ends_are_explained(ends: list[End]) -> None:
    """Who ended by itself said why, and it was not a promise of our own that broke."""
    for end in ends:
        if end.meant:
            continue
        assert end.code == 1, f"{end.process} ended by itself with {end.code}: {end.said}"
        assert "Traceback" not in end.said, f"{end.process}: {end.said}"


def nothing_grew(processes: list[ServiceProcess]) -> list[Use]:
    """Memory and descriptors of those that are left."""
    left = [process for process in processes if process.wanted]
    uses = [process.use() for process in left]
    for process, use in zip(left, uses, strict=True):
        assert use.memory_mib < MEMORY_MIB_MAX, f"{process.name}: {use}"
        assert use.descriptors < DESCRIPTORS_MAX, f"{process.name}: {use}"
    return uses
