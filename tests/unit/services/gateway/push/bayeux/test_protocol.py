"""What each message does, on a server whose audience is everybody who has subscribed."""

import asyncio
import json
from typing import Any

import pytest

from services.gateway.push.bayeux.messages import read_messages
from services.gateway.push.bayeux.protocol import CONNECTION_TYPES, HELD_S, Bayeux, Held
from services.gateway.push.bayeux.session import Owner, Session
from services.gateway.push.bayeux.sessions import UNATTENDED_S_MAX
from shared.contracts.errors import Unavailable
from shared.contracts.limits import (
    BAYEUX_QUEUE_MESSAGES_MAX,
    BAYEUX_SESSIONS_PER_CREDENTIAL_MAX,
    BAYEUX_SUBSCRIPTIONS_MAX,
)

pytestmark = pytest.mark.asyncio

ADA = Owner("demo", "agent-1", "ab")
BELA = Owner("demo", "agent-2", "cd")
HANDSHAKE = {
    "channel": "/meta/handshake",
    "version": "1.0",
    "supportedConnectionTypes": ["long-polling"],
}
AGAIN = {"reconnect": "handshake", "interval": 0}
NEVER = {"reconnect": "none"}
GO_ON = {"reconnect": "retry", "interval": 0, "timeout": 30000}


class Room:
    """An audience; `away` lets nobody in."""

    def __init__(self) -> None:
        self.away = False
        self.listening: set[str] = set()

    async def listen(self, session: Session) -> None:
        if self.away:
            raise Unavailable("away")
        self.listening.add(session.client_id)

    def leave(self, session: Session) -> None:
        self.listening.discard(session.client_id)


