import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest
import pytest_asyncio
from msgspec.structs import replace

from services.gateway.push.follower import Follower, follow
from services.gateway.push.hub import Hub
from services.gateway.push.position import Position
from services.gateway.push.queue import Closing, TooSlow
from services.gateway.push.tail import CHUNK_RECORDS_MAX
from services.gateway.push.told import GAP, Told
from shared.contracts.envelope import Event, Message, to_message
from shared.contracts.errors import Unavailable
from shared.contracts.limits import STREAM_CLIENTS_MAX, STREAM_QUEUE_MAX
from shared.contracts.topics import CALLS_CHANGED, DISPOSITION_EVENTS, TOLD, USER_EVENTS
from shared.runtime.ports import Positions, TopicPartition
from tests.support.clock import FakeClock
from tests.unit.services.gateway.push.followed import (
    ForgetfulLog,
    ids_in,
    in_order,
    take_all,
    tell,
    tell_many,
    tell_of,
)

START = Position(((0, 0),) * len(TOLD))


@pytest.fixture
def log() -> ForgetfulLog:
    return ForgetfulLog(FakeClock())


@pytest_asyncio.fixture
async def hub(log: ForgetfulLog) -> AsyncIterator[Hub]:
    hub = Hub(log, FakeClock())
    tail = asyncio.create_task(hub.run())
    yield hub
    hub.close()
    tail.cancel()
    await asyncio.gather(tail, return_exceptions=True)


async def level(hub: Hub) -> None:
    """Until the hub stands at the log's ends; it stands nowhere while nobody follows."""
    if not hub.clients:
        return
    await hub.ready()
    while hub.position != Position.of(await hub.log.ends(TOLD)):
        await hub.moved(1)


def ids(told: list[Told]) -> list[str]:
    return [one.event.id for one in told]


@pytest.mark.asyncio
async def test_a_new_follower_gets_what_is_told_from_now_on(hub: Hub, log: ForgetfulLog) -> None:
    tell_many(log, 10)
    await level(hub)
    follower = await follow(hub, "demo")
    assert await take_all(follower) == []
    tell(log, 10)
    tell(log, 11, topic=DISPOSITION_EVENTS)
    await level(hub)
    assert ids(await take_all(follower)) == ["demo-calls.changed-10", "demo-disposition.events-11"]


@pytest.mark.asyncio
async def test_it_waits_for_the_next_event(hub: Hub, log: ForgetfulLog) -> None:
    follower = await follow(hub, "demo")
    await take_all(follower)
    taking = asyncio.create_task(follower.take(events_max=7, wait_s=10))
    await asyncio.sleep(0)
    tell(log, 1)
    assert ids(await taking) == ["demo-calls.changed-1"]


@pytest.mark.asyncio
async def test_tenants_are_apart(hub: Hub, log: ForgetfulLog) -> None:
    one, other = await follow(hub, "demo"), await follow(hub, "other")
    # A tenant whose name another one starts with.
    longer = await follow(hub, "demo2", since=START)
    await take_all(one), await take_all(other), await take_all(longer)
    tell_many(log, 60)
    tell(log, 7, tenant="demo2")
    await level(hub)
    for follower, tenant in ((one, "demo"), (other, "other"), (longer, "demo2")):
        assert set(ids(await take_all(follower))) == ids_in(log, tenant)
    late = await follow(hub, "demo", since=START)
    assert set(ids(await take_all(late))) == ids_in(log, "demo")


@pytest.mark.asyncio
async def test_topics_are_chosen_live_and_from_the_log(hub: Hub, log: ForgetfulLog) -> None:
    live = await follow(hub, "demo", [DISPOSITION_EVENTS])
    await take_all(live)
    tell_many(log, 60)
    await level(hub)
    wanted = ids_in(log, topics=[DISPOSITION_EVENTS])
    late = await follow(hub, "demo", [DISPOSITION_EVENTS], since=START)
    for follower in (live, late):
        assert sorted(ids(await take_all(follower))) == sorted(wanted)
    assert {place.topic for place in log.reads[-2:]} == {DISPOSITION_EVENTS}


@pytest.mark.asyncio
async def test_resuming_at_any_event_gives_each_of_the_rest_once(
    hub: Hub, log: ForgetfulLog
) -> None:
    """Live at first; then again from the id of every single event, while more is being told."""
    live = await follow(hub, "demo")
    await take_all(live)
    for start in range(0, 60, 6):  # told in bursts, so that a turn of the hub reads several
        tell_many(log, 6, start)
        await level(hub)
    told = await take_all(live)
    assert sorted(ids(told)) == sorted(ids_in(log))
    assert in_order(told)
    for cut, seen in enumerate(told):
        resumed = await follow(hub, "demo", since=Position.parse(seen.position.text()))
        rest = [*told[: cut + 1], *await take_all(resumed)]
        tell_many(log, 2, 60 + 2 * cut)  # the other resumptions meet these in the log
        await level(hub)
        rest += await take_all(resumed)
        resumed.leave()
        assert sorted(ids(rest)) == sorted(ids_in(log)), f"cut after event {cut}"
        assert in_order(rest)


