"""The example of a reporting consumer against the product's own reports.

A centre in memory plays calls; what it has published is then read as a consumer outside may see
it: repeated after crashes of the worker, in other batches, across crashes of its own.
"""

import sqlite3
from collections import defaultdict
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any, Final, NamedTuple

import pytest
from aiohttp import encode_basic_auth
from msgspec.structs import replace

from deploy.examples.reporting_consumer import TOPICS, Counts, RecordLost
from services.gateway.dialects.genesys import Genesys
from services.worker.history import HistoryProjection
from shared.contracts.calls import WrapUpMode
from shared.contracts.tenants import Tenant
from tests.support.centre import Centre, demo_tenant, running_centre

NATIVE: Final = {"Authorization": "Bearer demo-key"}
CODES: Final = ("Sale", "Interested", "NotInterested", "Referred")
CALLS: Final = 25
DAY_MS: Final = 24 * 3600 * 1000

Place = tuple[str, int]
Report = dict[tuple[str, ...], int]


class Told(NamedTuple):
    """A record as aiokafka gives it."""

    topic: str
    partition: int
    offset: int
    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...]


class Shift:
    """Calls as a floor has them, by chance: who joins, who leaves, who says what and when."""

    def __init__(self, centre: Centre, random: Random) -> None:
        self._centre = centre
        self._random = random

    async def play(self, call: str) -> None:
        agents = self._random.sample(["agent-1", "agent-2", "agent-3"], self._random.randint(1, 2))
        await self._tell(call, "call.started", direction="inbound", did="100")
        for agent in agents:
            await self._tell(call, "call.agent_joined", agent_id=agent)
            await self._perhaps_dispose(call, agent)
        if self._random.random() < 0.3:  # comes back, with what was queued before now final
            await self._tell(call, "call.agent_left", agent_id=agents[0], reason="leave")
            await self._perhaps_dispose(call, agents[0])
            await self._tell(call, "call.agent_joined", agent_id=agents[0])
            await self._perhaps_dispose(call, agents[0])
        await self._tell(call, "call.disconnected", by="caller")
        for agent in agents * 2:
            await self._perhaps_dispose(call, agent)
        self._centre.clock.advance(self._random.choice([0, 1000, DAY_MS]))
        await self._tell(call, "call.released")
        for agent in agents:
            await self._perhaps_dispose(call, agent)

    async def _tell(self, call: str, kind: str, **data: Any) -> None:
        await self._centre.tell("demo", call, kind, **data)

    async def _perhaps_dispose(self, call: str, agent: str) -> None:
        code = self._random.choice(CODES)
        match self._random.randrange(3):
            case 0:
                path, body = f"/v1/calls/{call}/disposition", {"agent_id": agent, "code": code}
                await self._ask(path, body, NATIVE)
            case 1:  # this dialect tells user events in wrap-up, too
                basic = {"Authorization": encode_basic_auth(agent, "demo")}
                body = {"operationName": "SetCallDisposition", "disposition": code}
                await self._ask(f"/api/v2/me/calls/{call}", body, basic)
            case _:
                pass

    async def _ask(self, path: str, body: dict[str, str], headers: dict[str, str]) -> None:
        async with self._centre.client.post(path, json=body, headers=headers) as answer:
            assert answer.status == 200, await answer.text()


class Played(NamedTuple):
    """What a run has published, and the product's own reports of it."""

    records: tuple[Told, ...]
    by_agent: Report
    by_day: Report


async def play(seed: int, tenant: Tenant) -> Played:
    async with running_centre(tenant, dialects=(Genesys(),)) as centre:
        shift = Shift(centre, Random(seed))
        for number in range(CALLS):
            await shift.play(f"call-{number}")
        projection = HistoryProjection(centre.log, centre.desk.history, wait_s=0.01)
        consumer = centre.log.consumer("history", ("disposition.events", "user.events"))
        await projection.turn(consumer)
        return Played(
            told(centre),
            await report(centre, "code", "agent_id"),
            await report(centre, "code", "agent_id", "day"),
        )


async def report(centre: Centre, *columns: str) -> Report:
    query = {"group_by": ",".join(columns), "from": "2026-01-01", "to": "2030-01-01"}
    path = "/v1/reports/dispositions"
    async with centre.client.get(path, params=query, headers=NATIVE) as answer:
        assert answer.status == 200, await answer.text()
        rows = (await answer.json())["rows"]
    return {tuple(row[name] for name in columns): row["count"] for row in rows}


def told(centre: Centre) -> tuple[Told, ...]:
    records = [record for topic in TOPICS for record in centre.log.all(topic)]
    return tuple(
        Told(r.topic, r.partition, r.offset, r.key.encode(), r.value, r.headers) for r in records
    )


