"""What is told on a socket: what the stream tells, resumed as it is."""

import json

import pytest
from aiohttp import WSMsgType

from services.gateway.push import listening
from services.gateway.push.position import Position
from services.gateway.push.told import GAP
from shared.contracts.topics import CALLS_CHANGED, DISPOSITION_EVENTS
from shared.runtime.ports import TopicPartition
from tests.support.socket_client import SocketClient
from tests.unit.services.gateway.floor import NATIVE
from tests.unit.services.gateway.push.followed import tell, tell_many, tell_of
from tests.unit.services.gateway.sockets.place import KEY, START, Place

pytestmark = pytest.mark.asyncio


async def test_an_event_is_the_one_of_the_stream(place: Place) -> None:
    client, ready = await place.follow()
    async with place.client.get("/v1/stream", headers=NATIVE) as streamed:
        for _ in range(4):
            await streamed.content.readline()
        tell(place.told, 1)
        event = await client.event()
        lines = [(await streamed.content.readline()).decode().strip() for _ in range(3)]
    moved = Position.parse(ready["id"]).moved(
        TopicPartition(CALLS_CHANGED, place.told.partition("demo:call-1")), 1
    )
    assert event["id"] == moved.text()
    assert lines[1] == f"id: {event['id']}"
    name, _, data = lines[2].partition(": ")
    assert (name, json.loads(data)) == ("data", event["event"])


async def test_only_the_topics_asked_for_come(place: Place) -> None:
    client, _ = await place.follow(topics=f"{DISPOSITION_EVENTS},user.events")
    tell(place.told, 1, topic=CALLS_CHANGED)
    tell(place.told, 2, topic=DISPOSITION_EVENTS)
    assert (await client.event())["event"]["type"] == "disposition.events.test"


async def test_a_token_hears_of_its_agent_alone(place: Place) -> None:
    client, _ = await place.follow(await place.token("agent-1"))
    for number, agent in enumerate(("agent-2", "agent-1")):
        tell_of(place.told, number, topic=CALLS_CHANGED, tenant="demo", data={"agent_id": agent})
    assert (await client.event())["event"]["data"] == {"agent_id": "agent-1"}


async def test_it_resumes_by_the_last_id_without_loss_or_repeat(place: Place) -> None:
    client, ready = await place.follow()
    tell_many(place.told, 60)
    first = [await client.event() for _ in range(13)]
    await client.socket.close()
    tell_many(place.told, 60, start=60)
    again, resumed = await place.follow(last_event_id=first[-1]["id"])
    assert resumed["id"] == first[-1]["id"]
    rest = [await again.event() for _ in range(80 - 13)]
    ids = [one["event"]["id"] for one in first + rest]
    assert len(ids) == len(set(ids)) == 80
    third, _ = await place.follow(last_event_id=ready["id"])
    assert {(await third.event())["event"]["id"] for _ in range(80)} == set(ids)


async def test_a_position_too_old_is_told_as_a_gap_first(place: Place) -> None:
    tell(place.told, 1)
    tell(place.told, 6)
    kept = TopicPartition(CALLS_CHANGED, place.told.partition("demo:call-1"))
    place.told.oldest[kept] = 1
    client, _ = await place.follow(last_event_id=START.text())
    gap = await client.event()
    moved = START.moved(kept, 1).text()
    assert (gap["id"], gap["event"]["type"]) == (moved, GAP)
    assert gap["event"]["data"] == {"from": START.text(), "to": moved}
    assert (await client.event())["event"]["id"] == "demo-calls.changed-6"


async def test_where_nothing_is_told_the_position_is(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "HEARTBEAT_S", 0.01)
    client, ready = await place.follow()
    tell(place.told, 1, tenant="other")
    standing = await client.take("position")
    while standing["id"] == ready["id"]:
        standing = await client.take("position")
    assert standing == {"type": "position", "id": place.hub.position.text()}


async def test_a_ping_is_answered(place: Place) -> None:
    client = SocketClient(await place.client.ws_connect("/v1/socket", autoping=False))
    await client.hello(KEY)
    await client.socket.ping(b"there?")
    pong = await client.socket.receive()
    assert (pong.type, bytes(pong.data)) == (WSMsgType.PONG, b"there?")


async def test_a_place_is_free_again_when_its_client_leaves(place: Place) -> None:
    client, _ = await place.follow()
    assert place.hub.clients == 1
    await client.socket.close()
    await place.empty()