@pytest.mark.asyncio
async def test_resuming_while_still_catching_up_gives_each_of_the_rest_once(
    hub: Hub, log: ForgetfulLog
) -> None:
    tell_many(log, 80)
    await level(hub)
    missed = await take_all(await follow(hub, "demo", since=START))
    assert in_order(missed)
    for cut, seen in enumerate(missed):
        resumed = await take_all(await follow(hub, "demo", since=seen.position))
        assert sorted(ids(missed[: cut + 1]) + ids(resumed)) == sorted(ids_in(log))


@pytest.mark.asyncio
async def test_a_long_way_is_read_in_chunks_before_joining(hub: Hub, log: ForgetfulLog) -> None:
    tell_many(log, 3 * STREAM_QUEUE_MAX)
    await level(hub)
    follower = await follow(hub, "demo", since=START)
    told: list[Told] = []
    while len(set(ids(told))) < len(ids_in(log)):
        some = await follower.take(events_max=64, wait_s=1)
        assert len(some) <= CHUNK_RECORDS_MAX * len(TOLD) * log.partitions
        told += some
        if len(told) < 2000:
            tell_many(log, 20, start=10_000 + len(told) * 100)  # the target moves on
            await level(hub)
    assert sorted(ids(told)) == sorted(ids_in(log))
    assert in_order(told)


@pytest.mark.asyncio
async def test_nothing_is_lost_or_repeated_between_joining_and_catching_up(
    hub: Hub, log: ForgetfulLog
) -> None:
    """Of one call, so that the rest takes several rounds, while the hub moves on."""
    for number in range(0, 1250, 5):
        tell(log, number)
    await level(hub)
    for number in range(1250, 1300, 5):
        tell(log, number)  # the hub has not seen these when the follower joins
    follower = await follow(hub, "demo", since=START)
    told = await follower.take(events_max=7, wait_s=0)
    assert len(told) == CHUNK_RECORDS_MAX
    for number in range(1300, 1350, 5):
        tell(log, number)
    await level(hub)
    told += await take_all(follower)
    assert [one.event.sequence for one in told] == list(range(1, 1350, 5))


@pytest.mark.asyncio
async def test_a_burst_beyond_one_chunk_is_handed_out_whole(hub: Hub, log: ForgetfulLog) -> None:
    follower = await follow(hub, "demo")
    await take_all(follower)
    for number in range(0, 5 * (2 * CHUNK_RECORDS_MAX + 50), 5):
        tell(log, number)
    await level(hub)
    assert len(await take_all(follower)) == 2 * CHUNK_RECORDS_MAX + 50


@pytest.mark.asyncio
async def test_a_position_from_a_gateway_that_is_ahead_repeats_nothing(log: ForgetfulLog) -> None:
    tell_many(log, 20)
    ahead = Position.of(await log.ends(TOLD))
    behind = Hub(log, FakeClock())
    behind._position = START
    follower = await follow(behind, "demo", since=ahead)
    assert await follower.take(events_max=7, wait_s=0) == []
    tail = asyncio.create_task(behind.run())
    tell(log, 99)
    await level(behind)
    assert ids(await take_all(follower)) == ["demo-calls.changed-99"]
    tail.cancel()
    await asyncio.gather(tail, return_exceptions=True)


@pytest.mark.asyncio
@pytest.mark.parametrize("behind", [0, 1], ids=["just fits", "one too many"])
async def test_a_slow_reader_is_dropped_and_resumes(
    hub: Hub, log: ForgetfulLog, behind: int
) -> None:
    slow, quick = await follow(hub, "demo"), await follow(hub, "demo")
    await take_all(slow), await take_all(quick)
    got: list[Told] = []
    for number in range(STREAM_QUEUE_MAX + behind):
        tell(log, number)
        if number % 50 == 0:
            await level(hub)
            got += await take_all(quick)
    await level(hub)
    got += await take_all(quick)
    assert len(got) == STREAM_QUEUE_MAX + behind
    taken: list[Told] = []
    if not behind:
        assert len(await take_all(slow)) == STREAM_QUEUE_MAX
        return
    while len(taken) < STREAM_QUEUE_MAX:
        taken += await slow.take(events_max=64, wait_s=0)
    with pytest.raises(TooSlow):
        await slow.take(events_max=64, wait_s=0)
    assert ids(taken) == ids(got)[:STREAM_QUEUE_MAX]
    resumed = await follow(hub, "demo", since=slow.position)
    assert ids(await take_all(resumed)) == ids(got)[STREAM_QUEUE_MAX:]