class Server:
    """A server on a clock of its own, asked as a transport asks it."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.room = Room()
        self.given = 0
        self.bayeux = Bayeux(self.room, lambda: self.now_s, self._next)

    def _next(self) -> str:
        self.given += 1
        return f"c{self.given}"

    async def ask(self, *sent: dict[str, Any], owner: Owner = ADA) -> Any:
        """The whole answer."""
        answer = await self.bayeux.receive(read_messages(list(sent)), owner, "http://here")
        if isinstance(answer, Held):
            released = await self.bayeux.release(answer, lambda: False)
            assert released is not None
            return json.loads(released)
        return json.loads(answer)

    async def shake(self, **more: Any) -> str:
        (reply,) = await self.ask(HANDSHAKE | more)
        assert reply["successful"], reply
        return str(reply["clientId"])

    async def connect(self, client_id: str, **more: Any) -> Any:
        """A connect that is not to be held."""
        return await self.ask(connect(client_id, advice={"timeout": 0}, **more))

    def session(self, client_id: str) -> Session:
        found = self.bayeux.sessions.find(client_id, ADA)
        assert found is not None
        return found


def connect(client_id: str, **more: Any) -> dict[str, Any]:
    return {
        "channel": "/meta/connect",
        "clientId": client_id,
        "connectionType": "long-polling",
        **more,
    }


def subscribe(client_id: str, channel: Any, **more: Any) -> dict[str, Any]:
    return {
        "channel": "/meta/subscribe",
        "clientId": client_id,
        "subscription": channel,
        **more,
    }


@pytest.fixture
def server() -> Server:
    return Server()


async def test_a_handshake(server: Server) -> None:
    assert await server.ask(HANDSHAKE | {"id": "1"}) == [
        {
            "channel": "/meta/handshake",
            "id": "1",
            "successful": True,
            "version": "1.0",
            "minimumVersion": "1.0",
            "supportedConnectionTypes": list(CONNECTION_TYPES),
            "clientId": "c1",
            "advice": GO_ON,
        }
    ]


async def test_client_ids_can_not_be_guessed() -> None:
    bayeux = Bayeux(Room(), lambda: 0.0)
    ids = set()
    for _ in range(3):
        answer = await bayeux.receive(read_messages(HANDSHAKE), ADA, "")
        assert isinstance(answer, bytes)
        ids.add(json.loads(answer)[0]["clientId"])
    assert len(ids) == 3
    assert all(len(one) == 40 and one.isalnum() for one in ids)


@pytest.mark.parametrize("asked", [True, {"enabled": True}])
async def test_acknowledgements_are_agreed_on_when_asked_for(server: Server, asked: Any) -> None:
    (reply,) = await server.ask(HANDSHAKE | {"ext": {"ack": asked}})
    assert reply["ext"] == {"ack": True}


@pytest.mark.parametrize("ext", [{}, {"ack": False}, {"ack": "yes"}, None, 7])
async def test_and_not_otherwise(server: Server, ext: Any) -> None:
    (reply,) = await server.ask(HANDSHAKE | {"ext": ext})
    assert "ext" not in reply
    (reply,) = await server.connect(reply["clientId"])
    assert "ext" not in reply


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"version": "2.0"}, "400::version is not spoken here"),
        ({"version": 1}, "400::version is not spoken here"),
        ({"minimumVersion": "1.1"}, "400::minimumVersion is not spoken here"),
        ({"supportedConnectionTypes": ["iframe"]}, "400::No connection type in common"),
        ({"supportedConnectionTypes": []}, "400::No connection type in common"),
        ({"supportedConnectionTypes": "long-polling"}, "400::No connection type in common"),
        ({"supportedConnectionTypes": None}, "400::No connection type in common"),
        ({"supportedConnectionTypes": [["long-polling"]]}, "400::No connection type in common"),
    ],
)
async def test_a_handshake_refused(server: Server, changed: dict[str, Any], error: str) -> None:
    (reply,) = await server.ask(HANDSHAKE | {"id": "1"} | changed)
    assert (reply["successful"], reply["error"]) == (False, error)
    assert (reply["id"], reply["version"], reply["advice"]) == ("1", "1.0", NEVER)
    assert "clientId" not in reply
    assert len(server.bayeux.sessions) == 0


@pytest.mark.parametrize(
    "said",
    [{"version": "1.0beta"}, {"version": "1.1", "minimumVersion": "1.0beta"}, {"version": "1"}],
)
async def test_versions_that_get_on(server: Server, said: dict[str, Any]) -> None:
    assert await server.shake(**said)


async def test_what_stands_beside_a_handshake_is_ignored(server: Server) -> None:
    client_id = await server.shake()
    (reply,) = await server.ask(subscribe(client_id, "/a"), HANDSHAKE)
    assert reply["channel"] == "/meta/handshake"
    assert server.session(client_id).subscriptions == set()


async def test_too_many_clients_of_one_credential(server: Server) -> None:
    for _ in range(BAYEUX_SESSIONS_PER_CREDENTIAL_MAX):
        await server.shake()
    (reply,) = await server.ask(HANDSHAKE)
    assert (reply["successful"], reply["error"]) == (False, "429::Too many clients")
    assert reply["advice"] == {"reconnect": "handshake", "interval": 5000}
    (reply,) = await server.ask(HANDSHAKE, owner=BELA)
    assert reply["successful"]


async def test_a_connect_is_held_until_there_is_something_to_tell(server: Server) -> None:
    client_id = await server.shake()
    held = asyncio.create_task(server.ask(connect(client_id, id="3")))
    await asyncio.sleep(0)
    assert not held.done()
    server.session(client_id).offer(b'{"channel":"/a","data":1}')
    server.session(client_id).offer(b'{"channel":"/a","data":2}')
    assert await held == [
        {"channel": "/a", "data": 1},
        {"channel": "/a", "data": 2},
        {
            "channel": "/meta/connect",
            "id": "3",
            "successful": True,
            "clientId": client_id,
            "advice": GO_ON,
        },
    ]


@pytest.mark.parametrize(
    ("advice", "wait_s"),
    [
        (None, HELD_S),
        ({}, HELD_S),
        ({"timeout": 0}, 0),
        ({"timeout": -1}, 0),
        ({"timeout": 1500}, 1.5),
        ({"timeout": 10**12}, HELD_S),
        ({"timeout": True}, HELD_S),
        ({"timeout": "0"}, HELD_S),
        (7, HELD_S),
    ],
)
async def test_how_long_a_connect_is_held(server: Server, advice: Any, wait_s: float) -> None:
    client_id = await server.shake()
    sent = read_messages(connect(client_id, advice=advice))
    held = await server.bayeux.receive(sent, ADA, "")
    assert isinstance(held, Held)
    assert held.wait_s == wait_s


async def test_a_connect_among_others_is_not_held(server: Server) -> None:
    client_id = await server.shake()
    server.session(client_id).offer(b'{"channel":"/a","data":1}')
    replies = await server.ask(subscribe(client_id, "/a"), connect(client_id), connect(client_id))
    assert [reply["channel"] for reply in replies] == [
        "/meta/subscribe",
        "/a",
        "/meta/connect",
        "/meta/connect",
    ]
    assert server.session(client_id).unattended_s == server.now_s


async def test_a_second_connect_takes_the_place_of_the_first(server: Server) -> None:
    client_id = await server.shake()
    first = asyncio.create_task(server.ask(connect(client_id, id="1")))
    await asyncio.sleep(0)
    second = asyncio.create_task(server.ask(connect(client_id, id="2")))
    (reply,) = await first
    assert (reply["id"], reply["successful"]) == ("1", False)
    assert (reply["error"], reply["advice"]) == ("409::Another connect has come", NEVER)
    assert not second.done()
    server.session(client_id).offer(b'{"channel":"/a","data":1}')
    assert len(await second) == 2


async def test_a_client_that_has_left_loses_nothing_by_its_connect(server: Server) -> None:
    client_id = await server.shake()
    held = await server.bayeux.receive(read_messages(connect(client_id)), ADA, "")
    assert isinstance(held, Held)
    server.session(client_id).offer(b'{"channel":"/a","data":1}')
    assert await server.bayeux.release(held, lambda: True) is None
    assert server.session(client_id).unattended_s == server.now_s
    assert (await server.connect(client_id))[0] == {"channel": "/a", "data": 1}


async def test_what_is_not_acknowledged_is_sent_again(server: Server) -> None:
    client_id = await server.shake(ext={"ack": True})
    session = server.session(client_id)
    (reply,) = await server.connect(client_id)
    assert reply["ext"] == {"ack": 1}
    session.offer(b'{"channel":"/a","data":1}')
    lost = await server.connect(client_id, ext={"ack": 1})
    assert [one.get("data") for one in lost] == [1, None]
    assert lost[1]["ext"] == {"ack": 2}
    session.offer(b'{"channel":"/a","data":2}')
    again = await server.connect(client_id, ext={"ack": 1})
    assert [one.get("data") for one in again] == [1, 2, None]
    assert again[2]["ext"] == {"ack": 3}
    assert await server.connect(client_id, ext={"ack": 3}) == [again[2] | {"ext": {"ack": 4}}]


@pytest.mark.parametrize("ext", [{}, {"ack": "1"}, {"ack": True}, None, {"ack": -5}])
async def test_who_acknowledges_nothing_gets_all_again(server: Server, ext: Any) -> None:
    client_id = await server.shake(ext={"ack": True})
    server.session(client_id).offer(b'{"channel":"/a","data":1}')
    for _ in range(2):
        assert (await server.connect(client_id, ext=ext))[0]["data"] == 1


@pytest.mark.parametrize("kind", ["iframe", None, 7, ["long-polling"]])
async def test_a_connection_type_that_is_not_spoken(server: Server, kind: Any) -> None:
    client_id = await server.shake()
    (reply,) = await server.ask(connect(client_id, connectionType=kind))
    assert (reply["error"], reply["advice"]) == ("405::No such connection type", NEVER)


ALL = [
    ("/meta/connect", {"connectionType": "long-polling"}),
    ("/meta/subscribe", {"subscription": "/a"}),
    ("/meta/unsubscribe", {"subscription": "/a"}),
    ("/meta/disconnect", {}),
    ("/v2/me/calls", {"data": {}}),
    ("/service/x", {"data": {}}),
]


@pytest.mark.parametrize(("channel", "fields"), ALL)
async def test_a_client_id_of_another_credential_is_unknown(
    server: Server, channel: str, fields: dict[str, Any]
) -> None:
    client_id = await server.shake()
    sent = {"channel": channel, "id": "9", **fields}
    theirs = await server.ask(sent | {"clientId": client_id}, owner=BELA)
    unknown = await server.ask(sent | {"clientId": "x"}, owner=BELA)
    assert theirs == unknown
    (reply,) = theirs
    assert (reply["successful"], reply["error"]) == (False, "402::Unknown client")
    assert (reply["advice"], reply["id"]) == (AGAIN, "9")
    assert "clientId" not in reply
    assert reply.get("subscription") == fields.get("subscription")
    (reply,) = await server.ask(sent, owner=BELA)
    assert (reply["error"], reply["advice"]) == ("401::No client ID", AGAIN)
    assert server.session(client_id).ended is None
    assert (await server.connect(client_id))[0]["successful"]


async def test_subscriptions_come_and_go(server: Server) -> None:
    client_id = await server.shake()
    assert await server.ask(subscribe(client_id, ["/a", "/b/*"], id="5")) == [
        {
            "channel": "/meta/subscribe",
            "id": "5",
            "successful": True,
            "clientId": client_id,
            "subscription": ["/a", "/b/*"],
        }
    ]
    session = server.session(client_id)
    assert (session.hears("/a"), session.hears("/b/x"), session.hears("/b")) == (True, True, False)
    assert server.room.listening == {client_id}
    (reply,) = await server.ask(subscribe(client_id, "/a") | {"channel": "/meta/unsubscribe"})
    assert (reply["successful"], reply["subscription"]) == (True, "/a")
    assert (session.hears("/a"), session.hears("/b/x")) == (False, True)


@pytest.mark.parametrize("channel", ["/meta/connect", "/meta/*", "/service/x", "/service/**"])
async def test_channels_that_nobody_may_listen_to(server: Server, channel: str) -> None:
    client_id = await server.shake()
    (reply,) = await server.ask(subscribe(client_id, ["/a", channel]))
    assert reply["error"] == f"403:{channel}:Subscription denied"
    assert reply["subscription"] == ["/a", channel]
    assert server.session(client_id).subscriptions == set()


async def test_so_many_subscriptions_and_no_more(server: Server) -> None:
    client_id = await server.shake()
    most = [f"/c{number}" for number in range(BAYEUX_SUBSCRIPTIONS_MAX)]
    for _ in range(2):
        (reply,) = await server.ask(subscribe(client_id, most))
        assert reply["successful"]
    (reply,) = await server.ask(subscribe(client_id, "/one-more"))
    assert reply["error"] == "403::Too many subscriptions"
    assert server.session(client_id).subscriptions == set(most)


async def test_a_subscription_that_can_not_be_served_now_is_none(server: Server) -> None:
    client_id = await server.shake()
    await server.ask(subscribe(client_id, "/a"))
    server.room.away = True
    (reply,) = await server.ask(subscribe(client_id, ["/a", "/b"]))
    assert (reply["successful"], reply["error"]) == (False, "503::Not now, ask again")
    assert server.session(client_id).subscriptions == {"/a"}


async def test_clients_publish_nothing(server: Server) -> None:
    client_id = await server.shake()
    await server.ask(subscribe(client_id, "/**"))
    for channel, error in [
        ("/v2/me/calls", "403:/v2/me/calls:Publish denied"),
        ("/service/x", "404:/service/x:Unknown Channel"),
        ("/meta/other", "404:/meta/other:Unknown Channel"),
    ]:
        sent = {"channel": channel, "clientId": client_id, "data": {}, "id": 4}
        (reply,) = await server.ask(sent)
        assert reply == {"channel": channel, "id": 4, "successful": False, "error": error}
    assert not server.session(client_id).outbox.waiting


async def test_a_disconnect_lets_the_held_connect_go(server: Server) -> None:
    client_id = await server.shake()
    await server.ask(subscribe(client_id, "/a"))
    held = asyncio.create_task(server.ask(connect(client_id)))
    await asyncio.sleep(0)
    sent = {"channel": "/meta/disconnect", "clientId": client_id, "id": "6"}
    assert await server.ask(sent) == [
        {"channel": "/meta/disconnect", "id": "6", "successful": True, "clientId": client_id}
    ]
    (reply,) = await held
    assert (reply["successful"], reply["advice"]) == (False, NEVER)
    assert server.room.listening == set()
    assert len(server.bayeux.sessions) == 0
    (reply,) = await server.ask(sent)
    assert reply["error"] == "402::Unknown client"


async def test_whom_nobody_attends_to_is_forgotten(server: Server) -> None:
    client_id = await server.shake()
    await server.ask(subscribe(client_id, "/a"))
    server.now_s += UNATTENDED_S_MAX
    server.bayeux.sweep()
    await server.connect(client_id)
    server.now_s += UNATTENDED_S_MAX + 0.1
    server.bayeux.sweep()
    assert server.room.listening == set()
    (reply,) = await server.connect(client_id)
    assert (reply["error"], reply["advice"]) == ("402::Unknown client", AGAIN)


async def test_who_reads_too_slowly_begins_anew(server: Server) -> None:
    client_id = await server.shake()
    await server.ask(subscribe(client_id, "/a"))
    session = server.session(client_id)
    while session.offer(b"{}"):
        pass
    assert not session.outbox.waiting
    (reply,) = await server.connect(client_id)
    assert (reply["error"], reply["advice"]) == ("413::Too much was waiting", AGAIN)
    assert server.room.listening == set()
    (reply,) = await server.connect(client_id)
    assert (reply["error"], reply["advice"]) == ("402::Unknown client", AGAIN)


async def test_a_full_queue_is_told_whole(server: Server) -> None:
    client_id = await server.shake()
    session = server.session(client_id)
    for _ in range(BAYEUX_QUEUE_MESSAGES_MAX):
        session.offer(b"{}")
    assert len(await server.connect(client_id)) == BAYEUX_QUEUE_MESSAGES_MAX + 1


async def test_closing_answers_what_is_held_and_takes_nobody_in(server: Server) -> None:
    client_id, other = await server.shake(), await server.shake()
    held = asyncio.create_task(server.ask(connect(client_id)))
    await asyncio.sleep(0)
    server.session(client_id).offer(b'{"channel":"/a","data":1}')
    server.bayeux.close()
    told, reply = await held
    assert told["data"] == 1, "what was waiting is told first"
    later = {"reconnect": "handshake", "interval": 1000}
    assert (reply["successful"], reply["advice"]) == (False, later)
    assert reply["error"] == "503::The gateway stops"
    (reply,) = await server.connect(other)
    assert (reply["successful"], reply["advice"]) == (False, later)
    (reply,) = await server.ask(HANDSHAKE)
    assert (reply["successful"], reply["advice"]) == (False, later)
