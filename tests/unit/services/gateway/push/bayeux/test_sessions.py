"""Client ids: each serves one credential, there are so many of them, and unattended ones end."""

import pytest

from services.gateway.push.bayeux.session import TOO_SLOW, UNKNOWN, Owner, Session
from services.gateway.push.bayeux.sessions import UNATTENDED_S_MAX, Full, Sessions
from shared.contracts.limits import (
    BAYEUX_QUEUE_MESSAGES_MAX,
    BAYEUX_SESSIONS_MAX,
    BAYEUX_SESSIONS_PER_CREDENTIAL_MAX,
)

ADA = Owner("demo", "agent-1", "ab")


def session(client_id: str = "c1", owner: Owner = ADA, now_s: float = 0.0) -> Session:
    return Session(client_id, owner, "http://here", acks=False, now_s=now_s)


@pytest.mark.parametrize(
    "other",
    [
        Owner("demo", "agent-2", "ab"),
        Owner("other", "agent-1", "ab"),
        Owner("demo", "agent-1", "the password has changed"),
    ],
)
def test_a_client_id_serves_its_own_credential_alone(other: Owner) -> None:
    sessions = Sessions()
    sessions.add(mine := session())
    assert sessions.find("c1", ADA) is mine
    assert sessions.find("c1", other) is None
    assert sessions.find("c2", ADA) is None


def test_so_many_of_one_credential() -> None:
    sessions = Sessions()
    mine = [session(f"c{number}") for number in range(BAYEUX_SESSIONS_PER_CREDENTIAL_MAX)]
    for one in mine:
        sessions.add(one)
    with pytest.raises(Full):
        sessions.add(session("one too many"))
    sessions.add(session("bela", Owner("demo", "agent-2", "ab")))
    sessions.remove(mine[0])
    sessions.remove(mine[0])
    sessions.add(session("in its place"))
    with pytest.raises(Full):
        sessions.add(session("one too many"))


def test_so_many_in_all() -> None:
    sessions = Sessions()
    for number in range(BAYEUX_SESSIONS_MAX):
        sessions.add(session(f"c{number}", Owner("demo", f"agent-{number}", "ab")))
    with pytest.raises(Full):
        sessions.add(session("one too many"))
    assert len(sessions) == BAYEUX_SESSIONS_MAX


def test_unattended_it_ends() -> None:
    sessions = Sessions()
    sessions.add(session("left", now_s=100))
    sessions.add(held := session("held", now_s=100))
    connect = held.hold()
    assert sessions.sweep(100 + UNATTENDED_S_MAX) == []
    (ended,) = sessions.sweep(100.1 + UNATTENDED_S_MAX)
    assert (ended.client_id, ended.ended) == ("left", UNKNOWN)
    held.let_go(connect, 200)
    assert sessions.sweep(200 + UNATTENDED_S_MAX) == [ended]
    assert held in sessions.sweep(200.1 + UNATTENDED_S_MAX)


def test_a_connect_stirs_when_there_is_something_to_tell() -> None:
    one = session()
    connect = one.hold()
    assert not connect.is_set()
    assert one.offer(b"1")
    assert connect.is_set()
    one.let_go(connect, 0)
    assert one.hold().is_set(), "what waits is told at once"


def test_a_second_connect_lets_the_first_go() -> None:
    one = session()
    first, second = one.hold(), one.hold()
    assert first.is_set()
    assert not second.is_set()
    assert (one.holds(first), one.holds(second)) == (False, True)
    one.let_go(first, 0)
    assert one.holds(second)
    assert one.unattended_s is None


def test_with_too_much_waiting_it_is_over() -> None:
    one = session()
    for _ in range(BAYEUX_QUEUE_MESSAGES_MAX):
        assert one.offer(b"x")
    assert not one.offer(b"x")
    assert one.ended is TOO_SLOW
    assert not one.outbox.waiting, "the memory is given back at once"
    assert not one.offer(b"x")
    assert not one.outbox.waiting
    assert one.hold().is_set()
    one.end(UNKNOWN)
    assert one.ended is TOO_SLOW, "the first reason counts"