@pytest.mark.asyncio
async def test_what_is_no_longer_kept_is_told_first(hub: Hub, log: ForgetfulLog) -> None:
    tell_many(log, 60)
    await level(hub)
    place = TopicPartition(CALLS_CHANGED, 1)
    log.oldest[place] = 4
    told = await take_all(await follow(hub, "demo", since=START))
    assert [one.event.type for one in told].index(GAP) == 0
    assert told[0].position == START.moved(place, 4)
    kept = {
        dict(record.headers)["ce_id"].decode()
        for record in log.all(CALLS_CHANGED)
        if record.partition == 1 and record.offset < 4
    }
    assert set(ids(told[1:])) == ids_in(log) - kept
    again = await take_all(await follow(hub, "demo", since=told[0].position))
    assert ids(again) == ids(told[1:])  # told once


@pytest.mark.asyncio
async def test_a_partition_of_which_nothing_is_kept_is_passed(hub: Hub, log: ForgetfulLog) -> None:
    tell_many(log, 60)
    await level(hub)
    place = TopicPartition(CALLS_CHANGED, 0)
    log.oldest[place] = len(log.records[place])
    told = await take_all(await follow(hub, "demo", since=START))
    assert told[0].event.type == GAP
    assert told[0].position == START.moved(place, log.oldest[place])
    tell_many(log, 10, start=60)
    await level(hub)


@pytest.mark.asyncio
async def test_a_position_beyond_the_log_is_a_gap(hub: Hub, log: ForgetfulLog) -> None:
    tell_many(log, 8)
    await level(hub)
    beyond = Position.of(await log.ends(TOLD)).moved(TopicPartition(CALLS_CHANGED, 0), 1_000)
    follower = await follow(hub, "demo", since=beyond)
    told = await take_all(follower)
    assert [one.event.type for one in told] == [GAP]
    assert told[0].position == hub.position
    tell_many(log, 8, start=8)
    await level(hub)
    assert set(ids(await take_all(follower))) == ids_in(log) - {
        one for one in ids_in(log) if int(one.rpartition("-")[2]) < 8
    }


@pytest.mark.asyncio
async def test_live_followers_hear_of_what_the_hub_has_missed(hub: Hub, log: ForgetfulLog) -> None:
    follower = await follow(hub, "demo")
    await take_all(follower)
    log.oldest[TopicPartition(CALLS_CHANGED, log.partition("demo:call-1"))] = 1
    tell(log, 1)
    await level(hub)
    assert [one.event.type for one in await take_all(follower)] == [GAP]


@pytest.mark.asyncio
async def test_a_position_of_another_log_is_refused(hub: Hub) -> None:
    with pytest.raises(ValueError, match="not of this log"):
        await follow(hub, "demo", since=Position(((0,),) * len(TOLD)))
    assert hub.clients == 0


@pytest.mark.asyncio
async def test_one_client_more_than_there_is_room_for_is_turned_away(hub: Hub) -> None:
    followers = [await follow(hub, "demo") for _ in range(STREAM_CLIENTS_MAX)]
    with pytest.raises(Unavailable):
        await follow(hub, "demo")
    followers.pop().leave()
    await follow(hub, "demo")
    assert hub.clients == STREAM_CLIENTS_MAX


@pytest.mark.asyncio
async def test_nothing_is_read_while_nobody_follows(hub: Hub, log: ForgetfulLog) -> None:
    tell_many(log, 20)
    await level(hub)
    follower = await follow(hub, "demo")
    await take_all(follower)
    follower.leave()
    tell_many(log, 20, start=20)
    await level(hub)
    assert log.reads == []