def counted(path: Path, *columns: str) -> Report:
    """The counts in the file, summed over the other columns."""
    found: Report = defaultdict(int)
    with closing(sqlite3.connect(path)) as file:
        file.row_factory = sqlite3.Row
        for row in file.execute("SELECT * FROM counts"):
            found[tuple(row[name] for name in columns)] += row["calls"]
    return {group: calls for group, calls in found.items() if calls}


def repeated(records: Sequence[Told], random: Random) -> dict[Place, list[Told]]:
    """The partitions when the worker has crashed now and then.

    After a crash it publishes again what may not have been, in order, before anything new.
    """
    partitions: dict[Place, list[Told]] = defaultdict(list)
    for record in records:
        partition = partitions[record.topic, record.partition]
        partition.append(record)
        if random.random() < 0.1:
            partition.extend(partition[-random.randint(1, 10) :])
    return {
        place: [record._replace(offset=offset) for offset, record in enumerate(partition)]
        for place, partition in partitions.items()
    }


def crash(counts: Counts) -> None:
    """End it; what was not committed is gone, as with kill -9."""
    counts._file.close()


def consume(path: Path, partitions: dict[Place, list[Told]], random: Random) -> int:
    """Read to the end, a batch here and a batch there, and crash in every fourth batch."""
    crashes = 0
    counts = Counts(path)
    while True:
        known = counts.places()
        waiting = [place for place in partitions if known.get(place, 0) < len(partitions[place])]
        if not waiting:
            crash(counts)
            return crashes
        place = random.choice(waiting)
        offset = known.get(place, 0)
        batch = partitions[place][offset : offset + random.randint(1, 30)]
        crashing = random.random() < 0.25
        for record in batch[: random.randint(0, len(batch))] if crashing else batch:
            counts.apply(record)
        if crashing:
            crash(counts)
            counts = Counts(path)
            crashes += 1
        else:
            counts.commit()


def tenants() -> list[Any]:
    demo = demo_tenant()
    saved = replace(demo.wrap_up, mode=WrapUpMode.TIMEOUT_CODE, timeout_code="NotInterested")
    return [
        pytest.param(demo, id="a miss is told"),
        pytest.param(replace(demo, wrap_up=saved), id="a timeout code is saved"),
    ]


@pytest.mark.asyncio
@pytest.mark.parametrize("tenant", tenants())
@pytest.mark.parametrize("seed", range(2))
async def test_it_agrees_with_the_reports_of_the_product(
    seed: int, tenant: Tenant, tmp_path: Path
) -> None:
    played = await play(seed, tenant)
    assert sum(played.by_agent.values()) > CALLS / 2, "a shift with hardly a disposition"
    for way in range(5):
        random = Random(f"{seed} {way}")
        path = tmp_path / f"{way}.db"
        crashes = consume(path, repeated(played.records, random), random)
        assert crashes > 0
        assert counted(path, "code", "agent_id") == played.by_agent
        assert counted(path, "code", "agent_id", "day") == played.by_day


@pytest.mark.asyncio
async def test_a_shift_has_everything_that_makes_counting_hard() -> None:
    played = await play(0, demo_tenant())
    said = {dict(record.headers)["ce_type"].decode() for record in played.records}
    assert said >= {"disposition.saved", "disposition.corrected", "disposition.missed"}
    user_events = [record for record in played.records if record.topic == "user.events"]
    assert any(b'"origin":"late"' in record.value for record in user_events)
    assert any(b'"origin":"wrap_up"' in record.value for record in user_events)
    assert len({day for _, _, day in played.by_day}) > 1


def saved(sequence: int, offset: int, code: str = "Sale") -> Told:
    value = (
        '{"tenant":"demo","call_id":"c","agent_id":"agent-1","origin":"wrap_up",'
        f'"code":"{code}","decided_at":"2026-11-21T14:06:40.000Z"}}'
    )
    headers = (("ce_type", b"disposition.saved"), ("ce_sequence", str(sequence).encode()))
    return Told("disposition.events", 0, offset, b"demo:c", value.encode(), headers)


def test_a_record_that_never_came_stops_it(tmp_path: Path) -> None:
    counts = Counts(tmp_path / "counts.db")
    counts.apply(saved(1, 0))
    with pytest.raises(RecordLost, match="3 comes after 1"):
        counts.apply(saved(3, 1))
    crash(counts)


def test_what_kafka_no_longer_has_is_not_missed_at_the_first_start(tmp_path: Path) -> None:
    counts = Counts(tmp_path / "counts.db")
    counts.apply(saved(7, 900))
    counts.commit()
    crash(counts)
    assert counted(tmp_path / "counts.db", "code") == {("Sale",): 1}