@pytest.mark.asyncio
async def test_the_log_is_followed_for_clients_only(
    hub: Hub, log: ForgetfulLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = 0
    grown = log.grown

    async def count(topics: Sequence[str], seen: Positions, wait_s: float) -> bool:
        nonlocal asked
        asked += 1
        return await grown(topics, seen, wait_s)

    monkeypatch.setattr(log, "grown", count)
    for _ in range(2):
        before = asked
        tell_many(log, 5)
        await asyncio.sleep(0.02)
        assert asked == before
        follower = await follow(hub, "demo")
        assert await take_all(follower) == []  # it begins now, not where the last one left
        tell(log, 1)
        await level(hub)
        assert ids(await take_all(follower)) == ["demo-calls.changed-1"]
        follower.leave()
        tell(log, 2)  # the hub wakes, and finds nobody
        await asyncio.sleep(0.02)


@pytest.mark.asyncio
async def test_each_event_is_made_once_for_all(hub: Hub, log: ForgetfulLog) -> None:
    followers = [await follow(hub, "demo") for _ in range(3)]
    for follower in followers:
        await take_all(follower)
    tell(log, 1)
    await level(hub)
    first, *rest = [(await take_all(follower))[0] for follower in followers]
    assert all(one is first for one in rest)
    assert log.reads == [TopicPartition(CALLS_CHANGED, log.partition("demo:call-1"))]


FOREIGN = Event(
    id="foreign", source="/", type="x", subject="call-1", time_ms=0, tenant="demo", data=b""
)


@pytest.mark.asyncio
async def test_a_record_that_is_no_event_is_passed_over(hub: Hub, log: ForgetfulLog) -> None:
    follower = await follow(hub, "demo")
    await take_all(follower)
    log.put([Message(CALLS_CHANGED, "demo:call-1", (), b"{}"), Message(CALLS_CHANGED, "", (), b"")])
    for data in (b"what?", b'{"a":"\xff"}', b"{}{}", b"[" * 100_000 + b"]" * 100_000):
        foreign = replace(FOREIGN, data=data)
        log.put([to_message(foreign, CALLS_CHANGED, "demo:call-1")])
    tell(log, 1)
    await level(hub)
    assert ids(await take_all(follower)) == ["demo-calls.changed-1"]


@pytest.mark.asyncio
@pytest.mark.parametrize("joined", [True, False])
async def test_followers_end_when_the_gateway_stops(
    hub: Hub, log: ForgetfulLog, joined: bool
) -> None:
    tell(log, 0)
    await level(hub)
    follower = await follow(hub, "demo", since=START)
    if joined:
        await take_all(follower)
        tell(log, 1)
        await level(hub)
    hub.close()
    if joined:  # what was queued is still given
        assert ids(await follower.take(events_max=7, wait_s=0)) == ["demo-calls.changed-1"]
    with pytest.raises(Closing):
        await follower.take(events_max=7, wait_s=10)
    with pytest.raises(Unavailable):
        await follow(hub, "demo")


@pytest.mark.asyncio
async def test_a_follower_that_waits_is_woken_by_the_stop(hub: Hub) -> None:
    follower = await follow(hub, "demo")
    await take_all(follower)
    taking = asyncio.create_task(follower.take(events_max=7, wait_s=60))
    await asyncio.sleep(0)
    hub.close()
    with pytest.raises(Closing):
        await asyncio.wait_for(taking, 5)


@pytest.mark.asyncio
async def test_a_log_that_does_not_answer_is_asked_again(
    log: ForgetfulLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.gateway.push.hub._RETRY_S", 0)
    hub = Hub(log, FakeClock())
    tail = asyncio.create_task(hub.run())
    follower: Follower = await follow(hub, "demo")
    await take_all(follower)
    log.fail_next("read")
    tell(log, 1)
    await level(hub)
    assert ids(await take_all(follower)) == ["demo-calls.changed-1"]
    tail.cancel()
    await asyncio.gather(tail, return_exceptions=True)


@pytest.mark.asyncio
async def test_an_agent_is_told_of_its_own_calls_alone_live_and_from_the_log(
    hub: Hub, log: ForgetfulLog
) -> None:
    live = await follow(hub, "demo", agent="agent-1")
    some = await follow(hub, "demo", [USER_EVENTS], agent="agent-1")
    everybody = await follow(hub, "demo")
    for follower in (live, some, everybody):
        await take_all(follower)
    told = [
        (CALLS_CHANGED, "demo", {"agents": [{"agent_id": "agent-1"}, {"agent_id": "agent-2"}]}),
        (CALLS_CHANGED, "demo", {"agents": [{"agent_id": "agent-2"}]}),
        (CALLS_CHANGED, "demo", {"agents": []}),
        (DISPOSITION_EVENTS, "demo", {"agent_id": "agent-1", "code": "Sale"}),
        (DISPOSITION_EVENTS, "demo", {"agent_id": "agent-2"}),
        (DISPOSITION_EVENTS, "demo", {"subject": "customer:7"}),
        (USER_EVENTS, "demo", {"agent_id": "agent-1"}),
        (USER_EVENTS, "other", {"agent_id": "agent-1"}),
        (CALLS_CHANGED, "demo", {"agents": "agent-1", "agent_id": 1}),
    ]
    for number, (topic, tenant, data) in enumerate(told):
        tell_of(log, number, topic=topic, tenant=tenant, data=data)
    await level(hub)
    late = await follow(hub, "demo", since=START, agent="agent-1")
    for follower in (live, late):
        assert sorted(ids(await take_all(follower))) == ["0", "3", "6"]
    assert ids(await take_all(some)) == ["6"]
    assert len(await take_all(everybody)) == 8
    for follower in (live, some, everybody, late):
        follower.leave()
    assert hub._live == {}
